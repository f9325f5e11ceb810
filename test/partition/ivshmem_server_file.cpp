// SPDX-License-Identifier: BSL-1.0
// The file of the ivshmem server's socket: whose it is, and what it replaces.
#define BOOST_TEST_MODULE ivshmem_server_file
#include "socket_test.hpp"

#include "ivshmem_server.hpp"
#include "open_resources.hpp"
#include "raw_ivshmem_client.hpp"
#include "running_ivshmem_server.hpp"

#include <atomic>
#include <fstream>
#include <thread>

#include <sys/stat.h>

using namespace shm::partitiond;
using namespace shm::test;
using shm::detail::descriptor;

namespace {

bool exists(const std::string& path)
{
  struct stat status;
  return ::lstat(path.c_str(), &status) == 0;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(file_of_the_socket, watchdog)

struct place
{
  temp_directory directory;
  const std::string path = directory.path() + "/server";
  boost::asio::io_context context;

  error_code serve(const std::string& where, std::uint64_t size = running_ivshmem_server::region_size)
  {
    error_code ec;
    const ivshmem_server server(context, {where, size, 2, 1}, ec);
    return ec;
  }

  void leave_stale_file() const
  {
    const descriptor dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = socket_file(path);
    BOOST_REQUIRE(::bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  }
};

BOOST_AUTO_TEST_CASE(is_its_users_alone_and_goes_with_the_server)
{
  place at;
  {
    error_code ec;
    const ivshmem_server server(at.context, {at.path, running_ivshmem_server::region_size, 2, 1}, ec);
    BOOST_TEST(!ec);
    struct stat status;
    BOOST_REQUIRE(::lstat(at.path.c_str(), &status) == 0);
    BOOST_TEST(status.st_mode == (S_IFSOCK | 0600u));
  }
  BOOST_TEST(!exists(at.path));
}

BOOST_AUTO_TEST_CASE(a_dead_servers_is_replaced)
{
  place at;
  at.leave_stale_file();
  BOOST_TEST(!at.serve(at.path));
}

BOOST_AUTO_TEST_CASE(a_living_servers_is_not)
{
  const running_ivshmem_server server;
  place at;
  BOOST_TEST(at.serve(server.path()) == error::address_in_use);
  BOOST_TEST(member(server).id == 0);
}

BOOST_AUTO_TEST_CASE(another_kind_of_file_is_not)
{
  place at;
  std::ofstream(at.path) << "precious";
  BOOST_TEST(at.serve(at.path) == error::address_in_use);
  BOOST_TEST(text_of(at.path) == "precious");
}

BOOST_AUTO_TEST_CASE(of_several_servers_at_once_one_gets_it)
{
  place at;
  for (int round = 0; round != 200; ++round)
  {
    if (!exists(at.path))
      at.leave_stale_file();
    std::atomic<int> ready{0}, served{0}, wrong{0}, done{0};
    std::vector<std::thread> threads;
    for (int i = 0; i != 4; ++i)
      threads.emplace_back(
          [&]
          {
            boost::asio::io_context context;
            for (++ready; ready != 4;)
              std::this_thread::yield();
            error_code ec;
            const ivshmem_server server(context, {at.path, running_ivshmem_server::region_size, 2, 1}, ec);
            ++(!ec ? served : wrong);
            if (ec == error::address_in_use)
              --wrong;
            for (++done; done != 4;)
              std::this_thread::yield();
            // Nobody took its file away.
            if (!ec && !exists(at.path))
              ++wrong;
          });
    for (std::thread& one : threads)
      one.join();
    BOOST_TEST(served == 1);
    BOOST_TEST(wrong == 0);
  }
}

BOOST_AUTO_TEST_CASE(what_cannot_be_served_leaves_nothing)
{
  place at;
  BOOST_TEST(!at.serve(at.path)); // the context has its own descriptors now
  const open_resources before = open_resources::now();
  BOOST_TEST(at.serve("") == error::name_too_long);
  BOOST_TEST(at.serve(std::string(200, 'a')) == error::name_too_long);
  BOOST_TEST(at.serve(at.directory.path() + "/no/server") == boost::system::errc::no_such_file_or_directory);
  for (const std::uint64_t size : {0ull, 4096ull, 1ull << 19, (4ull << 20) + 4096, 3ull << 20})
    BOOST_TEST(at.serve(at.path, size) == error::invalid_argument);
  BOOST_TEST(!exists(at.path));
  BOOST_TEST(open_resources::now() == before);
}

BOOST_AUTO_TEST_SUITE_END()
