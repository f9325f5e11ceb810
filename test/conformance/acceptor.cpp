// SPDX-License-Identifier: BSL-1.0
// Listening and accepting: addresses and ports, the backlog, waiting, cancelling.

#define BOOST_TEST_MODULE acceptor
#include "socket_test.hpp"

#include <array>
#include <set>
#include <string>
#include <vector>

using namespace shm::test;

BOOST_FIXTURE_TEST_SUITE(acceptor, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(open_bind_listen_accept, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context);
  reports({},
      [&](auto&... ec)
      {
        acceptor.close();
        acceptor.open(loopback_protocol<Protocol>(), ec...);
        acceptor.set_option(typename Protocol::acceptor::reuse_address(true), ec...);
        acceptor.bind(loopback<Protocol>(), ec...);
        acceptor.listen(5, ec...);
      });
  BOOST_TEST(is_assigned(acceptor.local_endpoint()));
  typename Protocol::socket client(context);
  client.connect(acceptor.local_endpoint());
  auto server = acceptor.accept();
  check_carries_data(client, server);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(listening_twice_is_no_error, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  reports({}, [&](auto&... ec) { acceptor.listen(10, ec...); });
  typename Protocol::socket client(context);
  client.connect(acceptor.local_endpoint());
  auto server = acceptor.accept();
  check_carries_data(client, server);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(accept_without_listen_reports_invalid_argument, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback_protocol<Protocol>());
  acceptor.bind(loopback<Protocol>());
  typename Protocol::socket server(context);
  reports(error::invalid_argument, [&](auto&... ec) { acceptor.accept(server, ec...); });
  BOOST_TEST(!server.is_open());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(live_listener_makes_address_in_use, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor first(context, loopback<Protocol>());
  const auto endpoint = first.local_endpoint();
  BOOST_CHECK_EXCEPTION(typename Protocol::acceptor(context, endpoint), system_error,
      [](const system_error& e) { return e.code() == error::address_in_use; });

  // Neither attempt hurt the first listener.
  typename Protocol::socket client(context);
  client.connect(endpoint);
  auto server = first.accept();
  check_carries_data(client, server);

  first.close();
  client.close();
  server.close();
  if constexpr (differences<Protocol>::listener_leaves_its_name)
  {
    BOOST_CHECK_EXCEPTION(typename Protocol::acceptor(context, endpoint), system_error,
        [](const system_error& e) { return e.code() == error::address_in_use; });
    free_endpoint(endpoint);
  }
  typename Protocol::acceptor next(context, endpoint);
  BOOST_TEST(next.local_endpoint() == endpoint);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(port_zero_gives_each_its_own_port, Protocol, ip_transports)
{
  asio::io_context context;
  std::vector<typename Protocol::acceptor> acceptors;
  std::set<unsigned short> ports;
  for (int i = 0; i != 50; ++i)
  {
    acceptors.emplace_back(context, loopback<Protocol>());
    const auto endpoint = acceptors.back().local_endpoint();
    BOOST_TEST(endpoint.port() >= 1024);
    BOOST_CHECK(endpoint.address() == loopback<Protocol>().address());
    ports.insert(endpoint.port());
  }
  BOOST_TEST(ports.size() == acceptors.size());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(both_ends_agree_on_endpoints, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  std::vector<typename Protocol::socket> clients;
  std::vector<typename Protocol::socket> servers;
  std::set<typename Protocol::endpoint> seen;
  for (int i = 0; i != 10; ++i)
  {
    clients.emplace_back(context).connect(acceptor.local_endpoint());
    const auto& client = clients.back();
    typename Protocol::endpoint peer;
    const auto& server = servers.emplace_back(acceptor.accept(peer));
    BOOST_TEST(client.local_endpoint() == peer);
    BOOST_TEST(server.remote_endpoint() == peer);
    BOOST_TEST(server.local_endpoint() == acceptor.local_endpoint());
    BOOST_TEST(client.remote_endpoint() == acceptor.local_endpoint());
    BOOST_TEST(is_assigned(peer) == differences<Protocol>::connector_has_endpoint);
    seen.insert(peer);
  }
  BOOST_TEST(seen.size() == (differences<Protocol>::connector_has_endpoint ? clients.size() : 1u));

  typename Protocol::socket unconnected(context, loopback_protocol<Protocol>());
  reports(error::not_connected, [&](auto&... ec) { unconnected.remote_endpoint(ec...); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(wildcard_listener_is_found_by_loopback, Protocol, ip_transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, typename Protocol::endpoint(Protocol::v4(), 0));
  BOOST_TEST(acceptor.local_endpoint().address().is_unspecified());
  const auto target = loopback<Protocol>(acceptor.local_endpoint().port());
  typename Protocol::socket client(context);
  client.connect(target);
  auto server = acceptor.accept();
  check_carries_data(client, server);
  BOOST_TEST(client.remote_endpoint() == target);
  BOOST_TEST(server.local_endpoint() == target);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(ipv6_listeners, Protocol, ip_transports)
{
  asio::io_context context;
  const asio::ip::address any = asio::ip::address_v6::any();
  const asio::ip::address loop = asio::ip::address_v6::loopback();
  for (const auto& address : {loop, any})
  {
    typename Protocol::acceptor acceptor(context);
    error_code ec;
    acceptor.open(Protocol::v6());
    acceptor.bind({address, 0}, ec);
    if (ec && differences<Protocol>::ipv6_needs_the_machine)
      return;
    BOOST_TEST(!ec);
    acceptor.listen();
    typename Protocol::socket client(context);
    client.connect({loop, acceptor.local_endpoint().port()});
    typename Protocol::endpoint peer;
    auto server = acceptor.accept(peer);
    check_carries_data(client, server);
    BOOST_TEST(peer.address().is_v6());
    BOOST_TEST(peer == client.local_endpoint());
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(many_clients_before_the_first_accept, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  std::vector<typename Protocol::socket> clients;
  for (int i = 0; i != 50; ++i)
  {
    clients.emplace_back(context).connect(acceptor.local_endpoint());
    asio::write(clients.back(), asio::buffer(&i, sizeof i));
  }
  for (int i = 0; i != 50; ++i)
  {
    typename Protocol::endpoint peer;
    auto server = acceptor.accept(peer);
    int got = -1;
    asio::read(server, asio::buffer(&got, sizeof got));
    // Connections come in the order in which they were made.
    BOOST_TEST(got == i);
    BOOST_TEST(peer == clients[static_cast<std::size_t>(i)].local_endpoint());
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cancel_and_close_abort_pending_accepts, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  const auto endpoint = acceptor.local_endpoint();
  for (const bool close : {false, true})
  {
    std::array<completion, 3> results;
    typename Protocol::socket server(context);
    acceptor.async_accept(server, results[0].handler());
    acceptor.async_accept(
        [&](error_code ec, typename Protocol::socket peer)
        {
          BOOST_TEST(!peer.is_open());
          results[1].handler()(ec);
        });
    acceptor.async_wait(asio::socket_base::wait_read, results[2].handler());
    run_ready(context);
    for (const auto& result : results)
      BOOST_TEST(result.calls == 0);
    reports({}, [&](auto&... ec) { close ? (void)acceptor.close(ec...) : (void)acceptor.cancel(ec...); });
    run_out(context);
    for (const auto& result : results)
    {
      BOOST_TEST(result.calls == 1);
      BOOST_TEST(result.ec == error::operation_aborted);
    }
    BOOST_TEST(!server.is_open());
    if (!close)
    {
      // A cancelled acceptor goes on.
      typename Protocol::socket client(context);
      client.connect(endpoint);
      acceptor.accept(server);
      check_carries_data(client, server);
    }
  }
  typename Protocol::socket client(context);
  error_code ec;
  client.connect(endpoint, ec);
  BOOST_TEST(ec == error::connection_refused);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(closing_the_listener_ends_waiting_clients, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  typename Protocol::socket client(context);
  client.connect(acceptor.local_endpoint());
  completion read;
  char byte;
  client.async_read_some(asio::buffer(&byte, 1), read.handler());
  acceptor.close();
  run_until(context, [&] { return read.done(); });
  BOOST_TEST((read.ec == error::eof || read.ec == error::connection_reset));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(wait_ends_when_a_client_is_there, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  completion waited;
  acceptor.async_wait(asio::socket_base::wait_read, waited.handler());
  run_ready(context);
  BOOST_TEST(waited.calls == 0);
  typename Protocol::socket client(context);
  client.connect(acceptor.local_endpoint());
  run_until(context, [&] { return waited.done(); });
  BOOST_TEST(!waited.ec);
  reports({}, [&](auto&... ec) { acceptor.wait(asio::socket_base::wait_read, ec...); });
  // Waiting takes nothing away.
  acceptor.non_blocking(true);
  auto server = acceptor.accept();
  check_carries_data(client, server);
}

BOOST_AUTO_TEST_SUITE_END()
