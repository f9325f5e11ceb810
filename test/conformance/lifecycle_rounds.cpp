// SPDX-License-Identifier: BSL-1.0
// The same objects for hundreds of connections: close, then opened again by the next connect and accept.

#define BOOST_TEST_MODULE lifecycle_rounds
#include "socket_test.hpp"

#include <cstddef>
#include <filesystem>
#include <string>

using namespace shm::test;

namespace {

constexpr int rounds = 300;

std::size_t open_descriptors()
{
  std::size_t count = 0;
  for (const auto& each : std::filesystem::directory_iterator("/proc/self/fd"))
    count += !each.path().empty();
  return count;
}

/// One listener, one client and one server object for all rounds.
template <class Protocol>
struct rounds_fixture
{
  asio::io_context context;
  typename Protocol::acceptor acceptor{context, loopback<Protocol>()};
  typename Protocol::endpoint target = acceptor.local_endpoint();
  typename Protocol::socket client{context};
  typename Protocol::socket server{context};
  typename Protocol::endpoint peer;

  void check_and_close(int round)
  {
    BOOST_TEST_REQUIRE(client.is_open());
    BOOST_TEST_REQUIRE(server.is_open());
    if constexpr (differences<Protocol>::connector_has_endpoint)
    {
      BOOST_TEST(client.local_endpoint().port() == peer.port());
      BOOST_TEST(server.remote_endpoint().port() == peer.port());
      BOOST_TEST(server.local_endpoint().port() == target.port());
    }
    BOOST_TEST(client.remote_endpoint() == target);
    exchange(client, server, "there " + std::to_string(round));
    exchange(server, client, "back " + std::to_string(round));
    const bool client_first = round % 2 == 0;
    (client_first ? client : server).close();
    (client_first ? server : client).close();
    BOOST_TEST(!client.is_open());
    BOOST_TEST(!server.is_open());
  }

  template <class Socket>
  static void exchange(Socket& from, Socket& to, const std::string& text)
  {
    asio::write(from, asio::buffer(text));
    std::string got(text.size(), '\0');
    asio::read(to, asio::buffer(got));
    BOOST_TEST(got == text);
  }

  /// Runs the rounds and checks that no descriptor is lost on the way.
  template <class Round>
  void run(Round round)
  {
    std::size_t after_the_first = 0;
    for (int i = 0; i != rounds; ++i)
    {
      peer = typename Protocol::endpoint();
      round(i);
      check_and_close(i);
      if (i == 0)
        after_the_first = open_descriptors();
    }
    BOOST_TEST(open_descriptors() == after_the_first);
  }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(lifecycle_rounds, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(connect_then_accept_in_one_thread, Protocol, transports)
{
  rounds_fixture<Protocol> f;
  f.run(
      [&](int)
      {
        f.client.connect(f.target);
        f.acceptor.accept(f.server, f.peer);
      });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(asynchronous_connect_and_accept, Protocol, transports)
{
  rounds_fixture<Protocol> f;
  f.run(
      [&](int round)
      {
        completion accepted;
        completion connected;
        if (round % 3 != 0)
          f.acceptor.async_accept(f.server, f.peer, accepted.handler());
        f.client.async_connect(f.target, connected.handler());
        if (round % 3 == 0)
          f.acceptor.async_accept(f.server, f.peer, accepted.handler());
        run_out(f.context);
        BOOST_TEST(!accepted.ec);
        BOOST_TEST(!connected.ec);
        BOOST_TEST(accepted.calls == 1);
        BOOST_TEST(connected.calls == 1);
      });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(blocking_and_asynchronous_in_turn, Protocol, transports)
{
  rounds_fixture<Protocol> f;
  f.run(
      [&](int round)
      {
        completion done;
        if (round % 2 == 0)
        {
          f.acceptor.async_accept(f.server, f.peer, done.handler());
          f.client.connect(f.target);
        }
        else
        {
          f.client.async_connect(f.target, done.handler());
          f.acceptor.accept(f.server, f.peer);
        }
        run_out(f.context);
        BOOST_TEST(!done.ec);
        BOOST_TEST(done.calls == 1);
      });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(closed_with_reads_pending, Protocol, transports)
{
  rounds_fixture<Protocol> f;
  char byte = 0;
  char peer_byte = 0;
  f.run(
      [&](int round)
      {
        // A connection that ends with its operations pending leaves nothing behind for the next one.
        f.client.connect(f.target);
        f.acceptor.accept(f.server, f.peer);
        completion read;
        completion peer_read;
        f.client.async_read_some(asio::buffer(&byte, 1), read.handler());
        f.server.async_read_some(asio::buffer(&peer_byte, 1), peer_read.handler());
        if (round % 2 != 0)
          run_ready(f.context);
        f.client.close();
        f.server.close();
        run_out(f.context);
        BOOST_TEST(read.ec == error::operation_aborted);
        BOOST_TEST(peer_read.calls == 1);

        f.client.connect(f.target);
        f.acceptor.accept(f.server, f.peer);
      });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(listener_opens_again_at_its_endpoint, Protocol, transports)
{
  rounds_fixture<Protocol> f;
  f.run(
      [&](int)
      {
        f.acceptor.close();
        free_endpoint(f.target);
        f.acceptor.open(f.target.protocol());
        f.acceptor.set_option(asio::socket_base::reuse_address(true));
        f.acceptor.bind(f.target);
        f.acceptor.listen();
        BOOST_TEST(f.acceptor.local_endpoint() == f.target);
        f.client.connect(f.target);
        f.acceptor.accept(f.server, f.peer);
      });
}

BOOST_AUTO_TEST_SUITE_END()
