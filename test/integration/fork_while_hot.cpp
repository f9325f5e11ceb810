// SPDX-License-Identifier: BSL-1.0
// A fork while connections are polled: the child goes on with them, at whatever moment it came.
#define BOOST_TEST_MODULE fork_while_hot
#include "child_process.hpp"
#include "socket_test.hpp"

#include <shm/busy_poll.hpp>

#include <chrono>
#include <functional>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

// Plays until the connection ends.
void answer_all(tcp::socket& socket)
{
  char ball;
  error_code ec;
  while (asio::read(socket, asio::buffer(&ball, 1), ec) == 1)
    asio::write(socket, asio::buffer(&ball, 1), ec);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(fork_while_hot, watchdog)

// poll() returns while the poll task has left the scheduler's queue for a moment: no socket is armed then, and nothing
// but a timer brings the task back.
BOOST_AUTO_TEST_CASE(a_child_goes_on_after_poll)
{
  for (int round = 0; round < 10; ++round)
  {
    child_process peer(
        [](channel& parent)
        {
          asio::io_context own;
          tcp::socket socket(own);
          socket.connect({asio::ip::address_v4::loopback(), parent.receive<unsigned short>()});
          answer_all(socket);
          return 0;
        });
    asio::io_context context;
    shm::set_busy_poll(context, shm::busy_poll(1000000));
    tcp::acceptor acceptor(context, loopback<tcp>());
    peer.peer().send(acceptor.local_endpoint().port());
    tcp::socket socket = acceptor.accept();
    long rounds = 0;
    char ball = 'x';
    std::function<void()> play = [&]
    {
      asio::write(socket, asio::buffer(&ball, 1));
      socket.async_read_some(asio::buffer(&ball, 1),
          [&](error_code ec, std::size_t)
          {
            ++rounds;
            if (!ec)
              play();
          });
    };
    play();
    const auto almost_a_spell = std::chrono::steady_clock::now() + std::chrono::milliseconds(9);
    while (std::chrono::steady_clock::now() < almost_a_spell)
      context.poll_one();
    context.poll();

    context.notify_fork(asio::execution_context::fork_prepare);
    child_process copy(
        [&](channel&)
        {
          context.notify_fork(asio::execution_context::fork_child);
          const long before = rounds;
          const auto deadline = std::chrono::steady_clock::now() + patience;
          while (rounds < before + 3 && std::chrono::steady_clock::now() < deadline)
            context.run_one_for(patience);
          return rounds < before + 3 ? 1 : 0;
        });
    context.notify_fork(asio::execution_context::fork_parent);
    BOOST_TEST_REQUIRE(copy.wait() == 0);
    socket.close();
    BOOST_TEST_REQUIRE(peer.wait() == 0);
  }
}

BOOST_AUTO_TEST_SUITE_END()
