// SPDX-License-Identifier: BSL-1.0
// Stackful coroutines: servers and clients that wait by yield.

#define BOOST_TEST_MODULE spawn
#include "socket_test.hpp"

#include <boost/asio/spawn.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <exception>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using namespace shm::test;

namespace {

using asio::yield_context;

/// For what spawn completes with: what left the coroutine leaves run().
const auto rethrow = [](std::exception_ptr failure)
{
  if (failure)
    std::rethrow_exception(failure);
};

template <class Protocol>
void serve(typename Protocol::socket socket, yield_context yield)
{
  // Room for a whole message: TCP answers in parts as slowly as acknowledgements come.
  std::array<char, 400> data{};
  for (;;)
  {
    error_code ec;
    const std::size_t n = socket.async_read_some(asio::buffer(data), yield[ec]);
    if (ec == error::eof)
      return;
    if (ec)
      throw system_error(ec);
    asio::async_write(socket, asio::buffer(data, n), yield);
  }
}

template <class Protocol>
void play(typename Protocol::endpoint endpoint, int number, std::atomic<int>& right, yield_context yield)
{
  typename Protocol::socket socket(yield.get_executor());
  socket.async_connect(endpoint, yield);
  const pattern bytes(static_cast<unsigned>(number));
  std::vector<unsigned char> got(321);
  for (std::size_t position = 0; position != 50 * got.size(); position += got.size())
  {
    asio::async_write(socket, asio::buffer(bytes.bytes(got.size(), position)), yield);
    asio::async_read(socket, asio::buffer(got), yield);
    if (!bytes.matches(got, position))
      return;
  }
  ++right;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(spawn, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(servers_and_clients, Protocol, transports)
{
  constexpr int clients = 8;
  for (const int threads : {1, 4})
  {
    asio::io_context context;
    std::atomic<int> right{0};
    typename Protocol::acceptor acceptor(asio::make_strand(context), loopback<Protocol>());
    asio::spawn(
        acceptor.get_executor(),
        [&](yield_context yield)
        {
          for (int i = 0; i != clients; ++i)
          {
            const asio::any_io_executor strand = asio::make_strand(context);
            typename Protocol::socket socket = acceptor.async_accept(strand, yield);
            asio::spawn(
                strand,
                [socket = std::make_shared<typename Protocol::socket>(std::move(socket))](yield_context inner)
                { serve<Protocol>(std::move(*socket), inner); },
                rethrow);
          }
        },
        rethrow);
    for (int i = 0; i != clients; ++i)
      asio::spawn(
          asio::make_strand(context),
          [&, i, endpoint = acceptor.local_endpoint()](yield_context yield)
          { play<Protocol>(endpoint, i, right, yield); },
          rethrow);
    run_with_threads(context, threads);
    BOOST_TEST(right == clients);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(errors_as_codes_and_as_exceptions, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  pair.server.close();
  auto result = asio::spawn(
      context,
      [&](yield_context yield)
      {
        char byte;
        error_code ec;
        pair.server.async_read_some(asio::buffer(&byte, 1), yield[ec]);
        BOOST_TEST(ec == error::bad_descriptor);
        pair.client.async_read_some(asio::buffer(&byte, 1), yield);
        return std::string("not reached");
      },
      asio::use_future);
  run_out(context);
  BOOST_CHECK_EXCEPTION(result.get(), system_error, [](const system_error& e) { return e.code() == error::eof; });

  auto text = asio::spawn(context, [](yield_context) { return std::string("returned"); }, asio::use_future);
  run_out(context);
  BOOST_TEST(text.get() == "returned");
}

// The two coroutines share a timer.
BOOST_TEST_DECORATOR(*boost::unit_test::label("one_thread"))
BOOST_AUTO_TEST_CASE_TEMPLATE(timer_of_another_coroutine_ends_a_read, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  asio::steady_timer timer(context, std::chrono::milliseconds(5));
  completion read;
  asio::spawn(
      context,
      [&](yield_context yield)
      {
        std::array<char, 4> data{};
        error_code ec;
        const std::size_t n = asio::async_read(pair.client, asio::buffer(data), yield[ec]);
        read.handler()(ec, n);
        // The same socket goes on.
        asio::async_write(pair.client, asio::buffer("ok", 2), yield);
      },
      rethrow);
  asio::spawn(
      context,
      [&](yield_context yield)
      {
        timer.async_wait(yield);
        pair.client.cancel();
      },
      rethrow);
  asio::write(pair.server, asio::buffer("abc", 3));
  run_out(context);
  BOOST_TEST(read.ec == error::operation_aborted);
  BOOST_TEST(read.bytes == 3u);
  std::string got(2, '\0');
  asio::read(pair.server, asio::buffer(got));
  BOOST_TEST(got == "ok");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(slot_of_the_coroutine_ends_what_it_waits_for, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  for (int round = 0; round != 10; ++round)
  {
    asio::cancellation_signal signal;
    error_code seen;
    int ended = 0;
    asio::spawn(
        context,
        [&](yield_context yield)
        {
          char byte;
          pair.client.async_read_some(asio::buffer(&byte, 1), yield[seen]);
        },
        asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr) { ++ended; }));
    run_ready(context);
    BOOST_TEST(ended == 0);
    signal.emit(asio::cancellation_type::terminal);
    run_until(context, [&] { return ended == 1; });
    BOOST_TEST(seen == error::operation_aborted);
  }
  asio::write(pair.server, asio::buffer("z", 1));
  char byte = 0;
  asio::read(pair.client, asio::buffer(&byte, 1));
  BOOST_TEST(byte == 'z');
}

BOOST_AUTO_TEST_CASE_TEMPLATE(suspended_ones_die_with_the_context, Protocol, transports)
{
  int unwound = 0;
  {
    asio::io_context context;
    for (int i = 0; i != 5; ++i)
      asio::spawn(
          context,
          [&](yield_context yield)
          {
            struct counter
            {
              ~counter() { ++count; }
              int& count;
            } on_exit{unwound};
            connected_pair<Protocol> pair(context);
            char byte;
            pair.client.async_read_some(asio::buffer(&byte, 1), yield);
          },
          asio::detached);
    run_ready(context);
    BOOST_TEST(unwound == 0);
  }
  BOOST_TEST(unwound == 5);
}

BOOST_AUTO_TEST_SUITE_END()
