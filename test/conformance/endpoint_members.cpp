// SPDX-License-Identifier: BSL-1.0
// Endpoints as values: order, streaming, hashing, the bytes of the sockaddr, keys of containers.

#define BOOST_TEST_MODULE endpoint_members
#include "socket_test.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

#include <netdb.h>
#include <sys/socket.h>

using namespace shm::test;

namespace {

/// Different endpoints in ascending order.
template <class Protocol>
std::vector<typename Protocol::endpoint> ascending()
{
  if constexpr (is_local<Protocol>)
    return {"/run/a", "/run/a/b", "/run/b", "name"};
  else
    return {{asio::ip::make_address("0.0.0.0"), 9}, {asio::ip::make_address("10.0.0.1"), 1},
        {asio::ip::make_address("10.0.0.1"), 2}, {asio::ip::make_address("200.0.0.1"), 1},
        {asio::ip::make_address("::"), 1}, {asio::ip::make_address("::1"), 1}, {asio::ip::make_address("::1"), 40000},
        {asio::ip::make_address("fe80::1"), 1}};
}

template <class Value>
std::string text(const Value& value)
{
  std::ostringstream os;
  os << value;
  return os.str();
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(endpoint_members, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(order_is_total, Protocol, transports)
{
  const auto all = ascending<Protocol>();
  for (std::size_t i = 0; i != all.size(); ++i)
    for (std::size_t j = 0; j != all.size(); ++j)
      BOOST_TEST_CONTEXT(all[i] << " and " << all[j])
      {
        BOOST_TEST((all[i] < all[j]) == (i < j));
        BOOST_TEST((all[i] > all[j]) == (i > j));
        BOOST_TEST((all[i] <= all[j]) == (i <= j));
        BOOST_TEST((all[i] >= all[j]) == (i >= j));
        BOOST_TEST((all[i] == all[j]) == (i == j));
        BOOST_TEST((all[i] != all[j]) == (i != j));
      }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(bytes_make_an_equal_endpoint, Protocol, transports)
{
  for (const auto& original : ascending<Protocol>())
  {
    typename Protocol::endpoint copy;
    BOOST_TEST(copy.capacity() >= original.size());
    BOOST_TEST_REQUIRE(original.size() <= original.capacity());
    std::memcpy(copy.data(), original.data(), original.size());
    copy.resize(original.size());
    BOOST_TEST(copy == original);
    BOOST_TEST(copy.size() == original.size());
    BOOST_TEST(copy.protocol().family() == original.protocol().family());
    BOOST_TEST(text(copy) == text(original));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(kernel_fills_an_endpoint, Protocol, ip_transports)
{
  // As a program does that calls getsockname or recvfrom into it.
  const auto fill = [](const char* address, int family)
  {
    addrinfo hints{};
    hints.ai_family = family;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    BOOST_TEST_REQUIRE(::getaddrinfo(address, "4711", &hints, &found) == 0);
    typename Protocol::endpoint result;
    std::memcpy(result.data(), found->ai_addr, found->ai_addrlen);
    result.resize(found->ai_addrlen);
    ::freeaddrinfo(found);
    return result;
  };
  const auto four = fill("10.9.8.7", AF_INET);
  BOOST_TEST(four.address().to_string() == "10.9.8.7");
  BOOST_TEST(four.port() == 4711);
  BOOST_TEST((four.protocol() == Protocol::v4()));
  const auto six = fill("2001:db8::1", AF_INET6);
  BOOST_TEST(six.address().to_string() == "2001:db8::1");
  BOOST_TEST(six.port() == 4711);
  BOOST_TEST((six.protocol() == Protocol::v6()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(resize_beyond_any_sockaddr_throws, Protocol, transports)
{
  typename Protocol::endpoint endpoint;
  BOOST_CHECK_NO_THROW(endpoint.resize(endpoint.capacity()));
  BOOST_CHECK_EXCEPTION(endpoint.resize(sizeof(sockaddr_storage) + 1), system_error,
      [](const system_error& e) { return e.code() == error::invalid_argument; });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(streaming, Protocol, transports)
{
  if constexpr (is_local<Protocol>)
    BOOST_TEST(text(typename Protocol::endpoint("/run/a")) == "/run/a");
  else
  {
    using endpoint = typename Protocol::endpoint;
    BOOST_TEST(text(endpoint(asio::ip::address_v4::loopback(), 80)) == "127.0.0.1:80");
    BOOST_TEST(text(endpoint(asio::ip::address_v6::loopback(), 80)) == "[::1]:80");
    BOOST_TEST(text(endpoint(Protocol::v4(), 0)) == "0.0.0.0:0");
    BOOST_TEST(text(endpoint()) == text(asio::ip::tcp::endpoint()));
  }
  const auto endpoint = loopback<Protocol>();
  std::ostringstream os;
  os << "from " << endpoint << " on";
  BOOST_TEST(os.str() == "from " + text(endpoint) + " on");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(key_of_a_map_and_a_set, Protocol, transports)
{
  using endpoint = typename Protocol::endpoint;
  auto all = ascending<Protocol>();
  const auto sorted = all;
  std::reverse(all.begin(), all.end());
  std::map<endpoint, std::size_t> map;
  for (const auto& each : all)
    map[each] = each.size();
  for (const auto& each : all)
    BOOST_TEST(map.at(each) == each.size());
  BOOST_TEST(map.size() == all.size());
  const std::set<endpoint> set(all.begin(), all.end());
  BOOST_TEST(std::equal(set.begin(), set.end(), sorted.begin(), sorted.end()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(key_of_an_unordered_map, Protocol, ip_transports)
{
  using endpoint = typename Protocol::endpoint;
  std::unordered_map<endpoint, std::string> map;
  for (const auto& each : ascending<Protocol>())
    map.emplace(each, text(each));
  BOOST_TEST(map.size() == ascending<Protocol>().size());
  for (const auto& each : ascending<Protocol>())
    BOOST_TEST(map.at(each) == text(each));
  const std::hash<endpoint> hash;
  BOOST_TEST(hash(endpoint(Protocol::v4(), 80)) == hash(endpoint(asio::ip::address_v4::any(), 80)));
  BOOST_TEST(hash(endpoint(Protocol::v4(), 80)) != hash(endpoint(Protocol::v4(), 81)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(copies_and_assignments_are_independent, Protocol, transports)
{
  using endpoint = typename Protocol::endpoint;
  const auto all = ascending<Protocol>();
  endpoint first = all[0];
  endpoint second(first);
  BOOST_TEST(second == all[0]);
  second = all[1];
  BOOST_TEST(first == all[0]);
  BOOST_TEST(second == all[1]);
  endpoint third(std::move(second));
  BOOST_TEST(third == all[1]);
  std::swap(first, third);
  BOOST_TEST(first == all[1]);
  BOOST_TEST(third == all[0]);
  const endpoint by_default;
  BOOST_TEST(by_default == endpoint());
}

BOOST_AUTO_TEST_SUITE_END()
