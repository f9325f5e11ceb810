// SPDX-License-Identifier: BSL-1.0
// Both kinds of doorbell wake whoever sleeps: asynchronously, in blocking calls, and both at once.
#define BOOST_TEST_MODULE doorbells
#include "socket_test.hpp"

#include <shm/doorbell.hpp>
#include <shm/peer_credentials.hpp>

#include <array>
#include <thread>
#include <vector>

#include <dirent.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

constexpr bool kinds[] = {false, true};

/// A pair over one kind of doorbell.
struct doorbell_pair
{
  doorbell_pair(asio::io_context& client_context, asio::io_context& server_context, bool socket_kind)
    : client(client_context), server(server_context)
  {
    tcp::acceptor acceptor(server_context, loopback<tcp>());
    client.open(tcp::v4());
    client.set_option(shm::socket_doorbell(socket_kind));
    client.set_option(tcp::socket::send_buffer_size(1 << 16));
    client.set_option(tcp::socket::receive_buffer_size(1 << 16));
    client.connect(acceptor.local_endpoint());
    acceptor.accept(server);
  }

  tcp::socket client;
  tcp::socket server;
};

std::size_t descriptors()
{
  std::size_t count = 0;
  DIR* directory = ::opendir("/proc/self/fd");
  BOOST_TEST_REQUIRE(directory);
  while (::readdir(directory))
    ++count;
  ::closedir(directory);
  return count;
}

/// Lets the context run until it sleeps, so that its pending operations wait for a doorbell.
void fall_asleep(asio::io_context& context)
{
  context.restart();
  context.run_for(std::chrono::milliseconds(5));
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(doorbells, watchdog)

BOOST_AUTO_TEST_CASE(wake_a_sleeping_read)
{
  for (const bool kind : kinds)
  {
    asio::io_context context;
    asio::io_context other;
    doorbell_pair pair(context, other, kind);
    for (int i = 0; i < 50; ++i)
    {
      char got = 0;
      completion read;
      pair.client.async_read_some(asio::buffer(&got, 1), read.handler());
      fall_asleep(context);
      BOOST_TEST_REQUIRE(!read.done());
      const char sent = static_cast<char>('a' + i % 26);
      asio::write(pair.server, asio::buffer(&sent, 1));
      run_until(context, [&] { return read.done(); });
      BOOST_TEST(got == sent);
    }
  }
}

BOOST_AUTO_TEST_CASE(wake_a_sleeping_write)
{
  for (const bool kind : kinds)
  {
    asio::io_context context;
    asio::io_context other;
    doorbell_pair pair(context, other, kind);
    const pattern bytes(7);
    const std::vector<unsigned char> sent = bytes.bytes(1 << 20);
    std::vector<unsigned char> got(sent.size());
    completion write;
    asio::async_write(pair.client, asio::buffer(sent), write.handler());
    fall_asleep(context);
    BOOST_TEST_REQUIRE(!write.done());
    std::thread reader([&] { asio::read(pair.server, asio::buffer(got)); });
    run_until(context, [&] { return write.done(); });
    reader.join();
    BOOST_TEST(bytes.matches(got));
  }
}

BOOST_AUTO_TEST_CASE(wake_a_blocking_call_beside_an_asynchronous_one)
{
  for (const bool kind : kinds)
  {
    asio::io_context context;
    asio::io_context other;
    doorbell_pair pair(context, other, kind);
    const pattern bytes(11);
    const std::vector<unsigned char> sent = bytes.bytes(3 << 20);
    std::vector<unsigned char> got(sent.size());
    std::array<char, 5> answer{};
    completion read;
    asio::async_read(pair.client, asio::buffer(answer), read.handler());
    std::thread runs([&] { context.run(); });
    std::thread writes([&] { asio::write(pair.client, asio::buffer(sent)); });
    asio::read(pair.server, asio::buffer(got));
    asio::write(pair.server, asio::buffer("reply", 5));
    writes.join();
    runs.join();
    BOOST_TEST(bytes.matches(got));
    BOOST_TEST(read.bytes == 5u);
  }
}

BOOST_AUTO_TEST_CASE(of_the_socket_kind_take_one_descriptor_a_side)
{
  std::size_t used[2];
  for (const bool kind : kinds)
  {
    asio::io_context context;
    tcp::acceptor acceptor(context, loopback<tcp>());
    tcp::socket warm_up(context, tcp::v4());
    const std::size_t before = descriptors();
    doorbell_pair pair(context, context, kind);
    used[kind] = descriptors() - before;
  }
  BOOST_TEST(used[false] == 6u);
  BOOST_TEST(used[true] == 2u);
}

BOOST_AUTO_TEST_CASE(report_a_peer_that_closes_while_we_sleep)
{
  for (const bool kind : kinds)
  {
    asio::io_context context;
    asio::io_context other;
    doorbell_pair pair(context, other, kind);
    char got = 0;
    completion read;
    pair.client.async_read_some(asio::buffer(&got, 1), read.handler());
    fall_asleep(context);
    pair.server.close();
    run_until(context, [&] { return read.done(); });
    BOOST_TEST(read.ec == error::eof);
  }
}

// A blocking write looks whether the peer is there; it must not take a ring that is for the pending read.
BOOST_AUTO_TEST_CASE(wake_a_read_while_its_socket_is_written_to)
{
  for (const bool kind : kinds)
  {
    asio::io_context context;
    asio::io_context other;
    doorbell_pair pair(context, other, kind);
    char got = 0;
    completion read;
    pair.client.async_read_some(asio::buffer(&got, 1), read.handler());
    fall_asleep(context);
    asio::write(pair.server, asio::buffer("x", 1)); // rings while nobody runs the context
    asio::write(pair.client, asio::buffer("y", 1));
    run_until(context, [&] { return read.done(); });
    BOOST_TEST(got == 'x');
  }
}

BOOST_AUTO_TEST_CASE(that_are_rung_for_nothing_do_not_keep_a_waiting_thread_busy)
{
  asio::io_context context;
  doorbell_pair pair(context, context, true);
  const char ring = 1;
  BOOST_TEST_REQUIRE(::send(pair.server.native_handle(), &ring, 1, 0) == 1);
  rusage used{};
  std::thread waits(
      [&]
      {
        error_code ec;
        pair.client.wait(tcp::socket::wait_error, ec);
        ::getrusage(RUSAGE_THREAD, &used);
      });
  context.restart();
  asio::steady_timer timer(context, std::chrono::milliseconds(300));
  timer.async_wait([&](error_code) { pair.server.close(); });
  run_out(context);
  waits.join();
  const auto microseconds = [](const timeval& t) { return t.tv_sec * 1000000 + t.tv_usec; };
  BOOST_TEST(microseconds(used.ru_utime) + microseconds(used.ru_stime) < 150000);
}

BOOST_AUTO_TEST_CASE(peer_credentials_are_those_of_the_kernel)
{
  asio::io_context context;
  connected_pair<tcp> pair(context);
  shm::peer_credentials peer;
  pair.server.get_option(peer);
  BOOST_TEST(peer.uid() == ::geteuid());
  BOOST_TEST(peer.gid() == ::getegid());
  BOOST_TEST(peer.pid() == ::getpid());
  tcp::socket unconnected(context, tcp::v4());
  reports(error::not_connected, [&](auto&... ec) { unconnected.get_option(peer, ec...); });
}

BOOST_AUTO_TEST_SUITE_END()
