// SPDX-License-Identifier: BSL-1.0
// WebSocket by Beast over TLS: three layers above the socket, each with a close handshake of its own.

#define BOOST_TEST_MODULE beast_websocket_tls
#include "socket_test.hpp"
#include "tls_contexts.hpp"

#include <boost/asio/ssl.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>

#include <future>
#include <string>
#include <utility>

using namespace shm::test;
namespace beast = boost::beast;
namespace websocket = beast::websocket;

namespace {

const std::string large_message(3'000'017, 'b');

// As in Beast's programs, but without compression, which beast_websocket tests.
template <class Protocol>
using websocket_stream = websocket::stream<beast::ssl_stream<beast::basic_stream<Protocol>>, false>;

/// Both ends of a session, with all handshakes done by two threads.
template <class Protocol>
struct session
{
  asio::io_context context;
  connected_pair<Protocol> sockets{context};
  websocket_stream<Protocol> client;
  websocket_stream<Protocol> server;

  explicit session(tls_contexts& tls)
    : client(std::move(sockets.client), tls.for_client), server(std::move(sockets.server), tls.for_server)
  {
    auto accepted = std::async(std::launch::async,
        [&]
        {
          server.next_layer().handshake(ssl::stream_base::server);
          server.accept();
        });
    client.next_layer().handshake(ssl::stream_base::client);
    client.handshake("localhost", "/");
    accepted.get();
  }
};

} // namespace

// A stream with layers above the socket belongs to one thread, or to a strand.
BOOST_FIXTURE_TEST_SUITE(beast_websocket_tls, tls_contexts, *boost::unit_test::label("one_thread"))

BOOST_AUTO_TEST_CASE_TEMPLATE(asynchronous_session, Protocol, ip_transports)
{
  session<Protocol> pair(*this);
  completion written, read;
  beast::flat_buffer buffer;
  pair.client.async_write(asio::buffer(large_message), written.handler());
  pair.server.async_read(buffer, read.handler());
  run_until(pair.context, [&] { return written.done() && read.done(); });
  BOOST_TEST(!written.ec, written.ec.message());
  BOOST_TEST(!read.ec, read.ec.message());
  BOOST_TEST((beast::buffers_to_string(buffer.data()) == large_message));

  completion ended, end_read;
  pair.client.async_close(websocket::close_code::normal, ended.handler());
  pair.server.async_read(buffer, end_read.handler());
  run_until(pair.context, [&] { return ended.done() && end_read.done(); });
  BOOST_TEST(!ended.ec, ended.ec.message());
  BOOST_TEST((end_read.ec == websocket::error::closed), end_read.ec.message());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(blocking_session, Protocol, ip_transports)
{
  session<Protocol> pair(*this);
  auto echo = std::async(std::launch::async,
      [&]
      {
        beast::flat_buffer buffer;
        error_code ec;
        while (pair.server.read(buffer, ec), !ec)
        {
          pair.server.write(buffer.data());
          buffer.clear();
        }
        return ec;
      });
  pair.client.write(asio::buffer(large_message));
  beast::flat_buffer buffer;
  pair.client.read(buffer);
  BOOST_TEST((beast::buffers_to_string(buffer.data()) == large_message));
  error_code ec;
  pair.client.close(websocket::close_code::normal, ec);
  BOOST_TEST(!ec, ec.message());
  BOOST_TEST((echo.get() == websocket::error::closed));
}

BOOST_AUTO_TEST_SUITE_END()
