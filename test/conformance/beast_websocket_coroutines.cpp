// SPDX-License-Identifier: BSL-1.0
// WebSocket by Beast with co_await: one coroutine for each connection, and handshakes that fail.

#define BOOST_TEST_MODULE beast_websocket_coroutines
#include "socket_test.hpp"

#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>

#include <chrono>
#include <exception>
#include <string>
#include <utility>

using namespace shm::test;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using asio::awaitable;
using asio::use_awaitable;

namespace {

// Without compression, which beast_websocket tests.
template <class Protocol>
using session = websocket::stream<beast::basic_stream<Protocol>, false>;

/// Echoes until the client closes.
template <class Protocol>
awaitable<void> serve(typename Protocol::socket socket)
{
  session<Protocol> client(std::move(socket));
  client.set_option(websocket::stream_base::timeout::suggested(beast::role_type::server));
  try
  {
    co_await client.async_accept(use_awaitable);
    for (;;)
    {
      beast::flat_buffer heard;
      co_await client.async_read(heard, use_awaitable);
      client.text(client.got_text());
      co_await client.async_write(heard.data(), use_awaitable);
    }
  }
  catch (const system_error& e)
  {
    if (e.code() != websocket::error::closed)
      throw;
  }
}

template <class Protocol>
awaitable<void> accept(typename Protocol::acceptor& acceptor, int count, int& served)
{
  const auto executor = co_await asio::this_coro::executor;
  for (int i = 0; i != count; ++i)
    asio::co_spawn(executor, serve<Protocol>(co_await acceptor.async_accept(use_awaitable)),
        [&](std::exception_ptr failure) { served += !failure; });
}

/// @returns how many echoes were right.
template <class Protocol>
awaitable<int> talk(typename Protocol::endpoint server)
{
  int right = 0;
  session<Protocol> stream(co_await asio::this_coro::executor);
  auto& below = beast::get_lowest_layer(stream);
  below.expires_after(patience);
  co_await below.async_connect(server, use_awaitable);
  below.expires_never(); // the WebSocket has time limits of its own
  stream.set_option(websocket::stream_base::timeout::suggested(beast::role_type::client));
  co_await stream.async_handshake("localhost", "/", use_awaitable);
  for (std::size_t size = 1; size < 1'000'000; size *= 10)
  {
    const std::string message(size, 'm');
    co_await stream.async_write(asio::buffer(message), use_awaitable);
    beast::flat_buffer echo;
    co_await stream.async_read(echo, use_awaitable);
    right += beast::buffers_to_string(echo.data()) == message;
  }
  co_await stream.async_close(websocket::close_code::normal, use_awaitable);
  co_return right;
}

/// @returns how the client's handshake ended.
template <class Protocol>
awaitable<error_code> fail(session<Protocol>& stream)
{
  try
  {
    co_await stream.async_handshake("localhost", "/", use_awaitable);
  }
  catch (const system_error& e)
  {
    co_return e.code();
  }
  co_return error_code();
}

} // namespace

// A stream with layers above the socket belongs to one thread, or to a strand.
BOOST_FIXTURE_TEST_SUITE(beast_websocket_coroutines, watchdog, *boost::unit_test::label("one_thread"))

BOOST_AUTO_TEST_CASE_TEMPLATE(many_sessions, Protocol, ip_transports)
{
  constexpr int clients = 10;
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  int served = 0, right = 0;
  asio::co_spawn(context, accept<Protocol>(acceptor, clients, served), asio::detached);
  for (int i = 0; i != clients; ++i)
    asio::co_spawn(context, talk<Protocol>(acceptor.local_endpoint()),
        [&](std::exception_ptr failure, int count) { right += failure ? 0 : count; });
  run_out(context);
  BOOST_TEST(served == clients);
  BOOST_TEST(right == clients * 6);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handshake_that_is_declined_or_not_answered, Protocol, ip_transports)
{
  for (const bool answered : {true, false})
  {
    asio::io_context context;
    connected_pair<Protocol> sockets(context);
    session<Protocol> client(std::move(sockets.client));
    if (answered)
      asio::write(sockets.server, asio::buffer(std::string("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")));
    else
      client.set_option(websocket::stream_base::timeout{
          std::chrono::milliseconds(20), websocket::stream_base::none(), false});
    completion end;
    asio::co_spawn(context, fail<Protocol>(client),
        [&](std::exception_ptr, error_code ec) { end.handler()(ec); });
    run_until(context, [&] { return end.done(); });
    if (answered)
      BOOST_TEST((end.ec == websocket::error::upgrade_declined), end.ec.message());
    else
      BOOST_TEST((end.ec == beast::error::timeout), end.ec.message());
    BOOST_TEST(beast::get_lowest_layer(client).socket().is_open() == answered);
  }
}

BOOST_AUTO_TEST_SUITE_END()
