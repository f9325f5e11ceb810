// SPDX-License-Identifier: BSL-1.0
// Tests of the options' table: what is kept, what is computed, what is refused, and the geometry that follows.
#define BOOST_TEST_MODULE socket_options
#include "socket_options.hpp"

#include <shm/detail/option_names.hpp>

#include <boost/asio/error.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <limits>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

using namespace shm::detail;
using boost::system::error_code;

namespace {

struct option
{
  int level;
  int name;
};

const std::vector<option> kept = {{SOL_SOCKET, SO_REUSEADDR}, {SOL_SOCKET, SO_REUSEPORT}, {SOL_SOCKET, SO_KEEPALIVE},
    {SOL_SOCKET, SO_BROADCAST}, {SOL_SOCKET, SO_DEBUG}, {SOL_SOCKET, SO_DONTROUTE}, {SOL_SOCKET, SO_OOBINLINE},
    {SOL_SOCKET, SO_PRIORITY}, {IPPROTO_TCP, TCP_NODELAY}, {IPPROTO_TCP, TCP_QUICKACK}, {IPPROTO_TCP, TCP_CORK},
    {IPPROTO_TCP, TCP_KEEPIDLE}, {IPPROTO_TCP, TCP_KEEPINTVL}, {IPPROTO_TCP, TCP_KEEPCNT},
    {IPPROTO_TCP, TCP_USER_TIMEOUT}, {IPPROTO_TCP, TCP_DEFER_ACCEPT}, {IPPROTO_TCP, TCP_FASTOPEN}, {IPPROTO_IP, IP_TTL}, {IPPROTO_IP, IP_TOS},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS}, {IPPROTO_IPV6, IPV6_V6ONLY}, {option_level, option_socket_doorbell}};

error_code set(socket_options& options, const option& which, int value)
{
  error_code ec = boost::asio::error::fault;
  options.set(which.level, which.name, &value, sizeof(value), ec);
  return ec;
}

int get(const socket_options& options, const option& which)
{
  int value = -1;
  std::size_t size = sizeof(value);
  error_code ec = boost::asio::error::fault;
  options.get(which.level, which.name, &value, size, ec);
  BOOST_TEST(!ec, "get of " << which.level << ", " << which.name << ": " << ec);
  BOOST_TEST(size == sizeof(value));
  return value;
}

} // namespace

BOOST_AUTO_TEST_SUITE(socket_options_suite)

BOOST_AUTO_TEST_CASE(flags_are_off_and_then_what_was_set)
{
  for (const option& which : kept)
    BOOST_TEST_CONTEXT("option " << which.level << ", " << which.name)
    {
      socket_options options;
      BOOST_TEST(get(options, which) == 0);
      BOOST_TEST(!set(options, which, 1));
      BOOST_TEST(get(options, which) == 1);
      for (const option& other : kept)
        if (other.level != which.level || other.name != which.name)
          BOOST_TEST(get(options, other) == 0);
      BOOST_TEST(!set(options, which, 0));
      BOOST_TEST(get(options, which) == 0);
    }
}

BOOST_AUTO_TEST_CASE(linger_has_two_numbers)
{
  socket_options options;
  const linger value = {1, 30};
  error_code ec;
  options.set(SOL_SOCKET, SO_LINGER, &value, sizeof(value), ec);
  BOOST_TEST(!ec);
  linger read = {};
  std::size_t size = sizeof(read);
  options.get(SOL_SOCKET, SO_LINGER, &read, size, ec);
  BOOST_TEST(!ec);
  BOOST_TEST(size == sizeof(linger));
  BOOST_TEST(read.l_onoff == 1);
  BOOST_TEST(read.l_linger == 30);
  BOOST_TEST(set(options, {SOL_SOCKET, SO_LINGER}, 1) == boost::asio::error::invalid_argument);
  size = sizeof(int);
  options.get(SOL_SOCKET, SO_LINGER, &read, size, ec);
  BOOST_TEST(ec == boost::asio::error::invalid_argument);
}

BOOST_AUTO_TEST_CASE(what_the_socket_is_can_be_asked_but_not_set)
{
  socket_options options;
  BOOST_TEST(get(options, {SOL_SOCKET, SO_TYPE}) == SOCK_STREAM);
  BOOST_TEST(get(options, {SOL_SOCKET, SO_ERROR}) == 0);
  BOOST_TEST(get(options, {SOL_SOCKET, SO_SNDLOWAT}) == 1);
  BOOST_TEST(get(options, {SOL_SOCKET, SO_RCVLOWAT}) == 1);
  for (const int name : {SO_TYPE, SO_ERROR, SO_SNDLOWAT})
    BOOST_TEST(set(options, {SOL_SOCKET, name}, 2) == boost::asio::error::no_protocol_option);
  BOOST_TEST(!set(options, {SOL_SOCKET, SO_RCVLOWAT}, 5));
  BOOST_TEST(get(options, {SOL_SOCKET, SO_RCVLOWAT}) == 5);
}

BOOST_AUTO_TEST_CASE(unknown_options_are_refused)
{
  socket_options options;
  for (const option& which : {option{SOL_SOCKET, 9999}, {IPPROTO_TCP, 9999}, {9999, SO_REUSEADDR}, {option_level, 9999},
           {IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP}})
  {
    BOOST_TEST(set(options, which, 1) == boost::asio::error::no_protocol_option);
    int value = 0;
    std::size_t size = sizeof(value);
    error_code ec;
    options.get(which.level, which.name, &value, size, ec);
    BOOST_TEST(ec == boost::asio::error::no_protocol_option);
  }
}

BOOST_AUTO_TEST_CASE(values_that_are_too_short_are_refused)
{
  std::vector<option> all = kept;
  all.push_back({SOL_SOCKET, SO_SNDBUF});
  all.push_back({SOL_SOCKET, SO_RCVBUF});
  for (const option& which : all)
  {
    socket_options options;
    const int one = 1;
    for (const std::size_t size : {0u, 3u})
    {
      error_code ec;
      options.set(which.level, which.name, &one, size, ec);
      BOOST_TEST(ec == boost::asio::error::invalid_argument);
      int value = 77;
      std::size_t room = size;
      options.get(which.level, which.name, &value, room, ec);
      BOOST_TEST(ec == boost::asio::error::invalid_argument);
      BOOST_TEST(value == 77);
    }
  }
}

BOOST_AUTO_TEST_CASE(v6_only_and_the_doorbell_are_honoured)
{
  socket_options options;
  BOOST_TEST(!options.v6_only());
  BOOST_TEST(!options.socket_doorbell());
  set(options, {IPPROTO_IPV6, IPV6_V6ONLY}, 1);
  BOOST_TEST(options.v6_only());
  BOOST_TEST(!options.socket_doorbell());
  set(options, {option_level, option_socket_doorbell}, 1);
  BOOST_TEST(options.socket_doorbell());
  set(options, {IPPROTO_IPV6, IPV6_V6ONLY}, 0);
  BOOST_TEST(!options.v6_only());
}

BOOST_AUTO_TEST_CASE(the_send_buffer_is_the_ring_that_this_side_writes)
{
  socket_options options;
  const connection_geometry usual = options.geometry_for_connector();
  BOOST_TEST(usual.valid());
  set(options, {SOL_SOCKET, SO_SNDBUF}, 1 << 20);
  BOOST_TEST(options.geometry_for_connector().connector.capacity() == 1u << 20);
  BOOST_TEST(options.geometry_for_connector().acceptor.capacity() == usual.acceptor.capacity());
  set(options, {SOL_SOCKET, SO_RCVBUF}, 1 << 18);
  BOOST_TEST(options.geometry_for_connector().connector.capacity() == 1u << 20);
  BOOST_TEST(options.geometry_for_connector().acceptor.capacity() == 1u << 18);
}

BOOST_AUTO_TEST_CASE(every_buffer_size_makes_a_valid_geometry_and_is_told)
{
  for (const int name : {SO_SNDBUF, SO_RCVBUF})
    for (const int wanted : {std::numeric_limits<int>::min(), -1, 0, 1, 4095, 4096, 65536, 65537, 100000, 16 << 20,
             128 << 20, 200 << 20, std::numeric_limits<int>::max()})
    {
      socket_options options;
      BOOST_TEST(!set(options, {SOL_SOCKET, name}, wanted));
      const connection_geometry geometry = options.geometry_for_connector();
      BOOST_TEST(geometry.valid(), "wanted " << wanted);
      const std::uint64_t made = (name == SO_SNDBUF ? geometry.connector : geometry.acceptor).capacity();
      const std::uint64_t largest = max_region_size / 4;
      if (wanted > 0)
        BOOST_TEST(made >= std::min<std::uint64_t>(static_cast<std::uint64_t>(wanted), largest));
      BOOST_TEST(get(options, {SOL_SOCKET, name}) == static_cast<int>(made));
    }
  // Both at their largest still fit into one region.
  socket_options options;
  set(options, {SOL_SOCKET, SO_SNDBUF}, std::numeric_limits<int>::max());
  set(options, {SOL_SOCKET, SO_RCVBUF}, std::numeric_limits<int>::max());
  BOOST_TEST(options.geometry_for_connector().valid());
}

BOOST_AUTO_TEST_SUITE_END()
