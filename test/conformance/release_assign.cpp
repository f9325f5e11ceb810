// SPDX-License-Identifier: BSL-1.0
// Taking descriptors out of sockets and acceptors and putting them into others.

#define BOOST_TEST_MODULE release_assign
#include "socket_test.hpp"

#include <string>

using namespace shm::test;

BOOST_FIXTURE_TEST_SUITE(release_assign, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(release_of_a_connection, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  if constexpr (differences<Protocol>::release_of_connected_socket)
  {
    const auto descriptor = pair.client.release();
    BOOST_TEST(!pair.client.is_open());
    typename Protocol::socket adopted(context, loopback_protocol<Protocol>(), descriptor);
    check_carries_data(adopted, pair.server);
  }
  else
  {
    // A descriptor alone is not the connection: its memory would be lost.
    reports(error::operation_not_supported, [&](auto&... ec) { pair.client.release(ec...); });
    BOOST_TEST(pair.client.is_open());
    check_carries_data(pair.client, pair.server);
    check_carries_data(pair.server, pair.client);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(assign_to_an_open_socket_reports_already_open, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  reports(error::already_open,
      [&](auto&... ec) { pair.client.assign(loopback_protocol<Protocol>(), pair.server.native_handle(), ec...); });
  check_carries_data(pair.client, pair.server);

  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  typename Protocol::acceptor other(context, loopback<Protocol>());
  reports(error::already_open, [&](auto&... ec) { other.assign(loopback_protocol<Protocol>(), acceptor.native_handle(), ec...); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(listening_descriptor_moves_to_another_acceptor, Protocol, transports)
{
  using acceptor_type = typename Protocol::acceptor;
  asio::io_context context;
  acceptor_type first(context, loopback<Protocol>());
  const auto endpoint = first.local_endpoint();
  typename Protocol::socket early(context);
  early.connect(endpoint);

  const auto descriptor = first.release();
  BOOST_TEST(descriptor >= 0);
  BOOST_TEST(!first.is_open());

  acceptor_type second(context);
  second.assign(endpoint.protocol(), descriptor);
  BOOST_TEST(second.is_open());
  BOOST_TEST(second.local_endpoint() == endpoint);

  auto early_server = second.accept();
  check_carries_data(early, early_server);

  typename Protocol::socket late(context);
  late.connect(endpoint);
  completion accepted;
  typename Protocol::socket late_server(context);
  second.async_accept(late_server, accepted.handler());
  run_until(context, [&] { return accepted.done(); });
  BOOST_TEST(!accepted.ec);
  check_carries_data(late, late_server);

  acceptor_type third(context, endpoint.protocol(), second.release());
  BOOST_TEST(third.local_endpoint() == endpoint);
  third.close();
  typename Protocol::socket refused(context);
  reports(error::connection_refused,
      [&](auto&... ec)
      {
        refused.close();
        refused.connect(endpoint, ec...);
      });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(release_ends_a_pending_accept, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor first(context, loopback<Protocol>());
  completion accepted;
  typename Protocol::socket server(context);
  first.async_accept(server, accepted.handler());
  context.poll();
  BOOST_TEST(accepted.calls == 0);

  typename Protocol::acceptor second(context, loopback_protocol<Protocol>(), first.release());
  run_until(context, [&] { return accepted.done(); });
  BOOST_TEST(accepted.ec == error::operation_aborted);

  typename Protocol::socket client(context);
  client.connect(second.local_endpoint());
  second.accept(server);
  check_carries_data(client, server);
}

BOOST_AUTO_TEST_SUITE_END()
