// SPDX-License-Identifier: BSL-1.0
// Forking with an io_context, and what forked processes play meanwhile.

#ifndef ASIO_SHM_TEST_SUPPORT_FORKED_CONTEXT_HPP
#define ASIO_SHM_TEST_SUPPORT_FORKED_CONTEXT_HPP

#include "socket_test.hpp"

#include "child_process.hpp"
#include "echo_session.hpp"
#include "sanitizers.hpp"

#include <shm/stream_protocol.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

namespace shm::test {

/// Forks as Asio's documentation demands it.
template <class Body>
std::unique_ptr<child_process> fork_with(asio::io_context& context, Body body)
{
  context.notify_fork(asio::execution_context::fork_prepare);
  auto child = std::make_unique<child_process>(
      [&context, body](channel& parent)
      {
        context.notify_fork(asio::execution_context::fork_child);
        return body(parent) ? 0 : 1;
      });
  context.notify_fork(asio::execution_context::fork_parent);
  return child;
}

/// Runs the context in a child process, where nothing may be checked.
template <class Predicate>
bool runs_until(asio::io_context& context, Predicate done)
{
  const auto end = std::chrono::steady_clock::now() + patience;
  context.restart();
  while (!done() && std::chrono::steady_clock::now() < end)
    if (context.run_one_until(end) == 0)
      break;
  return done();
}

/// Echoes to any number of clients until it is killed.
inline int echo_server(channel& parent)
{
  asio::io_context context;
  stream_protocol::acceptor acceptor(context, loopback<stream_protocol>());
  parent.send(acceptor.local_endpoint().port());
  std::function<void()> accept = [&]
  {
    acceptor.async_accept(
        [&](error_code ec, stream_protocol::socket socket)
        {
          if (!ec)
            std::make_shared<echo_session<stream_protocol::socket>>(std::move(socket))->start();
          accept();
        });
  };
  accept();
  context.run();
  return 1;
}

/// Plays with an echo server, asynchronously: a sleep before each answer if the context does not poll.
class player
{
public:
  player(asio::io_context& context, unsigned short port, int rounds) : socket_(context), rounds_(rounds)
  {
    socket_.connect({asio::ip::address_v4::loopback(), port});
  }

  void start()
  {
    const auto ball = static_cast<char>(rounds_);
    asio::write(socket_, asio::buffer(&ball, 1));
    asio::async_read(socket_, asio::buffer(&got_, 1),
        [this, ball](error_code ec, std::size_t)
        {
          wrong_ = wrong_ || ec || got_ != ball;
          if (!wrong_ && --rounds_ != 0 && socket_.is_open()) // closed after the read was done
            start();
        });
  }

  stream_protocol::socket& socket() { return socket_; }
  bool over() const { return wrong_ || rounds_ == 0; }
  bool won() const { return !wrong_ && rounds_ == 0; }

private:
  stream_protocol::socket socket_;
  int rounds_;
  char got_ = 0;
  bool wrong_ = false;
};

/// Rounds of a game that lasts.
inline constexpr int many_rounds = sanitized ? 200 : 1000;

} // namespace shm::test

#endif
