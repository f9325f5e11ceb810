// SPDX-License-Identifier: BSL-1.0
// Expiry times of iostreams: what they end, and what goes on afterwards.

#define BOOST_TEST_MODULE iostream_expiry
#include "socket_test.hpp"

#include "stream_and_peer.hpp"

#include <chrono>
#include <string>
#include <type_traits>
#include <vector>

using namespace shm::test;

namespace {

constexpr std::chrono::milliseconds soon{20};
constexpr std::chrono::seconds past{-1};

/// A clock of the program's own, which only moves when told to.
struct manual_clock
{
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<manual_clock>;
  [[maybe_unused]] static constexpr bool is_steady = false;
  static inline time_point value{};
  static time_point now() { return value; }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(iostream_expiry, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(a_read_ends_and_can_be_repeated, Protocol, transports)
{
  stream_and_peer<Protocol> test;
  test.stream.expires_after(soon);
  std::string line;
  std::getline(test.stream, line);
  BOOST_TEST(test.stream.fail());
  BOOST_TEST(test.stream.error() == error::timed_out);

  asio::write(test.peer, asio::buffer("in time\n", 8));
  test.stream.clear();
  test.stream.expires_after(patience);
  std::getline(test.stream, line);
  BOOST_TEST(test.stream.good());
  BOOST_TEST(line == "in time");
  BOOST_TEST(!test.stream.error());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_write_ends_when_there_is_no_room, Protocol, transports)
{
  stream_and_peer<Protocol> test;
  const std::vector<char> block(1'000'000, 'w');
  test.stream.expires_after(soon);
  for (int i = 0; i != 100 && test.stream.good(); ++i)
    test.stream.write(block.data(), static_cast<std::streamsize>(block.size()));
  BOOST_TEST(test.stream.fail());
  BOOST_TEST(test.stream.error() == error::timed_out);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(after_the_time_nothing_is_tried_and_nothing_lost, Protocol, transports)
{
  stream_and_peer<Protocol> test;
  asio::write(test.peer, asio::buffer("data", 4));
  test.stream.expires_after(past);
  BOOST_TEST(test.stream.get() == std::char_traits<char>::eof());
  BOOST_TEST(test.stream.error() == error::timed_out);
  test.stream.clear();
  test.stream << "out";
  BOOST_TEST(test.stream.fail());
  BOOST_TEST(test.peer.available() == 0u);

  test.stream.clear();
  test.stream.expires_after(patience);
  BOOST_TEST(test.stream.get() == 'd');
  test.stream << std::flush;
  std::string out(3, '\0');
  asio::read(test.peer, asio::buffer(out));
  BOOST_TEST(out == "out");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_in_the_get_area_is_read_after_the_time, Protocol, transports)
{
  stream_and_peer<Protocol> test;
  asio::write(test.peer, asio::buffer("ab", 2));
  BOOST_TEST(test.stream.get() == 'a');
  test.stream.expires_after(past);
  BOOST_TEST(test.stream.get() == 'b');
  BOOST_TEST(test.stream.good());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_connect_fails_after_the_time, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  typename Protocol::iostream stream;
  stream.expires_after(past);
  stream.connect(acceptor.local_endpoint());
  BOOST_TEST(stream.fail());
  BOOST_TEST(stream.error() == error::timed_out);

  stream.clear();
  stream.expires_after(patience);
  stream.connect(acceptor.local_endpoint());
  BOOST_TEST(stream.good());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_connect_after_the_time_leaves_the_connection, Protocol, transports)
{
  stream_and_peer<Protocol> test;
  test.stream.expires_after(past);
  test.stream.connect(test.acceptor.local_endpoint());
  BOOST_TEST(test.stream.error() == error::timed_out);
  test.stream.clear();
  test.stream.expires_after(patience);
  test.stream << "still here";
  std::string text(10, '\0');
  asio::read(test.peer, asio::buffer(text));
  BOOST_TEST(text == "still here");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_time_can_be_asked_and_set, Protocol, transports)
{
  typename Protocol::iostream stream;
  using time_point = typename Protocol::iostream::time_point;
  using duration = typename Protocol::iostream::duration;
  static_assert(std::is_same_v<typename Protocol::iostream::clock_type, std::chrono::steady_clock>);
  BOOST_TEST((stream.expiry() == time_point::max()));
  const time_point noon = time_point(std::chrono::hours(12));
  stream.expires_at(noon);
  BOOST_TEST((stream.expiry() == noon));
  BOOST_TEST((stream.rdbuf()->expiry() == noon));
  stream.expires_after(std::chrono::duration_cast<duration>(std::chrono::hours(1)));
  BOOST_TEST((stream.expiry() > std::chrono::steady_clock::now() + std::chrono::minutes(59)));
  // Beyond what the clock can say is never.
  stream.expires_after(duration::max());
  BOOST_TEST((stream.expiry() == time_point::max()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_deprecated_names_work, Protocol, transports)
{
  stream_and_peer<Protocol> test;
  test.stream.expires_from_now(std::chrono::hours(1));
  BOOST_TEST((test.stream.expires_at() == test.stream.expiry()));
  BOOST_TEST((test.stream.expires_from_now() > std::chrono::minutes(59)));
  test.peer.close();
  BOOST_TEST(test.stream.get() == std::char_traits<char>::eof());
  BOOST_TEST(test.stream.rdbuf()->puberror() == error::eof);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_clock_may_be_the_programs_own, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  asio::basic_socket_iostream<Protocol, manual_clock> stream(acceptor.local_endpoint());
  auto peer = acceptor.accept();
  stream.expires_after(std::chrono::hours(1));
  asio::write(peer, asio::buffer("x", 1));
  BOOST_TEST(stream.get() == 'x');
  manual_clock::value += std::chrono::hours(2);
  BOOST_TEST(stream.get() == std::char_traits<char>::eof());
  BOOST_TEST(stream.error() == error::timed_out);
}

BOOST_AUTO_TEST_SUITE_END()
