// SPDX-License-Identifier: BSL-1.0
// Tests of the emulated local endpoints of connectors.
#define BOOST_TEST_MODULE claim_ephemeral
#include "address_space_fixture.hpp"

#include <algorithm>
#include <set>
#include <sys/resource.h>
#include <vector>

namespace {

namespace error = boost::asio::error;
using namespace shm::detail;
using namespace shm::test;

} // namespace

BOOST_FIXTURE_TEST_SUITE(claim_ephemeral_suite, runtime_fixture)

BOOST_AUTO_TEST_CASE(the_address_is_the_destinations)
{
  struct
  {
    const char* peer;
    const char* local;
  } const rows[] = {{"127.0.0.1", "127.0.0.1"}, {"127.0.0.9", "127.0.0.9"}, {"0.0.0.0", "127.0.0.1"}, {"::1", "::1"},
      {"::", "::1"}, {"::ffff:127.0.0.1", "::ffff:127.0.0.1"}, {"::ffff:0.0.0.0", "::ffff:127.0.0.1"}};
  for (const auto& row : rows)
  {
    const descriptor socket = new_socket();
    boost::system::error_code ec;
    const socket_address local = claim_ephemeral(socket.get(), ip(row.peer, 8080), 0, ec);
    BOOST_TEST(!ec, ec.message());
    const std::uint16_t port = port_of(local);
    BOOST_TEST(port >= first_ephemeral_port);
    BOOST_TEST(port <= last_ephemeral_port);
    const socket_address expected = ip(row.local, port);
    BOOST_TEST((std::string(local.data, local.data + local.size) ==
                   std::string(expected.data, expected.data + expected.size)),
        row.peer);
  }
}

BOOST_AUTO_TEST_CASE(a_claimed_socket_connects)
{
  listener server(ip("127.0.0.1", 8080));
  const descriptor socket = new_socket();
  boost::system::error_code ec;
  claim_ephemeral(socket.get(), server.address, 0, ec);
  BOOST_TEST(!ec, ec.message());
  connect_name(socket.get(), server.address, ec);
  BOOST_TEST(!ec, ec.message());
  BOOST_TEST(server.accept().valid());
}

BOOST_AUTO_TEST_CASE(ports_are_unique)
{
  std::vector<descriptor> sockets;
  std::set<std::uint16_t> ports;
  for (int i = 0; i < 300; ++i)
  {
    sockets.push_back(new_socket());
    boost::system::error_code ec;
    const socket_address local = claim_ephemeral(sockets.back().get(), ip("127.0.0.1", 8080), 0, ec);
    BOOST_TEST(!ec, ec.message());
    BOOST_TEST(ports.insert(port_of(local)).second);
  }
}

BOOST_AUTO_TEST_CASE(a_wanted_port_is_taken_until_its_socket_closes)
{
  descriptor first = new_socket();
  const descriptor second = new_socket();
  boost::system::error_code ec;
  const socket_address local = claim_ephemeral(first.get(), ip("127.0.0.1", 8080), 1234, ec);
  BOOST_TEST(!ec, ec.message());
  BOOST_TEST(port_of(local) == 1234);
  claim_ephemeral(second.get(), ip("127.0.0.1", 8080), 1234, ec);
  BOOST_TEST(ec == error::address_in_use);
  {
    const temp_runtime_directory other;
    claim_ephemeral(new_socket().get(), ip("127.0.0.1", 8080), 1234, ec);
    BOOST_TEST(!ec, "another runtime directory is another network");
  }
  first.reset();
  claim_ephemeral(second.get(), ip("127.0.0.1", 8080), 1234, ec);
  BOOST_TEST(!ec, ec.message());
}

BOOST_AUTO_TEST_CASE(connecting_by_path_or_name_leaves_the_local_path_empty)
{
  for (const std::string& name : {std::string("chat"), path() + "/sock"})
  {
    boost::system::error_code ec;
    const socket_address local = claim_ephemeral(new_socket().get(), shm::test::local(name), 0, ec);
    BOOST_TEST(!ec, ec.message());
    sockaddr_un address;
    BOOST_TEST_REQUIRE(local.size == offsetof(sockaddr_un, sun_path));
    std::memcpy(&address, local.data, local.size);
    BOOST_TEST(address.sun_family == AF_UNIX);
  }
}

BOOST_AUTO_TEST_CASE(taken_ports_are_passed_over_and_a_full_range_does_not_prevent_connecting)
{
  rlimit limit;
  BOOST_TEST_REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const rlimit before = limit;
  limit.rlim_cur = std::max<rlim_t>(limit.rlim_cur, 30000);
  if (limit.rlim_cur > limit.rlim_max || ::setrlimit(RLIMIT_NOFILE, &limit) != 0)
  {
    BOOST_TEST_MESSAGE("skipped: needs 30000 descriptors");
    return;
  }
  {
    std::vector<descriptor> sockets;
    boost::system::error_code ec;
    // Every port that is not a multiple of 100 is taken, so nearly every search has to take several steps.
    std::set<std::uint16_t> free;
    for (int i = first_ephemeral_port; i <= last_ephemeral_port; ++i)
    {
      const std::uint16_t port = static_cast<std::uint16_t>(i);
      if (port % 100 == 0)
      {
        free.insert(port);
        continue;
      }
      sockets.push_back(new_socket());
      claim_ephemeral(sockets.back().get(), ip("127.0.0.1", 8080), port, ec);
      BOOST_TEST_REQUIRE(!ec, ec.message());
    }
    for (int i = 0; i < 20; ++i)
    {
      sockets.push_back(new_socket());
      const socket_address local = claim_ephemeral(sockets.back().get(), ip("127.0.0.1", 8080), 0, ec);
      BOOST_TEST(!ec, ec.message());
      BOOST_TEST(free.erase(port_of(local)) == 1u);
    }
    for (const std::uint16_t port : free)
    {
      sockets.push_back(new_socket());
      claim_ephemeral(sockets.back().get(), ip("127.0.0.1", 8080), port, ec);
      BOOST_TEST_REQUIRE(!ec, ec.message());
    }
    const socket_address local = claim_ephemeral(new_socket().get(), ip("127.0.0.1", 8080), 0, ec);
    BOOST_TEST(!ec, ec.message());
    BOOST_TEST(port_of(local) >= first_ephemeral_port);
  }
  BOOST_TEST(::setrlimit(RLIMIT_NOFILE, &before) == 0);
}

BOOST_AUTO_TEST_SUITE_END()
