// SPDX-License-Identifier: BSL-1.0
// What counts as work, and how the functions that run a context behave with sockets.

#define BOOST_TEST_MODULE running
#include "socket_test.hpp"

#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

using namespace shm::test;

BOOST_FIXTURE_TEST_SUITE(running, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(idle_sockets_are_no_work, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  connected_pair<Protocol> pair(context);
  asio::write(pair.server, asio::buffer("unread", 6));
  context.run();
  BOOST_TEST(context.stopped());
  context.restart();
  BOOST_TEST(context.poll() == 0u);
  BOOST_TEST(context.stopped());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(run_returns_when_nothing_is_pending, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  std::array<char, 8> data{};
  completion read;
  pair.client.async_read_some(asio::buffer(data), read.handler());
  asio::write(pair.server, asio::buffer("x", 1));
  context.run();
  BOOST_TEST(read.calls == 1);
  BOOST_TEST(!read.ec);

  // A second time, with the sockets known to the reactor.
  context.restart();
  read = {};
  pair.client.async_read_some(asio::buffer(data), read.handler());
  context.poll();
  BOOST_TEST(read.calls == 0);
  BOOST_TEST(!context.stopped());
  pair.client.cancel();
  context.run();
  BOOST_TEST(read.ec == error::operation_aborted);
  BOOST_TEST(context.stopped());
}

// What one thread does that polls.
BOOST_TEST_DECORATOR(*boost::unit_test::label("one_thread"))
BOOST_AUTO_TEST_CASE_TEMPLATE(poll_runs_what_is_ready, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  std::array<char, 8> data{};
  completion read;
  pair.client.async_read_some(asio::buffer(data), read.handler());
  context.poll();
  BOOST_TEST(read.calls == 0);
  asio::write(pair.server, asio::buffer("now", 3));
  // The bytes may need a moment, but no more than polling.
  wait_until(
      [&]
      {
        context.poll();
        return read.done();
      });
  BOOST_TEST(read.bytes == 3u);
  context.restart();
  BOOST_TEST(context.poll() == 0u);
}

// What one thread does in each call.
BOOST_TEST_DECORATOR(*boost::unit_test::label("one_thread"))
BOOST_AUTO_TEST_CASE_TEMPLATE(poll_one_and_run_one_make_progress, Protocol, transports)
{
  constexpr int most = differences<Protocol>::handlers_in_one_step;
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  std::array<std::array<char, 1>, 8> data{};
  int calls = 0;
  for (auto& one : data)
    pair.client.async_read_some(asio::buffer(one), [&](error_code, std::size_t) { ++calls; });
  asio::write(pair.server, asio::buffer("12345678", 8));
  wait_until(
      [&]
      {
        const int before = calls;
        context.poll_one();
        BOOST_TEST(calls - before <= most);
        return calls >= 4;
      });
  wait_until(
      [&]
      {
        const int before = calls;
        context.run_one();
        BOOST_TEST(calls - before <= most);
        return calls == 8;
      });
  for (std::size_t i = 0; i != data.size(); ++i)
    BOOST_TEST(data[i][0] == static_cast<char>('1' + i));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(run_for_returns_with_a_read_pending, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  std::array<char, 8> data{};
  completion read;
  pair.client.async_read_some(asio::buffer(data), read.handler());
  context.run_for(std::chrono::milliseconds(5));
  BOOST_TEST(read.calls == 0);
  BOOST_TEST(!context.stopped());
  context.run_one_for(std::chrono::milliseconds(5));
  BOOST_TEST(read.calls == 0);
  asio::write(pair.server, asio::buffer("x", 1));
  run_until(context, [&] { return read.done(); });
  BOOST_TEST(!read.ec);
}

// Each of several threads may be in a handler when the context is stopped.
BOOST_TEST_DECORATOR(*boost::unit_test::label("one_thread"))
BOOST_AUTO_TEST_CASE_TEMPLATE(stop_and_restart_lose_nothing, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  std::array<std::array<char, 1>, 100> data{};
  int calls = 0;
  for (auto& one : data)
  {
    pair.client.async_read_some(asio::buffer(one),
        [&](error_code ec, std::size_t n)
        {
          BOOST_TEST(!ec);
          BOOST_TEST(n == 1u);
          ++calls;
          // Stopped in the middle of what is ready.
          context.stop();
        });
  }
  asio::write(pair.server, asio::buffer(std::string(data.size(), 's')));
  int rounds = 0;
  while (calls != static_cast<int>(data.size()))
  {
    const int before = calls;
    context.run();
    BOOST_TEST(context.stopped());
    // One handler a round: after stop() no other one runs.
    BOOST_TEST_REQUIRE(calls == before + 1);
    context.restart();
    ++rounds;
  }
  BOOST_TEST(rounds == static_cast<int>(data.size()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(stop_from_another_thread_ends_run, Protocol, transports)
{
  for (int i = 0; i != 20; ++i)
  {
    asio::io_context context;
    connected_pair<Protocol> pair(context);
    std::array<char, 8> data{};
    completion read;
    pair.client.async_read_some(asio::buffer(data), read.handler());
    std::atomic<bool> in_run{false};
    asio::post(context, [&] { in_run = true; });
    std::thread runner([&] { context.run(); });
    wait_until([&] { return in_run.load(); });
    context.stop();
    runner.join();
    BOOST_TEST(read.calls == 0);
    BOOST_TEST(context.stopped());
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(operations_started_from_outside_wake_a_sleeping_run, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  auto guard = asio::make_work_guard(context);
  std::thread runner([&] { context.run(); });
  std::array<char, 8> data{};
  for (int i = 0; i != 200; ++i)
  {
    std::atomic<int> calls{0};
    asio::post(context,
        [&]
        {
          pair.client.async_read_some(
              asio::buffer(data), [&](error_code ec, std::size_t n) { calls = ec || n != 1 ? -1 : 1; });
        });
    asio::write(pair.server, asio::buffer("x", 1));
    wait_until([&] { return calls != 0; });
    BOOST_TEST(calls == 1);
  }
  guard.reset();
  runner.join();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(blocking_and_asynchronous_use_of_one_socket, Protocol, transports)
{
  // One thread blocks in reads, the other writes asynchronously on the same socket.
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  // The first asynchronous operation changes a TCP socket's mode, so it comes before the threads.
  completion first;
  char byte = 0;
  pair.client.async_write_some(asio::buffer("f", 1), first.handler());
  run_until(context, [&] { return first.done(); });
  asio::read(pair.server, asio::buffer(&byte, 1));
  BOOST_TEST(byte == 'f');
  constexpr int rounds = 2000;
  std::atomic<int> wrong{0};
  std::thread echo(
      [&]
      {
        std::array<char, 4> block{};
        error_code ec;
        for (int i = 0; i != rounds && !ec; ++i)
        {
          asio::read(pair.server, asio::buffer(block), ec);
          asio::write(pair.server, asio::buffer(block), ec);
        }
        wrong += ec.failed();
      });
  std::thread reader(
      [&]
      {
        for (int i = 0; i != rounds; ++i)
        {
          int got = -1;
          error_code ec;
          asio::read(pair.client, asio::buffer(&got, sizeof got), ec);
          wrong += ec || got != i;
          if (ec)
            return;
        }
      });
  for (int i = 0; i != rounds; ++i)
  {
    completion written;
    asio::async_write(pair.client, asio::buffer(&i, sizeof i), written.handler());
    run_until(context, [&] { return written.done(); });
    BOOST_TEST_REQUIRE(!written.ec);
  }
  reader.join();
  echo.join();
  BOOST_TEST(wrong == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(blocking_write_beside_an_asynchronous_read, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  constexpr std::size_t size = 5'000'011;
  const pattern bytes(9);
  const auto sent = bytes.bytes(size);
  std::vector<unsigned char> got(size);
  completion read;
  asio::async_read(pair.client, asio::buffer(got), read.handler());
  std::thread writer(
      [&]
      {
        error_code ec;
        asio::write(pair.client, asio::buffer(sent), ec);
      });
  std::thread echo(
      [&]
      {
        std::vector<unsigned char> block(30'011);
        error_code ec;
        for (std::size_t done = 0; done != size && !ec;)
        {
          const std::size_t n = pair.server.read_some(asio::buffer(block), ec);
          done += asio::write(pair.server, asio::buffer(block.data(), n), ec);
        }
      });
  run_until(context, [&] { return read.done(); });
  writer.join();
  echo.join();
  BOOST_TEST(!read.ec);
  BOOST_TEST(bytes.matches(got));
}

BOOST_AUTO_TEST_SUITE_END()
