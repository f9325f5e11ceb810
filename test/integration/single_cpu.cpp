// SPDX-License-Identifier: BSL-1.0
// Where only one CPU may run the process, nothing spins and everything still works.
#define BOOST_TEST_MODULE single_cpu
#include "socket_test.hpp"

#include <functional>
#include <thread>
#include <vector>

#include <sched.h>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

/// Restricts this thread, and those that it starts, to the CPU that it is on.
class one_cpu
{
public:
  one_cpu()
  {
    BOOST_TEST_REQUIRE(::sched_getaffinity(0, sizeof before_, &before_) == 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(::sched_getcpu()), &one);
    BOOST_TEST_REQUIRE(::sched_setaffinity(0, sizeof one, &one) == 0);
  }
  ~one_cpu() { ::sched_setaffinity(0, sizeof before_, &before_); }

private:
  cpu_set_t before_;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(single_cpu, watchdog)

BOOST_AUTO_TEST_CASE(ping_pong_between_two_threads)
{
  const one_cpu restricted;
  asio::io_context context;
  asio::io_context other;
  connected_pair<tcp> pair(context, other);
  constexpr int rounds = 2000;
  std::thread answers(
      [&]
      {
        char byte;
        for (int i = 0; i < rounds; ++i)
        {
          asio::read(pair.server, asio::buffer(&byte, 1));
          asio::write(pair.server, asio::buffer(&byte, 1));
        }
      });
  int done = 0;
  char out = 0;
  char in = 0;
  std::function<void()> play = [&]
  {
    asio::async_write(pair.client, asio::buffer(&out, 1), [](error_code, std::size_t) {});
    asio::async_read(pair.client, asio::buffer(&in, 1),
        [&](error_code ec, std::size_t)
        {
          if (!ec && ++done < rounds)
            play();
        });
  };
  play();
  run_out(context);
  answers.join();
  BOOST_TEST(done == rounds);
}

BOOST_AUTO_TEST_CASE(both_ends_in_one_thread)
{
  const one_cpu restricted;
  asio::io_context context;
  connected_pair<tcp> pair(context);
  const pattern bytes(5);
  const auto sent = bytes.bytes(10 << 20);
  std::vector<unsigned char> got(sent.size());
  completion write;
  completion read;
  asio::async_write(pair.client, asio::buffer(sent), write.handler());
  asio::async_read(pair.server, asio::buffer(got), read.handler());
  run_out(context);
  BOOST_TEST(write.bytes == sent.size());
  BOOST_TEST(bytes.matches(got));
}

BOOST_AUTO_TEST_SUITE_END()
