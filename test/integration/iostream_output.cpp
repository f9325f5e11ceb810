// SPDX-License-Identifier: BSL-1.0
// Output in the buffer of a stream, where Asio 1.81's own streams lose or repeat it.
#define BOOST_TEST_MODULE iostream_output
#include "socket_test.hpp"

#include <chrono>
#include <string>
#include <thread>
#include <utility>

using namespace shm::test;
using tcp = shm::stream_protocol;

BOOST_FIXTURE_TEST_SUITE(iostream_output, watchdog)

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

BOOST_AUTO_TEST_CASE(a_write_that_was_given_up_is_continued)
{
  asio::io_context context;
  tcp::acceptor acceptor(context, loopback<tcp>());
  tcp::iostream stream(acceptor.local_endpoint());
  auto peer = acceptor.accept();
  stream.unsetf(std::ios_base::unitbuf);
  std::string sent;
  const auto write = [&](const std::string& text)
  {
    for (const char c : text)
      if (stream.good() && stream.rdbuf()->sputc(c) == c)
        sent += c;
      else
        return false;
    return true;
  };
  // The ring is no multiple of what is written then: the write that finds no more room has sent a part.
  BOOST_TEST(write("an odd number of characters"));
  stream.flush();
  stream.expires_after(std::chrono::milliseconds(50));
  std::string text;
  for (int i = 0; i != 999; ++i)
    text += static_cast<char>('a' + i % 26);
  while (sent.size() < 100'000'000 && write(text))
    ;
  BOOST_TEST(stream.error() == error::timed_out);

  std::string got;
  std::thread reader(
      [&]
      {
        error_code ec;
        asio::read(peer, asio::dynamic_buffer(got), ec);
        BOOST_TEST(ec == error::eof);
      });
  stream.clear();
  stream.expires_after(patience);
  BOOST_TEST(write(" and on"));
  stream.close();
  reader.join();
  BOOST_TEST(!stream.fail());
  BOOST_TEST((got == sent));
}

BOOST_AUTO_TEST_SUITE_END()
