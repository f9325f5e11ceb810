// SPDX-License-Identifier: BSL-1.0
// Tests of what a sockaddr names and of the file names of addresses.
#define BOOST_TEST_MODULE socket_name
#include "address_space_fixture.hpp"

namespace {

using namespace shm::detail;
using namespace shm::test;

socket_name parsed(const socket_address& address, bool v6_only = false)
{
  boost::system::error_code ec;
  const socket_name result = socket_name::parse(address, v6_only, ec);
  BOOST_TEST(!ec, ec.message());
  return result;
}

socket_address scoped(const char* address, std::uint32_t scope)
{
  socket_address result = ip(address, 80);
  sockaddr_in6 v6;
  std::memcpy(&v6, result.data, sizeof(v6));
  v6.sin6_scope_id = scope;
  std::memcpy(result.data, &v6, sizeof(v6));
  return result;
}

} // namespace

BOOST_AUTO_TEST_SUITE(socket_name_suite)

BOOST_AUTO_TEST_CASE(file_names_are_the_endpoints_text)
{
  BOOST_TEST(parsed(ip("127.0.0.1", 80)).ip.file_name() == "127.0.0.1:80");
  BOOST_TEST(parsed(ip("::ffff:127.0.0.1", 80)).ip.file_name() == "127.0.0.1:80");
  BOOST_TEST(parsed(ip("2001:db8::1", 65535)).ip.file_name() == "[2001:db8::1]:65535");
  BOOST_TEST(parsed(scoped("fe80::1", 2)).ip.file_name() == "[fe80::1%2]:80");
  BOOST_TEST(parsed(ip("::", 80)).ip.file_name() == "[::]:80");
  BOOST_TEST(parsed(ip("::", 80), true).ip.file_name() == "[::]:80-v6only");
  BOOST_TEST(parsed(ip("::1", 80), true).ip.file_name() == "[::1]:80", "v6_only matters to the wildcard only");
}

BOOST_AUTO_TEST_CASE(parsing_a_file_name_inverts_making_it)
{
  for (const char* text : {"127.0.0.1:80", "0.0.0.0:1", "[::]:80", "[::]:80-v6only", "[fe80::1%2]:80", "[::1]:65535"})
  {
    ip_name name;
    BOOST_TEST(ip_name::parse(text, name), text);
    BOOST_TEST(name.file_name() == text);
  }
}

BOOST_AUTO_TEST_CASE(other_file_names_are_not_parsed)
{
  for (const char* text : {"", ":", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:080", "127.0.0.1:80 ",
           "127.0.0.1:65536", "127.0.0.1:-1", "[::1]", "[::1:80", "::1:80", "[0::1]:80", "[::1%]:80", "[::1%x]:80", "[::1]:80-v6only",
           "0.0.0.0:80-v6only", "-v6only", "lock", ".", ".."})
  {
    ip_name name;
    BOOST_TEST(!ip_name::parse(text, name), text);
  }
}

BOOST_AUTO_TEST_CASE(a_slash_makes_a_path)
{
  BOOST_TEST((parsed(local("chat")).what == socket_name::kind::short_name));
  BOOST_TEST((parsed(local("./chat")).what == socket_name::kind::path));
  BOOST_TEST((parsed(local("/chat")).what == socket_name::kind::path));
  BOOST_TEST(parsed(local("/run/chat")).text == "/run/chat");
}

BOOST_AUTO_TEST_CASE(scopes_tell_link_local_addresses_apart)
{
  const ip_name one = parsed(scoped("fe80::1", 1)).ip, two = parsed(scoped("fe80::1", 2)).ip;
  BOOST_TEST(!ip_name::conflict(one, two));
  BOOST_TEST(ip_name::conflict(one, one));
}

BOOST_AUTO_TEST_SUITE_END()
