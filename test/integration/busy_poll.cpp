// SPDX-License-Identifier: BSL-1.0
// The limit on polling: as a socket option, as the default of a context, and what it leaves unchanged.
#define BOOST_TEST_MODULE busy_poll
#include "socket_test.hpp"

#include <shm/busy_poll.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <sys/socket.h>
#include <thread>
#include <vector>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

template <class Socket>
int limit_of(Socket& socket)
{
  shm::busy_poll limit(-1);
  socket.get_option(limit);
  return limit.value();
}

// Plays ping-pong with a thread that answers by blocking operations.
// Without checks, for any thread. @returns how many rounds came to their end.
int play_ping_pong(asio::io_context& context, tcp::socket& socket, tcp::socket& peer, int rounds)
{
  std::thread answers(
      [&]
      {
        char byte;
        for (int i = 0; i != rounds; ++i)
        {
          asio::read(peer, asio::buffer(&byte, 1));
          asio::write(peer, asio::buffer(&byte, 1));
        }
      });
  int done = 0;
  char byte = 'x';
  std::function<void()> play = [&]
  {
    asio::async_write(socket, asio::buffer(&byte, 1), [](error_code, std::size_t) {});
    asio::async_read(socket, asio::buffer(&byte, 1),
        [&](error_code ec, std::size_t)
        {
          if (!ec && ++done != rounds)
            play();
        });
  };
  play();
  context.restart();
  context.run();
  answers.join();
  return done;
}

void check_ping_pong(asio::io_context& context, tcp::socket& socket, tcp::socket& peer, int rounds)
{
  BOOST_TEST(play_ping_pong(context, socket, peer, rounds) == rounds);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(busy_poll, watchdog)

BOOST_AUTO_TEST_CASE(default_is_that_of_the_context)
{
  asio::io_context context;
  tcp::socket before(context, tcp::v4());
  BOOST_TEST(limit_of(before) == 50);
  shm::set_busy_poll(context, shm::busy_poll(7));
  tcp::socket after(context, tcp::v4());
  BOOST_TEST(limit_of(before) == 7);
  BOOST_TEST(limit_of(after) == 7);
  after.set_option(shm::busy_poll(70));
  shm::set_busy_poll(context, shm::busy_poll(0));
  BOOST_TEST(limit_of(before) == 0);
  BOOST_TEST(limit_of(after) == 70);
  asio::io_context other;
  BOOST_TEST(limit_of(*std::make_unique<tcp::socket>(other, tcp::v4())) == 50);
}

BOOST_AUTO_TEST_CASE(value_out_of_range_is_refused_and_changes_nothing)
{
  asio::io_context context;
  tcp::socket socket(context, tcp::v4());
  for (const int wrong : {-1, 1000001})
  {
    error_code ec;
    socket.set_option(shm::busy_poll(wrong), ec);
    BOOST_TEST(ec == asio::error::invalid_argument);
    shm::set_busy_poll(context, shm::busy_poll(wrong), ec);
    BOOST_TEST(ec == asio::error::invalid_argument);
    BOOST_CHECK_THROW(shm::set_busy_poll(context, shm::busy_poll(wrong)), system_error);
    BOOST_TEST(limit_of(socket) == 50);
  }
  socket.close();
  error_code ec;
  socket.set_option(shm::busy_poll(1), ec);
  BOOST_TEST(ec == asio::error::bad_descriptor);
}

BOOST_AUTO_TEST_CASE(option_of_the_kernel_does_the_same)
{
  asio::io_context context;
  tcp::socket socket(context, tcp::v4());
  using kernels = asio::detail::socket_option::integer<SOL_SOCKET, SO_BUSY_POLL>;
  socket.set_option(kernels(20));
  BOOST_TEST(limit_of(socket) == 20);
  socket.set_option(shm::busy_poll(30));
  kernels got;
  socket.get_option(got);
  BOOST_TEST(got.value() == 30);
}

BOOST_AUTO_TEST_CASE(accepted_socket_has_what_the_acceptor_has)
{
  asio::io_context context;
  tcp::acceptor acceptor(context, loopback<tcp>());
  acceptor.set_option(shm::busy_poll(3));
  tcp::socket client(context);
  client.connect(acceptor.local_endpoint());
  auto server = acceptor.accept();
  BOOST_TEST(limit_of(server) == 3);
  BOOST_TEST(limit_of(client) == 50);
}

BOOST_AUTO_TEST_CASE(every_limit_carries_data)
{
  for (const int client : {0, 1, 50, 1000})
    for (const int server : {0, 50})
    {
      asio::io_context context;
      asio::io_context other;
      connected_pair<tcp> pair(context, other);
      pair.client.set_option(shm::busy_poll(client));
      pair.server.set_option(shm::busy_poll(server));
      check_ping_pong(context, pair.client, pair.server, 300);
    }
}

BOOST_AUTO_TEST_CASE(limit_can_change_while_operations_are_pending)
{
  asio::io_context context;
  asio::io_context other;
  connected_pair<tcp> pair(context, other);
  char byte = 0;
  completion read;
  pair.client.async_read_some(asio::buffer(&byte, 1), read.handler());
  context.poll_one();
  pair.client.set_option(shm::busy_poll(0));
  run_ready(context);
  pair.client.set_option(shm::busy_poll(1000000));
  asio::write(pair.server, asio::buffer("y", 1));
  run_until(context, [&] { return read.done(); });
  BOOST_TEST(byte == 'y');
}

// More contexts than CPUs poll at once; those beyond the CPUs sleep, and all get their data.
BOOST_AUTO_TEST_CASE(more_contexts_than_cpus_make_progress)
{
  const unsigned pairs = std::thread::hardware_concurrency() + 2;
  std::atomic<unsigned> complete{0};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i != pairs; ++i)
    threads.emplace_back(
        [&complete]
        {
          asio::io_context context;
          asio::io_context other;
          connected_pair<tcp> pair(context, other);
          complete += play_ping_pong(context, pair.client, pair.server, 200) == 200 ? 1 : 0;
        });
  for (std::thread& thread : threads)
    thread.join();
  BOOST_TEST(complete == pairs);
}

BOOST_AUTO_TEST_SUITE_END()
