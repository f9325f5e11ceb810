// SPDX-License-Identifier: BSL-1.0
// Asio's TLS streams over sockets: handshake, transfer, and how a session ends.

#define BOOST_TEST_MODULE tls
#include "socket_test.hpp"
#include "tls_contexts.hpp"

#include <boost/asio/ssl.hpp>

#include <array>
#include <future>
#include <memory>
#include <string>
#include <vector>

using namespace shm::test;

namespace {

template <class Protocol>
struct tls_pair
{
  using stream = ssl::stream<typename Protocol::socket>;

  asio::io_context context;
  connected_pair<Protocol> sockets{context};
  stream client;
  stream server;

  explicit tls_pair(tls_contexts& tls)
    : client(std::move(sockets.client), tls.for_client), server(std::move(sockets.server), tls.for_server)
  {}

  /// The results of the client's and the server's side.
  std::array<error_code, 2> handshake()
  {
    completion at_client, at_server;
    client.async_handshake(ssl::stream_base::client, at_client.handler());
    server.async_handshake(ssl::stream_base::server, at_server.handler());
    BOOST_TEST(at_client.calls + at_server.calls == 0);
    run_until(context, [&] { return at_client.done() && at_server.done(); });
    return {at_client.ec, at_server.ec};
  }

  void connect()
  {
    for (const error_code ec : handshake())
      BOOST_TEST_REQUIRE(!ec, ec.message());
  }

  /// One byte to the client, which makes it read also what the server has sent after the handshake. A socket that is
  /// closed with something unread is reset, and not ended.
  void settle()
  {
    char byte = 0;
    completion written, read;
    asio::async_write(server, asio::buffer("s", 1), written.handler());
    asio::async_read(client, asio::buffer(&byte, 1), read.handler());
    run_until(context, [&] { return written.done() && read.done(); });
    BOOST_TEST_REQUIRE(byte == 's');
  }
};

} // namespace

// A stream with layers above the socket belongs to one thread, or to a strand.
BOOST_FIXTURE_TEST_SUITE(tls, tls_contexts, *boost::unit_test::label("one_thread"))

BOOST_AUTO_TEST_CASE_TEMPLATE(much_in_both_directions_then_close_notify, Protocol, transports)
{
  tls_pair<Protocol> pair(*this);
  pair.connect();

  const std::size_t size = 3'000'017;
  const pattern up(1), down(2);
  const auto to_server = up.bytes(size), to_client = down.bytes(size);
  std::vector<unsigned char> at_server(size), at_client(size);
  std::array<completion, 4> done;
  asio::async_write(pair.client, asio::buffer(to_server), done[0].handler());
  asio::async_write(pair.server, asio::buffer(to_client), done[1].handler());
  asio::async_read(pair.server, asio::buffer(at_server), done[2].handler());
  asio::async_read(pair.client, asio::buffer(at_client), done[3].handler());
  for (const completion& each : done)
  {
    run_until(pair.context, [&] { return each.done(); });
    BOOST_TEST(!each.ec, each.ec.message());
    BOOST_TEST(each.bytes == size);
  }
  BOOST_TEST(up.matches(at_server));
  BOOST_TEST(down.matches(at_client));

  // The one that shuts down waits for the other one's word.
  completion shut_down, read, answered;
  char byte;
  pair.client.async_shutdown(shut_down.handler());
  asio::async_read(pair.server, asio::buffer(&byte, 1), read.handler());
  run_until(pair.context, [&] { return read.done(); });
  BOOST_TEST(read.ec == error::eof);
  run_ready(pair.context);
  BOOST_TEST(!shut_down.done());
  pair.server.async_shutdown(answered.handler());
  run_until(pair.context, [&] { return shut_down.done() && answered.done(); });
  BOOST_TEST(!answered.ec, answered.ec.message());
  BOOST_TEST(!shut_down.ec, shut_down.ec.message());
  BOOST_TEST(pair.client.lowest_layer().is_open());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(blocking_calls, Protocol, ip_transports)
{
  tls_pair<Protocol> pair(*this);
  const pattern bytes(3);
  const auto sent = bytes.bytes(1'000'003);
  auto echo = std::async(std::launch::async,
      [&]
      {
        pair.server.handshake(ssl::stream_base::server);
        std::vector<unsigned char> data(sent.size());
        asio::read(pair.server, asio::buffer(data));
        asio::write(pair.server, asio::buffer(data));
        error_code end;
        pair.server.read_some(asio::buffer(data), end);
        pair.server.shutdown();
        return end;
      });
  pair.client.handshake(ssl::stream_base::client);
  BOOST_TEST(asio::write(pair.client, asio::buffer(sent)) == sent.size());
  std::vector<unsigned char> got(sent.size());
  asio::read(pair.client, asio::buffer(got));
  BOOST_TEST(bytes.matches(got));
  pair.client.shutdown();
  BOOST_TEST(echo.get() == error::eof);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(peer_that_goes_without_a_word_is_truncation, Protocol, transports)
{
  for (const bool blocking : {true, false})
  {
    tls_pair<Protocol> pair(*this);
    pair.connect();
    pair.settle();
    std::string said;
    if (blocking)
    {
      asio::write(pair.client, asio::buffer("last words", 10));
      pair.client.lowest_layer().close();
      reports(ssl::error::stream_truncated,
          [&](auto&... ec) { asio::read(pair.server, asio::dynamic_buffer(said), ec...); });
    }
    else
    {
      completion written, read;
      asio::async_read(pair.server, asio::dynamic_buffer(said), read.handler());
      asio::async_write(pair.client, asio::buffer("last words", 10), written.handler());
      run_until(pair.context, [&] { return written.done(); });
      pair.client.lowest_layer().close();
      run_until(pair.context, [&] { return read.done(); });
      BOOST_TEST(read.ec == ssl::error::stream_truncated);
    }
    BOOST_TEST(said == "last words");
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(half_close_below_tls_is_truncation, Protocol, ip_transports)
{
  tls_pair<Protocol> pair(*this);
  pair.connect();
  pair.server.lowest_layer().shutdown(asio::socket_base::shutdown_send);
  std::array<char, 8> data{};
  completion read;
  pair.client.async_read_some(asio::buffer(data), read.handler());
  run_until(pair.context, [&] { return read.done(); });
  BOOST_TEST(read.ec == ssl::error::stream_truncated);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(unknown_certificate_is_refused_by_both, Protocol, ip_transports)
{
  const tls_identity other;
  for_client = tls_client_context(other);
  tls_pair<Protocol> pair(*this);
  for (const error_code ec : pair.handshake())
    BOOST_TEST((ec.category() == error::get_ssl_category()), ec.message());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(wrong_host_name_is_refused, Protocol, ip_transports)
{
  for_client.set_verify_callback(ssl::host_name_verification("elsewhere"));
  tls_pair<Protocol> pair(*this);
  auto server = std::async(std::launch::async,
      [&]
      {
        error_code ec;
        pair.server.handshake(ssl::stream_base::server, ec);
        return ec;
      });
  error_code ec;
  pair.client.handshake(ssl::stream_base::client, ec);
  BOOST_TEST((ec.category() == error::get_ssl_category()), ec.message());
  BOOST_TEST((server.get().category() == error::get_ssl_category()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(peer_that_does_not_speak_tls_is_refused, Protocol, ip_transports)
{
  tls_pair<Protocol> pair(*this);
  asio::write(pair.client.next_layer(), asio::buffer("GET / HTTP/1.1\r\n\r\n", 18));
  completion refused;
  pair.server.async_handshake(ssl::stream_base::server, refused.handler());
  run_until(pair.context, [&] { return refused.done(); });
  BOOST_TEST((refused.ec.category() == error::get_ssl_category()), refused.ec.message());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(peer_that_closes_during_the_handshake_is_truncation, Protocol, ip_transports)
{
  tls_pair<Protocol> pair(*this);
  completion cut;
  pair.server.async_handshake(ssl::stream_base::server, cut.handler());
  run_ready(pair.context);
  BOOST_TEST(!cut.done());
  pair.client.lowest_layer().close();
  run_until(pair.context, [&] { return cut.done(); });
  BOOST_TEST(cut.ec == ssl::error::stream_truncated);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(timer_ends_a_session_with_a_silent_peer, Protocol, ip_transports)
{
  tls_pair<Protocol> pair(*this);
  asio::steady_timer timer(pair.context);
  const auto limit = [&](auto& stream)
  {
    timer.expires_after(std::chrono::milliseconds(20));
    timer.async_wait([&](error_code) { stream.lowest_layer().cancel(); });
  };
  completion handshake;
  limit(pair.server);
  pair.server.async_handshake(ssl::stream_base::server, handshake.handler());
  run_until(pair.context, [&] { return handshake.done(); });
  BOOST_TEST(handshake.ec == error::operation_aborted);

  tls_pair<Protocol> second(*this);
  second.connect();
  asio::steady_timer read_timer(second.context, std::chrono::milliseconds(20));
  read_timer.async_wait([&](error_code) { second.server.lowest_layer().close(); });
  completion read;
  std::array<char, 8> data{};
  second.server.async_read_some(asio::buffer(data), read.handler());
  run_until(second.context, [&] { return read.done(); });
  BOOST_TEST(read.ec == error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(plain_text_before_and_after_a_session, Protocol, ip_transports)
{
  asio::io_context context;
  connected_pair<Protocol> sockets(context);
  const auto say = [&](auto& from, auto& to, const std::string& text)
  {
    std::string heard(text.size(), '\0');
    completion written, read;
    asio::async_write(from, asio::buffer(text), written.handler());
    asio::async_read(to, asio::buffer(heard), read.handler());
    run_until(context, [&] { return written.done() && read.done(); });
    BOOST_TEST((heard == text));
  };
  for (int i = 0; i != 2; ++i)
  {
    say(sockets.client, sockets.server, "STARTTLS");
    say(sockets.server, sockets.client, "go ahead");
    ssl::stream<typename Protocol::socket&> client(sockets.client, for_client), server(sockets.server, for_server);
    std::array<completion, 4> done;
    client.async_handshake(ssl::stream_base::client, done[0].handler());
    server.async_handshake(ssl::stream_base::server, done[1].handler());
    run_until(context, [&] { return done[0].done() && done[1].done(); });
    say(client, server, std::string(1'000'003, 's'));
    say(server, client, "as well");
    client.async_shutdown(done[2].handler());
    server.async_shutdown(done[3].handler());
    run_until(context, [&] { return done[2].done() && done[3].done(); });
    for (const completion& each : done)
      BOOST_TEST(!each.ec, each.ec.message());
  }
  say(sockets.client, sockets.server, "quit");
}

namespace {

/// Echoes until the client ends the session, then ends it too.
template <class Protocol>
class echo_session : public std::enable_shared_from_this<echo_session<Protocol>>
{
public:
  echo_session(typename Protocol::socket socket, ssl::context& tls) : stream_(std::move(socket), tls) {}

  void start()
  {
    stream_.async_handshake(ssl::stream_base::server,
        [self = this->shared_from_this()](error_code ec)
        {
          if (!ec)
            self->read();
        });
  }

private:
  void read()
  {
    stream_.async_read_some(asio::buffer(data_),
        [self = this->shared_from_this()](error_code ec, std::size_t n)
        {
          if (ec == error::eof)
            self->stream_.async_shutdown([self](error_code) {});
          else if (!ec)
            self->write(n);
        });
  }

  void write(std::size_t size)
  {
    asio::async_write(stream_, asio::buffer(data_, size),
        [self = this->shared_from_this()](error_code ec, std::size_t)
        {
          if (!ec)
            self->read();
        });
  }

  ssl::stream<typename Protocol::socket> stream_;
  std::array<char, 5'000> data_;
};

template <class Protocol>
void accept_sessions(typename Protocol::acceptor& acceptor, ssl::context& tls, int count)
{
  if (count == 0)
    return;
  acceptor.async_accept(asio::make_strand(acceptor.get_executor()),
      [&acceptor, &tls, count](error_code ec, typename Protocol::socket socket)
      {
        if (ec)
          return;
        std::make_shared<echo_session<Protocol>>(std::move(socket), tls)->start();
        accept_sessions<Protocol>(acceptor, tls, count - 1);
      });
}

} // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(many_sessions_of_1_and_4_threads, Protocol, ip_transports)
{
  constexpr int clients = 4, sessions = 5;
  for (const int threads : {1, 4})
  {
    asio::io_context context;
    typename Protocol::acceptor acceptor(context, loopback<Protocol>());
    accept_sessions<Protocol>(acceptor, for_server, clients * sessions);

    const auto client = [&](int number)
    {
      int intact = 0;
      for (int i = 0; i != sessions; ++i)
      {
        asio::io_context own;
        ssl::stream<typename Protocol::socket> stream(own, for_client);
        stream.next_layer().connect(acceptor.local_endpoint());
        stream.handshake(ssl::stream_base::client);
        const pattern bytes(static_cast<std::uint64_t>(number * sessions + i));
        const auto sent = bytes.bytes(20'011);
        asio::write(stream, asio::buffer(sent));
        std::vector<unsigned char> got(sent.size());
        asio::read(stream, asio::buffer(got));
        stream.shutdown();
        intact += bytes.matches(got);
      }
      return intact;
    };
    std::vector<std::future<int>> results;
    for (int i = 0; i != clients; ++i)
      results.push_back(std::async(std::launch::async, client, i));
    run_with_threads(context, threads);
    for (auto& result : results)
      BOOST_TEST(result.get() == sessions);
  }
}

BOOST_AUTO_TEST_SUITE_END()
