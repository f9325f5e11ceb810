// SPDX-License-Identifier: BSL-1.0
// HTTP by Beast in blocking calls: many messages on one connection, limits, and how a conversation ends.

#define BOOST_TEST_MODULE beast_http
#include "http_messages.hpp"
#include "socket_test.hpp"

#include <boost/beast/core/file.hpp>
#include <boost/beast/http.hpp>

#include <future>
#include <string>
#include <vector>

using namespace shm::test;

namespace {

/// Answers until the client has nothing more to say. @returns how the conversation ended.
template <class Socket>
error_code serve(Socket& socket)
{
  beast::flat_buffer buffer;
  for (;;)
  {
    http::request_parser<http::string_body> parser;
    parser.body_limit(64 << 20);
    error_code ec;
    http::read(socket, buffer, parser, ec);
    if (!ec)
      http::write(socket, answer(parser.get()), ec);
    if (ec)
      return ec;
    if (!parser.get().keep_alive())
      return {};
  }
}

} // namespace

// A stream with layers above the socket belongs to one thread, or to a strand.
BOOST_FIXTURE_TEST_SUITE(beast_http, watchdog, *boost::unit_test::label("one_thread"))

BOOST_AUTO_TEST_CASE_TEMPLATE(blocking_conversation_ends_with_end_of_stream, Protocol, ip_transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  auto server = std::async(std::launch::async, [&] { return serve(pair.server); });
  beast::flat_buffer buffer;
  for (const std::size_t size : {0u, 1u, 1'000u, 5'000'011u})
  {
    const std::string body = text(size);
    http::write(pair.client, post(body));
    const response got = receive(pair.client, buffer);
    BOOST_TEST(got.result_int() == 200u);
    BOOST_TEST((got.body() == "/echo: " + body));
    BOOST_TEST(got.keep_alive());
  }
  pair.client.shutdown(asio::socket_base::shutdown_send);
  BOOST_TEST((server.get() == http::error::end_of_stream));
  // The other direction is still open.
  response late(http::status::request_timeout, 11);
  late.prepare_payload();
  http::write(pair.server, late);
  BOOST_TEST((receive(pair.client, buffer).result() == http::status::request_timeout));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(without_keep_alive_the_server_closes, Protocol, ip_transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  http::write(pair.client, post("once", 10));
  BOOST_TEST(!serve(pair.server));
  // An HTTP/1.0 body without a length ends with the connection.
  http::response<http::string_body> rest(http::status::ok, 10, "until the end");
  http::write(pair.server, rest);
  pair.server.close();
  beast::flat_buffer buffer;
  BOOST_TEST(receive(pair.client, buffer).body() == "/echo: once");
  BOOST_TEST(receive(pair.client, buffer).body() == "until the end");
  response none;
  error_code ec;
  http::read(pair.client, buffer, none, ec);
  BOOST_TEST((ec == http::error::end_of_stream));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(pipelined_requests_are_answered_in_order, Protocol, ip_transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  constexpr int count = 50;
  std::string all;
  for (int i = 0; i != count; ++i)
    all += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  asio::write(pair.client, asio::buffer(all));
  pair.client.shutdown(asio::socket_base::shutdown_send);
  BOOST_TEST((serve(pair.server) == http::error::end_of_stream));
  beast::flat_buffer buffer;
  for (int i = 0; i != count; ++i)
    BOOST_TEST(receive(pair.client, buffer).body() == "/" + std::to_string(i) + ": ");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(limits_of_a_parser, Protocol, ip_transports)
{
  const auto result = [](const request& message, auto limit)
  {
    asio::io_context context;
    connected_pair<Protocol> pair(context);
    http::request<http::string_body> sent(message);
    http::write(pair.client, sent);
    http::request_parser<http::string_body> parser;
    limit(parser);
    beast::flat_buffer buffer;
    error_code ec;
    http::read(pair.server, buffer, parser, ec);
    return ec;
  };
  BOOST_TEST((result(post(text(1'000)), [](auto& parser) { parser.body_limit(999); }) == http::error::body_limit));
  BOOST_TEST((result(post(text(1'000)), [](auto& parser) { parser.body_limit(1'000); }) == error_code()));
  request long_header = post("");
  long_header.set("X-Long", text(5'000));
  BOOST_TEST((result(long_header, [](auto& parser) { parser.header_limit(4'000); }) == http::error::header_limit));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(message_cut_short, Protocol, ip_transports)
{
  for (const bool half : {true, false})
  {
    asio::io_context context;
    connected_pair<Protocol> pair(context);
    asio::write(pair.client, asio::buffer(std::string("POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nshort")));
    half ? pair.client.shutdown(asio::socket_base::shutdown_send) : pair.client.close();
    BOOST_TEST((serve(pair.server) == http::error::partial_message));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(file_bodies, Protocol, ip_transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  const std::string source = unused_path(), target = unused_path();
  const pattern bytes(9);
  const auto content = bytes.bytes(3'000'017);
  error_code ec;
  beast::file file;
  file.open(source.c_str(), beast::file_mode::write, ec);
  file.write(content.data(), content.size(), ec);
  file.close(ec);
  BOOST_TEST_REQUIRE(!ec, ec.message());

  auto server = std::async(std::launch::async,
      [&]
      {
        http::response<http::file_body> message(http::status::ok, 11);
        message.body().open(source.c_str(), beast::file_mode::scan, ec);
        message.prepare_payload();
        http::write(pair.server, message, ec);
      });
  http::response_parser<http::file_body> parser;
  parser.body_limit(64 << 20);
  error_code opened;
  parser.get().body().open(target.c_str(), beast::file_mode::write, opened);
  BOOST_TEST_REQUIRE(!opened, opened.message());
  beast::flat_buffer buffer;
  http::read(pair.client, buffer, parser);
  server.get();
  BOOST_TEST(!ec, ec.message());
  parser.get().body().close();

  std::vector<unsigned char> got(content.size() + 1);
  file.open(target.c_str(), beast::file_mode::scan, ec);
  got.resize(file.read(got.data(), got.size(), ec));
  BOOST_TEST(got.size() == content.size());
  BOOST_TEST(bytes.matches(got));
}

BOOST_AUTO_TEST_SUITE_END()
