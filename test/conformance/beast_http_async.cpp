// SPDX-License-Identifier: BSL-1.0
// HTTP by Beast in asynchronous calls: bodies in pieces, time limits, and a server with many connections.

#define BOOST_TEST_MODULE beast_http_async
#include "http_messages.hpp"
#include "socket_test.hpp"

#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/http.hpp>

#include <array>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

using namespace shm::test;

namespace {

template <class Protocol>
struct stream_pair
{
  asio::io_context context;
  connected_pair<Protocol> sockets{context};
  beast::basic_stream<Protocol> client{std::move(sockets.client)};
  beast::basic_stream<Protocol> server{std::move(sockets.server)};
  beast::flat_buffer buffer;

  void wait(const completion& first, const completion& second)
  {
    run_until(context, [&] { return first.done() && second.done(); });
    BOOST_TEST(!first.ec, first.ec.message());
    BOOST_TEST(!second.ec, second.ec.message());
  }
};

} // namespace

// A stream with layers above the socket belongs to one thread, or to a strand.
BOOST_FIXTURE_TEST_SUITE(beast_http_async, watchdog, *boost::unit_test::label("one_thread"))

BOOST_AUTO_TEST_CASE_TEMPLATE(asynchronous_chunks, Protocol, ip_transports)
{
  stream_pair<Protocol> pair;
  const std::string body = text(1'000'003);
  response sent(http::status::ok, 11, body);
  sent.chunked(true);
  completion written, read;
  http::response_parser<http::string_body> parser;
  parser.body_limit(64 << 20);
  http::async_write(pair.server, sent, written.handler());
  http::async_read(pair.client, pair.buffer, parser, read.handler());
  pair.wait(written, read);
  BOOST_TEST(parser.get().chunked());
  BOOST_TEST((parser.get().body() == body));

  // The same by hand: a header, chunks of growing size, the last one.
  http::response<http::empty_body> header(http::status::ok, 11);
  header.chunked(true);
  http::response_serializer<http::empty_body> serializer(header);
  response got;
  completion received;
  http::write_header(pair.server, serializer);
  http::async_read(pair.client, pair.buffer, got, received.handler());
  std::string expected;
  for (std::size_t size = 1; size < 100'000; size *= 7)
  {
    const std::string chunk = text(size, size);
    expected += chunk;
    asio::write(pair.server.socket(), http::make_chunk(asio::buffer(chunk)));
    run_ready(pair.context);
  }
  BOOST_TEST(!received.done());
  asio::write(pair.server.socket(), http::make_chunk_last());
  pair.wait(received, received);
  BOOST_TEST((got.body() == expected));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(header_first_then_the_body_in_pieces, Protocol, ip_transports)
{
  stream_pair<Protocol> pair;
  const std::string body = text(100'003);
  request sent = post(body);
  sent.set(http::field::expect, "100-continue");
  http::request_serializer<http::string_body> serializer(sent);
  http::request_parser<http::buffer_body> parser;
  completion header_read;
  http::async_read_header(pair.server, pair.buffer, parser, header_read.handler());
  http::write_header(pair.client, serializer);
  pair.wait(header_read, header_read);
  BOOST_TEST(parser.get()[http::field::expect] == "100-continue");
  BOOST_TEST(!parser.is_done());

  const auto writer = std::async(std::launch::async, [&] { http::write(pair.client, serializer); });
  std::array<char, 777> piece{};
  std::string got;
  while (!parser.is_done())
  {
    parser.get().body().data = piece.data();
    parser.get().body().size = piece.size();
    completion read;
    http::async_read(pair.server, pair.buffer, parser, read.handler());
    run_until(pair.context, [&] { return read.done(); });
    if (read.ec)
      BOOST_TEST_REQUIRE((read.ec == http::error::need_buffer), read.ec.message());
    got.append(piece.data(), piece.size() - parser.get().body().size);
  }
  BOOST_TEST((got == body));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(silent_client_times_out, Protocol, ip_transports)
{
  stream_pair<Protocol> pair;
  request got;
  completion read;
  asio::write(pair.client.socket(), asio::buffer(std::string("POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nshort")));
  pair.server.expires_after(std::chrono::milliseconds(10));
  http::async_read(pair.server, pair.buffer, got, read.handler());
  run_until(pair.context, [&] { return read.done(); });
  BOOST_TEST((read.ec == beast::error::timeout), read.ec.message());
  BOOST_TEST(!pair.server.socket().is_open());
}

namespace {

/// One connection of an asynchronous server.
template <class Protocol>
class session : public std::enable_shared_from_this<session<Protocol>>
{
public:
  explicit session(typename Protocol::socket socket) : stream_(std::move(socket)) {}

  void read()
  {
    request_ = {};
    stream_.expires_after(patience);
    http::async_read(stream_, buffer_, request_,
        [self = this->shared_from_this()](error_code ec, std::size_t)
        {
          if (ec == http::error::end_of_stream)
            self->stream_.socket().shutdown(asio::socket_base::shutdown_send, ec);
          else if (!ec)
            self->write();
        });
  }

private:
  void write()
  {
    beast::async_write(stream_, http::message_generator(answer(request_)),
        [self = this->shared_from_this()](error_code ec, std::size_t)
        {
          if (!ec)
            self->read();
        });
  }

  beast::basic_stream<Protocol> stream_;
  beast::flat_buffer buffer_;
  request request_;
};

template <class Protocol>
void accept_sessions(typename Protocol::acceptor& acceptor, int count)
{
  if (count == 0)
    return;
  acceptor.async_accept(asio::make_strand(acceptor.get_executor()),
      [&acceptor, count](error_code ec, typename Protocol::socket socket)
      {
        if (ec)
          return;
        std::make_shared<session<Protocol>>(std::move(socket))->read();
        accept_sessions<Protocol>(acceptor, count - 1);
      });
}

} // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(many_connections_of_1_and_4_threads, Protocol, ip_transports)
{
  constexpr int clients = 4, connections = 10, requests = 10;
  for (const int threads : {1, 4})
  {
    asio::io_context context;
    typename Protocol::acceptor acceptor(context, loopback<Protocol>());
    accept_sessions<Protocol>(acceptor, clients * connections);

    // All of a client's connections are open at the same time.
    const auto client = [&](int number)
    {
      int intact = 0;
      asio::io_context own;
      std::vector<typename Protocol::socket> sockets;
      std::vector<beast::flat_buffer> buffers(connections);
      for (int i = 0; i != connections; ++i)
        sockets.emplace_back(own).connect(acceptor.local_endpoint());
      for (int i = 0; i != requests; ++i)
      {
        const auto body = [&](std::size_t j) { return text(100 * j + 1, static_cast<std::uint64_t>(number + i)); };
        for (std::size_t j = 0; j != sockets.size(); ++j)
          http::write(sockets[j], post(body(j)));
        for (std::size_t j = 0; j != sockets.size(); ++j)
          intact += receive(sockets[j], buffers[j]).body() == "/echo: " + body(j);
      }
      for (std::size_t j = 0; j != sockets.size(); ++j)
      {
        sockets[j].shutdown(asio::socket_base::shutdown_send);
        response none;
        error_code ec;
        http::read(sockets[j], buffers[j], none, ec);
        intact += ec == http::error::end_of_stream;
      }
      return intact;
    };
    std::vector<std::future<int>> results;
    for (int i = 0; i != clients; ++i)
      results.push_back(std::async(std::launch::async, client, i));
    run_with_threads(context, threads);
    for (auto& result : results)
      BOOST_TEST(result.get() == connections * (requests + 1));
  }
}

BOOST_AUTO_TEST_SUITE_END()
