// SPDX-License-Identifier: BSL-1.0
// Somebody who may write to the parent of the runtime directory swaps it for a link while names are bound and found.
#define BOOST_TEST_MODULE swapped_directory
#include "socket_test.hpp"

#include <shm/error.hpp>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

/// Puts a link and the directory in each other's place, again and again.
class swapper
{
public:
  swapper(const std::string& path, const std::string& link)
    : thread_(
        [this, path, link]
        {
          while (!stop_)
            if (::renameat2(AT_FDCWD, path.c_str(), AT_FDCWD, link.c_str(), RENAME_EXCHANGE) == 0)
              ++swaps_;
        })
  {
  }
  ~swapper()
  {
    stop_ = true;
    thread_.join();
  }
  long swaps() const { return swaps_; }

private:
  std::atomic<bool> stop_{false};
  std::atomic<long> swaps_{0};
  std::thread thread_;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(swapped_directory, watchdog)

BOOST_AUTO_TEST_CASE(nothing_is_made_found_or_removed_behind_the_link)
{
  const temp_directory parent, victim;
  for (const char* room : {"/ip", "/name", "/lock"})
    std::filesystem::create_directory(victim.path() + room);
  const std::string path = parent.path() + "/run";
  const std::string link = parent.path() + "/link";
  BOOST_TEST_REQUIRE(::chmod(parent.path().c_str(), 0777) == 0);
  BOOST_TEST_REQUIRE(::mkdir(path.c_str(), 0700) == 0);
  BOOST_TEST_REQUIRE(::symlink(victim.path().c_str(), link.c_str()) == 0);
  const scoped_environment environment("ASIO_SHM_DIR", path.c_str());
  asio::io_context context;
  long bound = 0, refused = 0;
  {
    const swapper swapping(path, link);
    while ((bound < 300 || refused < 300) && bound + refused < 20000)
    {
      tcp::acceptor acceptor(context);
      error_code ec;
      acceptor.open(tcp::v4());
      acceptor.bind({asio::ip::address_v4::loopback(), 4711}, ec);
      if (ec)
      {
        ++refused;
        BOOST_TEST_REQUIRE(ec == shm::error::unsafe_runtime_directory);
        continue;
      }
      ++bound;
      acceptor.listen();
      tcp::socket client(context);
      client.connect(acceptor.local_endpoint(), ec);
      if (!ec)
        acceptor.accept();
    }
    BOOST_TEST(swapping.swaps() > 0);
  }
  BOOST_TEST(bound > 0);
  BOOST_TEST(refused > 0);
  for (const char* room : {"/ip", "/name", "/lock"})
    BOOST_TEST(std::filesystem::is_empty(victim.path() + room));
}

BOOST_AUTO_TEST_SUITE_END()
