// SPDX-License-Identifier: BSL-1.0
// Beast's basic_stream: its timeouts and rate limits, how it is torn down, and the tools that streams are built with.

#define BOOST_TEST_MODULE beast_timeouts
#include "socket_test.hpp"

#include <boost/beast/core/async_base.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/buffer_ref.hpp>
#include <boost/beast/core/buffered_read_stream.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/flat_stream.hpp>
#include <boost/beast/core/rate_policy.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/websocket/teardown.hpp>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

using namespace shm::test;
namespace beast = boost::beast;

namespace {

constexpr std::chrono::milliseconds soon{10};
constexpr std::chrono::hours late{1};
const error_code timeout = beast::error::timeout;

template <class Protocol>
using basic_stream = beast::basic_stream<Protocol>;

template <class Protocol>
struct stream_pair
{
  asio::io_context context;
  connected_pair<Protocol> sockets;
  basic_stream<Protocol> client{std::move(sockets.client)};
  basic_stream<Protocol> server{std::move(sockets.server)};

  stream_pair() : sockets(context) {}
  explicit stream_pair(int buffer_size) : sockets(context, buffer_size) {}

  void wait(const completion& done)
  {
    run_until(context, [&] { return done.done(); });
  }

  /// What `from` writes arrives at `to`.
  void talk(basic_stream<Protocol>& from, basic_stream<Protocol>& to)
  {
    std::string heard(5, '\0');
    completion written, read;
    asio::async_write(from, asio::buffer("hello", 5), written.handler());
    asio::async_read(to, asio::buffer(heard), read.handler());
    wait(written);
    wait(read);
    BOOST_TEST(!written.ec, written.ec.message());
    BOOST_TEST(!read.ec, read.ec.message());
    BOOST_TEST(heard == "hello");
  }

  /// The connection has ended for `stream`, after what had been written before.
  void check_ended(basic_stream<Protocol>& stream)
  {
    std::vector<char> rest(100'000);
    completion read;
    do
    {
      read = {};
      stream.async_read_some(asio::buffer(rest), read.handler());
      wait(read);
    } while (!read.ec);
    BOOST_TEST(is_end(read.ec), read.ec.message());
  }
};

} // namespace

// A stream with layers above the socket belongs to one thread, or to a strand.
BOOST_FIXTURE_TEST_SUITE(beast_timeouts, watchdog, *boost::unit_test::label("one_thread"))

BOOST_AUTO_TEST_CASE_TEMPLATE(read_times_out_and_the_stream_is_closed, Protocol, transports)
{
  stream_pair<Protocol> pair;
  std::array<char, 8> data{};
  completion read;
  pair.server.expires_after(soon);
  pair.server.async_read_some(asio::buffer(data), read.handler());
  pair.wait(read);
  BOOST_TEST(read.ec == timeout);
  BOOST_TEST((read.ec == beast::condition::timeout));
  BOOST_TEST(read.bytes == 0u);
  BOOST_TEST(!pair.server.socket().is_open());
  pair.check_ended(pair.client);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(write_times_out_and_the_stream_is_closed, Protocol, transports)
{
  stream_pair<Protocol> pair(64 * 1024);
  const std::vector<char> much(32 << 20);
  completion written;
  pair.client.expires_after(soon);
  asio::async_write(pair.client, asio::buffer(much), written.handler());
  pair.wait(written);
  BOOST_TEST(written.ec == timeout);
  BOOST_TEST(written.bytes < much.size());
  BOOST_TEST(!pair.client.socket().is_open());
  pair.check_ended(pair.server);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(timeout_of_one_direction_ends_the_other, Protocol, ip_transports)
{
  stream_pair<Protocol> pair(64 * 1024);
  const std::vector<char> much(32 << 20);
  std::array<char, 8> data{};
  completion written, read;
  asio::async_write(pair.client, asio::buffer(much), written.handler());
  pair.client.expires_after(soon); // only for what is started from here on
  pair.client.async_read_some(asio::buffer(data), read.handler());
  pair.wait(read);
  pair.wait(written);
  BOOST_TEST(read.ec == timeout);
  BOOST_TEST(written.ec == error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(connect_times_out, Protocol, ip_transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context);
  acceptor.open(loopback<Protocol>().protocol());
  acceptor.bind(loopback<Protocol>());
  acceptor.listen(0);
  // Nobody accepts: the first few find room in the backlog.
  std::vector<std::unique_ptr<basic_stream<Protocol>>> waiting;
  completion connected;
  do
  {
    BOOST_TEST_REQUIRE(waiting.size() < 20u);
    waiting.push_back(std::make_unique<basic_stream<Protocol>>(context));
    connected = {};
    waiting.back()->expires_after(std::chrono::milliseconds(100));
    waiting.back()->async_connect(acceptor.local_endpoint(), connected.handler());
    run_until(context, [&] { return connected.done(); });
  } while (!connected.ec);
  BOOST_TEST(connected.ec == timeout);
  BOOST_TEST(!waiting.back()->socket().is_open());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(in_time_leaves_no_timer_behind, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  basic_stream<Protocol> client(context), server(context);
  completion connected, accepted, written, read;
  client.expires_after(late);
  client.async_connect(acceptor.local_endpoint(), connected.handler());
  acceptor.async_accept(server.socket(), accepted.handler());
  run_out(context);
  BOOST_TEST(!connected.ec, connected.ec.message());
  BOOST_TEST(!accepted.ec, accepted.ec.message());

  std::array<char, 5> data{};
  client.expires_after(late);
  server.expires_at(std::chrono::steady_clock::now() + late);
  asio::async_write(client, asio::buffer("hello", 5), written.handler());
  asio::async_read(server, asio::buffer(data), read.handler());
  run_out(context); // fails if a timer is left
  BOOST_TEST(!written.ec, written.ec.message());
  BOOST_TEST(!read.ec, read.ec.message());
  BOOST_TEST(client.socket().is_open());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(expires_never_takes_a_timeout_back, Protocol, ip_transports)
{
  stream_pair<Protocol> pair;
  pair.server.expires_after(soon);
  pair.server.expires_never();
  std::array<char, 8> data{};
  completion read, past;
  pair.server.async_read_some(asio::buffer(data), read.handler());
  asio::steady_timer timer(pair.context, 3 * soon);
  timer.async_wait(past.handler());
  pair.wait(past);
  BOOST_TEST(!read.done());
  pair.client.write_some(asio::buffer("x", 1));
  pair.wait(read);
  BOOST_TEST(!read.ec, read.ec.message());
  // An expiry without an operation does nothing.
  pair.server.expires_after(-soon);
  pair.server.expires_never();
  pair.talk(pair.server, pair.client);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cancel_and_close_abort_what_is_pending, Protocol, ip_transports)
{
  stream_pair<Protocol> pair;
  std::array<char, 8> data{};
  completion first, second;
  pair.server.expires_after(late);
  pair.server.async_read_some(asio::buffer(data), first.handler());
  pair.server.cancel();
  pair.wait(first);
  BOOST_TEST(first.ec == error::operation_aborted);
  BOOST_TEST(pair.server.socket().is_open());
  pair.talk(pair.client, pair.server);

  pair.server.async_read_some(asio::buffer(data), second.handler());
  pair.server.close();
  pair.wait(second);
  BOOST_TEST(second.ec == error::operation_aborted);
  pair.check_ended(pair.client);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(connects_to_the_first_that_answers, Protocol, ip_transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  const auto there = acceptor.local_endpoint();
  const std::vector<typename Protocol::endpoint> range{{there.address(), 0}, there};

  basic_stream<Protocol> stream(context);
  completion connected;
  typename Protocol::endpoint answered;
  stream.expires_after(late);
  stream.async_connect(range,
      [&](error_code ec, const typename Protocol::endpoint& endpoint)
      {
        answered = endpoint;
        connected.handler()(ec);
      });
  run_until(context, [&] { return connected.done(); });
  BOOST_TEST(!connected.ec, connected.ec.message());
  BOOST_TEST((answered == there));

  basic_stream<Protocol> blocking(context);
  typename Protocol::resolver resolver(context);
  blocking.connect(resolver.resolve("127.0.0.1", std::to_string(there.port())));
  BOOST_TEST(blocking.socket().remote_endpoint().port() == there.port());

  // The socket can be taken out and put into another stream.
  basic_stream<Protocol> again(blocking.release_socket());
  BOOST_TEST(again.socket().is_open());
  BOOST_TEST(!blocking.socket().is_open());
  basic_stream<Protocol> moved(std::move(again));
  auto first = acceptor.accept(), second = acceptor.accept();
  moved.write_some(asio::buffer("x", 1));
  char byte = 0;
  asio::read(second, asio::buffer(&byte, 1));
  BOOST_TEST(byte == 'x');
}

BOOST_AUTO_TEST_CASE_TEMPLATE(rate_limit_cuts_transfers_and_times_out, Protocol, ip_transports)
{
  using limited_stream = beast::basic_stream<Protocol, asio::any_io_executor, beast::simple_rate_policy>;
  asio::io_context context;
  connected_pair<Protocol> sockets(context);
  limited_stream client(std::move(sockets.client)), server(std::move(sockets.server));
  client.rate_policy().write_limit(1'500);
  server.rate_policy().read_limit(1'000);
  std::vector<char> data(10'000);

  completion written, read;
  client.async_write_some(asio::buffer(data), written.handler());
  run_until(context, [&] { return written.done(); });
  BOOST_TEST(written.bytes == 1'500u);
  server.async_read_some(asio::buffer(data), read.handler());
  run_until(context, [&] { return read.done(); });
  BOOST_TEST(read.bytes == 1'000u);

  // A second round begins at once, the third waits for the end of a second.
  read = {};
  server.async_read_some(asio::buffer(data), read.handler());
  run_until(context, [&] { return read.done(); });
  BOOST_TEST(read.bytes == 500u);
  asio::write(client.socket(), asio::buffer(data));
  read = {};
  server.async_read_some(asio::buffer(data), read.handler());
  run_until(context, [&] { return read.done(); });
  BOOST_TEST(read.bytes == 500u);
  read = {};
  server.expires_after(soon);
  server.async_read_some(asio::buffer(data), read.handler());
  run_until(context, [&] { return read.done(); });
  BOOST_TEST(read.ec == timeout);
  BOOST_TEST(!server.socket().is_open());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(teardown_closes_both_ends, Protocol, transports)
{
  using beast::websocket::async_teardown;
  using beast::websocket::teardown;
  asio::io_context context;
  connected_pair<Protocol> sockets(context), blocking(context);
  basic_stream<Protocol> client(std::move(sockets.client)), blocking_client(std::move(blocking.client));
  completion at_client, at_server;
  async_teardown(beast::role_type::client, client, at_client.handler());
  BOOST_TEST(at_client.calls == 0);
  run_ready(context);
  BOOST_TEST(!at_client.done()); // the client waits for the server to go first
  async_teardown(beast::role_type::server, sockets.server, at_server.handler());
  run_until(context, [&] { return at_client.done() && at_server.done(); });
  BOOST_TEST(!at_client.ec, at_client.ec.message());
  BOOST_TEST(!at_server.ec, at_server.ec.message());
  BOOST_TEST(!client.socket().is_open());
  BOOST_TEST(!sockets.server.is_open());

  // This form also drains what has not been read.
  asio::write(blocking.server, asio::buffer(pattern(1).bytes(10'007)));
  error_code ec, server_ec;
  std::thread server([&] { teardown(beast::role_type::server, blocking.server, server_ec); });
  teardown(beast::role_type::client, blocking_client, ec);
  server.join();
  BOOST_TEST(!ec, ec.message());
  BOOST_TEST(!server_ec, server_ec.message());
  BOOST_TEST(!blocking_client.socket().is_open());
  BOOST_TEST(!blocking.server.is_open());
}

namespace {

/// Reads a line and sends it back; an operation as users of Beast write them.
template <class Stream, class Handler>
class echo_line_op : public beast::async_base<Handler, beast::executor_type<Stream>>
{
public:
  echo_line_op(Stream& stream, beast::flat_buffer& buffer, Handler handler)
    : beast::async_base<Handler, beast::executor_type<Stream>>(std::move(handler), stream.get_executor()),
      stream_(stream),
      buffer_(buffer)
  {
    asio::async_read_until(stream_, beast::ref(buffer_), '\n', std::move(*this));
  }

  void operator()(error_code ec, std::size_t n)
  {
    if (!ec && !answering_)
    {
      answering_ = true;
      asio::async_write(stream_, asio::buffer(buffer_.data(), n), std::move(*this));
      return;
    }
    if (!ec)
      buffer_.consume(n);
    this->complete_now(ec, n);
  }

private:
  Stream& stream_;
  beast::flat_buffer& buffer_;
  bool answering_ = false;
};

} // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(layers_and_operations_of_users, Protocol, ip_transports)
{
  using socket = typename Protocol::socket;
  using layered = beast::buffered_read_stream<beast::flat_stream<basic_stream<Protocol>>, beast::flat_buffer>;
  static_assert(beast::is_sync_stream<socket>::value && beast::is_async_stream<socket>::value);
  static_assert(beast::is_async_stream<basic_stream<Protocol>>::value);
  static_assert(std::is_same_v<beast::lowest_layer_type<layered>, basic_stream<Protocol>>);

  asio::io_context context;
  connected_pair<Protocol> sockets(context);
  layered server(std::move(sockets.server));
  completion first, second, end;
  beast::flat_buffer buffer;
  sockets.client.write_some(asio::buffer("one\ntwo\nthr", 11));
  const auto echo = [&](completion& done)
  {
    using op = echo_line_op<layered, decltype(done.handler())>;
    op(server, buffer, done.handler());
    run_until(context, [&] { return done.done(); });
  };
  echo(first);
  echo(second);
  BOOST_TEST((!first.ec && !second.ec));
  std::string got(8, '\0');
  asio::read(sockets.client, asio::buffer(got));
  BOOST_TEST(got == "one\ntwo\n");

  sockets.client.shutdown(asio::socket_base::shutdown_send);
  echo(end);
  BOOST_TEST(end.ec == error::eof);
  BOOST_TEST(beast::buffers_to_string(buffer.data()) == "thr");

  beast::get_lowest_layer(server).expires_after(late);
  beast::close_socket(beast::get_lowest_layer(server));
  BOOST_TEST(!beast::get_lowest_layer(server).socket().is_open());
  beast::close_socket(beast::get_lowest_layer(sockets.client));
  BOOST_TEST(!sockets.client.is_open());
}

BOOST_AUTO_TEST_SUITE_END()
