// SPDX-License-Identifier: BSL-1.0
// How a connection ends: peer's close, half close, shutdown, and what is pending then.

#define BOOST_TEST_MODULE end_of_connection
#include "socket_test.hpp"

#include <array>
#include <string>
#include <thread>
#include <vector>

using namespace shm::test;

namespace {

using base = asio::socket_base;

template <class Protocol>
void check_eof_again(asio::io_context& context, typename Protocol::socket& socket)
{
  std::array<char, 8> data{};
  for (int i = 0; i != 3; ++i)
  {
    reports(error::eof, [&](auto&... ec) { socket.read_some(asio::buffer(data), ec...); });
    reports(error::eof, [&](auto&... ec) { socket.receive(asio::buffer(data), 0, ec...); });
    if constexpr (differences<Protocol>::asynchronous_read_after_eof_completes)
    {
      completion read;
      socket.async_read_some(asio::buffer(data), read.handler());
      BOOST_TEST(read.calls == 0);
      run_until(context, [&] { return read.done(); });
      BOOST_TEST(read.ec == error::eof);
      BOOST_TEST(read.bytes == 0u);
    }
  }
  run_ready(context);
  // Reading nothing is no reading, at the end of the stream too.
  BOOST_TEST(socket.read_some(asio::mutable_buffer()) == 0u);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(end_of_connection, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(data_comes_before_eof, Protocol, transports)
{
  const pattern bytes(1);
  for (const std::size_t size : {std::size_t(0), std::size_t(1), std::size_t(5'003), std::size_t(50'021)})
  {
    asio::io_context context;
    connected_pair<Protocol> pair(context);
    asio::write(pair.server, asio::buffer(bytes.bytes(size)));
    pair.server.close();
    std::vector<unsigned char> got(size + 100);
    completion read;
    asio::async_read(pair.client, asio::buffer(got), read.handler());
    run_until(context, [&] { return read.done(); });
    BOOST_TEST(read.ec == error::eof);
    BOOST_TEST(read.bytes == size);
    BOOST_TEST(bytes.matches(got.data(), read.bytes));
    check_eof_again<Protocol>(context, pair.client);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(pending_read_gets_eof_when_the_peer_closes, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  std::array<char, 8> data{};
  completion read;
  pair.client.async_read_some(asio::buffer(data), read.handler());
  run_ready(context);
  BOOST_TEST(read.calls == 0);
  pair.server.close();
  run_until(context, [&] { return read.done(); });
  BOOST_TEST(read.ec == error::eof);
  check_eof_again<Protocol>(context, pair.client);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(blocking_read_gets_eof_when_the_peer_closes, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  std::array<char, 8> data{};
  std::thread closer([&] { pair.server.close(); });
  error_code ec;
  pair.client.read_some(asio::buffer(data), ec);
  closer.join();
  BOOST_TEST(ec == error::eof);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(writing_to_a_closed_peer_fails, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  pair.server.close();
  error_code ec;
  const std::vector<char> block(4096);
  pair.client.write_some(asio::buffer(block), ec);
  BOOST_TEST(!ec == differences<Protocol>::first_write_after_close_succeeds);
  // The next ones may be taken too, until the news has come.
  wait_until(
      [&]
      {
        pair.client.write_some(asio::buffer(block), ec);
        return ec.failed();
      });
  BOOST_TEST(is_broken(ec));
  BOOST_CHECK_EXCEPTION(pair.client.write_some(asio::buffer(block)), system_error,
      [](const system_error& e) { return is_broken(e.code()); });
  completion written;
  asio::async_write(pair.client, asio::buffer(block), written.handler());
  BOOST_TEST(written.calls == 0);
  run_until(context, [&] { return written.done(); });
  BOOST_TEST(is_broken(written.ec));
  BOOST_TEST(written.bytes == 0u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(pending_write_fails_when_the_peer_closes, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context, 16 * 1024);
  const std::vector<char> much(32 << 20);
  completion written;
  asio::async_write(pair.client, asio::buffer(much), written.handler());
  run_ready(context);
  BOOST_TEST(written.calls == 0);
  pair.server.close();
  run_until(context, [&] { return written.done(); });
  BOOST_TEST(is_broken(written.ec));
  BOOST_TEST(written.bytes < much.size());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(blocking_write_fails_when_the_peer_closes, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context, 16 * 1024);
  const std::vector<char> much(32 << 20);
  std::thread closer(
      [&]
      {
        // Reads a little first, so that the writer is at it.
        std::array<char, 1000> data{};
        asio::read(pair.server, asio::buffer(data));
        pair.server.close();
      });
  error_code ec;
  const std::size_t n = asio::write(pair.client, asio::buffer(much), ec);
  closer.join();
  BOOST_TEST(is_broken(ec));
  BOOST_TEST(n < much.size());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(half_close_leaves_the_other_way_open, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  asio::write(pair.client, asio::buffer("last words", 10));
  completion read;
  std::array<char, 16> data{};
  reports({}, [&](auto&... ec) { pair.client.shutdown(base::shutdown_send, ec...); });
  asio::async_read(pair.server, asio::buffer(data), read.handler());
  run_until(context, [&] { return read.done(); });
  BOOST_TEST(read.ec == error::eof);
  BOOST_TEST(std::string(data.data(), read.bytes) == "last words");
  check_eof_again<Protocol>(context, pair.server);

  const pattern bytes(2);
  const auto sent = bytes.bytes(3'000'017);
  std::vector<unsigned char> got(sent.size());
  completion answered;
  completion received;
  asio::async_write(pair.server, asio::buffer(sent), answered.handler());
  asio::async_read(pair.client, asio::buffer(got), received.handler());
  run_until(context, [&] { return answered.done() && received.done(); });
  BOOST_TEST(!answered.ec);
  BOOST_TEST(!received.ec);
  BOOST_TEST(bytes.matches(got));

  reports(error::broken_pipe, [&](auto&... ec) { pair.client.write_some(asio::buffer("x", 1), ec...); });
  completion refused;
  pair.client.async_write_some(asio::buffer("x", 1), refused.handler());
  run_until(context, [&] { return refused.done(); });
  BOOST_TEST(refused.ec == error::broken_pipe);

  pair.server.shutdown(base::shutdown_send);
  check_eof_again<Protocol>(context, pair.client);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(half_close_wakes_a_pending_read, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  std::array<char, 8> data{};
  completion read;
  pair.server.async_read_some(asio::buffer(data), read.handler());
  run_ready(context);
  BOOST_TEST(read.calls == 0);
  pair.client.shutdown(base::shutdown_send);
  run_until(context, [&] { return read.done(); });
  BOOST_TEST(read.ec == error::eof);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(shutdown_receive_ends_own_reading, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  std::array<char, 8> data{};
  completion read;
  pair.client.async_read_some(asio::buffer(data), read.handler());
  run_ready(context);
  reports({}, [&](auto&... ec) { pair.client.shutdown(base::shutdown_receive, ec...); });
  run_until(context, [&] { return read.done(); });
  BOOST_TEST(read.ec == error::eof);
  check_eof_again<Protocol>(context, pair.client);

  // Sending goes on.
  asio::write(pair.client, asio::buffer("still", 5));
  std::string got(5, '\0');
  asio::read(pair.server, asio::buffer(got));
  BOOST_TEST(got == "still");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(shutdown_both_ends_everything, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  std::array<char, 8> data{};
  completion read;
  completion peer_read;
  pair.client.async_read_some(asio::buffer(data), read.handler());
  pair.server.async_read_some(asio::buffer(data), peer_read.handler());
  run_ready(context);
  pair.client.shutdown(base::shutdown_both);
  run_until(context, [&] { return read.done() && peer_read.done(); });
  BOOST_TEST(read.ec == error::eof);
  BOOST_TEST(peer_read.ec == error::eof);
  BOOST_TEST(pair.client.is_open());
  reports(error::broken_pipe, [&](auto&... ec) { pair.client.write_some(asio::buffer("x", 1), ec...); });
  check_eof_again<Protocol>(context, pair.client);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(unconnected_socket_reports_not_connected, Protocol, transports)
{
  using different = differences<Protocol>;
  asio::io_context context;
  typename Protocol::socket socket(context, loopback_protocol<Protocol>());
  std::array<char, 8> data{};
  for (const auto what : {base::shutdown_send, base::shutdown_receive, base::shutdown_both})
    reports(different::shutdown_of_unconnected_succeeds ? error_code() : error::not_connected,
        [&](auto&... ec) { socket.shutdown(what, ec...); });
  typename Protocol::socket fresh(context, loopback_protocol<Protocol>());
  reports(different::read_of_unconnected, [&](auto&... ec) { fresh.read_some(asio::buffer(data), ec...); });
  reports(different::write_of_unconnected, [&](auto&... ec) { fresh.write_some(asio::buffer(data), ec...); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(both_sides_close_with_operations_pending, Protocol, transports)
{
  for (int i = 0; i != 20; ++i)
  {
    asio::io_context context;
    connected_pair<Protocol> pair(context);
    std::array<char, 8> data{};
    completion a;
    completion b;
    pair.client.async_read_some(asio::buffer(data), a.handler());
    pair.server.async_read_some(asio::buffer(data), b.handler());
    if (i % 2)
      run_ready(context);
    pair.client.close();
    pair.server.close();
    run_out(context);
    BOOST_TEST(a.calls == 1);
    BOOST_TEST(b.calls == 1);
    BOOST_TEST(a.ec == error::operation_aborted);
    BOOST_TEST((b.ec == error::operation_aborted || b.ec == error::eof));
  }
}

BOOST_AUTO_TEST_SUITE_END()
