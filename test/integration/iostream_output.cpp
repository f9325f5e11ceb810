// SPDX-License-Identifier: BSL-1.0
// Moving a stream with output in its buffer, which Asio 1.81's own streams lose.
#define BOOST_TEST_MODULE iostream_moves
#include "socket_test.hpp"

#include <string>
#include <utility>

using namespace shm::test;
using tcp = shm::stream_protocol;

BOOST_FIXTURE_TEST_SUITE(iostream_moves, watchdog)

BOOST_AUTO_TEST_CASE(what_is_in_the_put_area_moves_with_the_stream)
{
  asio::io_context context;
  tcp::acceptor acceptor(context, loopback<tcp>());
  tcp::iostream stream(acceptor.local_endpoint());
  auto peer = acceptor.accept();
  stream.unsetf(std::ios_base::unitbuf);
  stream << "kept ";
  tcp::iostream moved(std::move(stream));
  moved << "and ";
  tcp::iostream assigned;
  assigned = std::move(moved);
  assigned << "sent" << std::flush;
  std::string got(13, '\0');
  asio::read(peer, asio::buffer(got));
  BOOST_TEST(got == "kept and sent");
}

BOOST_AUTO_TEST_CASE(a_stream_that_is_assigned_to_writes_what_it_had)
{
  asio::io_context context;
  tcp::acceptor acceptor(context, loopback<tcp>());
  tcp::iostream stream(acceptor.local_endpoint());
  auto peer = acceptor.accept();
  stream.unsetf(std::ios_base::unitbuf);
  stream << "last";
  stream = tcp::iostream();
  std::string got(4, '\0');
  asio::read(peer, asio::buffer(got));
  BOOST_TEST(got == "last");
  BOOST_TEST(!stream.socket().is_open());
}

BOOST_AUTO_TEST_SUITE_END()
