// SPDX-License-Identifier: BSL-1.0
// Moves of sockets and acceptors to objects of another executor type, also of another context.

#define BOOST_TEST_MODULE converting_moves
#include "socket_test.hpp"

#include <array>
#include <atomic>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace shm::test;

namespace {

using base = asio::socket_base;
using io_executor = asio::io_context::executor_type;
using io_strand = asio::strand<io_executor>;
using pool_executor = asio::thread_pool::executor_type;

template <class Protocol, class Executor>
using socket_on = asio::basic_stream_socket<Protocol, Executor>;
template <class Protocol, class Executor>
using acceptor_on = asio::basic_socket_acceptor<Protocol, Executor>;

template <class Protocol>
using plain_socket = socket_on<Protocol, io_executor>;
template <class Protocol>
using plain_acceptor = acceptor_on<Protocol, io_executor>;

template <class From, class To>
void check_carries(From& from, To& to, const std::string& text = "carried")
{
  asio::write(from, asio::buffer(text));
  std::string got(text.size(), '\0');
  asio::read(to, asio::buffer(got));
  BOOST_TEST(got == text);
}

template <class Socket>
const asio::execution_context* context_of(const Socket& socket)
{
  auto executor = const_cast<Socket&>(socket).get_executor();
  return &asio::query(executor, asio::execution::context);
}

/// A pair whose client is on the plain executor of its context.
template <class Protocol>
struct plain_pair
{
  explicit plain_pair(asio::io_context& context) : plain_pair(context, context.get_executor()) {}

  template <class Context>
  plain_pair(Context& context, const io_executor& executor) : client(executor), server(context)
  {
    typename Protocol::acceptor acceptor(context, loopback<Protocol>());
    client.connect(acceptor.local_endpoint());
    acceptor.accept(server);
  }

  plain_socket<Protocol> client;
  typename Protocol::socket server;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(converting_moves, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(go_only_to_executors_that_can_hold_the_other, Protocol, transports)
{
  using any_socket = typename Protocol::socket;
  using strand_socket = socket_on<Protocol, io_strand>;
  static_assert(std::is_constructible_v<any_socket, plain_socket<Protocol>>);
  static_assert(std::is_constructible_v<any_socket, strand_socket>);
  static_assert(std::is_assignable_v<any_socket&, plain_socket<Protocol>>);
  static_assert(!std::is_constructible_v<plain_socket<Protocol>, any_socket>);
  static_assert(!std::is_constructible_v<plain_socket<Protocol>, strand_socket>);
  static_assert(!std::is_assignable_v<plain_socket<Protocol>&, any_socket>);
  using any_acceptor = typename Protocol::acceptor;
  static_assert(std::is_constructible_v<any_acceptor, plain_acceptor<Protocol>>);
  static_assert(std::is_assignable_v<any_acceptor&, plain_acceptor<Protocol>>);
  static_assert(!std::is_constructible_v<plain_acceptor<Protocol>, any_acceptor>);
  BOOST_TEST(true);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(unopened_and_unconnected_sockets, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  const auto protocol = acceptor.local_endpoint().protocol();

  plain_socket<Protocol> unopened(context);
  typename Protocol::socket any(std::move(unopened));
  BOOST_TEST(!any.is_open());
  any.connect(acceptor.local_endpoint());
  auto server = acceptor.accept();
  check_carries(any, server);

  // What was set before the move is there after it.
  plain_socket<Protocol> opened(context, protocol);
  opened.non_blocking(true);
  const auto handle = opened.native_handle();
  any = std::move(opened);
  BOOST_TEST(!opened.is_open());
  BOOST_TEST(any.is_open());
  BOOST_TEST(any.non_blocking());
  BOOST_TEST(any.native_handle() == handle);
  any.non_blocking(false);
  char byte;
  reports(error::eof, [&](auto&... ec) { asio::read(server, asio::buffer(&byte, 1), ec...); });
  any.connect(acceptor.local_endpoint());
  auto second_server = acceptor.accept();
  check_carries(second_server, any);

  // The source serves again.
  opened.connect(acceptor.local_endpoint());
  auto third_server = acceptor.accept();
  check_carries(opened, third_server);

  any = plain_socket<Protocol>(context);
  BOOST_TEST(!any.is_open());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(connected_with_data_and_end_pending, Protocol, transports)
{
  asio::io_context context;
  const pattern bytes(3);
  const auto sent = bytes.bytes(10'000);
  plain_pair<Protocol> pair(context);
  asio::write(pair.server, asio::buffer(sent));
  asio::write(pair.client, asio::buffer(sent, 100));
  std::vector<unsigned char> got(sent.size());
  asio::read(pair.client, asio::buffer(got, 3000));

  typename Protocol::socket any(std::move(pair.client));
  BOOST_TEST(!pair.client.is_open());
  asio::write(any, asio::buffer(sent.data() + 100, 100));
  asio::read(any, asio::buffer(got.data() + 3000, 7000));
  BOOST_TEST(bytes.matches(got));
  asio::read(pair.server, asio::buffer(got, 200));
  BOOST_TEST(bytes.matches(got.data(), 200));

  // The last bytes and the end of the stream follow a move too.
  plain_pair<Protocol> ended(context);
  asio::write(ended.server, asio::buffer("end", 3));
  ended.server.shutdown(base::shutdown_send);
  any = std::move(ended.client);
  error_code ec;
  BOOST_TEST(asio::read(any, asio::buffer(got), ec) == 3u);
  BOOST_TEST(ec == error::eof);
  check_carries(any, ended.server);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(pending_operations_follow, Protocol, transports)
{
  asio::io_context context;
  plain_pair<Protocol> pair(context);
  plain_pair<Protocol> replaced(context);
  std::array<char, 8> data{};
  std::array<char, 8> old_data{};
  completion read;
  completion wait;
  completion aborted;
  pair.client.async_wait(base::wait_read, wait.handler());
  pair.client.async_read_some(asio::buffer(data), read.handler());
  typename Protocol::socket any(std::move(replaced.client));
  any.async_read_some(asio::buffer(old_data), aborted.handler());
  run_ready(context);
  BOOST_TEST(read.calls + wait.calls + aborted.calls == 0);

  any = std::move(pair.client);
  run_until(context, [&] { return aborted.done(); });
  BOOST_TEST(aborted.ec == error::operation_aborted);
  BOOST_TEST(read.calls == 0);
  asio::write(pair.server, asio::buffer("followed", 8));
  run_until(context, [&] { return read.done() && wait.done(); });
  BOOST_TEST(!read.ec);
  BOOST_TEST(!wait.ec);
  BOOST_TEST(std::string(data.data(), read.bytes) == "followed");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(listeners_with_clients_waiting, Protocol, transports)
{
  asio::io_context context;
  plain_acceptor<Protocol> plain(context, loopback<Protocol>());
  const auto endpoint = plain.local_endpoint();
  typename Protocol::socket early(context);
  early.connect(endpoint);
  asio::write(early, asio::buffer("early", 5));

  typename Protocol::acceptor any(std::move(plain));
  BOOST_TEST(!plain.is_open());
  BOOST_TEST(any.local_endpoint() == endpoint);
  auto first = any.accept();
  std::string got(5, '\0');
  asio::read(first, asio::buffer(got));
  BOOST_TEST(got == "early");

  // Its place is taken by another listener, with an accept pending; this one's name is free then.
  plain_acceptor<Protocol> other(context, loopback<Protocol>());
  const auto other_endpoint = other.local_endpoint();
  completion accepted;
  std::optional<plain_socket<Protocol>> second;
  other.async_accept(
      [&](error_code ec, plain_socket<Protocol> server)
      {
        accepted.handler()(ec);
        second.emplace(std::move(server));
      });
  run_ready(context);
  any = std::move(other);
  BOOST_TEST(any.local_endpoint() == other_endpoint);
  typename Protocol::socket refused(context);
  reports(error::connection_refused, [&](auto&... ec) { refused.connect(endpoint, ec...); });
  typename Protocol::socket late(context);
  late.connect(other_endpoint);
  run_until(context, [&] { return accepted.done(); });
  BOOST_TEST(!accepted.ec);
  BOOST_TEST_REQUIRE(second.has_value());
  check_carries(late, *second);

  // The moved-from acceptors listen again.
  plain.open(endpoint.protocol());
  plain.bind(loopback<Protocol>());
  plain.listen();
  typename Protocol::socket last(context);
  last.connect(plain.local_endpoint());
  auto third = plain.accept();
  check_carries(third, last);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(between_contexts, Protocol, transports)
{
  asio::io_context first;
  asio::io_context second;
  plain_pair<Protocol> pair(first);
  std::array<char, 8> data{};
  completion read;
  pair.client.async_read_some(asio::buffer(data), read.handler());
  asio::write(pair.server, asio::buffer("first", 5));

  typename Protocol::socket target(second);
  target.open(loopback<Protocol>().protocol());
  BOOST_TEST(context_of(target) == &second);
  target = std::move(pair.client);
  BOOST_TEST(context_of(target) == &first);
  second.poll();
  BOOST_TEST(read.calls == 0);
  run_until(first, [&] { return read.done(); });
  BOOST_TEST(!read.ec);
  BOOST_TEST(std::string(data.data(), read.bytes) == "first");
  check_carries(target, pair.server);

  // And back: the object takes on whatever context comes with the connection.
  plain_pair<Protocol> elsewhere(second);
  target = std::move(elsewhere.client);
  BOOST_TEST(context_of(target) == &second);
  completion again;
  target.async_read_some(asio::buffer(data), again.handler());
  asio::write(elsewhere.server, asio::buffer("second", 6));
  run_ready(first);
  BOOST_TEST(again.calls == 0);
  run_until(second, [&] { return again.done(); });
  BOOST_TEST(std::string(data.data(), again.bytes) == "second");

  plain_acceptor<Protocol> listening(first, loopback<Protocol>());
  const auto endpoint = listening.local_endpoint();
  typename Protocol::acceptor acceptor(second, loopback<Protocol>());
  acceptor = std::move(listening);
  BOOST_TEST(context_of(acceptor) == &first);
  target.close();
  target.connect(endpoint);
  auto server = acceptor.accept();
  BOOST_TEST(context_of(server) == &first);
  check_carries(target, server);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(of_what_was_accepted_onto_another_context, Protocol, transports)
{
  asio::io_context listening;
  asio::io_context serving;
  asio::thread_pool pool(2);
  typename Protocol::acceptor acceptor(listening, loopback<Protocol>());
  std::vector<typename Protocol::socket> clients;
  std::vector<typename Protocol::socket> servers;
  const auto connect = [&]
  {
    clients.emplace_back(listening);
    clients.back().connect(acceptor.local_endpoint());
  };
  // One container for what was accepted onto executors of all types.
  connect();
  servers.emplace_back(acceptor.accept(serving));
  connect();
  servers.push_back(acceptor.accept(asio::make_strand(serving)));
  connect();
  servers.emplace_back(listening);
  servers.back() = acceptor.accept(pool.get_executor());
  connect();
  acceptor.async_accept(pool,
      [&](error_code ec, socket_on<Protocol, pool_executor> server)
      {
        BOOST_TEST(!ec);
        servers.push_back(std::move(server));
      });
  run_until(listening, [&] { return servers.size() == 4; });

  BOOST_TEST(context_of(servers[0]) == &serving);
  BOOST_TEST(context_of(servers[1]) == &serving);
  BOOST_TEST(context_of(servers[2]) == &pool);
  BOOST_TEST(context_of(servers[3]) == &pool);
  std::vector<std::string> echoes(4, std::string(4, '\0'));
  std::atomic<int> read{0};
  for (std::size_t i = 0; i != servers.size(); ++i)
  {
    asio::async_read(servers[i], asio::buffer(echoes[i]), [&](error_code ec, std::size_t) { read += !ec; });
    asio::write(clients[i], asio::buffer("echo", 4));
  }
  run_with_threads(serving, 2);
  pool.join();
  BOOST_TEST(read == 4);
  for (const auto& echo : echoes)
    BOOST_TEST(echo == "echo");
}

BOOST_AUTO_TEST_SUITE_END()
