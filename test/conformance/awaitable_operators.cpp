// SPDX-License-Identifier: BSL-1.0
// Operations on sockets joined by && and || of awaitables.

#define BOOST_TEST_MODULE awaitable_operators
#include "socket_test.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <exception>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

using namespace shm::test;
using namespace boost::asio::experimental::awaitable_operators;

namespace {

using asio::awaitable;
using asio::use_awaitable;

const auto rethrow = [](std::exception_ptr failure)
{
  if (failure)
    std::rethrow_exception(failure);
};

/// Runs one coroutine to its end.
template <class Coroutine>
void run(asio::io_context& context, Coroutine coroutine)
{
  bool ended = false;
  asio::co_spawn(
      context, coroutine(),
      [&](std::exception_ptr failure)
      {
        rethrow(failure);
        ended = true;
      });
  run_until(context, [&] { return ended; });
}

constexpr std::size_t total = 100'000;
constexpr std::size_t block = 2000;

struct received
{
  std::size_t position = 0;
  bool right = true;
  bool ended = false;
};

/// Reads a little and enters it in the books itself: if both sides of || complete, over any protocol, only the result of
/// the one that was first is to be had.
template <class Socket>
awaitable<void> read_some(Socket& socket, const pattern& bytes, received& so_far)
{
  std::array<unsigned char, 333> data;
  const auto [ec, n] = co_await socket.async_read_some(asio::buffer(data), asio::as_tuple(use_awaitable));
  so_far.right = so_far.right && bytes.matches(data.data(), n, so_far.position);
  so_far.position += n;
  so_far.ended = ec == error::eof;
  so_far.right = so_far.right && (!ec || so_far.ended || ec == error::operation_aborted);
}

/// Reads to the end of the stream, one impatient read after the other. @returns whether all of it was right.
template <class Socket>
awaitable<bool> read_impatiently(Socket& socket, pattern bytes, std::atomic<int>& timeouts)
{
  asio::steady_timer timer(co_await asio::this_coro::executor);
  received so_far;
  while (so_far.right && !so_far.ended)
  {
    timer.expires_after(std::chrono::microseconds(timeouts % 2 ? 30 : 1));
    const auto result = co_await (timer.async_wait(use_awaitable) || read_some(socket, bytes, so_far));
    timeouts += result.index() == 0;
  }
  co_return so_far.right && so_far.position == total;
}

/// Writes it, and after each block waits until the reader has lost patience again.
template <class Socket>
awaitable<void> write_slowly(Socket& socket, pattern bytes, std::atomic<int>& timeouts)
{
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (std::size_t sent = 0; sent != total; sent += block)
  {
    const int seen = timeouts;
    const auto data = bytes.bytes(block, sent);
    co_await asio::async_write(socket, asio::buffer(data), use_awaitable);
    while (timeouts == seen)
    {
      timer.expires_after(std::chrono::microseconds(20));
      co_await timer.async_wait(use_awaitable);
    }
  }
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(awaitable_operators, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(both_of_accept_and_connect_then_of_write_and_read, Protocol, transports)
{
  asio::io_context context;
  run(context,
      [&]() -> awaitable<void>
      {
        typename Protocol::acceptor acceptor(context, loopback<Protocol>());
        typename Protocol::socket client(context);
        typename Protocol::socket server = co_await (
            client.async_connect(acceptor.local_endpoint(), use_awaitable) && acceptor.async_accept(use_awaitable));
        const pattern up(1);
        const pattern down(2);
        const auto sent_up = up.bytes(2 << 20);
        const auto sent_down = down.bytes(3 << 20);
        std::vector<unsigned char> got_up(sent_up.size());
        std::vector<unsigned char> got_down(sent_down.size());
        const auto sizes = co_await (asio::async_write(client, asio::buffer(sent_up), use_awaitable) &&
            asio::async_read(client, asio::buffer(got_down), use_awaitable) &&
            asio::async_write(server, asio::buffer(sent_down), use_awaitable) &&
            asio::async_read(server, asio::buffer(got_up), use_awaitable));
        BOOST_CHECK(sizes == std::make_tuple(sent_up.size(), sent_down.size(), sent_down.size(), sent_up.size()));
        BOOST_TEST(up.matches(got_up));
        BOOST_TEST(down.matches(got_down));
      });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(failure_of_one_ends_the_other, Protocol, transports)
{
  asio::io_context context;
  run(context,
      [&]() -> awaitable<void>
      {
        connected_pair<Protocol> failing(context);
        connected_pair<Protocol> waiting(context);
        failing.server.close();
        char one;
        char other;
        error_code ec;
        try
        {
          co_await (failing.client.async_read_some(asio::buffer(&one, 1), use_awaitable) &&
              waiting.client.async_read_some(asio::buffer(&other, 1), use_awaitable));
        }
        catch (const asio::multiple_exceptions& e)
        {
          // The other has failed too, by being cancelled.
          try
          {
            std::rethrow_exception(e.first_exception());
          }
          catch (const system_error& first)
          {
            ec = first.code();
          }
        }
        BOOST_TEST(ec == error::eof);
        asio::write(waiting.server, asio::buffer("k", 1));
        co_await waiting.client.async_read_some(asio::buffer(&other, 1), use_awaitable);
        BOOST_TEST(other == 'k');
      });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(first_of_two_reads, Protocol, transports)
{
  asio::io_context context;
  run(context,
      [&]() -> awaitable<void>
      {
        connected_pair<Protocol> left(context);
        connected_pair<Protocol> right(context);
        std::array<char, 8> data{};
        for (int round = 0; round != 100; ++round)
        {
          connected_pair<Protocol>& winner = round % 3 ? left : right;
          connected_pair<Protocol>& loser = round % 3 ? right : left;
          // There before the reads are started, or after.
          asio::steady_timer later(context, std::chrono::microseconds(100));
          if (round % 2)
            later.async_wait([&](error_code) { asio::write(winner.server, asio::buffer("win", 3)); });
          else
            asio::write(winner.server, asio::buffer("win", 3));
          const auto result = co_await (left.client.async_read_some(asio::buffer(data), use_awaitable) ||
              right.client.async_read_some(asio::buffer(data), use_awaitable));
          BOOST_TEST(result.index() == (round % 3 ? 0u : 1u));
          BOOST_TEST((result.index() == 0 ? std::get<0>(result) : std::get<1>(result)) == 3u);
          asio::write(loser.server, asio::buffer("lost", 4));
          BOOST_TEST(co_await asio::async_read(loser.client, asio::buffer(data, 4), use_awaitable) == 4u);
          BOOST_TEST(std::string(data.data(), 4) == "lost");
        }
      });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(timeouts_of_accept_connect_and_exchange, Protocol, transports)
{
  asio::io_context context;
  run(context,
      [&]() -> awaitable<void>
      {
        typename Protocol::acceptor acceptor(context, loopback<Protocol>());
        asio::steady_timer timer(context);
        const auto soon = [&]
        {
          timer.expires_after(std::chrono::milliseconds(1));
          return timer.async_wait(use_awaitable);
        };
        for (int round = 0; round != 5; ++round)
        {
          const auto none = co_await (acceptor.async_accept(use_awaitable) || soon());
          BOOST_TEST(none.index() == 1u);
        }
        timer.expires_after(patience);
        typename Protocol::socket client(context);
        auto connected =
            co_await (client.async_connect(acceptor.local_endpoint(), use_awaitable) || timer.async_wait(use_awaitable));
        BOOST_TEST(connected.index() == 0u);
        timer.expires_after(patience);
        auto accepted = co_await (acceptor.async_accept(use_awaitable) || timer.async_wait(use_awaitable));
        BOOST_TEST_REQUIRE(accepted.index() == 0u);
        typename Protocol::socket server = std::move(std::get<0>(accepted));

        // Half of the pair is done when its time is over, and stays done.
        std::array<char, 4> up{};
        std::array<char, 4> down{};
        asio::write(client, asio::buffer("done", 4));
        asio::write(server, asio::buffer("ha", 2));
        const auto late = co_await ((asio::async_read(server, asio::buffer(up), use_awaitable) &&
                                        asio::async_read(client, asio::buffer(down), use_awaitable)) ||
            soon());
        BOOST_TEST(late.index() == 1u);
        BOOST_TEST(std::string(up.data(), 4) == "done");
        BOOST_TEST(std::string(down.data(), 2) == "ha");
        asio::write(server, asio::buffer("lf", 2));
        co_await asio::async_read(client, asio::buffer(down, 2), use_awaitable);
        BOOST_TEST(std::string(down.data(), 2) == "lf");
      });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(timer_or_read_loses_no_byte, Protocol, transports)
{
  constexpr std::size_t connections = 4;
  for (const int threads : {1, 4})
  {
    asio::io_context context;
    std::atomic<int> right{0};
    std::array<std::atomic<int>, connections> timeouts{};
    typename Protocol::acceptor acceptor(context, loopback<Protocol>());
    for (std::size_t i = 0; i != connections; ++i)
    {
      const pattern bytes(i);
      typename Protocol::socket client(asio::make_strand(context));
      client.connect(acceptor.local_endpoint());
      typename Protocol::socket server = acceptor.accept(asio::make_strand(context));
      const auto reading = server.get_executor();
      const auto writing = client.get_executor();
      asio::co_spawn(
          reading,
          [&, bytes, i, socket = std::move(server)]() mutable -> awaitable<void>
          { right += co_await read_impatiently(socket, bytes, timeouts[i]); },
          rethrow);
      asio::co_spawn(
          writing,
          [&, bytes, i, socket = std::move(client)]() mutable -> awaitable<void>
          { co_await write_slowly(socket, bytes, timeouts[i]); },
          rethrow);
    }
    run_with_threads(context, threads);
    BOOST_TEST(right == static_cast<int>(connections));
    for (const auto& count : timeouts)
      BOOST_TEST(count >= static_cast<int>(total / block));
  }
}

BOOST_AUTO_TEST_SUITE_END()
