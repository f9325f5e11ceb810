// SPDX-License-Identifier: BSL-1.0
// Whose list of partitions counts.
#define BOOST_TEST_MODULE partition_hosts
#include <boost/test/unit_test.hpp>

#include "file_place.hpp"
#include "partition_hosts.hpp"
#include "rendezvous.hpp"
#include "temp_runtime_directory.hpp"

#include <fstream>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace shm::detail;
using namespace shm::test;

namespace {

/// What a daemon of that user has in a shared runtime directory.
class place
{
public:
  place(const std::string& shared, unsigned user, const std::string& hosts)
    : path_(shared + "/" + std::to_string(user) + "/partition")
  {
    BOOST_TEST_REQUIRE(::mkdir((shared + "/" + std::to_string(user)).c_str(), 0755) == 0);
    BOOST_TEST_REQUIRE(::mkdir(path_.c_str(), 0755) == 0);
    std::ofstream(path_ + "/hosts") << hosts;
    for (const std::string& one : {shared + "/" + std::to_string(user), path_, path_ + "/hosts"})
      BOOST_TEST_REQUIRE(::chown(one.c_str(), user, user) == 0);
    boost::system::error_code ec;
    listening_ = open_rendezvous_socket(ec);
    local_sockaddr address;
    BOOST_TEST_REQUIRE(address.assign(path_place(path_ + "/daemon"), ec));
    BOOST_TEST_REQUIRE(::bind(listening_.get(), address.get(), address.size()) == 0);
    BOOST_TEST_REQUIRE(::listen(listening_.get(), 5) == 0);
    BOOST_TEST_REQUIRE(::chmod((path_ + "/daemon").c_str(), 0666) == 0);
  }

  /// As a daemon that was killed.
  void die() { listening_.reset(); }

private:
  std::string path_;
  descriptor listening_;
};

std::string first_name()
{
  const partition_hosts all = partition_hosts::read();
  return all.hosts.empty() ? std::string() : all.hosts.front().name;
}

} // namespace

BOOST_AUTO_TEST_SUITE(hosts_files)

BOOST_AUTO_TEST_CASE(the_own_daemon_counts_as_long_as_it_is_there_then_that_of_root)
{
  if (::geteuid() != 0)
  {
    BOOST_TEST_MESSAGE("skipped: only root can be two users");
    return;
  }
  const temp_directory directory;
  BOOST_TEST_REQUIRE(::chmod(directory.path().c_str(), 01777) == 0);
  const scoped_environment environment("ASIO_SHM_DIR", directory.path().c_str());
  place of_root(directory.path(), 0, "10.7.7.1 by-root 0\n");
  place of_user(directory.path(), 1000, "10.7.7.1 by-user 0\n");
  BOOST_TEST_REQUIRE(::seteuid(1000) == 0);
  BOOST_TEST(first_name() == "by-user");
  of_user.die();
  BOOST_TEST(first_name() == "by-root");
  BOOST_TEST_REQUIRE(::seteuid(0) == 0);
  BOOST_TEST(first_name() == "by-root");
}

BOOST_AUTO_TEST_CASE(lines_that_cannot_be_read_do_not_count)
{
  const temp_runtime_directory directory;
  BOOST_TEST(first_name() == "");
  BOOST_TEST_REQUIRE(::mkdir((directory.path() + "/partition").c_str(), 0700) == 0);
  std::ofstream(directory.path() + "/partition/hosts") << "nonsense\n10.7.7.300 one 1\n10.7.7.2 two\n10.7.7.3 three 3\n";
  BOOST_TEST(first_name() == "three");
}

BOOST_AUTO_TEST_SUITE_END()
