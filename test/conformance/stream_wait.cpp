// SPDX-License-Identifier: BSL-1.0
// Waiting for readiness: wait and async_wait for reading, writing and errors.

#define BOOST_TEST_MODULE stream_wait
#include "socket_test.hpp"

#include <array>
#include <thread>
#include <vector>

using namespace shm::test;

namespace {
using base = asio::socket_base;
}

BOOST_FIXTURE_TEST_SUITE(stream_wait, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(writable_at_once, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  reports({}, [&](auto&... ec) { pair.client.wait(base::wait_write, ec...); });
  completion waited;
  pair.client.async_wait(base::wait_write, waited.handler());
  BOOST_TEST(waited.calls == 0);
  run_until(context, [&] { return waited.done(); });
  BOOST_TEST(!waited.ec);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(readable_when_data_is_there, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  completion waited;
  pair.client.async_wait(base::wait_read, waited.handler());
  run_ready(context);
  BOOST_TEST(waited.calls == 0);
  asio::write(pair.server, asio::buffer("1234", 4));
  run_until(context, [&] { return waited.done(); });
  BOOST_TEST(!waited.ec);
  BOOST_TEST(pair.client.available() == 4u);
  reports({}, [&](auto&... ec) { pair.client.wait(base::wait_read, ec...); });

  // Data that is there already counts for a wait that starts now.
  completion again;
  pair.client.async_wait(base::wait_read, again.handler());
  BOOST_TEST(again.calls == 0);
  run_until(context, [&] { return again.done(); });
  BOOST_TEST(!again.ec);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(readable_at_the_end_of_the_stream, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  completion waited;
  pair.client.async_wait(base::wait_read, waited.handler());
  run_ready(context);
  BOOST_TEST(waited.calls == 0);
  pair.server.close();
  run_until(context, [&] { return waited.done(); });
  BOOST_TEST(!waited.ec);
  reports({}, [&](auto&... ec) { pair.client.wait(base::wait_read, ec...); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(blocking_wait_is_woken_by_another_thread, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  for (int i = 0; i != 50; ++i)
  {
    std::thread writer([&] { asio::write(pair.server, asio::buffer("w", 1)); });
    error_code ec;
    pair.client.wait(base::wait_read, ec);
    writer.join();
    BOOST_TEST(!ec);
    BOOST_TEST(pair.client.available() == 1u);
    char byte;
    asio::read(pair.client, asio::buffer(&byte, 1));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(writable_again_after_the_reader_made_room, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context, 16 * 1024);
  pair.client.non_blocking(true);
  const std::vector<char> block(10'000);
  std::size_t sent = 0;
  error_code ec;
  while (!ec)
    sent += pair.client.write_some(asio::buffer(block), ec);
  BOOST_TEST_REQUIRE(ec == error::would_block);
  // What is on its way may still make room; go on until nothing moves.
  completion waited;
  pair.client.async_wait(base::wait_write, waited.handler());
  run_ready(context);
  while (waited.done())
  {
    for (ec = {}; !ec;)
      sent += pair.client.write_some(asio::buffer(block), ec);
    waited = {};
    pair.client.async_wait(base::wait_write, waited.handler());
    run_ready(context);
  }

  std::vector<char> got(sent);
  asio::read(pair.server, asio::buffer(got));
  run_until(context, [&] { return waited.done(); });
  BOOST_TEST(!waited.ec);
  BOOST_TEST(pair.client.write_some(asio::buffer(block)) > 0u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(data_is_no_error, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  completion waited;
  pair.client.async_wait(base::wait_error, waited.handler());
  std::array<char, 4> data{};
  for (int i = 0; i != 10; ++i)
  {
    completion read;
    asio::write(pair.server, asio::buffer("data", 4));
    asio::async_read(pair.client, asio::buffer(data), read.handler());
    run_until(context, [&] { return read.done(); });
  }
  run_ready(context);
  BOOST_TEST(waited.calls == 0);
  pair.client.cancel();
  run_until(context, [&] { return waited.done(); });
  BOOST_TEST(waited.ec == error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(end_of_both_directions_ends_an_error_wait, Protocol, transports)
{
  for (const bool synchronous : {false, true})
  {
    asio::io_context context;
    connected_pair<Protocol> pair(context);
    completion waited;
    if (!synchronous)
    {
      pair.client.async_wait(base::wait_error, waited.handler());
      run_ready(context);
      BOOST_TEST(waited.calls == 0);
    }
    pair.client.shutdown(base::shutdown_send);
    char byte;
    error_code ec;
    asio::read(pair.server, asio::buffer(&byte, 1), ec);
    BOOST_TEST(ec == error::eof);
    pair.server.close();
    if (synchronous)
    {
      reports({}, [&](auto&... e) { pair.client.wait(base::wait_error, e...); });
    }
    else
    {
      run_until(context, [&] { return waited.done(); });
      BOOST_TEST(!waited.ec);
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(waits_and_reads_share_one_socket, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  completion first_wait;
  completion second_wait;
  completion write_wait;
  pair.client.async_wait(base::wait_read, first_wait.handler());
  pair.client.async_wait(base::wait_read, second_wait.handler());
  pair.client.async_wait(base::wait_write, write_wait.handler());
  run_until(context, [&] { return write_wait.done(); });
  BOOST_TEST(first_wait.calls == 0);
  asio::write(pair.server, asio::buffer("x", 1));
  run_until(context, [&] { return first_wait.done() && second_wait.done(); });
  BOOST_TEST(!first_wait.ec);
  BOOST_TEST(!second_wait.ec);
  BOOST_TEST(pair.client.available() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()
