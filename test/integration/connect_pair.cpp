// SPDX-License-Identifier: BSL-1.0
// connect_pair: two sockets connected to each other without a listener.
#define BOOST_TEST_MODULE connect_pair
#include "socket_test.hpp"

#include <shm/connect_pair.hpp>

#include <string>

using namespace shm::test;
using tcp = shm::stream_protocol;

BOOST_FIXTURE_TEST_SUITE(connect_pair, watchdog)

BOOST_AUTO_TEST_CASE(carries_data_both_ways)
{
  asio::io_context context;
  tcp::socket a(context);
  tcp::socket b(context);
  shm::connect_pair(a, b);
  for (int i = 0; i < 2; ++i)
  {
    const std::string sent = i == 0 ? "there" : "and back";
    std::string got(sent.size(), '\0');
    asio::write(i == 0 ? a : b, asio::buffer(sent));
    asio::read(i == 0 ? b : a, asio::buffer(got));
    BOOST_TEST(got == sent);
  }
}

BOOST_AUTO_TEST_CASE(joins_two_contexts)
{
  asio::io_context context_a;
  asio::thread_pool context_b(1);
  tcp::socket a(context_a);
  tcp::socket b(context_b);
  shm::connect_pair(a, b);
  std::string got(3, '\0');
  completion read;
  asio::async_read(a, asio::buffer(got), read.handler());
  completion write;
  asio::async_write(b, asio::buffer("abc", 3), write.handler()); // completes in the pool's thread
  run_until(context_a, [&] { return read.done(); });
  context_b.join();
  BOOST_TEST(got == "abc");
  BOOST_TEST(write.bytes == 3u);
}

BOOST_AUTO_TEST_CASE(ends_with_eof_when_one_closes)
{
  asio::io_context context;
  tcp::socket a(context);
  tcp::socket b(context);
  shm::connect_pair(a, b);
  asio::write(a, asio::buffer("last", 4));
  a.close();
  std::string got(4, '\0');
  asio::read(b, asio::buffer(got));
  BOOST_TEST(got == "last");
  error_code ec;
  b.read_some(asio::buffer(got), ec);
  BOOST_TEST(ec == error::eof);
}

BOOST_AUTO_TEST_CASE(has_the_empty_path_as_endpoints)
{
  asio::io_context context;
  tcp::socket a(context);
  tcp::socket b(context);
  shm::connect_pair(a, b);
  BOOST_TEST(a.local_endpoint().is_local());
  BOOST_TEST(a.remote_endpoint().path() == "");
  BOOST_TEST((b.local_endpoint().protocol() == tcp::local()));
}

BOOST_AUTO_TEST_CASE(refuses_open_sockets)
{
  asio::io_context context;
  tcp::socket a(context);
  tcp::socket b(context, tcp::v4());
  reports(error::already_open, [&](auto&... ec) { shm::connect_pair(a, b, ec...); });
  BOOST_TEST(!a.is_open());
  BOOST_TEST(b.is_open());
}

BOOST_AUTO_TEST_SUITE_END()
