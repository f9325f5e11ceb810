// SPDX-License-Identifier: BSL-1.0
// What Asio's concepts Protocol, AcceptableProtocol, InternetProtocol and Endpoint require, and what programs use of it.

#define BOOST_TEST_MODULE protocol
#include "socket_test.hpp"

#include <type_traits>
#include <utility>

#include <netinet/in.h>
#include <sys/socket.h>

using namespace shm::test;

namespace {

template <class Protocol>
constexpr bool meets_protocol = std::is_copy_constructible_v<Protocol> && std::is_copy_assignable_v<Protocol> &&
    std::is_nothrow_destructible_v<Protocol> &&
    std::is_convertible_v<decltype(std::declval<const Protocol&>().family()), int> &&
    std::is_convertible_v<decltype(std::declval<const Protocol&>().type()), int> &&
    std::is_convertible_v<decltype(std::declval<const Protocol&>().protocol()), int> &&
    std::is_same_v<typename Protocol::endpoint::protocol_type, Protocol>;

template <class Protocol>
constexpr bool meets_acceptable_protocol = meets_protocol<Protocol> &&
    std::is_base_of_v<asio::basic_socket<Protocol>, typename Protocol::socket> &&
    std::is_convertible_v<typename Protocol::socket*, asio::basic_socket<Protocol>*>;

template <class Protocol>
constexpr bool meets_internet_protocol = meets_protocol<Protocol> &&
    std::is_same_v<typename Protocol::resolver, asio::ip::basic_resolver<Protocol>> &&
    std::is_same_v<decltype(Protocol::v4()), Protocol> && std::is_same_v<decltype(Protocol::v6()), Protocol> &&
    std::is_convertible_v<decltype(Protocol::v4() == Protocol::v6()), bool> &&
    std::is_convertible_v<decltype(Protocol::v4() != Protocol::v6()), bool>;

template <class Endpoint>
constexpr bool meets_endpoint = std::is_default_constructible_v<Endpoint> && std::is_copy_constructible_v<Endpoint> &&
    std::is_copy_assignable_v<Endpoint> && std::is_nothrow_destructible_v<Endpoint> &&
    std::is_same_v<decltype(std::declval<const Endpoint&>().protocol()), typename Endpoint::protocol_type> &&
    std::is_same_v<decltype(std::declval<Endpoint&>().data()), typename Endpoint::data_type*> &&
    std::is_same_v<decltype(std::declval<const Endpoint&>().data()), const typename Endpoint::data_type*> &&
    std::is_convertible_v<typename Endpoint::data_type*, sockaddr*> &&
    std::is_convertible_v<decltype(std::declval<const Endpoint&>().size()), std::size_t> &&
    std::is_convertible_v<decltype(std::declval<const Endpoint&>().capacity()), std::size_t> &&
    std::is_void_v<decltype(std::declval<Endpoint&>().resize(std::size_t()))>;

} // namespace

BOOST_FIXTURE_TEST_SUITE(protocol, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(requirements_of_the_concepts, Protocol, transports)
{
  BOOST_TEST(meets_protocol<Protocol>);
  BOOST_TEST(meets_acceptable_protocol<Protocol>);
  BOOST_TEST(meets_endpoint<typename Protocol::endpoint>);
  if constexpr (!is_local<Protocol>)
    BOOST_TEST(meets_internet_protocol<Protocol>);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(nested_types_are_asios_class_templates, Protocol, transports)
{
  BOOST_TEST((std::is_same_v<typename Protocol::socket, asio::basic_stream_socket<Protocol>>));
  BOOST_TEST((std::is_same_v<typename Protocol::acceptor, asio::basic_socket_acceptor<Protocol>>));
  BOOST_TEST((std::is_same_v<typename Protocol::socket::endpoint_type, typename Protocol::endpoint>));
  BOOST_TEST((std::is_same_v<typename Protocol::acceptor::endpoint_type, typename Protocol::endpoint>));
  if constexpr (!is_local<Protocol>)
    BOOST_TEST((std::is_same_v<typename Protocol::resolver::endpoint_type, typename Protocol::endpoint>));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(type_protocol_and_family, Protocol, transports)
{
  const auto check = [](const Protocol& protocol, int family)
  {
    BOOST_TEST(protocol.type() == SOCK_STREAM);
    BOOST_TEST(protocol.family() == family);
    BOOST_TEST(protocol.protocol() == (family == AF_UNIX ? 0 : IPPROTO_TCP));
  };
  if constexpr (is_local<Protocol>)
  {
    check(Protocol(), AF_UNIX);
    check(loopback<Protocol>().protocol(), AF_UNIX);
  }
  else
  {
    check(Protocol::v4(), AF_INET);
    check(Protocol::v6(), AF_INET6);
    check(loopback_protocol<Protocol>(), AF_INET);
    check(typename Protocol::endpoint(asio::ip::address_v6::loopback(), 1).protocol(), AF_INET6);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(families_compare_and_copy, Protocol, ip_transports)
{
  BOOST_TEST((Protocol::v4() == Protocol::v4()));
  BOOST_TEST((Protocol::v6() == Protocol::v6()));
  BOOST_TEST((Protocol::v4() != Protocol::v6()));
  BOOST_TEST(!(Protocol::v4() == Protocol::v6()));
  BOOST_TEST(!(Protocol::v4() != Protocol::v4()));

  Protocol copy = Protocol::v4();
  BOOST_TEST((copy == Protocol::v4()));
  copy = Protocol::v6();
  BOOST_TEST((copy == Protocol::v6()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(no_delay_is_a_switch, Protocol, ip_transports)
{
  using no_delay = typename Protocol::no_delay;
  const no_delay on(true);
  BOOST_TEST(on.value());
  BOOST_TEST(static_cast<bool>(on));
  BOOST_TEST(!!on);
  const no_delay off;
  BOOST_TEST(!off.value());
  BOOST_TEST(!static_cast<bool>(off));
  no_delay assigned(false);
  assigned = true;
  BOOST_TEST(assigned.value());
  BOOST_TEST(on.level(Protocol::v4()) == static_cast<int>(IPPROTO_TCP));

  asio::io_context context;
  typename Protocol::socket socket(context, Protocol::v6());
  socket.set_option(on);
  no_delay read;
  socket.get_option(read);
  BOOST_TEST(read.value());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(address_goes_to_an_endpoint_of_another_protocol, Protocol, ip_transports)
{
  // A program that talks to the same peer over UDP too.
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  const auto remote = pair.client.remote_endpoint();
  const asio::ip::udp::endpoint datagrams(remote.address(), remote.port());
  BOOST_CHECK(datagrams.address() == asio::ip::address(asio::ip::address_v4::loopback()));
  BOOST_TEST(datagrams.port() == remote.port());
  typename Protocol::endpoint back(datagrams.address(), datagrams.port());
  BOOST_TEST(back == remote);

  asio::ip::udp::socket udp(context, asio::ip::udp::endpoint(pair.server.local_endpoint().address(), 0));
  BOOST_TEST(udp.is_open());
}

BOOST_AUTO_TEST_SUITE_END()
