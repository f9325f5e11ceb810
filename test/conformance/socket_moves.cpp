// SPDX-License-Identifier: BSL-1.0
// Moving sockets and acceptors: idle, with operations pending, among executor types.

#define BOOST_TEST_MODULE socket_moves
#include "socket_test.hpp"

#include <array>
#include <string>
#include <utility>
#include <vector>

using namespace shm::test;

namespace {

template <class Protocol, class Executor>
using socket_on = asio::basic_stream_socket<Protocol, Executor>;
template <class Protocol, class Executor>
using acceptor_on = asio::basic_socket_acceptor<Protocol, Executor>;
using io_executor = asio::io_context::executor_type;

} // namespace

BOOST_FIXTURE_TEST_SUITE(socket_moves, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(move_construction_carries_the_connection, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  const auto local = pair.client.local_endpoint();
  typename Protocol::socket moved(std::move(pair.client));
  BOOST_TEST(moved.is_open());
  BOOST_TEST(!pair.client.is_open());
  BOOST_TEST(moved.local_endpoint() == local);
  check_carries_data(moved, pair.server);
  check_carries_data(pair.server, moved);

  // The source is like new.
  pair.client.open(loopback_protocol<Protocol>());
  BOOST_TEST(pair.client.is_open());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(move_assignment_closes_the_old_connection, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> kept(context);
  connected_pair<Protocol> dropped(context);
  dropped.client = std::move(kept.client);
  check_carries_data(dropped.client, kept.server);

  char byte;
  reports(error::eof, [&](auto&... ec) { asio::read(dropped.server, asio::buffer(&byte, 1), ec...); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(move_assignment_aborts_operations_of_the_target, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> kept(context);
  connected_pair<Protocol> dropped(context);
  std::array<char, 8> data{};
  completion read;
  dropped.client.async_read_some(asio::buffer(data), read.handler());
  context.poll();
  dropped.client = std::move(kept.client);
  run_until(context, [&] { return read.done(); });
  BOOST_TEST(read.ec == error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(pending_read_follows_the_move, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  std::array<char, 8> data{};
  completion read;
  pair.client.async_read_some(asio::buffer(data), read.handler());
  context.poll();
  typename Protocol::socket moved(std::move(pair.client));
  typename Protocol::socket again(context);
  again = std::move(moved);
  asio::write(pair.server, asio::buffer("move", 4));
  run_until(context, [&] { return read.done(); });
  BOOST_TEST(!read.ec);
  BOOST_TEST(read.bytes == 4u);
  BOOST_TEST(std::string(data.data(), 4) == "move");

  completion aborted;
  again.async_read_some(asio::buffer(data), aborted.handler());
  typename Protocol::socket last(std::move(again));
  last.cancel();
  run_until(context, [&] { return aborted.done(); });
  BOOST_TEST(aborted.ec == error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(pending_accept_follows_the_move, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  const auto endpoint = acceptor.local_endpoint();
  completion accepted;
  typename Protocol::socket server(context);
  acceptor.async_accept(server, accepted.handler());
  context.poll();
  typename Protocol::acceptor moved(std::move(acceptor));
  BOOST_TEST(!acceptor.is_open());
  BOOST_TEST(moved.local_endpoint() == endpoint);

  typename Protocol::socket client(context);
  client.connect(endpoint);
  run_until(context, [&] { return accepted.done(); });
  BOOST_TEST(!accepted.ec);
  check_carries_data(client, server);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(move_assignment_between_contexts, Protocol, transports)
{
  asio::io_context first;
  asio::io_context second;
  connected_pair<Protocol> pair(first);
  typename Protocol::socket target(second, loopback_protocol<Protocol>());
  std::array<char, 8> data{};
  completion read;
  pair.client.async_read_some(asio::buffer(data), read.handler());

  target = std::move(pair.client);
  // The socket keeps the context of its connection.
  BOOST_TEST(
      &asio::query(target.get_executor(), asio::execution::context) == static_cast<asio::execution_context*>(&first));
  asio::write(pair.server, asio::buffer("here", 4));
  second.poll();
  BOOST_TEST(read.calls == 0);
  run_until(first, [&] { return read.done(); });
  BOOST_TEST(!read.ec);
  BOOST_TEST(read.bytes == 4u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(converting_moves_among_executors, Protocol, transports)
{
  asio::io_context context;
  using strand_type = asio::strand<io_executor>;

  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  socket_on<Protocol, io_executor> plain(context);
  plain.connect(acceptor.local_endpoint());
  auto server = acceptor.accept();

  typename Protocol::socket any(std::move(plain));
  BOOST_TEST(!plain.is_open());
  check_carries_data(any, server);

  socket_on<Protocol, strand_type> on_strand(asio::make_strand(context));
  on_strand.connect(acceptor.local_endpoint());
  auto second_server = acceptor.accept();
  any = std::move(on_strand);
  BOOST_TEST(!on_strand.is_open());
  check_carries_data(any, second_server);
  char byte;
  reports(error::eof, [&](auto&... ec) { asio::read(server, asio::buffer(&byte, 1), ec...); });

  acceptor_on<Protocol, io_executor> plain_acceptor(context, loopback<Protocol>());
  typename Protocol::acceptor any_acceptor(std::move(plain_acceptor));
  BOOST_TEST(!plain_acceptor.is_open());
  typename Protocol::socket client(context);
  client.connect(any_acceptor.local_endpoint());
  auto third_server = any_acceptor.accept();
  check_carries_data(client, third_server);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(converting_move_with_a_read_pending, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  socket_on<Protocol, io_executor> plain(context);
  plain.connect(acceptor.local_endpoint());
  auto server = acceptor.accept();
  std::array<char, 8> data{};
  completion read;
  plain.async_read_some(asio::buffer(data), read.handler());
  context.poll();
  typename Protocol::socket any(std::move(plain));
  asio::write(server, asio::buffer("pending", 7));
  run_until(context, [&] { return read.done(); });
  BOOST_TEST(!read.ec);
  BOOST_TEST(std::string(data.data(), read.bytes) == "pending");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(sockets_live_in_a_growing_vector, Protocol, transports)
{
  asio::io_context context;
  std::vector<typename Protocol::socket> clients;
  std::vector<typename Protocol::socket> servers;
  std::array<completion, 50> reads;
  std::array<std::array<char, 4>, 50> data{};
  for (std::size_t i = 0; i != reads.size(); ++i)
  {
    connected_pair<Protocol> pair(context);
    clients.push_back(std::move(pair.client));
    servers.push_back(std::move(pair.server));
    servers.back().async_read_some(asio::buffer(data[i]), reads[i].handler());
  }
  std::swap(clients.front(), clients.back());
  for (std::size_t i = 0; i != clients.size(); ++i)
  {
    const char c = static_cast<char>('0' + i);
    asio::write(clients[i], asio::buffer(&c, 1));
  }
  run_out(context);
  for (std::size_t i = 0; i != reads.size(); ++i)
  {
    const std::size_t sender = i == 0 ? 49 : i == 49 ? 0 : i;
    BOOST_TEST(reads[i].calls == 1);
    BOOST_TEST(!reads[i].ec);
    BOOST_TEST(data[i][0] == static_cast<char>('0' + sender));
  }
}

BOOST_AUTO_TEST_SUITE_END()
