// SPDX-License-Identifier: BSL-1.0
// Peers that are killed: what they wrote, what was pending, what they listened to.

#define BOOST_TEST_MODULE killed_peers
#include "socket_test.hpp"

#include "server_process.hpp"

#include <array>
#include <string>
#include <thread>
#include <vector>

using namespace shm::test;

namespace {
using base = asio::socket_base;
}

BOOST_FIXTURE_TEST_SUITE(killed_peers, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(what_a_killed_peer_wrote_is_read_first, Protocol, transports)
{
  using socket_type = typename Protocol::socket;
  const pattern bytes(12);
  for (const std::size_t size : {std::size_t(1), std::size_t(40'009)})
  {
    child_process server(server_process<Protocol>(
        [&](asio::io_context&, socket_type& socket, channel& parent) -> int
        {
          asio::write(socket, asio::buffer(bytes.bytes(size)));
          parent.send('w');
          sleep_until_killed();
        }));
    const auto endpoint = receive_endpoint<Protocol>(server.peer());
    asio::io_context context;
    socket_type client(context);
    client.connect(endpoint);
    BOOST_TEST(server.peer().receive<char>() == 'w');
    server.kill();

    std::vector<unsigned char> got(size + 1);
    completion read;
    asio::async_read(client, asio::buffer(got), read.handler());
    run_until(context, [&] { return read.done(); });
    BOOST_TEST(is_end(read.ec));
    BOOST_TEST(read.bytes == size);
    BOOST_TEST(bytes.matches(got.data(), read.bytes));

    error_code ec;
    wait_until(
        [&]
        {
          client.write_some(asio::buffer(got), ec);
          return ec.failed();
        });
    BOOST_TEST(is_broken(ec));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(kill_ends_pending_operations, Protocol, transports)
{
  using socket_type = typename Protocol::socket;
  for (const int threads : {1, 4})
  {
    child_process server(server_process<Protocol>(
        [](asio::io_context& context, socket_type& socket, channel& parent) -> int
        {
          // Asleep in run(), with a read pending that nothing will complete.
          completion read;
          char byte;
          socket.async_wait(base::wait_error, read.handler());
          asio::async_read(socket, asio::buffer(&byte, 1), read.handler());
          run_until(context, [&] { return read.done(); });
          parent.send(byte);
          auto guard = asio::make_work_guard(context);
          context.run();
          return 0;
        }));
    const auto endpoint = receive_endpoint<Protocol>(server.peer());
    asio::io_context context;
    auto strand = asio::make_strand(context);
    socket_type client(strand);
    client.connect(endpoint);
    asio::write(client, asio::buffer("k", 1));
    BOOST_TEST(server.peer().receive<char>() == 'k');

    completion read;
    completion written;
    std::array<char, 8> data{};
    const std::vector<char> much(32 << 20);
    asio::dispatch(strand,
        [&]
        {
          client.async_read_some(asio::buffer(data), read.handler());
          asio::async_write(client, asio::buffer(much), written.handler());
        });
    run_ready(context);
    BOOST_TEST(read.calls == 0);
    BOOST_TEST(written.calls == 0);

    std::thread killer([&] { server.kill(); });
    context.restart();
    run_with_threads(context, threads);
    killer.join();
    BOOST_TEST(read.calls == 1);
    BOOST_TEST(is_end(read.ec));
    BOOST_TEST(written.calls == 1);
    BOOST_TEST(is_broken(written.ec));
    BOOST_TEST(written.bytes < much.size());
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(kill_ends_blocking_calls, Protocol, transports)
{
  using socket_type = typename Protocol::socket;
  for (const bool reading : {true, false})
  {
    child_process server(
        server_process<Protocol>([](asio::io_context&, socket_type&, channel&) -> int { sleep_until_killed(); }));
    const auto endpoint = receive_endpoint<Protocol>(server.peer());
    asio::io_context context;
    socket_type client(context);
    client.connect(endpoint);
    std::vector<char> block(32 << 20);
    error_code ec;
    std::thread killer([&] { server.kill(); });
    if (reading)
      asio::read(client, asio::buffer(block), ec);
    else
      asio::write(client, asio::buffer(block), ec);
    killer.join();
    BOOST_TEST((reading ? is_end(ec) : is_broken(ec)));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(endpoint_of_a_killed_listener_is_free_again, Protocol, transports)
{
  child_process server(
      [listens_to = loopback<Protocol>()](channel& parent) -> int
      {
        asio::io_context context;
        typename Protocol::acceptor acceptor(context, listens_to);
        send_endpoint(parent, acceptor.local_endpoint());
        sleep_until_killed();
      });
  const auto endpoint = receive_endpoint<Protocol>(server.peer());
  asio::io_context context;
  BOOST_CHECK_EXCEPTION(typename Protocol::acceptor(context, endpoint), system_error,
      [](const system_error& e) { return e.code() == error::address_in_use; });
  server.kill();

  typename Protocol::socket refused(context);
  reports(error::connection_refused,
      [&](auto&... ec)
      {
        refused.close();
        refused.connect(endpoint, ec...);
      });
  free_endpoint(endpoint);
  typename Protocol::acceptor acceptor(context, endpoint);
  typename Protocol::socket client(context);
  client.connect(endpoint);
  auto accepted = acceptor.accept();
  asio::write(client, asio::buffer("back", 4));
  std::array<char, 4> data{};
  BOOST_TEST(asio::read(accepted, asio::buffer(data)) == 4u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(killed_client_is_eof_to_the_server, Protocol, transports)
{
  child_process client(
      [](channel& parent) -> int
      {
        const auto endpoint = receive_endpoint<Protocol>(parent);
        asio::io_context context;
        typename Protocol::socket socket(context);
        socket.connect(endpoint);
        asio::write(socket, asio::buffer("bye", 3));
        parent.send('c');
        sleep_until_killed();
      });
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  send_endpoint(client.peer(), acceptor.local_endpoint());
  BOOST_TEST(client.peer().receive<char>() == 'c');
  // Killed before anybody accepted it: its words are in the backlog.
  client.kill();
  auto server = acceptor.accept();
  std::array<char, 8> data{};
  completion read;
  asio::async_read(server, asio::buffer(data), read.handler());
  run_until(context, [&] { return read.done(); });
  BOOST_TEST(is_end(read.ec));
  BOOST_TEST(read.bytes == 3u);
  BOOST_TEST(std::string(data.data(), 3) == "bye");
}

BOOST_AUTO_TEST_SUITE_END()
