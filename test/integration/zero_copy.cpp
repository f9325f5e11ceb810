// SPDX-License-Identifier: BSL-1.0
// Buffers in the shared memory: what is committed arrives, what is shown can be consumed, misuse is an error code.
#define BOOST_TEST_MODULE zero_copy
#include "socket_test.hpp"

#include <shm/zero_copy.hpp>

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

// A pair whose rings are of the smallest size, two sides in one context.
struct small_pair
{
  small_pair() : acceptor(context, loopback<tcp>()), client(context, tcp::v4())
  {
    client.set_option(asio::socket_base::send_buffer_size(1));
    client.set_option(asio::socket_base::receive_buffer_size(1));
    client.connect(acceptor.local_endpoint());
    server = acceptor.accept();
  }

  asio::io_context context;
  tcp::acceptor acceptor;
  tcp::socket client;
  tcp::socket server{context};
};

void write_in_place(tcp::socket& socket, const std::string& text)
{
  const asio::mutable_buffer space = shm::prepare(socket, text.size());
  BOOST_TEST_REQUIRE(space.size() == text.size());
  std::memcpy(space.data(), text.data(), text.size());
  shm::commit(socket, text.size());
}

std::string shown(tcp::socket& socket)
{
  const asio::const_buffer bytes = shm::data(socket);
  return std::string(static_cast<const char*>(bytes.data()), bytes.size());
}

template <class Function>
error_code error_of(Function function)
{
  error_code ec;
  function(ec);
  return ec;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(zero_copy, watchdog)

BOOST_AUTO_TEST_CASE(committed_bytes_are_shown_and_stay_until_they_are_consumed)
{
  asio::io_context context;
  connected_pair<tcp> pair(context);
  write_in_place(pair.client, "hello, ");
  BOOST_TEST(shown(pair.server) == "hello, ");
  write_in_place(pair.client, "world");
  BOOST_TEST(shown(pair.server) == "hello, world");
  shm::consume(pair.server, 3);
  shm::consume(pair.server, 4);
  BOOST_TEST(shown(pair.server) == "world");
  shm::consume(pair.server, 5);
  BOOST_TEST(error_of([&](error_code& ec) { shm::data(pair.server, ec); }) == asio::error::would_block);
}

BOOST_AUTO_TEST_CASE(mixes_with_ordinary_reads_and_writes)
{
  asio::io_context context;
  connected_pair<tcp> pair(context);
  asio::write(pair.client, asio::buffer("one ", 4));
  write_in_place(pair.client, "two ");
  asio::write(pair.client, asio::buffer("three", 5));
  char start[2];
  asio::read(pair.server, asio::buffer(start));
  BOOST_TEST(shown(pair.server) == "e two three");
  shm::consume(pair.server, 6);
  std::string rest(5, '\0');
  asio::read(pair.server, asio::buffer(rest));
  BOOST_TEST(rest == "three");
}

BOOST_AUTO_TEST_CASE(rest_of_what_was_prepared_is_given_back)
{
  asio::io_context context;
  connected_pair<tcp> pair(context);
  std::memcpy(shm::prepare(pair.client, 1000).data(), "abcdef", 6);
  shm::commit(pair.client, 3);
  std::memcpy(shm::prepare(pair.client, 10).data(), "xyz", 3);
  std::memcpy(shm::prepare(pair.client, 3).data(), "DEF", 3); // replaces what was not committed
  shm::commit(pair.client, 3);
  BOOST_TEST(shown(pair.server) == "abcDEF");
}

BOOST_AUTO_TEST_CASE(no_space_and_no_data_are_would_block_until_async_wait_says_otherwise)
{
  small_pair pair;
  std::size_t filled = 0;
  error_code ec;
  for (;;)
  {
    const auto space = shm::prepare(pair.client, 1 << 20, ec);
    if (ec)
      break;
    BOOST_TEST(space.size() > 0u);
    shm::commit(pair.client, space.size());
    filled += space.size();
  }
  BOOST_TEST(ec == asio::error::would_block);
  asio::socket_base::send_buffer_size capacity;
  pair.client.get_option(capacity);
  BOOST_TEST(filled == static_cast<std::size_t>(capacity.value()));

  completion writable;
  pair.client.async_wait(tcp::socket::wait_write, [&](error_code e) { writable.handler()(e, 0); });
  run_ready(pair.context);
  BOOST_TEST(!writable.done());
  while (filled > 0)
  {
    const std::size_t n = shm::data(pair.server).size();
    shm::consume(pair.server, n);
    filled -= n;
  }
  run_until(pair.context, [&] { return writable.done(); });
  BOOST_TEST(shm::prepare(pair.client, 1).size() == 1u);
}

// More than the ring holds several times over, through async_wait on both sides, checked byte by byte.
BOOST_AUTO_TEST_CASE(long_stream_arrives_unchanged)
{
  small_pair pair;
  const pattern bytes(7);
  const std::vector<unsigned char> sent = bytes.bytes(1 << 20);
  std::vector<unsigned char> got;
  std::size_t done = 0;
  std::function<void()> produce = [&]
  {
    error_code ec;
    while (done != sent.size())
    {
      const auto space = shm::prepare(pair.client, std::min<std::size_t>(sent.size() - done, 3000), ec);
      if (ec == asio::error::would_block)
        return pair.client.async_wait(tcp::socket::wait_write, [&](error_code e) { e ? void() : produce(); });
      BOOST_TEST_REQUIRE(!ec);
      std::memcpy(space.data(), sent.data() + done, space.size());
      shm::commit(pair.client, space.size());
      done += space.size();
    }
    pair.client.shutdown(tcp::socket::shutdown_send);
  };
  error_code end;
  std::function<void()> take = [&]
  {
    for (;;)
    {
      const auto view = shm::data(pair.server, end);
      if (end == asio::error::would_block)
        return pair.server.async_wait(tcp::socket::wait_read, [&](error_code e) { e ? void() : take(); });
      if (end)
        return;
      const auto* first = static_cast<const unsigned char*>(view.data());
      const std::size_t n = std::min<std::size_t>(view.size(), 1777);
      got.insert(got.end(), first, first + n);
      shm::consume(pair.server, n);
    }
  };
  produce();
  take();
  run_out(pair.context);
  BOOST_TEST(end == asio::error::eof);
  BOOST_TEST(bytes.matches(got));
  BOOST_TEST(got.size() == sent.size());
}

BOOST_AUTO_TEST_CASE(more_than_was_prepared_or_shown_is_refused)
{
  asio::io_context context;
  connected_pair<tcp> pair(context);
  const auto commit = [&](std::size_t n) { return error_of([&](error_code& ec) { shm::commit(pair.client, n, ec); }); };
  const auto consume = [&](std::size_t n) { return error_of([&](error_code& ec) { shm::consume(pair.server, n, ec); }); };
  BOOST_TEST(commit(1) == asio::error::invalid_argument);
  BOOST_TEST(!commit(0));
  std::memcpy(shm::prepare(pair.client, 4).data(), "abcd", 4);
  BOOST_TEST(commit(5) == asio::error::invalid_argument);
  BOOST_TEST(!commit(4));
  BOOST_TEST(commit(1) == asio::error::invalid_argument); // twice
  BOOST_TEST(consume(1) == asio::error::invalid_argument); // not looked at
  BOOST_TEST(shown(pair.server) == "abcd");
  BOOST_TEST(consume(5) == asio::error::invalid_argument);
  char first;
  asio::read(pair.server, asio::buffer(&first, 1));
  BOOST_TEST(consume(1) == asio::error::invalid_argument); // a read hides what was shown
  BOOST_TEST(shown(pair.server) == "bcd");
  BOOST_TEST(!consume(3));
  BOOST_CHECK_THROW(shm::consume(pair.server, 1), system_error);
  BOOST_CHECK_THROW(shm::commit(pair.client, 1), system_error);
}

BOOST_AUTO_TEST_CASE(sends_wait_for_the_commit_by_an_error)
{
  asio::io_context context;
  connected_pair<tcp> pair(context);
  const auto space = shm::prepare(pair.client, 2);
  completion write;
  pair.client.async_write_some(asio::buffer("x", 1), write.handler());
  run_until(context, [&] { return write.done(); });
  BOOST_TEST(write.ec == asio::error::in_progress);
  BOOST_TEST(error_of([&](error_code& ec) { pair.client.write_some(asio::buffer("x", 1), ec); })
      == asio::error::in_progress);
  std::memcpy(space.data(), "ok", 2);
  shm::commit(pair.client, 2);
  asio::write(pair.client, asio::buffer("!", 1));
  BOOST_TEST(shown(pair.server) == "ok!");
}

BOOST_AUTO_TEST_CASE(data_is_not_shown_while_a_read_is_pending)
{
  asio::io_context context;
  connected_pair<tcp> pair(context);
  char byte = 0;
  completion read;
  pair.server.async_read_some(asio::buffer(&byte, 1), read.handler());
  BOOST_TEST(error_of([&](error_code& ec) { shm::data(pair.server, ec); }) == asio::error::already_started);
  asio::write(pair.client, asio::buffer("ab", 2));
  run_until(context, [&] { return read.done(); });
  BOOST_TEST(shown(pair.server) == "b");
}

BOOST_AUTO_TEST_CASE(prepare_is_refused_while_a_write_is_pending)
{
  small_pair pair;
  const std::vector<char> much(100000);
  completion write;
  asio::async_write(pair.client, asio::buffer(much), write.handler());
  run_ready(pair.context);
  BOOST_TEST(error_of([&](error_code& ec) { shm::prepare(pair.client, 1, ec); }) == asio::error::already_started);
  std::vector<char> got(much.size());
  completion read;
  asio::async_read(pair.server, asio::buffer(got), read.handler());
  run_until(pair.context, [&] { return write.done() && read.done(); });
  BOOST_TEST(shm::prepare(pair.client, 1).size() == 1u);
}

BOOST_AUTO_TEST_CASE(sockets_without_a_connection_say_so)
{
  asio::io_context context;
  tcp::socket socket(context);
  const auto all = [&](const error_code& expected)
  {
    BOOST_TEST(error_of([&](error_code& ec) { shm::prepare(socket, 1, ec); }) == expected);
    BOOST_TEST(error_of([&](error_code& ec) { shm::commit(socket, 0, ec); }) == expected);
    BOOST_TEST(error_of([&](error_code& ec) { shm::data(socket, ec); }) == expected);
    BOOST_TEST(error_of([&](error_code& ec) { shm::consume(socket, 0, ec); }) == expected);
  };
  all(asio::error::bad_descriptor);
  socket.open(tcp::v4());
  all(asio::error::not_connected);
}

BOOST_AUTO_TEST_CASE(end_of_the_connection)
{
  asio::io_context context;
  connected_pair<tcp> pair(context);
  write_in_place(pair.client, "last");
  const auto space = shm::prepare(pair.client, 1);
  BOOST_TEST(space.size() == 1u);
  pair.client.shutdown(tcp::socket::shutdown_send);
  BOOST_TEST(error_of([&](error_code& ec) { shm::commit(pair.client, 1, ec); }) == asio::error::broken_pipe);
  BOOST_TEST(error_of([&](error_code& ec) { shm::prepare(pair.client, 1, ec); }) == asio::error::broken_pipe);
  BOOST_TEST(shown(pair.server) == "last");
  shm::consume(pair.server, 4);
  BOOST_TEST(error_of([&](error_code& ec) { shm::data(pair.server, ec); }) == asio::error::eof);

  shm::prepare(pair.server, 1);
  pair.client.close();
  error_code ec;
  while (!ec)
    shm::prepare(pair.server, 1, ec); // the watchdog ends this if nothing does
  BOOST_TEST(ec == asio::error::broken_pipe);
}

// A peer that sleeps is woken by commit, a writer that sleeps by consume.
BOOST_AUTO_TEST_CASE(wakes_a_sleeping_peer)
{
  asio::io_context context;
  asio::io_context other;
  connected_pair<tcp> pair(context, other);
  std::string got(5, '\0');
  std::thread reader([&] { asio::read(pair.server, asio::buffer(got)); });
  for (int i = 0; i != 5; ++i)
  {
    context.run_for(std::chrono::milliseconds(1)); // time for the reader to fall asleep, or not: both must work
    context.restart();
    write_in_place(pair.client, std::string(1, static_cast<char>('a' + i)));
  }
  reader.join();
  BOOST_TEST(got == "abcde");
}

BOOST_AUTO_TEST_SUITE_END()
