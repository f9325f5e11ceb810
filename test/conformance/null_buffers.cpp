// SPDX-License-Identifier: BSL-1.0
// The older way to wait for readiness: reads and writes with null_buffers.

#define BOOST_TEST_MODULE null_buffers
#include "socket_test.hpp"

#include <array>
#include <string>
#include <vector>

using namespace shm::test;

namespace {
const asio::null_buffers none;
}

BOOST_FIXTURE_TEST_SUITE(null_buffers, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(blocking_forms_wait_and_transfer_nothing, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  auto& client = pair.client;
  asio::write(pair.server, asio::buffer("data", 4));
  reports({}, [&](auto&... ec) { BOOST_TEST(client.read_some(none, ec...) == 0u); });
  reports({}, [&](auto&... ec) { BOOST_TEST(client.receive(none, 0, ec...) == 0u); });
  BOOST_TEST(client.receive(none) == 0u);
  BOOST_TEST(client.available() == 4u);

  reports({}, [&](auto&... ec) { BOOST_TEST(client.write_some(none, ec...) == 0u); });
  reports({}, [&](auto&... ec) { BOOST_TEST(client.send(none, 0, ec...) == 0u); });
  BOOST_TEST(client.send(none) == 0u);
  BOOST_TEST(pair.server.available() == 0u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(reads_complete_when_data_comes, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  auto& client = pair.client;
  const auto check = [&](auto start)
  {
    completion ready;
    start(ready.handler());
    run_ready(context);
    BOOST_TEST(ready.calls == 0);
    asio::write(pair.server, asio::buffer("news", 4));
    run_until(context, [&] { return ready.done(); });
    BOOST_TEST(!ready.ec);
    BOOST_TEST(ready.bytes == 0u);
    BOOST_TEST(ready.calls == 1);
    std::string got(4, '\0');
    asio::read(client, asio::buffer(got));
    BOOST_TEST(got == "news");
    BOOST_TEST(client.available() == 0u);
  };
  check([&](auto h) { client.async_read_some(none, h); });
  check([&](auto h) { client.async_receive(none, h); });
  check([&](auto h) { client.async_receive(none, 0, h); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(writes_complete_when_there_is_room, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context, 16 * 1024);
  auto& client = pair.client;
  const auto check = [&](auto start)
  {
    completion ready;
    start(ready.handler());
    BOOST_TEST(ready.calls == 0);
    run_until(context, [&] { return ready.done(); });
    BOOST_TEST(!ready.ec);
    BOOST_TEST(ready.bytes == 0u);
  };
  check([&](auto h) { client.async_write_some(none, h); });
  check([&](auto h) { client.async_send(none, h); });
  check([&](auto h) { client.async_send(none, 0, h); });

  // Not while the buffers are full.
  client.non_blocking(true);
  const std::vector<char> block(10'007);
  std::size_t sent = 0;
  error_code ec;
  while (!ec && sent < (64u << 20))
    sent += client.write_some(asio::buffer(block), ec);
  BOOST_TEST(ec == error::would_block);
  completion ready;
  client.async_write_some(none, ready.handler());
  run_ready(context);
  BOOST_TEST(ready.calls == 0);
  std::vector<char> got(sent);
  asio::read(pair.server, asio::buffer(got));
  run_until(context, [&] { return ready.done(); });
  BOOST_TEST(!ready.ec);
  BOOST_TEST(client.write_some(asio::buffer("x", 1)) == 1u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(end_of_the_stream_is_readable, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  completion ready;
  pair.client.async_read_some(none, ready.handler());
  run_ready(context);
  BOOST_TEST(ready.calls == 0);
  pair.server.close();
  run_until(context, [&] { return ready.done(); });
  // Readiness only; the read that follows says what it is.
  BOOST_TEST(!ready.ec);
  std::array<char, 4> data{};
  reports(error::eof, [&](auto&... ec) { pair.client.read_some(asio::buffer(data), ec...); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cancelled_and_closed_like_any_operation, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  for (const bool close : {false, true})
  {
    completion ready;
    pair.client.async_receive(none, ready.handler());
    run_ready(context);
    BOOST_TEST(ready.calls == 0);
    close ? (void)pair.client.close() : (void)pair.client.cancel();
    run_out(context);
    BOOST_TEST(ready.calls == 1);
    BOOST_TEST(ready.ec == error::operation_aborted);
  }
  completion bad;
  pair.client.async_read_some(none, bad.handler());
  run_out(context);
  BOOST_TEST(bad.ec == error::bad_descriptor);
  reports(error::bad_descriptor, [&](auto&... ec) { pair.client.read_some(none, ec...); });
}

BOOST_AUTO_TEST_SUITE_END()
