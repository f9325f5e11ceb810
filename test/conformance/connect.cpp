// SPDX-License-Identifier: BSL-1.0
// Connecting: to endpoints, over resolver results, refused, cancelled.

#define BOOST_TEST_MODULE connect
#include "socket_test.hpp"

#include <array>
#include <string>
#include <vector>

using namespace shm::test;

namespace {

/// An endpoint that nobody listens to: one that was free a moment ago.
template <class Protocol>
typename Protocol::endpoint unused_endpoint(asio::io_context& context)
{
  return typename Protocol::acceptor(context, loopback<Protocol>()).local_endpoint();
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(connecting, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(all_three_forms, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  typename Protocol::socket client(context);
  reports({},
      [&](auto&... ec)
      {
        client.close();
        client.connect(acceptor.local_endpoint(), ec...);
        auto server = acceptor.accept();
        check_carries_data(client, server);
        check_carries_data(server, client);
      });

  client.close();
  completion connected;
  client.async_connect(acceptor.local_endpoint(), connected.handler());
  BOOST_TEST(connected.calls == 0);
  run_until(context, [&] { return connected.done(); });
  BOOST_TEST(!connected.ec);
  auto server = acceptor.accept();
  check_carries_data(client, server);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(data_may_be_written_before_the_accept, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  typename Protocol::socket client(context);
  client.connect(acceptor.local_endpoint());
  asio::write(client, asio::buffer("early", 5));
  auto server = acceptor.accept();
  std::string got(5, '\0');
  asio::read(server, asio::buffer(got));
  BOOST_TEST(got == "early");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(client_may_be_gone_before_the_accept, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  {
    typename Protocol::socket client(context);
    client.connect(acceptor.local_endpoint());
    asio::write(client, asio::buffer("gone", 4));
  }
  auto server = acceptor.accept();
  std::string got;
  error_code ec;
  asio::read(server, asio::dynamic_buffer(got), ec);
  BOOST_TEST(got == "gone");
  BOOST_TEST(ec == error::eof);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(nobody_listens_is_connection_refused, Protocol, transports)
{
  asio::io_context context;
  const auto endpoint = unused_endpoint<Protocol>(context);
  typename Protocol::socket socket(context);
  reports(error::connection_refused,
      [&](auto&... ec)
      {
        socket.close();
        socket.connect(endpoint, ec...);
      });
  socket.close();
  completion connected;
  socket.async_connect(endpoint, connected.handler());
  run_until(context, [&] { return connected.done(); });
  BOOST_TEST(connected.ec == error::connection_refused);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(bound_but_not_listening_is_connection_refused, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback_protocol<Protocol>());
  acceptor.bind(loopback<Protocol>());
  typename Protocol::socket socket(context);
  reports(error::connection_refused,
      [&](auto&... ec)
      {
        socket.close();
        socket.connect(acceptor.local_endpoint(), ec...);
      });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(refused_endpoint_works_once_somebody_listens, Protocol, transports)
{
  asio::io_context context;
  const auto endpoint = unused_endpoint<Protocol>(context);
  typename Protocol::socket socket(context);
  error_code ec;
  socket.connect(endpoint, ec);
  BOOST_TEST(ec == error::connection_refused);

  free_endpoint(endpoint);
  typename Protocol::acceptor acceptor(context, endpoint);
  // The same socket, as it is after the refusal.
  socket.connect(endpoint, ec);
  BOOST_TEST(!ec);
  auto server = acceptor.accept();
  check_carries_data(socket, server);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(connected_socket_reports_already_connected, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  connected_pair<Protocol> pair(context);
  reports(error::already_connected, [&](auto&... ec) { pair.client.connect(acceptor.local_endpoint(), ec...); });
  reports(error::already_connected, [&](auto&... ec) { pair.server.connect(acceptor.local_endpoint(), ec...); });
  completion connected;
  pair.client.async_connect(acceptor.local_endpoint(), connected.handler());
  run_until(context, [&] { return connected.done(); });
  BOOST_TEST(connected.ec == error::already_connected);
  check_carries_data(pair.client, pair.server);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(over_resolver_results, Protocol, ip_transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  const auto port = std::to_string(acceptor.local_endpoint().port());
  typename Protocol::resolver resolver(context);
  const auto results = resolver.resolve("127.0.0.1", port);
  BOOST_TEST_REQUIRE(!results.empty());
  BOOST_TEST(results.begin()->endpoint() == acceptor.local_endpoint());

  typename Protocol::socket socket(context);
  reports({},
      [&](auto&... ec)
      {
        socket.close();
        BOOST_TEST(asio::connect(socket, results, ec...) == acceptor.local_endpoint());
        auto server = acceptor.accept();
        check_carries_data(socket, server);
      });

  socket.close();
  completion connected;
  resolver.async_resolve("127.0.0.1", port,
      [&](error_code ec, typename Protocol::resolver::results_type found)
      {
        BOOST_TEST(!ec);
        asio::async_connect(socket, found,
            [&](error_code result, const typename Protocol::endpoint& endpoint)
            {
              BOOST_TEST(endpoint == acceptor.local_endpoint());
              connected.handler()(result);
            });
      });
  run_until(context, [&] { return connected.done(); });
  BOOST_TEST(!connected.ec);
  auto server = acceptor.accept();
  check_carries_data(socket, server);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(next_endpoint_is_tried_after_a_refusal, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  const auto good = acceptor.local_endpoint();
  const auto bad = unused_endpoint<Protocol>(context);
  const std::vector<typename Protocol::endpoint> endpoints{bad, bad, good, bad};

  typename Protocol::socket socket(context);
  BOOST_TEST(asio::connect(socket, endpoints) == good);
  auto server = acceptor.accept();
  check_carries_data(socket, server);

  socket.close();
  completion connected;
  asio::async_connect(socket, endpoints,
      [&](error_code ec, const typename Protocol::endpoint& endpoint)
      {
        BOOST_TEST(endpoint == good);
        connected.handler()(ec);
      });
  run_until(context, [&] { return connected.done(); });
  BOOST_TEST(!connected.ec);

  const std::vector<typename Protocol::endpoint> all_bad{bad, bad};
  typename Protocol::socket refused(context);
  reports(error::connection_refused, [&](auto&... ec) { asio::connect(refused, all_bad, ec...); });
  const std::vector<typename Protocol::endpoint> none;
  reports(error::not_found, [&](auto&... ec) { asio::connect(refused, none, ec...); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cancel_of_connects_that_may_be_pending, Protocol, transports)
{
  asio::io_context context;
  // A short backlog, so that not all of them find room.
  typename Protocol::acceptor acceptor(context, loopback_protocol<Protocol>());
  acceptor.bind(loopback<Protocol>());
  acceptor.listen(0);
  std::vector<typename Protocol::socket> sockets;
  std::array<completion, 16> results;
  for (auto& result : results)
  {
    sockets.emplace_back(context).async_connect(acceptor.local_endpoint(), result.handler());
  }
  run_ready(context);
  for (auto& socket : sockets)
    socket.cancel();
  run_out(context);
  for (const auto& result : results)
  {
    BOOST_TEST(result.calls == 1);
    const bool full = differences<Protocol>::full_backlog_fails_connect && result.ec == error::no_buffer_space;
    BOOST_TEST((!result.ec || result.ec == error::operation_aborted || full));
  }

  // After a close each of them is as good as new.
  typename Protocol::acceptor other(context, loopback<Protocol>());
  for (auto& socket : sockets)
  {
    socket.close();
    socket.connect(other.local_endpoint());
    auto server = other.accept();
    check_carries_data(socket, server);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(close_ends_a_connect_that_may_be_pending, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  typename Protocol::socket socket(context);
  completion connected;
  socket.async_connect(acceptor.local_endpoint(), connected.handler());
  socket.close();
  run_out(context);
  BOOST_TEST(connected.calls == 1);
  BOOST_TEST((!connected.ec || connected.ec == error::operation_aborted));
  BOOST_TEST(!socket.is_open());
}

BOOST_AUTO_TEST_SUITE_END()
