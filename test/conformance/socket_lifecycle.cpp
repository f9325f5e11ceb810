// SPDX-License-Identifier: BSL-1.0
// Opening, binding, closing and reopening sockets, and what a closed one answers.

#define BOOST_TEST_MODULE socket_lifecycle
#include "socket_test.hpp"

#include <array>
#include <string>

#include <fcntl.h>

using namespace shm::test;

BOOST_FIXTURE_TEST_SUITE(socket_lifecycle, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(opens_and_closes_many_times, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::socket socket(context);
  BOOST_TEST(!socket.is_open());
  for (int i = 0; i != 50; ++i)
  {
    for (const auto& protocol : all_protocols<Protocol>())
    {
      reports({},
          [&](auto&... ec)
          {
            socket.open(protocol, ec...);
            BOOST_TEST(socket.is_open());
            socket.close();
            BOOST_TEST(!socket.is_open());
          });
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(constructors_open_and_bind, Protocol, transports)
{
  using socket_type = typename Protocol::socket;
  asio::io_context context;

  socket_type closed(context);
  BOOST_TEST(!closed.is_open());
  socket_type closed_by_executor(context.get_executor());
  BOOST_TEST(!closed_by_executor.is_open());

  socket_type open(context, loopback_protocol<Protocol>());
  BOOST_TEST(open.is_open());
  BOOST_TEST(!is_assigned(open.local_endpoint()));
  socket_type open_by_executor(context.get_executor(), all_protocols<Protocol>().back());
  BOOST_TEST(open_by_executor.is_open());

  socket_type bound(context, loopback<Protocol>());
  BOOST_TEST(bound.is_open());
  BOOST_TEST(is_assigned(bound.local_endpoint()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(second_open_reports_already_open, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::socket socket(context, loopback_protocol<Protocol>());
  reports(error::already_open, [&](auto&... ec) { socket.open(loopback_protocol<Protocol>(), ec...); });
  BOOST_TEST(socket.is_open());

  typename Protocol::acceptor acceptor(context, loopback_protocol<Protocol>());
  reports(error::already_open, [&](auto&... ec) { acceptor.open(all_protocols<Protocol>().back(), ec...); });
  BOOST_TEST(acceptor.is_open());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(connect_opens_a_closed_socket, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());

  typename Protocol::socket socket(context);
  socket.connect(acceptor.local_endpoint());
  BOOST_TEST(socket.is_open());
  acceptor.accept();

  typename Protocol::socket other(context);
  completion connected;
  other.async_connect(acceptor.local_endpoint(), connected.handler());
  run_until(context, [&] { return connected.done(); });
  BOOST_TEST(!connected.ec);
  BOOST_TEST(other.is_open());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(one_socket_object_makes_connections_in_turn, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  typename Protocol::socket client(context);
  typename Protocol::socket server(context);
  for (int i = 0; i != 20; ++i)
  {
    client.connect(acceptor.local_endpoint());
    acceptor.accept(server);
    const std::string sent = "round " + std::to_string(i);
    asio::write(client, asio::buffer(sent));
    std::string got(sent.size(), '\0');
    asio::read(server, asio::buffer(got));
    BOOST_TEST(got == sent);
    client.close();
    server.close();
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(bind_gives_the_client_its_endpoint, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  typename Protocol::socket client(context, loopback_protocol<Protocol>());
  client.bind(loopback<Protocol>());
  const auto bound = client.local_endpoint();
  BOOST_TEST(is_assigned(bound));

  client.connect(acceptor.local_endpoint());
  BOOST_TEST(client.local_endpoint() == bound);
  typename Protocol::endpoint peer;
  auto server = acceptor.accept(peer);
  BOOST_TEST(peer == bound);
  BOOST_TEST(server.remote_endpoint() == bound);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(bind_keeps_the_address, Protocol, ip_transports)
{
  asio::io_context context;
  typename Protocol::socket bound(context, loopback<Protocol>());
  BOOST_CHECK(bound.local_endpoint().address() == loopback<Protocol>().address());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(bind_refuses_what_cannot_be_bound, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  typename Protocol::socket socket(context, loopback_protocol<Protocol>());
  reports(error::address_in_use, [&](auto&... ec) { socket.bind(acceptor.local_endpoint(), ec...); });

  socket.bind(loopback<Protocol>());
  reports(error::invalid_argument, [&](auto&... ec) { socket.bind(loopback<Protocol>(), ec...); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(closed_socket_reports_bad_descriptor, Protocol, transports)
{
  using socket_type = typename Protocol::socket;
  asio::io_context context;
  socket_type s(context);
  std::array<char, 8> data{};
  const auto buffer = asio::buffer(data);
  const auto bad = [](auto call) { reports(error::bad_descriptor, call); };

  bad([&](auto&... ec) { s.read_some(buffer, ec...); });
  bad([&](auto&... ec) { s.write_some(buffer, ec...); });
  bad([&](auto&... ec) { s.receive(buffer, 0, ec...); });
  bad([&](auto&... ec) { s.send(buffer, 0, ec...); });
  bad([&](auto&... ec) { s.shutdown(socket_type::shutdown_both, ec...); });
  bad([&](auto&... ec) { s.cancel(ec...); });
  bad([&](auto&... ec) { s.available(ec...); });
  bad([&](auto&... ec) { s.at_mark(ec...); });
  bad([&](auto&... ec) { s.local_endpoint(ec...); });
  bad([&](auto&... ec) { s.remote_endpoint(ec...); });
  bad([&](auto&... ec) { s.bind(loopback<Protocol>(), ec...); });
  bad([&](auto&... ec) { s.wait(socket_type::wait_read, ec...); });
  bad([&](auto&... ec) { s.wait(socket_type::wait_write, ec...); });
  bad([&](auto&... ec) { s.non_blocking(true, ec...); });
  bad([&](auto&... ec) { s.native_non_blocking(true, ec...); });
  bad([&](auto&... ec) { s.release(ec...); });
  // Closing what is closed is no error.
  reports({}, [&](auto&... ec) { s.close(ec...); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(closed_acceptor_reports_bad_descriptor, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor a(context);
  typename Protocol::socket peer(context);
  const auto bad = [](auto call) { reports(error::bad_descriptor, call); };

  bad([&](auto&... ec) { a.bind(loopback<Protocol>(), ec...); });
  bad([&](auto&... ec) { a.listen(asio::socket_base::max_listen_connections, ec...); });
  bad([&](auto&... ec) { a.accept(peer, ec...); });
  bad([&](auto&... ec) { a.local_endpoint(ec...); });
  bad([&](auto&... ec) { a.cancel(ec...); });
  bad([&](auto&... ec) { a.non_blocking(true, ec...); });
  bad([&](auto&... ec) { a.wait(asio::socket_base::wait_read, ec...); });
  bad([&](auto&... ec) { a.release(ec...); });
  reports({}, [&](auto&... ec) { a.close(ec...); });
  BOOST_TEST(!peer.is_open());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(closed_socket_reports_to_handlers_too, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::socket socket(context);
  typename Protocol::acceptor acceptor(context);
  std::array<char, 8> data{};
  std::array<completion, 6> results;
  socket.async_read_some(asio::buffer(data), results[0].handler());
  socket.async_write_some(asio::buffer(data), results[1].handler());
  socket.async_receive(asio::buffer(data), 0, results[2].handler());
  socket.async_send(asio::buffer(data), 0, results[3].handler());
  socket.async_wait(asio::socket_base::wait_read, results[4].handler());
  acceptor.async_accept(
      [&](error_code ec, typename Protocol::socket peer)
      {
        BOOST_TEST(!peer.is_open());
        results[5].handler()(ec);
      });
  for (const auto& result : results)
    BOOST_TEST(result.calls == 0);
  run_out(context);
  for (const auto& result : results)
  {
    BOOST_TEST(result.calls == 1);
    BOOST_TEST(result.ec == error::bad_descriptor);
    BOOST_TEST(result.bytes == 0u);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(native_handle_is_a_descriptor_while_open, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::socket socket(context);
  BOOST_TEST(socket.native_handle() == -1);
  socket.open(loopback_protocol<Protocol>());
  BOOST_TEST(socket.native_handle() >= 0);
  BOOST_TEST(::fcntl(socket.native_handle(), F_GETFD) >= 0);
  socket.close();
  BOOST_TEST(socket.native_handle() == -1);

  connected_pair<Protocol> pair(context);
  BOOST_TEST(pair.client.native_handle() >= 0);
  BOOST_TEST(pair.server.native_handle() >= 0);
  BOOST_TEST(pair.client.native_handle() != pair.server.native_handle());
}

BOOST_AUTO_TEST_SUITE_END()
