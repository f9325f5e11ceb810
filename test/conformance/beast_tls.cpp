// SPDX-License-Identifier: BSL-1.0
// HTTP by Beast over TLS: requests, time limits, and a port that speaks plain HTTP too.

#define BOOST_TEST_MODULE beast_tls
#include "socket_test.hpp"
#include "tls_contexts.hpp"

#include <boost/asio/ssl.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/detect_ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include <chrono>
#include <future>
#include <string>
#include <utility>

using namespace shm::test;
namespace beast = boost::beast;
namespace http = beast::http;

namespace {

using request = http::request<http::string_body>;
using response = http::response<http::string_body>;

const std::string large_body(3'000'017, 'b');

/// Two timed streams with TLS.
template <class Protocol>
struct tls_pair
{
  using stream = beast::ssl_stream<beast::basic_stream<Protocol>>;

  asio::io_context context;
  connected_pair<Protocol> sockets{context};
  stream client;
  stream server;

  explicit tls_pair(tls_contexts& tls)
    : client(std::move(sockets.client), tls.for_client), server(std::move(sockets.server), tls.for_server)
  {}

  void wait(const completion& first, const completion& second)
  {
    run_until(context, [&] { return first.done() && second.done(); });
    BOOST_TEST_REQUIRE(!first.ec, first.ec.message());
    BOOST_TEST_REQUIRE(!second.ec, second.ec.message());
  }

  void connect()
  {
    completion connected, accepted;
    beast::get_lowest_layer(client).expires_after(patience);
    client.async_handshake(ssl::stream_base::client, connected.handler());
    server.async_handshake(ssl::stream_base::server, accepted.handler());
    wait(connected, accepted);
  }
};

} // namespace

// A stream with layers above the socket belongs to one thread, or to a strand.
BOOST_FIXTURE_TEST_SUITE(beast_tls, tls_contexts, *boost::unit_test::label("one_thread"))

BOOST_AUTO_TEST_CASE_TEMPLATE(asynchronous_requests, Protocol, ip_transports)
{
  tls_pair<Protocol> pair(*this);
  pair.connect();
  beast::flat_buffer at_client, at_server;
  for (int i = 0; i != 3; ++i)
  {
    const std::string target = "/" + std::to_string(i);
    request heard;
    completion sent, read;
    beast::async_write(
        pair.client, http::message_generator(request(http::verb::get, target, 11)), sent.handler());
    http::async_read(pair.server, at_server, heard, read.handler());
    pair.wait(sent, read);
    BOOST_TEST(heard.target() == target);

    response answer(http::status::ok, 11, large_body);
    answer.prepare_payload();
    completion answered, received;
    response got;
    beast::async_write(pair.server, http::message_generator(std::move(answer)), answered.handler());
    http::async_read(pair.client, at_client, got, received.handler());
    pair.wait(answered, received);
    BOOST_TEST((got.body() == large_body));
  }
  completion client_end, server_end, read;
  request none;
  pair.client.async_shutdown(client_end.handler());
  http::async_read(pair.server, at_server, none, read.handler());
  run_until(pair.context, [&] { return read.done(); });
  BOOST_TEST((read.ec == http::error::end_of_stream), read.ec.message());
  pair.server.async_shutdown(server_end.handler());
  pair.wait(client_end, server_end);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(blocking_requests, Protocol, ip_transports)
{
  asio::io_context context;
  connected_pair<Protocol> sockets(context);
  beast::ssl_stream<typename Protocol::socket> client(std::move(sockets.client), for_client),
      server(std::move(sockets.server), for_server);
  auto served = std::async(std::launch::async,
      [&]
      {
        server.handshake(ssl::stream_base::server);
        beast::flat_buffer buffer;
        error_code ec;
        for (request heard; http::read(server, buffer, heard, ec), !ec; heard = {})
        {
          response answer(http::status::ok, 11, heard.body());
          answer.prepare_payload();
          http::write(server, answer);
        }
        server.shutdown();
        return ec;
      });
  client.handshake(ssl::stream_base::client);
  beast::flat_buffer buffer;
  for (const std::size_t size : {0u, 1u, 900'001u})
  {
    request message(http::verb::post, "/", 11, std::string(size, 'b'));
    message.prepare_payload();
    http::write(client, message);
    response answer;
    http::read(client, buffer, answer);
    BOOST_TEST((answer.body() == message.body()));
  }
  client.shutdown();
  BOOST_TEST((served.get() == http::error::end_of_stream));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handshake_and_read_time_out, Protocol, ip_transports)
{
  const auto soon = std::chrono::milliseconds(20);
  const error_code timeout = beast::error::timeout;
  tls_pair<Protocol> before(*this);
  completion handshake;
  beast::get_lowest_layer(before.server).expires_after(soon);
  before.server.async_handshake(ssl::stream_base::server, handshake.handler());
  run_until(before.context, [&] { return handshake.done(); });
  BOOST_TEST(handshake.ec == timeout);
  BOOST_TEST(!beast::get_lowest_layer(before.server).socket().is_open());

  tls_pair<Protocol> after(*this);
  after.connect();
  completion read;
  request none;
  beast::flat_buffer buffer;
  beast::get_lowest_layer(after.server).expires_after(soon);
  http::async_read(after.server, buffer, none, read.handler());
  run_until(after.context, [&] { return read.done(); });
  BOOST_TEST(read.ec == timeout);
  BOOST_TEST(!beast::get_lowest_layer(after.server).socket().is_open());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(tls_and_plain_clients_are_told_apart, Protocol, ip_transports)
{
  for (const bool secret : {true, false})
  {
    tls_pair<Protocol> pair(*this);
    auto& server = beast::get_lowest_layer(pair.server);
    bool found = !secret;
    completion detected, connected, accepted;
    beast::flat_buffer buffer;
    if (secret)
      pair.client.async_handshake(ssl::stream_base::client, connected.handler());
    else
      asio::write(pair.client.next_layer().socket(), asio::buffer(std::string("GET / HTTP/1.1\r\n\r\n")));
    beast::async_detect_ssl(server, buffer,
        [&](error_code ec, bool result)
        {
          found = result;
          detected.handler()(ec);
        });
    run_until(pair.context, [&] { return detected.done(); });
    BOOST_TEST(!detected.ec, detected.ec.message());
    BOOST_TEST(found == secret);
    if (secret)
    {
      // What has been read already is part of the handshake.
      pair.server.async_handshake(ssl::stream_base::server, buffer.data(), accepted.handler());
      pair.wait(connected, accepted);
      BOOST_TEST(accepted.bytes == buffer.size());
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
