// SPDX-License-Identifier: BSL-1.0
// The protocols' iostream: connections by endpoint and by name, lines, copies of buffers, moves, errors.

#define BOOST_TEST_MODULE iostream
#include "socket_test.hpp"

#include "stream_and_peer.hpp"

#include <cstdio>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace shm::test;

namespace {

std::string many_lines(int count)
{
  std::string text;
  for (int i = 0; i != count; ++i)
    text += std::to_string(i) + " is a line\n";
  return text;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(iostream, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(lines_go_both_ways, Protocol, transports)
{
  stream_and_peer<Protocol> test;
  BOOST_TEST(!test.stream.fail());
  BOOST_TEST(test.stream.socket().is_open());
  test.stream << "hello " << 42 << std::endl;
  BOOST_TEST(test.peer_reads(9) == "hello 42\n");
  test.peer_writes("13 words\nrest");
  int number = 0;
  std::string word, line;
  test.stream >> number >> word;
  BOOST_TEST(number == 13);
  BOOST_TEST(word == "words");
  std::getline(test.stream, line);
  BOOST_TEST(line.empty());
  BOOST_TEST(test.stream.get() == 'r');
  BOOST_TEST(!test.stream.error());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(output_leaves_with_each_expression, Protocol, transports)
{
  stream_and_peer<Protocol> test;
  test.stream << "no flush"; // unitbuf is set
  BOOST_TEST(test.peer_reads(8) == "no flush");
  test.stream.unsetf(std::ios_base::unitbuf);
  test.stream << "kept";
  BOOST_TEST(test.peer.available() == 0u);
  test.stream << " back";
  test.stream.flush();
  BOOST_TEST(test.peer_reads(9) == "kept back");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_stream_connects_by_host_and_service, Protocol, ip_transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  const std::string service = std::to_string(acceptor.local_endpoint().port());
  typename Protocol::iostream constructed("127.0.0.1", service);
  BOOST_TEST(constructed.good());
  typename Protocol::iostream connected;
  connected.connect("localhost", service);
  BOOST_TEST(connected.good());
  for (int i = 0; i != 2; ++i)
  {
    auto peer = acceptor.accept();
    asio::write(peer, asio::buffer("x\n", 2));
  }
  std::string line;
  std::getline(constructed, line);
  BOOST_TEST(line == "x");
  std::getline(connected, line);
  BOOST_TEST(line == "x");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_failed_connect_says_why, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  const auto endpoint = acceptor.local_endpoint();
  acceptor.close();
  typename Protocol::iostream constructed(endpoint);
  BOOST_TEST(constructed.fail());
  BOOST_TEST(constructed.error() == error::connection_refused);

  // The same object connects later.
  acceptor = typename Protocol::acceptor(context, loopback<Protocol>());
  constructed.clear();
  constructed.connect(acceptor.local_endpoint());
  BOOST_TEST(constructed.good());
  BOOST_TEST(!constructed.error());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(an_unknown_name_is_an_error, Protocol, ip_transports)
{
  typename Protocol::iostream stream("no such host name", "80");
  BOOST_TEST(stream.fail());
  BOOST_TEST(bool(stream.error()));
  BOOST_TEST(!stream.socket().is_open());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_next_endpoint_of_a_range_is_tried, Protocol, ip_transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, typename Protocol::endpoint(Protocol::v4(), 0));
  // Where localhost has two addresses, only one of them is listened on.
  typename Protocol::iostream stream("localhost", std::to_string(acceptor.local_endpoint().port()));
  BOOST_TEST(stream.good());
  BOOST_TEST(!stream.error());
  BOOST_TEST(stream.socket().remote_endpoint() == loopback<Protocol>(acceptor.local_endpoint().port()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(an_acceptor_accepts_into_the_stream, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  typename Protocol::iostream client(acceptor.local_endpoint());
  typename Protocol::iostream server;
  typename Protocol::endpoint peer;
  acceptor.accept(server.socket(), peer);
  BOOST_TEST(peer == client.socket().local_endpoint());
  BOOST_TEST(server.socket().remote_endpoint() == peer);
  client << "one\n";
  std::string line;
  std::getline(server, line);
  BOOST_TEST(line == "one");
  server << "two\n";
  std::getline(client, line);
  BOOST_TEST(line == "two");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(an_asynchronous_accept_fills_the_stream, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  typename Protocol::iostream server;
  completion accepted;
  acceptor.async_accept(server.socket(), accepted.handler());
  typename Protocol::iostream client(acceptor.local_endpoint());
  run_until(context, [&] { return accepted.done(); });
  BOOST_TEST(!accepted.ec);
  client << "in\n";
  std::string line;
  std::getline(server, line);
  BOOST_TEST(line == "in");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_stream_takes_over_a_socket, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  typename Protocol::iostream server(std::move(pair.server));
  BOOST_TEST(!pair.server.is_open());
  asio::write(pair.client, asio::buffer("question\n", 9));
  std::string line;
  std::getline(server, line);
  BOOST_TEST(line == "question");
  server << "answer";
  std::string answer(6, '\0');
  asio::read(pair.client, asio::buffer(answer));
  BOOST_TEST(answer == "answer");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_was_read_ahead_moves_with_the_stream, Protocol, transports)
{
  stream_and_peer<Protocol> test;
  test.peer_writes("one two three");
  std::string word;
  test.stream >> word; // the rest of the line is in the get area
  typename Protocol::iostream moved(std::move(test.stream));
  moved >> word;
  BOOST_TEST(word == "two");
  typename Protocol::iostream assigned;
  assigned = std::move(moved);
  test.peer.shutdown(asio::socket_base::shutdown_send);
  assigned >> word;
  BOOST_TEST(word == "three");
  BOOST_TEST(assigned.error() == error::eof);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_stream_that_was_moved_from_connects_again, Protocol, transports)
{
  stream_and_peer<Protocol> test;
  typename Protocol::iostream moved(std::move(test.stream));
  test.stream.clear();
  test.stream.connect(test.acceptor.local_endpoint());
  BOOST_TEST(test.stream.good());
  auto peer = test.acceptor.accept();
  test.stream << "x" << std::flush;
  std::string got(1, '\0');
  asio::read(peer, asio::buffer(got));
  BOOST_TEST(got == "x");
  moved << "y" << std::flush;
  BOOST_TEST(test.peer_reads(1) == "y");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_end_of_the_peer_is_eof, Protocol, transports)
{
  stream_and_peer<Protocol> test;
  test.peer_writes("last words");
  test.peer.close();
  std::string line;
  std::getline(test.stream, line);
  BOOST_TEST(line == "last words");
  BOOST_TEST(test.stream.eof());
  BOOST_TEST(test.stream.error() == error::eof);
  test.stream.clear();
  BOOST_TEST(test.stream.get() == std::char_traits<char>::eof());
  BOOST_TEST(test.stream.error() == error::eof);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_buffer_is_copied_to_another_stream, Protocol, transports)
{
  stream_and_peer<Protocol> test;
  const std::string text = many_lines(2000);
  std::thread writer(
      [&]
      {
        test.peer_writes(text);
        test.peer.shutdown(asio::socket_base::shutdown_send);
      });
  std::ostringstream copy;
  copy << test.stream.rdbuf();
  writer.join();
  BOOST_TEST((copy.str() == text));
  BOOST_TEST(test.stream.error() == error::eof);

  std::istringstream source(text);
  std::string got;
  std::thread reader([&] { got = test.peer_reads(text.size()); });
  test.stream.clear();
  test.stream << source.rdbuf() << std::flush;
  reader.join();
  BOOST_TEST((got == text));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(without_a_put_area_each_character_is_written, Protocol, transports)
{
  stream_and_peer<Protocol> test;
  test.stream.unsetf(std::ios_base::unitbuf);
  BOOST_TEST(test.stream.rdbuf()->pubsetbuf(nullptr, 0) == test.stream.rdbuf());
  test.stream << "now";
  BOOST_TEST(test.peer_reads(3) == "now");
  BOOST_TEST(!test.stream.flush().fail());
  std::vector<char> area(10);
  BOOST_TEST(test.stream.rdbuf()->pubsetbuf(area.data(), 10) == nullptr);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(characters_can_be_put_back, Protocol, transports)
{
  stream_and_peer<Protocol> test;
  test.peer_writes("abc");
  BOOST_TEST(test.stream.get() == 'a');
  BOOST_TEST(test.stream.get() == 'b');
  BOOST_TEST(!test.stream.putback('b').fail());
  BOOST_TEST(!test.stream.putback('a').fail());
  std::string word(3, '\0');
  test.stream.read(word.data(), 3);
  BOOST_TEST(word == "abc");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(closing_and_destroying_write_what_is_buffered, Protocol, transports)
{
  stream_and_peer<Protocol> test;
  {
    typename Protocol::iostream second(test.acceptor.local_endpoint());
    auto peer = test.acceptor.accept();
    {
      typename Protocol::iostream taken(std::move(second));
      taken.unsetf(std::ios_base::unitbuf);
      taken << "destroyed";
    }
    std::string text(9, '\0');
    asio::read(peer, asio::buffer(text));
    BOOST_TEST(text == "destroyed");
  }
  test.stream.unsetf(std::ios_base::unitbuf);
  test.stream << "closed";
  test.stream.close();
  BOOST_TEST(!test.stream.fail());
  BOOST_TEST(!test.stream.socket().is_open());
  BOOST_TEST(test.peer_reads(6) == "closed");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(writing_to_a_peer_that_is_gone_fails, Protocol, transports)
{
  stream_and_peer<Protocol> test;
  test.peer.close();
  // The first write may still be taken.
  const std::string text = many_lines(100);
  for (int i = 0; i != 100 && test.stream.good(); ++i)
    test.stream << text << std::flush;
  BOOST_TEST(test.stream.fail());
  BOOST_TEST(is_broken(test.stream.error()));
  test.stream.clear(); // the destructor tries once more to write, and gives up
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_mode_of_the_socket_does_not_matter, Protocol, transports)
{
  stream_and_peer<Protocol> test;
  test.stream.socket().non_blocking(true);
  std::thread writer([&] { test.peer_writes("late\n"); });
  std::string line;
  std::getline(test.stream, line);
  writer.join();
  BOOST_TEST(line == "late");
}

BOOST_AUTO_TEST_SUITE_END()
