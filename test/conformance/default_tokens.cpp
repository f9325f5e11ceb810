// SPDX-License-Identifier: BSL-1.0
// Sockets, acceptors and timers whose executor type carries a default completion token.

#define BOOST_TEST_MODULE default_tokens
#include "socket_test.hpp"

#include <boost/asio/experimental/as_single.hpp>

#include <array>
#include <chrono>
#include <exception>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

using namespace shm::test;

namespace {

using asio::awaitable;
using io_executor = asio::io_context::executor_type;

template <class Token, class Object>
using with_default = typename Token::template as_default_on_t<Object>;

const auto rethrow = [](std::exception_ptr failure)
{
  if (failure)
    std::rethrow_exception(failure);
};

/// Runs two coroutines to their ends, the end of the second first seen.
template <class Server, class Client>
void run_both(Server server, Client client)
{
  for (const int threads : {1, 4})
  {
    asio::io_context context;
    int ended = 0;
    const auto strand = asio::make_strand(context);
    const auto count = [&](std::exception_ptr failure)
    {
      rethrow(failure);
      ++ended;
    };
    asio::co_spawn(strand, server(strand), count);
    asio::co_spawn(strand, client(strand), count);
    run_with_threads(context, threads);
    BOOST_TEST(ended == 2);
  }
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(default_tokens, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(use_awaitable, Protocol, transports)
{
  using token = asio::use_awaitable_t<>;
  using acceptor_type = with_default<token, typename Protocol::acceptor>;
  using socket_type = with_default<token, typename Protocol::socket>;
  using timer_type = with_default<token, asio::steady_timer>;
  typename Protocol::endpoint endpoint = loopback<Protocol>();
  run_both(
      [&](asio::any_io_executor executor) -> awaitable<void>
      {
        acceptor_type acceptor(executor, loopback<Protocol>());
        endpoint = acceptor.local_endpoint();
        auto socket = co_await acceptor.async_accept();
        static_assert(std::is_same_v<decltype(socket), socket_type>);
        std::array<char, 16> data;
        const std::size_t n = co_await socket.async_read_some(asio::buffer(data));
        co_await asio::async_write(socket, asio::buffer(data, n));
        co_await socket.async_wait(asio::socket_base::wait_read);
        typename Protocol::endpoint peer;
        auto second = co_await acceptor.async_accept(peer);
        static_assert(std::is_same_v<decltype(second), socket_type>);
      },
      [&](asio::any_io_executor executor) -> awaitable<void>
      {
        timer_type timer(executor, std::chrono::microseconds(1));
        co_await timer.async_wait();
        socket_type socket(executor);
        co_await socket.async_connect(endpoint);
        co_await asio::async_write(socket, asio::buffer("hello", 5));
        std::string got(5, '\0');
        co_await asio::async_read(socket, asio::buffer(got));
        BOOST_TEST(got == "hello");
        socket.close();
        const std::array<typename Protocol::endpoint, 1> range{endpoint};
        co_await asio::async_connect(socket, range);
        char byte;
        error_code ec;
        co_await socket.async_receive(asio::buffer(&byte, 1), asio::redirect_error(asio::use_awaitable, ec));
        BOOST_TEST(is_end(ec));
      });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(as_tuple, Protocol, transports)
{
  using token = asio::as_tuple_t<asio::use_awaitable_t<>>;
  using acceptor_type = with_default<token, typename Protocol::acceptor>;
  using socket_type = with_default<token, typename Protocol::socket>;
  typename Protocol::endpoint endpoint = loopback<Protocol>();
  run_both(
      [&](asio::any_io_executor executor) -> awaitable<void>
      {
        acceptor_type acceptor(executor, loopback<Protocol>());
        endpoint = acceptor.local_endpoint();
        auto [ec, socket] = co_await acceptor.async_accept();
        static_assert(std::is_same_v<decltype(socket), socket_type>);
        BOOST_TEST(!ec);
        std::array<char, 16> data;
        auto [read_ec, n] = co_await asio::async_read(socket, asio::buffer(data));
        BOOST_TEST(read_ec == error::eof);
        auto [write_ec, written] = co_await asio::async_write(socket, asio::buffer(data, n));
        BOOST_TEST(!write_ec);
        BOOST_TEST(written == n);
      },
      [&](asio::any_io_executor executor) -> awaitable<void>
      {
        socket_type socket(executor);
        auto [refused] = co_await socket.async_connect(loopback<Protocol>());
        BOOST_TEST(refused.failed());
        socket.close();
        auto [connected] = co_await socket.async_connect(endpoint);
        BOOST_TEST(!connected);
        auto [ec, n] = co_await socket.async_write_some(asio::buffer("tuple", 5));
        BOOST_TEST((!ec && n == 5));
        socket.shutdown(asio::socket_base::shutdown_send);
        std::string got(5, '\0');
        auto [read_ec, got_size] = co_await asio::async_read(socket, asio::buffer(got));
        BOOST_TEST(!read_ec);
        BOOST_TEST(got.substr(0, got_size) == "tuple");
        auto [end, nothing] = co_await socket.async_read_some(asio::buffer(got));
        BOOST_TEST(end == error::eof);
        BOOST_TEST(nothing == 0u);
      });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(as_single, Protocol, transports)
{
  using token = asio::experimental::as_single_t<asio::use_awaitable_t<>>;
  using acceptor_type = with_default<token, typename Protocol::acceptor>;
  using socket_type = with_default<token, typename Protocol::socket>;
  typename Protocol::endpoint endpoint = loopback<Protocol>();
  run_both(
      [&](asio::any_io_executor executor) -> awaitable<void>
      {
        acceptor_type acceptor(executor, loopback<Protocol>());
        endpoint = acceptor.local_endpoint();
        std::tuple<error_code, socket_type> accepted = co_await acceptor.async_accept();
        BOOST_TEST(!std::get<0>(accepted));
        socket_type& socket = std::get<1>(accepted);
        std::array<char, 16> data;
        std::tuple<error_code, std::size_t> read = co_await socket.async_read_some(asio::buffer(data));
        BOOST_TEST(std::get<1>(read) == 6u);
        co_await asio::async_write(socket, asio::buffer(data, std::get<1>(read)));
      },
      [&](asio::any_io_executor executor) -> awaitable<void>
      {
        socket_type socket(executor);
        // A lone error code is no tuple: it is thrown.
        static_assert(std::is_same_v<decltype(socket.async_connect(endpoint)), awaitable<void>>);
        co_await socket.async_connect(endpoint);
        co_await asio::async_write(socket, asio::buffer("single", 6));
        std::string got(7, '\0');
        auto [end, n] = co_await asio::async_read(socket, asio::buffer(got));
        BOOST_TEST(end == error::eof);
        BOOST_TEST(got.substr(0, n) == "single");
      });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(deferred, Protocol, transports)
{
  asio::io_context context;
  using acceptor_type = with_default<asio::deferred_t, typename Protocol::acceptor>;
  using socket_type = with_default<asio::deferred_t, typename Protocol::socket>;
  acceptor_type acceptor(context, loopback<Protocol>());
  socket_type client(context);
  auto connect = client.async_connect(acceptor.local_endpoint());
  auto accept = acceptor.async_accept();
  run_ready(context);
  completion connected;
  completion accepted;
  std::string got(8, '\0');
  std::move(connect)(connected.handler());
  std::move(accept)(
      [&](error_code ec, socket_type server)
      {
        accepted.handler()(ec);
        asio::write(server, asio::buffer("deferred", 8));
      });
  run_out(context);
  BOOST_TEST(!connected.ec);
  BOOST_TEST(!accepted.ec);

  // A deferred operation can be awaited.
  asio::co_spawn(
      context,
      [&]() -> awaitable<void>
      {
        auto read = asio::async_read(client, asio::buffer(got));
        co_await std::move(read)(asio::use_awaitable);
      },
      rethrow);
  run_out(context);
  BOOST_TEST(got == "deferred");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(come_and_go_by_moves, Protocol, transports)
{
  using awaiting = with_default<asio::use_awaitable_t<>, typename Protocol::socket>;
  using plain = asio::basic_stream_socket<Protocol, io_executor>;
  using plain_awaiting = with_default<asio::use_awaitable_t<io_executor>, plain>;
  static_assert(!std::is_same_v<awaiting, typename Protocol::socket>);
  static_assert(std::is_same_v<typename awaiting::executor_type::default_completion_token_type,
      asio::use_awaitable_t<>>);

  asio::io_context context;
  asio::io_context other;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  plain client(context);
  client.connect(acceptor.local_endpoint());
  asio::write(client, asio::buffer("waiting ", 8));
  awaiting server = asio::use_awaitable.as_default_on(acceptor.accept(other));
  std::string got(12, '\0');
  asio::co_spawn(
      other,
      [&]() -> awaitable<void>
      {
        co_await asio::async_read(server, asio::buffer(got, 8));
        // Without the token, and with another one.
        typename Protocol::socket any(std::move(server));
        co_await asio::async_write(any, asio::buffer("back", 4), asio::use_awaitable);
        auto tupled = asio::as_tuple(asio::use_awaitable).as_default_on(std::move(any));
        auto [ec, n] = co_await tupled.async_read_some(asio::buffer(got.data() + 8, 4));
        BOOST_TEST((!ec && n == 4));
      },
      rethrow);
  asio::co_spawn(
      context,
      [&, socket = plain_awaiting(std::move(client))]() mutable -> awaitable<void, io_executor>
      {
        std::string answer(4, '\0');
        co_await asio::async_read(socket, asio::buffer(answer));
        BOOST_TEST(answer == "back");
        co_await asio::async_write(socket, asio::buffer("data", 4));
      },
      rethrow);
  wait_until(
      [&]
      {
        run_ready(context);
        run_ready(other);
        return got == "waiting data";
      });
}

BOOST_AUTO_TEST_SUITE_END()
