// SPDX-License-Identifier: BSL-1.0
// Operations that are ready at once complete one after the other inside the poll task, not each by way of the scheduler.
#define BOOST_TEST_MODULE trampoline
#include "socket_test.hpp"

#include <array>
#include <functional>
#include <future>
#include <thread>
#include <vector>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

/// Writes messages, each started by the completion of the one before.
class chain_of_writes
{
public:
  chain_of_writes(tcp::socket& socket, int count) : socket_(socket), left_(count) {}

  void operator()()
  {
    asio::async_write(socket_, asio::buffer(message_),
        [this](error_code ec, std::size_t)
        {
          BOOST_TEST(!ec);
          if (--left_ > 0)
            (*this)();
        });
  }

  int left() const { return left_; }

private:
  tcp::socket& socket_;
  int left_;
  std::array<char, 64> message_{};
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(trampoline, watchdog)

// run() counts the trips through the scheduler. Between two looks at the clock the poll task runs eight handlers.
BOOST_AUTO_TEST_CASE(chain_costs_no_trip_through_the_scheduler_for_each_handler)
{
  constexpr int count = 8000;
  asio::io_context context;
  connected_pair<tcp> pair(context);
  chain_of_writes write(pair.client, count);
  asio::post(context, [&] { write(); }); // the chain begins in an ordinary handler
  const std::size_t trips = context.run();
  BOOST_TEST(write.left() == 0);
  BOOST_TEST(trips <= count / 4);

  std::vector<char> got(count * 64);
  BOOST_TEST(asio::read(pair.server, asio::buffer(got)) == got.size());
}

BOOST_AUTO_TEST_CASE(chain_ends_when_the_context_is_stopped)
{
  asio::io_context context;
  connected_pair<tcp> pair(context);
  std::array<char, 1> byte{};
  int writes = 0;
  std::function<void()> write = [&]
  {
    asio::async_write(pair.client, asio::buffer(byte),
        [&](error_code, std::size_t)
        {
          if (++writes == 100)
            context.stop();
          if (writes < 200)
            write();
        });
  };
  write();
  context.run();
  BOOST_TEST(writes == 100);
  context.restart();
  context.run();
  BOOST_TEST(writes == 200);
}

BOOST_AUTO_TEST_CASE(exception_of_a_handler_leaves_the_others_to_the_next_run)
{
  asio::io_context context;
  connected_pair<tcp> pair(context);
  std::array<char, 1> byte{};
  int completed = 0;
  for (int i = 0; i != 10; ++i)
    pair.client.async_write_some(asio::buffer(byte),
        [&](error_code, std::size_t)
        {
          if (++completed == 3)
            throw 3;
        });
  BOOST_CHECK_THROW(context.run(), int);
  BOOST_TEST(completed == 3);
  context.run();
  BOOST_TEST(completed == 10);
}

// Completions that wait behind a handler are not lost to a thread that is free.
BOOST_AUTO_TEST_CASE(handler_may_wait_for_what_another_thread_completes)
{
  asio::io_context context;
  connected_pair<tcp> pair(context);
  std::array<char, 1> byte{};
  std::promise<void> second;
  bool waited = false;
  pair.client.async_write_some(asio::buffer(byte),
      [&](error_code, std::size_t)
      {
        pair.client.async_write_some(asio::buffer(byte), [&](error_code, std::size_t) { second.set_value(); });
        waited = second.get_future().wait_for(std::chrono::seconds(60)) == std::future_status::ready;
      });
  std::thread other([&] { context.run(); });
  context.run();
  other.join();
  BOOST_TEST(waited);
}

BOOST_AUTO_TEST_SUITE_END()
