// SPDX-License-Identifier: BSL-1.0
// Which names reach a listener, and when its endpoint is taken and when it is free again.

#define BOOST_TEST_MODULE listener_addresses
#include "socket_test.hpp"

#include "server_process.hpp"

#include <string>

#include <unistd.h>

using namespace shm::test;

namespace {

enum class how_it_ends
{
  orderly, // all objects are destroyed
  exit,    // nothing is destroyed
  kill
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(listener_addresses, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(localhost_and_loopback_reach_every_listener, Protocol, ip_transports)
{
  for (const char* address : {"127.0.0.1", "0.0.0.0", "::"})
    BOOST_TEST_CONTEXT("listening on " << address)
    {
      asio::io_context context;
      typename Protocol::acceptor acceptor(context);
      const typename Protocol::endpoint wanted(asio::ip::make_address(address), 0);
      error_code ec;
      acceptor.open(wanted.protocol(), ec);
      if (!ec)
        acceptor.bind(wanted, ec);
      if (differences<Protocol>::ipv6_needs_the_machine && ec && wanted.address().is_v6())
        continue;
      BOOST_TEST_REQUIRE(!ec);
      acceptor.listen();
      const auto port = acceptor.local_endpoint().port();

      typename Protocol::resolver resolver(context);
      for (const char* name : {"127.0.0.1", "localhost"})
      {
        typename Protocol::socket client(context);
        asio::connect(client, resolver.resolve(name, std::to_string(port)));
        auto server = acceptor.accept();
        check_carries_data(client, server);
        check_carries_data(server, client);
        BOOST_TEST(client.remote_endpoint().address().is_loopback());
        BOOST_TEST(client.remote_endpoint().port() == port);
      }
      typename Protocol::socket direct(context);
      direct.connect(loopback<Protocol>(port));
      auto server = acceptor.accept();
      check_carries_data(direct, server);
      BOOST_TEST(server.remote_endpoint().port() == direct.local_endpoint().port());
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(second_listener_finds_the_address_in_use, Protocol, transports)
{
  using acceptor_type = typename Protocol::acceptor;
  asio::io_context context;
  acceptor_type first(context, loopback<Protocol>());
  const auto endpoint = first.local_endpoint();

  acceptor_type second(context, endpoint.protocol());
  reports(error::address_in_use, [&](auto&... ec) { second.bind(endpoint, ec...); });
  for (const bool reuse : {false, true})
    BOOST_CHECK_EXCEPTION(acceptor_type(context, endpoint, reuse), system_error,
        [](const system_error& e) { return e.code() == error::address_in_use; });
  asio::io_context other;
  BOOST_CHECK_EXCEPTION(acceptor_type(other.get_executor(), endpoint), system_error,
      [](const system_error& e) { return e.code() == error::address_in_use; });

  // The first one is none the worse for it.
  typename Protocol::socket client(context);
  client.connect(endpoint);
  auto server = first.accept();
  check_carries_data(client, server);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(wildcard_finds_the_port_in_use, Protocol, ip_transports)
{
  asio::io_context context;
  typename Protocol::acceptor first(context, {Protocol::v4(), 0});
  const auto port = first.local_endpoint().port();
  typename Protocol::acceptor second(context, Protocol::v4());
  reports(error::address_in_use, [&](auto&... ec) { second.bind({Protocol::v4(), port}, ec...); });
  reports(error::address_in_use, [&](auto&... ec) { second.bind(loopback<Protocol>(port), ec...); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(endpoint_is_free_at_once_however_the_listener_ended, Protocol, ip_transports)
{
  for (const auto ending : {how_it_ends::orderly, how_it_ends::exit, how_it_ends::kill})
  {
    child_process listener(
        [ending](channel& parent) -> int
        {
          asio::io_context context;
          typename Protocol::acceptor acceptor(context, loopback<Protocol>());
          parent.send(acceptor.local_endpoint().port());
          // With a connection open and another one waiting in the backlog.
          auto connected = acceptor.accept();
          check_carries_data(connected, connected);
          parent.receive<char>();
          if (ending == how_it_ends::exit)
            ::_exit(0);
          if (ending == how_it_ends::kill)
            sleep_until_killed();
          return 0;
        });
    const auto endpoint = loopback<Protocol>(listener.peer().receive<unsigned short>());
    {
      asio::io_context context;
      typename Protocol::socket client(context);
      client.connect(endpoint);
      // Echoes what the other end sends to itself through us.
      std::string text(carried_text.size(), '\0');
      asio::read(client, asio::buffer(text));
      asio::write(client, asio::buffer(text));
      typename Protocol::socket waiting(context);
      waiting.connect(endpoint);
      BOOST_CHECK_EXCEPTION(typename Protocol::acceptor(context, endpoint), system_error,
          [](const system_error& e) { return e.code() == error::address_in_use; });
      listener.peer().send('e');
      if (ending == how_it_ends::kill)
        listener.kill();
      else
        BOOST_TEST(listener.wait() == 0);
    }
    asio::io_context context;
    typename Protocol::acceptor again(context, endpoint);
    BOOST_TEST(again.local_endpoint() == endpoint);
    typename Protocol::socket client(context);
    client.connect(endpoint);
    auto server = again.accept();
    check_carries_data(client, server);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(refused_before_during_and_after, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::endpoint endpoint;
  typename Protocol::socket client(context);
  const auto refused = [&]
  {
    reports(error::connection_refused,
        [&](auto&... ec)
        {
          client.close();
          client.connect(endpoint, ec...);
        });
    client.close();
    completion connected;
    client.async_connect(endpoint, connected.handler());
    BOOST_TEST(connected.calls == 0);
    run_until(context, [&] { return connected.done(); });
    BOOST_TEST(connected.ec == error::connection_refused);
  };
  typename Protocol::acceptor acceptor(context, loopback_protocol<Protocol>());
  acceptor.bind(loopback<Protocol>());
  endpoint = acceptor.local_endpoint();
  refused(); // bound, not listening
  acceptor.listen();
  client.close();
  client.connect(endpoint);
  auto server = acceptor.accept();
  check_carries_data(client, server);
  acceptor.close();
  refused();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(addresses_of_the_other_family_are_refused, Protocol, ip_transports)
{
  using endpoint = typename Protocol::endpoint;
  asio::io_context context;
  const endpoint v4(asio::ip::address_v4::loopback(), 9), v6(asio::ip::address_v6::loopback(), 9);
  typename Protocol::socket of_v4(context, Protocol::v4()), of_v6(context, Protocol::v6());
  reports(error::address_family_not_supported, [&](auto&... ec) { of_v4.bind(v6, ec...); });
  reports(error::address_family_not_supported, [&](auto&... ec) { of_v4.connect(v6, ec...); });
  reports(error::invalid_argument, [&](auto&... ec) { of_v6.bind(v4, ec...); });
  reports(error::invalid_argument, [&](auto&... ec) { of_v6.connect(v4, ec...); });
}

BOOST_AUTO_TEST_SUITE_END()
