// SPDX-License-Identifier: BSL-1.0
// WebSocket by Beast: messages of all sizes, compression, pings, timeouts, and how a session ends.

#define BOOST_TEST_MODULE beast_websocket
#include "socket_test.hpp"

#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>

#include <array>
#include <chrono>
#include <future>
#include <string>
#include <vector>

using namespace shm::test;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;

namespace {

const error_code timeout = beast::error::timeout;
const error_code closed = websocket::error::closed;

/// Both ends of a session over timed streams, run by one thread.
template <class Protocol>
struct session
{
  asio::io_context context;
  connected_pair<Protocol> sockets{context};
  websocket::stream<beast::basic_stream<Protocol>> client{std::move(sockets.client)};
  websocket::stream<beast::basic_stream<Protocol>> server{std::move(sockets.server)};
  beast::flat_buffer at_client;
  beast::flat_buffer at_server;

  void wait(const completion& done)
  {
    run_until(context, [&] { return done.done(); });
  }

  void wait_for_success(const completion& done)
  {
    wait(done);
    BOOST_TEST_REQUIRE(!done.ec, done.ec.message());
  }

  void connect()
  {
    auto accepted = std::async(std::launch::async, [&] { server.accept(); });
    client.handshake("localhost", "/");
    accepted.get();
  }

  template <class Stream>
  static bool is_open(Stream& stream)
  {
    return beast::get_lowest_layer(stream).socket().is_open();
  }
};

websocket::stream_base::timeout idle_after(std::chrono::milliseconds time, bool pings)
{
  return {std::chrono::seconds(10), time, pings};
}

} // namespace

// A stream with layers above the socket belongs to one thread, or to a strand.
BOOST_FIXTURE_TEST_SUITE(beast_websocket, watchdog, *boost::unit_test::label("one_thread"))

BOOST_AUTO_TEST_CASE_TEMPLATE(blocking_echo_plain_and_compressed, Protocol, ip_transports)
{
  for (const bool deflate : {false, true})
  {
    asio::io_context context;
    connected_pair<Protocol> sockets(context);
    websocket::stream<typename Protocol::socket> client(std::move(sockets.client)), server(std::move(sockets.server));
    websocket::permessage_deflate compression;
    compression.client_enable = compression.server_enable = deflate;
    client.set_option(compression);
    server.set_option(compression);

    auto echo = std::async(std::launch::async,
        [&]
        {
          error_code ec;
          server.accept(ec);
          beast::flat_buffer buffer;
          while (!ec)
          {
            server.read(buffer, ec);
            server.text(server.got_text());
            if (!ec)
              server.write(buffer.data(), ec);
            buffer.consume(buffer.size());
          }
          return ec;
        });
    websocket::response_type accepted;
    client.handshake(accepted, "localhost", "/");
    BOOST_TEST(!accepted[http::field::sec_websocket_extensions].empty() == deflate);

    beast::flat_buffer buffer;
    for (const std::size_t size : {0u, 1u, 125u, 126u, 65'535u, 65'536u, 1'000'003u})
    {
      std::string message(size, 'x');
      for (std::size_t i = 0; i < size; i += 5)
        message[i] = static_cast<char>(pattern(size).at(i));
      client.binary(true);
      client.write(asio::buffer(message));
      client.read(buffer);
      BOOST_TEST(client.got_binary());
      BOOST_TEST((beast::buffers_to_string(buffer.data()) == message));
      buffer.consume(buffer.size());
    }
    // In parts: one message for the reader.
    client.text(true);
    client.write_some(false, asio::buffer("one ", 4));
    client.write_some(false, asio::buffer("two ", 4));
    client.write_some(true, asio::buffer("three", 5));
    client.read(buffer);
    BOOST_TEST(client.got_text());
    BOOST_TEST(beast::buffers_to_string(buffer.data()) == "one two three");

    client.close({websocket::close_code::going_away, "enough"});
    BOOST_TEST(echo.get() == closed);
    BOOST_TEST(server.reason().code == websocket::close_code::going_away);
    BOOST_TEST(server.reason().reason == "enough");
    BOOST_TEST(!client.next_layer().is_open());
    BOOST_TEST(!server.next_layer().is_open());
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(large_messages_in_both_directions, Protocol, ip_transports)
{
  session<Protocol> pair;
  pair.client.write_buffer_bytes(10'000); // hundreds of fragments
  pair.connect();
  const pattern up(1), down(2);
  const auto to_server = up.bytes(3'000'017), to_client = down.bytes(3'000'017);
  for (auto* const side : {&pair.client, &pair.server})
  {
    side->binary(true);
    side->auto_fragment(true);
    side->read_message_max(4'000'000);
  }
  std::array<completion, 4> done;
  pair.client.async_write(asio::buffer(to_server), done[0].handler());
  pair.server.async_write(asio::buffer(to_client), done[1].handler());
  pair.server.async_read(pair.at_server, done[2].handler());
  pair.client.async_read(pair.at_client, done[3].handler());
  for (const completion& each : done)
    pair.wait_for_success(each);
  BOOST_TEST(pair.at_server.size() == to_server.size());
  BOOST_TEST(up.matches(pair.at_server.data().data(), pair.at_server.size()));
  BOOST_TEST(pair.at_client.size() == to_client.size());
  BOOST_TEST(down.matches(pair.at_client.data().data(), pair.at_client.size()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(ping_is_answered_and_close_tears_down, Protocol, ip_transports)
{
  session<Protocol> pair;
  pair.connect();
  std::string heard;
  pair.client.control_callback([&](websocket::frame_type kind, beast::string_view text)
      { heard += (kind == websocket::frame_type::pong ? "pong:" : "other:") + std::string(text); });
  completion pinged, at_client, at_server;
  pair.client.async_read(pair.at_client, at_client.handler());
  pair.server.async_read(pair.at_server, at_server.handler());
  pair.client.async_ping("marco", pinged.handler());
  pair.wait_for_success(pinged);
  run_until(pair.context, [&] { return !heard.empty(); });
  BOOST_TEST(heard == "pong:marco");
  BOOST_TEST(!at_client.done());
  BOOST_TEST(!at_server.done());

  completion ended;
  pair.client.async_close(websocket::close_code::normal, ended.handler());
  pair.wait_for_success(ended);
  pair.wait(at_client);
  pair.wait(at_server);
  BOOST_TEST(at_server.ec == closed);
  BOOST_TEST((at_client.ec == closed || at_client.ec == error::operation_aborted), at_client.ec.message());
  BOOST_TEST(pair.server.reason().code == websocket::close_code::normal);
  BOOST_TEST(!pair.client.is_open());
  BOOST_TEST(!pair.is_open(pair.client));
  BOOST_TEST(!pair.is_open(pair.server));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(peer_without_a_close_frame, Protocol, ip_transports)
{
  session<Protocol> pair;
  pair.connect();
  completion read;
  pair.server.async_read(pair.at_server, read.handler());
  beast::get_lowest_layer(pair.client).close();
  pair.wait(read);
  BOOST_TEST(is_end(read.ec), read.ec.message());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(violations_end_the_session, Protocol, ip_transports)
{
  session<Protocol> wrong;
  wrong.connect();
  completion read;
  wrong.server.async_read(wrong.at_server, read.handler());
  asio::write(wrong.client.next_layer().socket(), asio::buffer("\xff\x80mask", 6)); // reserved bits are set
  wrong.client.next_layer().socket().shutdown(asio::socket_base::shutdown_send);
  wrong.wait(read);
  BOOST_TEST((read.ec == websocket::condition::protocol_violation), read.ec.message());

  session<Protocol> large;
  large.connect();
  large.server.read_message_max(1'000);
  const std::string message(1'001, 'x');
  completion written, refused, told;
  large.client.async_write(asio::buffer(message), written.handler());
  large.server.async_read(large.at_server, refused.handler());
  large.client.async_read(large.at_client, told.handler());
  large.wait(refused);
  large.wait(told);
  BOOST_TEST((refused.ec == websocket::error::message_too_big), refused.ec.message());
  BOOST_TEST(told.ec == closed);
  BOOST_TEST(large.client.reason().code == websocket::close_code::too_big);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(silent_peer_times_out, Protocol, ip_transports)
{
  session<Protocol> pair;
  pair.connect();
  pair.server.set_option(idle_after(std::chrono::milliseconds(20), false));
  completion read;
  pair.server.async_read(pair.at_server, read.handler());
  pair.wait(read);
  BOOST_TEST(read.ec == timeout);
  BOOST_TEST(!pair.is_open(pair.server));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(pings_keep_an_idle_session_alive, Protocol, ip_transports)
{
  session<Protocol> pair;
  pair.connect();
  pair.server.set_option(idle_after(std::chrono::milliseconds(300), true));
  int pings = 0;
  pair.client.control_callback([&](websocket::frame_type kind, beast::string_view)
      { pings += kind == websocket::frame_type::ping; });
  completion at_client, at_server, written;
  pair.client.async_read(pair.at_client, at_client.handler());
  pair.server.async_read(pair.at_server, at_server.handler());
  run_until(pair.context, [&] { return pings == 3; });
  BOOST_TEST(!at_server.done());
  pair.client.async_write(asio::buffer("still here", 10), written.handler());
  pair.wait_for_success(at_server);
  BOOST_TEST(beast::buffers_to_string(pair.at_server.data()) == "still here");
}

BOOST_AUTO_TEST_SUITE_END()
