// SPDX-License-Identifier: BSL-1.0
// Tests of the endpoint.
#define BOOST_TEST_MODULE endpoint
#include <shm/stream_protocol.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <cstring>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <vector>

namespace {

namespace asio = boost::asio;
using tcp = shm::stream_protocol;
using endpoint = tcp::endpoint;

template <typename Value>
std::string text(const Value& value)
{
  std::ostringstream os;
  os << value;
  return os.str();
}

auto fails_with(boost::system::error_code expected)
{
  return [expected](const boost::system::system_error& error) { return error.code() == expected; };
}

static_assert(std::is_same<endpoint::protocol_type, tcp>::value, "as in Asio");
static_assert(std::is_same<endpoint::data_type, asio::detail::socket_addr_type>::value, "as in Asio");
static_assert(std::is_nothrow_copy_constructible<endpoint>::value, "as in Asio");
static_assert(std::is_convertible<const char*, endpoint>::value, "as local::basic_endpoint");
static_assert(std::is_convertible<std::string, endpoint>::value, "as local::basic_endpoint");
static_assert(std::is_convertible<std::string_view, endpoint>::value, "as local::basic_endpoint");

// The two-argument forms as a program writes them, with any integer type for the port.
template <typename Integer>
void check_ports()
{
  const endpoint by_protocol(tcp::v6(), static_cast<Integer>(80));
  const endpoint by_address(asio::ip::address_v4::loopback(), static_cast<Integer>(80));
  BOOST_TEST(by_protocol.port() == 80);
  BOOST_TEST(by_address.port() == 80);
}

unsigned short port_of(const endpoint& ep) { return ep.port(); }

} // namespace

BOOST_AUTO_TEST_SUITE(endpoint_suite)

BOOST_AUTO_TEST_CASE(default_is_the_ipv4_wildcard_and_port_0)
{
  const endpoint ep;
  BOOST_TEST((ep.protocol() == tcp::v4()));
  BOOST_TEST(ep.address() == asio::ip::address(asio::ip::address_v4::any()));
  BOOST_TEST(ep.port() == 0);
  BOOST_TEST(ep.is_ip());
  BOOST_TEST(!ep.is_local());
  BOOST_TEST(ep.path() == "");
  BOOST_TEST(ep.size() == sizeof(sockaddr_in));
}

BOOST_AUTO_TEST_CASE(protocol_and_port_make_a_wildcard_of_its_family)
{
  BOOST_TEST(endpoint(tcp::v4(), 80).address().is_v4());
  const endpoint six(tcp::v6(), 80);
  BOOST_TEST(six.address() == asio::ip::address(asio::ip::address_v6::any()));
  BOOST_TEST((six.protocol() == tcp::v6()));
  BOOST_TEST(six.size() == sizeof(sockaddr_in6));
  const endpoint local(tcp::local(), 80);
  BOOST_TEST((local.protocol() == tcp::local()));
  BOOST_TEST(local.is_local());
  BOOST_TEST(local.path() == "");
  BOOST_TEST(local.port() == 0);
  BOOST_TEST(local.size() == offsetof(sockaddr_un, sun_path));
}

BOOST_AUTO_TEST_CASE(ports_of_every_integer_type_are_unambiguous)
{
  check_ports<short>();
  check_ports<unsigned short>();
  check_ports<int>();
  check_ports<unsigned>();
  check_ports<long>();
  check_ports<unsigned long>();
  check_ports<long long>();
  check_ports<unsigned long long>();
  check_ports<char>();
  check_ports<std::uint8_t>();
  const unsigned short port = 8080;
  BOOST_TEST(port_of({tcp::v4(), port}) == 8080);
  BOOST_TEST(port_of({asio::ip::make_address("::1"), port}) == 8080);
  BOOST_TEST(port_of({tcp::v4(), 8080}) == 8080);
  BOOST_TEST(port_of({asio::ip::address_v4::loopback(), 0}) == 0);
}

BOOST_AUTO_TEST_CASE(address_and_port_can_be_read_and_set)
{
  endpoint ep(asio::ip::make_address("10.1.2.3"), 65535);
  BOOST_TEST(ep.address().to_string() == "10.1.2.3");
  BOOST_TEST(ep.port() == 65535);
  ep.port(1);
  BOOST_TEST(ep.port() == 1);
  ep.address(asio::ip::address_v6::loopback());
  BOOST_TEST(ep.address().is_v6());
  BOOST_TEST(ep.address().is_loopback());
  BOOST_TEST(ep.port() == 1);
  ep.port(2);
  BOOST_TEST(ep.port() == 2);
  ep.address(asio::ip::make_address("10.1.2.4"));
  BOOST_TEST((ep == endpoint(asio::ip::make_address("10.1.2.4"), 2)));
}

BOOST_AUTO_TEST_CASE(scope_id_is_kept)
{
  asio::ip::address_v6 address = asio::ip::make_address_v6("fe80::1");
  address.scope_id(3);
  const endpoint ep(address, 80);
  BOOST_TEST(ep.address().to_v6().scope_id() == 3u);
  BOOST_TEST((ep != endpoint(asio::ip::make_address("fe80::1"), 80)));
}

BOOST_AUTO_TEST_CASE(paths_and_names_come_from_all_kinds_of_strings)
{
  const endpoint from_literal("/run/chat");
  const endpoint from_string(std::string("/run/chat"));
  const endpoint from_view(std::string_view("/run/chat.old").substr(0, 9));
  for (const endpoint& ep : {from_literal, from_string, from_view})
  {
    BOOST_TEST(ep.path() == "/run/chat");
    BOOST_TEST(ep.is_local());
    BOOST_TEST((ep.protocol() == tcp::local()));
    BOOST_TEST(ep.size() == offsetof(sockaddr_un, sun_path) + 9);
    BOOST_TEST(ep.port() == 0);
    BOOST_TEST(ep.address() == asio::ip::address());
  }
  BOOST_TEST(port_of("chat") == 0);
}

BOOST_AUTO_TEST_CASE(nul_bytes_are_kept_for_bind_to_refuse)
{
  const std::string with_nul("a\0b\0", 4);
  BOOST_TEST(endpoint(with_nul).path() == with_nul);
}

BOOST_AUTO_TEST_CASE(a_path_may_have_107_bytes)
{
  const std::string longest(107, 'x');
  BOOST_TEST(endpoint(longest).path() == longest);
  BOOST_CHECK_EXCEPTION(
      endpoint{longest + "x"}, boost::system::system_error, fails_with(asio::error::name_too_long));
  endpoint ep("short");
  BOOST_CHECK_EXCEPTION(
      ep.path(longest + "x"), boost::system::system_error, fails_with(asio::error::name_too_long));
  BOOST_TEST(ep.path() == "short");
}

BOOST_AUTO_TEST_CASE(path_and_address_change_the_family)
{
  endpoint ep(asio::ip::make_address("::1"), 80);
  ep.path("chat");
  BOOST_TEST(ep.is_local());
  BOOST_TEST(ep.path() == "chat");
  ep.port(80);
  BOOST_TEST(ep.path() == "chat");
  BOOST_TEST(ep.port() == 0);
  ep.address(asio::ip::address_v4::loopback());
  BOOST_TEST((ep == endpoint(asio::ip::address_v4::loopback(), 0)));
}

BOOST_AUTO_TEST_CASE(sockaddr_bytes_can_be_copied_in_before_or_after_resize)
{
  const endpoint samples[] = {endpoint(asio::ip::make_address("1.2.3.4"), 80),
      endpoint(asio::ip::make_address("2001:db8::1"), 443), endpoint("/run/chat"), endpoint("n")};
  for (const endpoint& sample : samples)
  {
    endpoint before, after;
    before.resize(sample.size());
    std::memcpy(before.data(), sample.data(), sample.size());
    std::memcpy(after.data(), sample.data(), sample.size());
    after.resize(sample.size());
    BOOST_TEST((before == sample), text(before));
    BOOST_TEST((after == sample), text(after));
    BOOST_TEST(before.size() == sample.size());
  }
}

BOOST_AUTO_TEST_CASE(a_terminating_nul_in_the_size_is_not_part_of_the_path)
{
  const endpoint sample("/run/chat");
  endpoint ep;
  std::memcpy(ep.data(), sample.data(), sample.size() + 1);
  ep.resize(sample.size() + 1);
  BOOST_TEST(ep.path() == "/run/chat");
  BOOST_TEST((ep == sample));
}

BOOST_AUTO_TEST_CASE(resize_beyond_capacity_throws)
{
  endpoint ep;
  BOOST_TEST(ep.capacity() >= sizeof(sockaddr_un));
  BOOST_CHECK_NO_THROW(ep.resize(ep.capacity()));
  BOOST_CHECK_EXCEPTION(ep.resize(ep.capacity() + 1), boost::system::system_error,
      fails_with(asio::error::invalid_argument));
}

BOOST_AUTO_TEST_CASE(order_is_total_over_all_families)
{
  const std::vector<endpoint> ascending = {endpoint(asio::ip::make_address("0.0.0.0"), 9),
      endpoint(asio::ip::make_address("10.0.0.1"), 1), endpoint(asio::ip::make_address("10.0.0.1"), 2),
      endpoint(asio::ip::make_address("200.0.0.1"), 1), endpoint(asio::ip::make_address("::"), 1),
      endpoint(asio::ip::make_address("::1"), 1), endpoint(asio::ip::make_address("::1"), 40000), endpoint(""),
      endpoint("a"), endpoint("a/b"), endpoint("b")};
  for (std::size_t i = 0; i < ascending.size(); ++i)
    for (std::size_t j = 0; j < ascending.size(); ++j)
    {
      const endpoint &a = ascending[i], &b = ascending[j];
      BOOST_TEST_CONTEXT(text(a) << " and " << text(b))
      {
        BOOST_TEST((a < b) == (i < j));
        BOOST_TEST((a > b) == (i > j));
        BOOST_TEST((a <= b) == (i <= j));
        BOOST_TEST((a >= b) == (i >= j));
        BOOST_TEST((a == b) == (i == j));
        BOOST_TEST((a != b) == (i != j));
      }
    }
}

BOOST_AUTO_TEST_CASE(streaming_writes_what_a_reader_expects)
{
  BOOST_TEST(text(endpoint(asio::ip::make_address("127.0.0.1"), 80)) == "127.0.0.1:80");
  BOOST_TEST(text(endpoint(asio::ip::make_address("::1"), 80)) == "[::1]:80");
  BOOST_TEST(text(endpoint("/run/chat")) == "/run/chat");
  BOOST_TEST(text(endpoint("chat")) == "chat");
  std::wostringstream wide;
  wide << endpoint(tcp::v4(), 1);
  BOOST_TEST((wide.str() == L"0.0.0.0:1"));
}

BOOST_AUTO_TEST_CASE(equal_endpoints_have_equal_hashes)
{
  const std::hash<endpoint> hash{};
  BOOST_TEST(hash(endpoint(tcp::v4(), 80)) == hash(endpoint(asio::ip::address_v4::any(), 80)));
  std::unordered_set<endpoint> set;
  std::unordered_set<std::size_t> hashes;
  for (unsigned short port = 0; port < 1000; ++port)
  {
    hashes.insert(hash(endpoint(tcp::v4(), port)));
    set.insert(endpoint(tcp::v4(), port));
    set.insert(endpoint(tcp::v4(), port));
  }
  BOOST_TEST(set.size() == 1000u);
  BOOST_TEST(hashes.size() == 1000u);
  BOOST_TEST(set.insert("chat").second);
  BOOST_TEST(!set.insert(std::string("chat")).second);
}

BOOST_AUTO_TEST_CASE(the_resolver_makes_such_endpoints)
{
  asio::io_context context;
  tcp::resolver resolver(context);
  const auto flags = tcp::resolver::numeric_host | tcp::resolver::numeric_service;
  const auto four = resolver.resolve("127.0.0.1", "8080", flags);
  BOOST_TEST_REQUIRE(four.size() == 1u);
  BOOST_TEST((four.begin()->endpoint() == endpoint(asio::ip::make_address("127.0.0.1"), 8080)));
  const auto six = resolver.resolve("::1", "8080", flags);
  BOOST_TEST_REQUIRE(six.size() == 1u);
  BOOST_TEST((six.begin()->endpoint() == endpoint(asio::ip::make_address("::1"), 8080)));
}

BOOST_AUTO_TEST_SUITE_END()
