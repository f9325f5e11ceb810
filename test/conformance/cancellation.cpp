// SPDX-License-Identifier: BSL-1.0
// Ending pending operations: cancel, close, and cancellation slots of single ones.

#define BOOST_TEST_MODULE cancellation
#include "socket_test.hpp"

#include <array>
#include <string>
#include <vector>

using namespace shm::test;

namespace {

using base = asio::socket_base;

constexpr std::array<asio::cancellation_type, 3> kinds{
    asio::cancellation_type::terminal, asio::cancellation_type::partial, asio::cancellation_type::total};

/// Starts an operation that cannot complete, by `start(handler)`, and ends it through
/// its slot, for every kind of cancellation.
template <class Start>
void check_slot(asio::io_context& context, Start start)
{
  for (const auto kind : kinds)
  {
    asio::cancellation_signal signal;
    completion result;
    start(asio::bind_cancellation_slot(signal.slot(), result.handler()));
    run_ready(context);
    BOOST_TEST(result.calls == 0);
    signal.emit(kind);
    BOOST_TEST(result.calls == 0);
    run_until(context, [&] { return result.done(); });
    BOOST_TEST(result.ec == error::operation_aborted);
    // A signal after the end is nobody's.
    signal.emit(kind);
    run_ready(context);
    BOOST_TEST(result.calls == 1);
  }
}

template <class Socket>
void fill(Socket& socket)
{
  socket.non_blocking(true);
  const std::vector<char> block(10'000);
  error_code ec;
  for (int i = 0; !ec && i != 10'000; ++i)
    socket.write_some(asio::buffer(block), ec);
  BOOST_TEST_REQUIRE(ec == error::would_block);
  socket.non_blocking(false);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(cancellation, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(cancel_ends_everything_pending, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  for (int round = 0; round != 10; ++round)
  {
    std::array<char, 8> data{};
    std::array<completion, 4> results;
    pair.client.async_read_some(asio::buffer(data), results[0].handler());
    pair.client.async_receive(asio::buffer(data), results[1].handler());
    pair.client.async_wait(base::wait_read, results[2].handler());
    pair.client.async_wait(base::wait_error, results[3].handler());
    if (round % 2)
      run_ready(context);
    reports({}, [&](auto&... ec) { pair.client.cancel(ec...); });
    for (const auto& result : results)
      BOOST_TEST(result.calls == 0);
    run_out(context);
    for (const auto& result : results)
    {
      BOOST_TEST(result.calls == 1);
      BOOST_TEST(result.ec == error::operation_aborted);
      BOOST_TEST(result.bytes == 0u);
    }
    check_carries_data(pair.client, pair.server);
    check_carries_data(pair.server, pair.client);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cancel_ends_a_write_part_way, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context, 16 * 1024);
  const pattern bytes(1);
  const auto sent = bytes.bytes(32 << 20);
  completion written;
  asio::async_write(pair.client, asio::buffer(sent), written.handler());
  run_ready(context);
  pair.client.cancel();
  run_until(context, [&] { return written.done(); });
  BOOST_TEST(written.ec == error::operation_aborted);
  BOOST_TEST(written.bytes < sent.size());
  // What was reported as written arrives, nothing else does.
  pair.client.shutdown(base::shutdown_send);
  std::vector<unsigned char> got(sent.size());
  error_code ec;
  const std::size_t n = asio::read(pair.server, asio::buffer(got), ec);
  BOOST_TEST(ec == error::eof);
  BOOST_TEST(n == written.bytes);
  BOOST_TEST(bytes.matches(got.data(), n));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cancel_with_nothing_pending_is_no_error, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  reports({}, [&](auto&... ec) { pair.client.cancel(ec...); });
  check_carries_data(pair.client, pair.server);
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  reports({}, [&](auto&... ec) { acceptor.cancel(ec...); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(close_ends_everything_pending, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  fill(pair.client);
  std::array<char, 8> data{};
  const std::vector<char> much(32 << 20);
  std::array<completion, 3> results;
  pair.client.async_read_some(asio::buffer(data), results[0].handler());
  pair.client.async_wait(base::wait_error, results[1].handler());
  asio::async_write(pair.client, asio::buffer(much), results[2].handler());
  run_ready(context);
  for (const auto& result : results)
    BOOST_TEST(result.calls == 0);
  reports({}, [&](auto&... ec) { pair.client.close(ec...); });
  run_out(context);
  for (const auto& result : results)
  {
    BOOST_TEST(result.calls == 1);
    BOOST_TEST(result.ec == error::operation_aborted);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(close_in_one_handler_ends_the_read_of_another, Protocol, transports)
{
  asio::io_context context;
  auto strand = asio::make_strand(context);
  connected_pair<Protocol> pair(strand);
  std::array<char, 8> data{};
  completion pending;
  completion closer;
  asio::async_read(pair.client, asio::buffer(data), pending.handler());
  pair.server.async_read_some(asio::buffer(data),
      [&](error_code ec, std::size_t n)
      {
        closer.handler()(ec, n);
        pair.client.close();
        BOOST_TEST(pending.calls == 0);
      });
  run_ready(context);
  asio::write(pair.client, asio::buffer("close", 5));
  run_out(context);
  BOOST_TEST(!closer.ec);
  BOOST_TEST(pending.calls == 1);
  BOOST_TEST(pending.ec == error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(completed_operations_are_not_taken_back, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  asio::write(pair.server, asio::buffer("done", 4));
  pair.client.wait(base::wait_read);
  std::array<char, 8> data{};
  completion read;
  pair.client.async_read_some(asio::buffer(data), read.handler());
  pair.client.cancel();
  run_until(context, [&] { return read.done(); });
  // Either it was too late for the cancel, or the data are still there.
  if (read.ec)
  {
    BOOST_TEST(read.ec == error::operation_aborted);
    BOOST_TEST(read.bytes == 0u);
    BOOST_TEST(pair.client.available() == 4u);
  }
  else
  {
    BOOST_TEST(read.bytes == 4u);
    BOOST_TEST(std::string(data.data(), 4) == "done");
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(slots_end_single_operations, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  typename Protocol::socket accepted(context);
  std::array<char, 8> data{};
  const auto buffer = asio::buffer(data);
  const auto check = [&](auto start) { check_slot(context, start); };

  check([&](auto h) { pair.client.async_read_some(buffer, h); });
  check([&](auto h) { pair.client.async_receive(buffer, base::message_peek, h); });
  check([&](auto h) { pair.client.async_wait(base::wait_read, h); });
  check([&](auto h) { pair.client.async_wait(base::wait_error, h); });
  check([&](auto h) { acceptor.async_accept(accepted, h); });
  check([&](auto h) { acceptor.async_wait(base::wait_read, h); });
  check_carries_data(pair.client, pair.server);
  check_carries_data(pair.server, pair.client);

  typename Protocol::socket client(context);
  client.connect(acceptor.local_endpoint());
  acceptor.accept(accepted);
  check_carries_data(client, accepted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(slots_end_writes, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context, 16 * 1024);
  const std::vector<char> much(32 << 20);
  asio::cancellation_signal signal;
  completion composed;
  asio::async_write(pair.client, asio::buffer(much), asio::bind_cancellation_slot(signal.slot(), composed.handler()));
  run_ready(context);
  BOOST_TEST(composed.calls == 0);
  signal.emit(asio::cancellation_type::terminal);
  run_until(context, [&] { return composed.done(); });
  BOOST_TEST(composed.ec == error::operation_aborted);
  BOOST_TEST(composed.bytes < much.size());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(slot_of_a_connect, Protocol, transports)
{
  for (const auto kind : kinds)
  {
    asio::io_context context;
    typename Protocol::acceptor acceptor(context, loopback<Protocol>());
    typename Protocol::socket socket(context);
    asio::cancellation_signal signal;
    completion connected;
    socket.async_connect(acceptor.local_endpoint(), asio::bind_cancellation_slot(signal.slot(), connected.handler()));
    signal.emit(kind);
    run_out(context);
    BOOST_TEST(connected.calls == 1);
    // It may have been complete already.
    BOOST_TEST((!connected.ec || connected.ec == error::operation_aborted));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(slot_leaves_the_other_operations_alone, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  std::array<std::array<char, 1>, 3> data{};
  std::array<completion, 3> reads;
  completion waiting;
  asio::cancellation_signal signal;
  pair.client.async_read_some(asio::buffer(data[0]), reads[0].handler());
  pair.client.async_read_some(asio::buffer(data[1]), asio::bind_cancellation_slot(signal.slot(), reads[1].handler()));
  pair.client.async_read_some(asio::buffer(data[2]), reads[2].handler());
  pair.client.async_wait(base::wait_error, waiting.handler());
  run_ready(context);
  signal.emit(asio::cancellation_type::total);
  run_until(context, [&] { return reads[1].done(); });
  run_ready(context);
  BOOST_TEST(reads[1].ec == error::operation_aborted);
  BOOST_TEST(reads[0].calls == 0);
  BOOST_TEST(reads[2].calls == 0);
  BOOST_TEST(waiting.calls == 0);

  asio::write(pair.server, asio::buffer("ab", 2));
  run_until(context, [&] { return reads[0].done() && reads[2].done(); });
  BOOST_TEST(data[0][0] == 'a');
  BOOST_TEST(data[2][0] == 'b');
  BOOST_TEST(waiting.calls == 0);
}

BOOST_AUTO_TEST_SUITE_END()
