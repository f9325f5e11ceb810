// SPDX-License-Identifier: BSL-1.0
// Every overload of accept and async_accept.

#define BOOST_TEST_MODULE accept_overloads
#include "socket_test.hpp"

#include <optional>
#include <string>
#include <type_traits>
#include <utility>

using namespace shm::test;

namespace {

template <class Protocol>
struct listener
{
  asio::io_context context;
  asio::io_context other;
  typename Protocol::acceptor acceptor{context, loopback<Protocol>()};

  typename Protocol::socket connect()
  {
    typename Protocol::socket client(context);
    client.connect(acceptor.local_endpoint());
    return client;
  }

  template <class Socket>
  void check(typename Protocol::socket& client, Socket& server, const typename Protocol::endpoint* peer = nullptr)
  {
    BOOST_TEST(server.is_open());
    BOOST_TEST(server.remote_endpoint() == client.local_endpoint());
    if (peer)
      BOOST_TEST(*peer == client.local_endpoint());
    const std::string sent = "hello";
    std::string got(sent.size(), '\0');
    asio::write(client, asio::buffer(sent));
    asio::read(server, asio::buffer(got));
    BOOST_TEST(got == sent);
    asio::write(server, asio::buffer(sent));
    asio::read(client, asio::buffer(got));
    BOOST_TEST(got == sent);
  }

  /// The accepted socket does its asynchronous work in the context asked for.
  template <class Socket>
  void check_runs_in(asio::io_context& expected, typename Protocol::socket& client, Socket& server)
  {
    char byte = 0;
    completion read;
    server.async_read_some(asio::buffer(&byte, 1), read.handler());
    asio::write(client, asio::buffer("z", 1));
    run_until(expected, [&] { return read.done(); });
    BOOST_TEST(!read.ec);
    BOOST_TEST(byte == 'z');
  }
};

/// Starts an accept by calling `start` with a handler, then connects, and gives both
/// ends to `check`.
template <class Socket, class Protocol, class Start, class Check>
void accept_later(listener<Protocol>& on, Start start, Check check)
{
  completion accepted;
  std::optional<Socket> server;
  start(
      [&](error_code ec, Socket peer)
      {
        accepted.handler()(ec);
        server.emplace(std::move(peer));
      });
  run_ready(on.context);
  BOOST_TEST(accepted.calls == 0);
  auto client = on.connect();
  run_until(on.context, [&] { return accepted.done(); });
  BOOST_TEST(!accepted.ec);
  BOOST_TEST_REQUIRE(server.has_value());
  check(client, *server);
}

template <class Protocol>
using plain_socket = asio::basic_stream_socket<Protocol, asio::io_context::executor_type>;
using strand_type = asio::strand<asio::io_context::executor_type>;
template <class Protocol>
using strand_socket = asio::basic_stream_socket<Protocol, strand_type>;

} // namespace

BOOST_FIXTURE_TEST_SUITE(accept_overloads, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(into_a_given_socket, Protocol, transports)
{
  listener<Protocol> on;
  typename Protocol::endpoint peer;
  reports({},
      [&](auto&... ec)
      {
        auto client = on.connect();
        typename Protocol::socket server(on.context);
        on.acceptor.accept(server, ec...);
        on.check(client, server);
      });
  reports({},
      [&](auto&... ec)
      {
        auto client = on.connect();
        typename Protocol::socket server(on.context);
        on.acceptor.accept(server, peer, ec...);
        on.check(client, server, &peer);
      });
  reports({},
      [&](auto&... ec)
      {
        // A socket of another executor type and another context.
        auto client = on.connect();
        plain_socket<Protocol> server(on.other);
        on.acceptor.accept(server, ec...);
        on.check(client, server);
        on.check_runs_in(on.other, client, server);
      });

  for (const bool with_endpoint : {false, true})
  {
    typename Protocol::socket server(on.context);
    completion accepted;
    if (with_endpoint)
      on.acceptor.async_accept(server, peer, accepted.handler());
    else
      on.acceptor.async_accept(server, accepted.handler());
    run_ready(on.context);
    BOOST_TEST(accepted.calls == 0);
    auto client = on.connect();
    run_until(on.context, [&] { return accepted.done(); });
    BOOST_TEST(!accepted.ec);
    on.check(client, server, with_endpoint ? &peer : nullptr);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(into_a_socket_of_another_context, Protocol, transports)
{
  listener<Protocol> on;
  plain_socket<Protocol> server(on.other);
  completion accepted;
  on.acceptor.async_accept(server, accepted.handler());
  auto client = on.connect();
  run_until(on.context, [&] { return accepted.done(); });
  BOOST_TEST(!accepted.ec);
  on.check(client, server);
  on.check_runs_in(on.other, client, server);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(into_an_open_socket_reports_already_open, Protocol, transports)
{
  listener<Protocol> on;
  typename Protocol::socket open(on.context, loopback_protocol<Protocol>());
  auto client = on.connect();
  reports(error::already_open, [&](auto&... ec) { on.acceptor.accept(open, ec...); });
  completion accepted;
  on.acceptor.async_accept(open, accepted.handler());
  BOOST_TEST(accepted.calls == 0);
  run_until(on.context, [&] { return accepted.done(); });
  BOOST_TEST(accepted.ec == error::already_open);

  // The client was not lost over it.
  auto server = on.acceptor.accept();
  on.check(client, server);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(returning_a_socket, Protocol, transports)
{
  listener<Protocol> on;
  typename Protocol::endpoint peer;
  reports({},
      [&](auto&... ec)
      {
        auto client = on.connect();
        auto server = on.acceptor.accept(ec...);
        static_assert(std::is_same_v<decltype(server), typename Protocol::socket>);
        on.check(client, server);
      });
  reports({},
      [&](auto&... ec)
      {
        auto client = on.connect();
        auto server = on.acceptor.accept(peer, ec...);
        on.check(client, server, &peer);
      });
  using socket_type = typename Protocol::socket;
  accept_later<socket_type>(
      on, [&](auto handler) { on.acceptor.async_accept(handler); },
      [&](auto& client, auto& server) { on.check(client, server); });
  accept_later<socket_type>(
      on, [&](auto handler) { on.acceptor.async_accept(peer, handler); },
      [&](auto& client, auto& server) { on.check(client, server, &peer); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(onto_another_context, Protocol, transports)
{
  listener<Protocol> on;
  typename Protocol::endpoint peer;
  const auto check = [&](auto& client, auto& server)
  {
    static_assert(std::is_same_v<std::decay_t<decltype(server)>, plain_socket<Protocol>>);
    on.check(client, server);
    on.check_runs_in(on.other, client, server);
  };
  reports({},
      [&](auto&... ec)
      {
        auto client = on.connect();
        auto server = on.acceptor.accept(on.other, ec...);
        check(client, server);
      });
  reports({},
      [&](auto&... ec)
      {
        auto client = on.connect();
        auto server = on.acceptor.accept(on.other, peer, ec...);
        BOOST_TEST(peer == client.local_endpoint());
        check(client, server);
      });
  accept_later<plain_socket<Protocol>>(
      on, [&](auto handler) { on.acceptor.async_accept(on.other, handler); }, check);
  accept_later<plain_socket<Protocol>>(
      on, [&](auto handler) { on.acceptor.async_accept(on.other, peer, handler); },
      [&](auto& client, auto& server)
      {
        BOOST_TEST(peer == client.local_endpoint());
        check(client, server);
      });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(onto_another_executor, Protocol, transports)
{
  listener<Protocol> on;
  const auto strand = asio::make_strand(on.other);
  typename Protocol::endpoint peer;
  const auto check = [&](auto& client, auto& server)
  {
    static_assert(std::is_same_v<std::decay_t<decltype(server)>, strand_socket<Protocol>>);
    BOOST_CHECK(server.get_executor() == strand);
    on.check(client, server);
    on.check_runs_in(on.other, client, server);
  };
  reports({},
      [&](auto&... ec)
      {
        auto client = on.connect();
        auto server = on.acceptor.accept(strand, ec...);
        check(client, server);
      });
  {
    auto client = on.connect();
    auto server = on.acceptor.accept(strand, peer);
    BOOST_TEST(peer == client.local_endpoint());
    check(client, server);
  }
  accept_later<strand_socket<Protocol>>(
      on, [&](auto handler) { on.acceptor.async_accept(strand, handler); }, check);
  accept_later<strand_socket<Protocol>>(
      on, [&](auto handler) { on.acceptor.async_accept(strand, peer, handler); },
      [&](auto& client, auto& server)
      {
        BOOST_TEST(peer == client.local_endpoint());
        check(client, server);
      });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(several_accepts_pending_at_once, Protocol, transports)
{
  listener<Protocol> on;
  int accepted = 0;
  for (int i = 0; i != 5; ++i)
  {
    on.acceptor.async_accept(
        [&](error_code ec, typename Protocol::socket server)
        {
          BOOST_TEST(!ec);
          BOOST_TEST(server.is_open());
          ++accepted;
        });
  }
  for (int i = 0; i != 5; ++i)
  {
    auto client = on.connect();
    run_until(on.context, [&] { return accepted == i + 1; });
    run_ready(on.context);
    BOOST_TEST(accepted == i + 1);
  }
}

BOOST_AUTO_TEST_SUITE_END()
