// SPDX-License-Identifier: BSL-1.0
// The ways in which programs write endpoints: ports of every integer type, in braces and in parentheses.

#define BOOST_TEST_MODULE endpoint_forms
#include "socket_test.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

using namespace shm::test;

// As in a program that reads its port with atoi: it compiles over TCP, with a warning.
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#ifdef __clang__
#pragma clang diagnostic ignored "-Wc++11-narrowing"
#pragma clang diagnostic ignored "-Wimplicit-int-conversion"
#pragma clang diagnostic ignored "-Wshorten-64-to-32"
#else
#pragma GCC diagnostic ignored "-Wnarrowing"
#endif

namespace {

using tcp = asio::ip::tcp;
using integers = std::tuple<char, signed char, unsigned char, short, unsigned short, int, unsigned, long, unsigned long,
    long long, unsigned long long, std::size_t, std::uint_least16_t, std::int32_t>;

// Whether Type{first, second} and Type(first, second) are well-formed, without a narrowing conversion in braces.
template <class Type, class First, class Second, class = void>
constexpr bool in_braces = false;
template <class Type, class First, class Second>
constexpr bool
    in_braces<Type, First, Second, std::void_t<decltype(Type{std::declval<First>(), std::declval<Second>()})>> = true;

template <class Protocol, class First, class Integer>
void check_same_as_tcp()
{
  using endpoint = typename Protocol::endpoint;
  using tcp_first = std::conditional_t<std::is_same_v<First, Protocol>, tcp, First>;
  BOOST_TEST((in_braces<endpoint, First, Integer> == in_braces<tcp::endpoint, tcp_first, Integer>));
  BOOST_TEST((in_braces<endpoint, First, Integer&> == in_braces<tcp::endpoint, tcp_first, Integer&>));
  BOOST_TEST((std::is_constructible_v<endpoint, First, Integer>));
  BOOST_TEST((std::is_constructible_v<endpoint, First, Integer&>));
}

/// Calls `check(port)` with a variable of every integer type.
template <class Check>
void for_each_integer(Check check)
{
  std::apply([&](auto... zero) { (check(static_cast<decltype(zero)>(zero + 80)), ...); }, integers());
}

template <class Endpoint>
unsigned short port_of(const Endpoint& endpoint)
{
  return endpoint.port();
}

template <class Acceptor>
bool listens(const Acceptor& acceptor)
{
  return acceptor.is_open() && acceptor.local_endpoint().port() != 0;
}

enum
{
  enumerated_port = 4321
};
constexpr int constant_port = 4322;

} // namespace

BOOST_FIXTURE_TEST_SUITE(endpoint_forms, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(every_integer_type_is_accepted_where_tcp_does, Protocol, ip_transports)
{
  for_each_integer(
      [](auto port)
      {
        using integer = decltype(port);
        check_same_as_tcp<Protocol, Protocol, integer>();
        check_same_as_tcp<Protocol, asio::ip::address, integer>();
        check_same_as_tcp<Protocol, asio::ip::address_v4, integer>();
        check_same_as_tcp<Protocol, asio::ip::address_v6, integer>();
      });
  BOOST_TEST((in_braces<typename Protocol::endpoint, Protocol, unsigned short&>));
  BOOST_TEST(!(in_braces<typename Protocol::endpoint, Protocol, int&>));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(port_keeps_its_value, Protocol, ip_transports)
{
  using endpoint = typename Protocol::endpoint;
  const asio::ip::address address = asio::ip::make_address("10.0.0.1");
  for_each_integer(
      [&](auto port)
      {
        BOOST_TEST(endpoint(Protocol::v4(), port).port() == 80);
        BOOST_TEST(endpoint(address, port).port() == 80);
        BOOST_TEST((endpoint{Protocol::v6(), port}).port() == 80);
        BOOST_TEST((endpoint{address, port}).port() == 80);
        BOOST_TEST(port_of<endpoint>({Protocol::v4(), port}) == 80);
        BOOST_TEST(port_of<endpoint>({address, port}) == 80);
        const auto constant = port;
        BOOST_TEST(port_of<endpoint>({Protocol::v4(), constant}) == 80);
        endpoint changed;
        changed.port(port);
        BOOST_TEST(changed.port() == 80);
      });
  BOOST_TEST(port_of<endpoint>({Protocol::v4(), 65535}) == 65535);
  BOOST_TEST(port_of<endpoint>({Protocol::v4(), constant_port}) == 4322);
  BOOST_TEST(port_of<endpoint>({Protocol::v4(), enumerated_port}) == 4321);
  BOOST_TEST(port_of<endpoint>({address, std::atoi("8080")}) == 8080);
  BOOST_TEST(port_of<endpoint>({address, std::strtoul("8081", nullptr, 10)}) == 8081);
  BOOST_TEST(port_of<endpoint>({address, std::stoi("8082")}) == 8082);
  BOOST_TEST(endpoint(Protocol::v4(), std::atoi("8083")).port() == 8083);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(acceptors_of_every_integer_type, Protocol, ip_transports)
{
  using acceptor = typename Protocol::acceptor;
  using endpoint = typename Protocol::endpoint;
  asio::io_context context;
  const asio::ip::address address = asio::ip::address_v4::loopback();
  for_each_integer(
      [&](auto port)
      {
        port = 0;
        BOOST_TEST(listens(acceptor(context, {Protocol::v4(), port})));
        BOOST_TEST(listens(acceptor(context, {address, port})));
        BOOST_TEST(listens(acceptor(context, {asio::ip::address_v4::loopback(), port}, true)));
        BOOST_TEST(listens(acceptor{context, {Protocol::v4(), port}}));
        BOOST_TEST(listens(acceptor{context, {address, port}}));
        BOOST_TEST(listens(acceptor(context, endpoint(Protocol::v4(), port))));
        BOOST_TEST(listens(acceptor(context, endpoint(address, port), false)));
        BOOST_TEST(listens(acceptor(context.get_executor(), {Protocol::v4(), port})));
      });
  BOOST_TEST(listens(acceptor(context, {Protocol::v4(), 0})));
  BOOST_TEST(listens(acceptor{context, {address, 0}}));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(sockets_take_endpoints_in_braces, Protocol, ip_transports)
{
  asio::io_context context;
  const asio::ip::address address = asio::ip::address_v4::loopback();
  typename Protocol::acceptor acceptor(context, {address, 0});
  const int port = acceptor.local_endpoint().port();

  typename Protocol::socket client(context);
  client.connect({address, port});
  acceptor.accept();
  client.close();
  completion connected;
  client.async_connect({asio::ip::address_v4::loopback(), port}, connected.handler());
  run_until(context, [&] { return connected.done(); });
  BOOST_TEST(!connected.ec);
  acceptor.accept();

  typename Protocol::socket bound(context, {address, 0});
  BOOST_TEST(bound.local_endpoint().port() != 0);
  typename Protocol::socket opened(context, Protocol::v4());
  opened.bind({Protocol::v4(), 0});
  BOOST_TEST(opened.local_endpoint().port() != 0);

  // Empty braces are the default endpoint.
  typename Protocol::endpoint assigned(address, port);
  assigned = {};
  BOOST_TEST(assigned == typename Protocol::endpoint());
  assigned = {address, port};
  BOOST_TEST(assigned == acceptor.local_endpoint());
}

BOOST_AUTO_TEST_SUITE_END()
