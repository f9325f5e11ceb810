// SPDX-License-Identifier: BSL-1.0
// The non-blocking modes of sockets and acceptors.

#define BOOST_TEST_MODULE non_blocking
#include "socket_test.hpp"

#include <array>
#include <vector>

using namespace shm::test;

namespace {

template <class Object>
void check_modes(Object& object)
{
  BOOST_TEST(!object.non_blocking());
  BOOST_TEST(!object.native_non_blocking());
  reports({}, [&](auto&... ec) { object.non_blocking(true, ec...); });
  BOOST_TEST(object.non_blocking());
  // The user's mode needs the native one underneath.
  reports(error::invalid_argument, [&](auto&... ec) { object.native_non_blocking(false, ec...); });
  BOOST_TEST(object.non_blocking());

  reports({}, [&](auto&... ec) { object.non_blocking(false, ec...); });
  BOOST_TEST(!object.non_blocking());
  reports({}, [&](auto&... ec) { object.native_non_blocking(true, ec...); });
  BOOST_TEST(object.native_non_blocking());
  BOOST_TEST(!object.non_blocking());
  reports({}, [&](auto&... ec) { object.native_non_blocking(false, ec...); });
  BOOST_TEST(!object.native_non_blocking());
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(non_blocking, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(modes_of_an_open_socket, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::socket socket(context, loopback_protocol<Protocol>());
  check_modes(socket);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(modes_of_a_connection, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  check_modes(pair.client);
  check_modes(pair.server);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(modes_of_an_acceptor, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  check_modes(acceptor);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(read_without_data_would_block, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  std::array<char, 16> data{};
  pair.client.non_blocking(true);
  reports(error::would_block, [&](auto&... ec) { pair.client.read_some(asio::buffer(data), ec...); });
  reports(error::would_block, [&](auto&... ec) { pair.client.receive(asio::buffer(data), 0, ec...); });

  asio::write(pair.server, asio::buffer("data", 4));
  pair.client.wait(asio::socket_base::wait_read);
  BOOST_TEST(pair.client.read_some(asio::buffer(data)) == 4u);
  reports(error::would_block, [&](auto&... ec) { pair.client.read_some(asio::buffer(data), ec...); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(write_into_full_buffers_would_block, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context, 16 * 1024);
  pair.client.non_blocking(true);
  const pattern bytes(1);
  std::uint64_t sent = 0;
  error_code ec;
  std::vector<unsigned char> block(10'007);
  // Bounded: 64 MB into buffers of some KB means that nothing ever fills.
  while (!ec && sent < (64u << 20))
  {
    bytes.fill(block.data(), block.size(), sent);
    sent += pair.client.write_some(asio::buffer(block), ec);
  }
  BOOST_TEST(ec == error::would_block);

  // What was taken is delivered, and then there is room again.
  std::vector<unsigned char> got(static_cast<std::size_t>(sent));
  asio::read(pair.server, asio::buffer(got));
  BOOST_TEST(bytes.matches(got));
  pair.client.wait(asio::socket_base::wait_write);
  BOOST_TEST(pair.client.write_some(asio::buffer("x", 1)) == 1u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(accept_without_a_client_would_block, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  acceptor.non_blocking(true);
  typename Protocol::socket server(context);
  reports(error::would_block, [&](auto&... ec) { acceptor.accept(server, ec...); });
  BOOST_TEST(!server.is_open());
  reports(error::would_block, [&](auto&... ec) { acceptor.accept(ec...); });

  typename Protocol::socket client(context);
  client.connect(acceptor.local_endpoint());
  acceptor.wait(asio::socket_base::wait_read);
  acceptor.accept(server);
  BOOST_TEST(server.is_open());
  reports(error::would_block, [&](auto&... ec) { acceptor.accept(ec...); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(asynchronous_operations_wait_all_the_same, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  pair.client.non_blocking(true);
  std::array<char, 16> data{};
  completion read;
  pair.client.async_read_some(asio::buffer(data), read.handler());
  run_ready(context);
  BOOST_TEST(read.calls == 0);
  asio::write(pair.server, asio::buffer("late", 4));
  run_until(context, [&] { return read.done(); });
  BOOST_TEST(!read.ec);
  BOOST_TEST(read.bytes == 4u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(blocking_calls_block_after_asynchronous_ones, Protocol, transports)
{
  // An asynchronous operation makes the descriptor non-blocking; that must not show.
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  std::array<char, 16> data{};
  completion read;
  pair.client.async_read_some(asio::buffer(data), read.handler());
  asio::write(pair.server, asio::buffer("first", 5));
  run_until(context, [&] { return read.done(); });
  BOOST_TEST(!pair.client.non_blocking());

  std::thread writer([&] { asio::write(pair.server, asio::buffer("second", 6)); });
  error_code ec;
  const std::size_t n = pair.client.read_some(asio::buffer(data), ec);
  writer.join();
  BOOST_TEST(!ec);
  BOOST_TEST(n == 6u);
}

BOOST_AUTO_TEST_SUITE_END()
