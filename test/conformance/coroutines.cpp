// SPDX-License-Identifier: BSL-1.0
// Servers and clients written as coroutines, with timeouts, cancellation and errors.

#define BOOST_TEST_MODULE coroutines
#include "socket_test.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <exception>
#include <future>
#include <string>
#include <vector>

using namespace shm::test;

namespace {

using asio::awaitable;
using asio::use_awaitable;

const auto rethrow = [](std::exception_ptr failure)
{
  if (failure)
    std::rethrow_exception(failure);
};

template <class Socket>
awaitable<void> serve(Socket socket)
{
  // Room for a whole message: TCP answers in parts as slowly as acknowledgements come.
  std::array<char, 400> data;
  for (;;)
  {
    error_code ec;
    const std::size_t n = co_await socket.async_read_some(asio::buffer(data), asio::redirect_error(use_awaitable, ec));
    if (ec == error::eof)
      co_return;
    if (ec)
      throw system_error(ec);
    co_await asio::async_write(socket, asio::buffer(data, n), use_awaitable);
  }
}

template <class Acceptor>
awaitable<void> listen(Acceptor& acceptor, int clients)
{
  const auto executor = co_await asio::this_coro::executor;
  for (int i = 0; i != clients; ++i)
    asio::co_spawn(executor, serve(co_await acceptor.async_accept(use_awaitable)), rethrow);
}

template <class Protocol>
awaitable<void> play(typename Protocol::endpoint endpoint, int number, std::atomic<int>& right)
{
  typename Protocol::socket socket(co_await asio::this_coro::executor);
  co_await socket.async_connect(endpoint, use_awaitable);
  const pattern bytes(static_cast<unsigned>(number));
  std::vector<unsigned char> got(321);
  for (std::size_t position = 0; position != 50 * got.size(); position += got.size())
  {
    const auto sent = bytes.bytes(got.size(), position);
    co_await asio::async_write(socket, asio::buffer(sent), use_awaitable);
    co_await asio::async_read(socket, asio::buffer(got), use_awaitable);
    if (!bytes.matches(got, position))
      co_return;
  }
  ++right;
}

constexpr int clients = 8;

/// A server and its clients, each coroutine on an executor that `executor()` gives.
template <class Protocol, class Acceptor, class MakeExecutor>
void start(Acceptor& acceptor, MakeExecutor executor, std::atomic<int>& right)
{
  asio::co_spawn(executor(), listen(acceptor, clients), rethrow);
  for (int i = 0; i != clients; ++i)
    asio::co_spawn(executor(), play<Protocol>(acceptor.local_endpoint(), i, right), rethrow);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(coroutines, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(in_an_io_context, Protocol, transports)
{
  for (const int threads : {1, 4})
  {
    asio::io_context context;
    std::atomic<int> right{0};
    typename Protocol::acceptor acceptor(asio::make_strand(context), loopback<Protocol>());
    start<Protocol>(acceptor, [&] { return asio::make_strand(context); }, right);
    run_with_threads(context, threads);
    BOOST_TEST(right == clients);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(in_a_thread_pool, Protocol, transports)
{
  for (const std::size_t threads : {1u, 4u})
  {
    asio::thread_pool pool(threads);
    std::atomic<int> right{0};
    typename Protocol::acceptor acceptor(pool, loopback<Protocol>());
    // Without strands: a coroutine waits for one thing at a time, wherever it goes on.
    start<Protocol>(acceptor, [&] { return pool.get_executor(); }, right);
    pool.join();
    BOOST_TEST(right == clients);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(errors_are_exceptions, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  pair.server.close();
  auto result = asio::co_spawn(
      context,
      [&]() -> awaitable<std::string>
      {
        char byte;
        co_await pair.client.async_read_some(asio::buffer(&byte, 1), use_awaitable);
        co_return "not reached";
      },
      asio::use_future);
  run_out(context);
  BOOST_CHECK_EXCEPTION(result.get(), system_error, [](const system_error& e) { return e.code() == error::eof; });
}

// The two coroutines share a timer.
BOOST_TEST_DECORATOR(*boost::unit_test::label("one_thread"))
BOOST_AUTO_TEST_CASE_TEMPLATE(watchdog_of_another_coroutine_ends_a_silent_session, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  asio::steady_timer deadline(context, std::chrono::milliseconds(20));
  int messages = 0;
  error_code seen;
  asio::co_spawn(
      context,
      [&]() -> awaitable<void>
      {
        char byte;
        for (;;)
        {
          co_await pair.server.async_read_some(asio::buffer(&byte, 1), asio::redirect_error(use_awaitable, seen));
          if (seen)
            co_return;
          ++messages;
          deadline.expires_after(std::chrono::milliseconds(20));
        }
      },
      rethrow);
  asio::co_spawn(
      context,
      [&]() -> awaitable<void>
      {
        while (deadline.expiry() > std::chrono::steady_clock::now())
        {
          error_code ignored;
          co_await deadline.async_wait(asio::redirect_error(use_awaitable, ignored));
        }
        pair.server.close();
      },
      rethrow);
  asio::write(pair.client, asio::buffer("123", 3));
  run_out(context);
  BOOST_TEST(messages == 3);
  BOOST_TEST(seen == error::operation_aborted);
  char byte;
  reports(error::eof, [&](auto&... ec) { asio::read(pair.client, asio::buffer(&byte, 1), ec...); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(slot_of_a_coroutine, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  for (int round = 0; round != 10; ++round)
  {
    // By default a coroutine listens to terminal cancellation only; each may decide for itself.
    const bool total = round % 2;
    asio::cancellation_signal signal;
    error_code seen;
    bool cancelled = false;
    int ended = 0;
    asio::co_spawn(
        context,
        [&]() -> awaitable<void>
        {
          co_await asio::this_coro::throw_if_cancelled(false);
          if (total)
            co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
          char byte;
          co_await pair.client.async_read_some(asio::buffer(&byte, 1), asio::redirect_error(use_awaitable, seen));
          const auto state = co_await asio::this_coro::cancellation_state;
          cancelled = state.cancelled() != asio::cancellation_type::none;
        },
        asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr) { ++ended; }));
    run_ready(context);
    signal.emit(asio::cancellation_type::total);
    run_ready(context);
    BOOST_TEST(ended == (total ? 1 : 0));
    if (!total)
      signal.emit(asio::cancellation_type::terminal);
    run_until(context, [&] { return ended == 1; });
    BOOST_TEST(cancelled);
    BOOST_TEST(seen == error::operation_aborted);
  }
  asio::write(pair.server, asio::buffer("k", 1));
  char byte = 0;
  asio::read(pair.client, asio::buffer(&byte, 1));
  BOOST_TEST(byte == 'k');
}

BOOST_AUTO_TEST_CASE_TEMPLATE(suspended_ones_die_with_the_context, Protocol, transports)
{
  int unwound = 0;
  struct counter
  {
    ~counter() { ++count; }
    int& count;
  };
  {
    asio::io_context context;
    for (int i = 0; i != 5; ++i)
      asio::co_spawn(
          context,
          [&]() -> awaitable<void>
          {
            counter on_exit{unwound};
            connected_pair<Protocol> pair(context);
            typename Protocol::acceptor acceptor(context, loopback<Protocol>());
            char byte;
            asio::co_spawn(
                context, [&]() -> awaitable<void> { co_await acceptor.async_accept(use_awaitable); }, asio::detached);
            co_await pair.client.async_read_some(asio::buffer(&byte, 1), use_awaitable);
          },
          asio::detached);
    run_ready(context);
    BOOST_TEST(unwound == 0);
  }
  BOOST_TEST(unwound == 5);
}

BOOST_AUTO_TEST_SUITE_END()
