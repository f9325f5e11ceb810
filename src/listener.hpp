// SPDX-License-Identifier: BSL-1.0
// The acceptor's side of the handshake: connections out of the backlog, one HELLO each, validated.
#ifndef ASIO_SHM_SRC_LISTENER_HPP
#define ASIO_SHM_SRC_LISTENER_HPP

#include "connection.hpp"
#include "rendezvous.hpp"

#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

namespace shm {
namespace detail {

/// Turns clients in the backlog of a listening socket into connections. Nothing here blocks or locks.
///
/// A client takes its place by connecting, and becomes a connection by its HELLO. One that is silent is put aside, so
/// that the next can come first; one that says anything else is dropped.
class listener
{
public:
  /// @param local The endpoint that it is bound to; size 0 or a path for names and paths.
  explicit listener(const socket_address& local) : local_(local) {} // not noexcept: a deque allocates

  /// Looks for a connection. @returns it, or nullptr: then either there is none and @p ec is clear, or @p ec says
  /// what keeps clients from being taken (no_descriptors, no_memory).
  std::unique_ptr<established> next(int socket, boost::system::error_code& ec);

  /// Whether the last next() stopped with clients left in the backlog: it takes a bounded number at a time, so that
  /// clients who come and go cannot keep it busy.
  bool more() const noexcept { return more_; }

  /// Whether a client has connected whose HELLO is still to come.
  bool expects_hello() const noexcept { return !clients_.empty(); }

  /// Whether they are so few that looking takes no time.
  bool expects_few() const noexcept;

  /// Whether to begin to look for the HELLO of a newcomer instead of waiting for an event: ever less often after it was
  /// in vain.
  bool worth_looking() noexcept;
  void looked_in_vain() noexcept;

  /// Whether next() gives a connection or an error; a connection that it finds is kept for next().
  bool ready(int socket, boost::system::error_code& ec);

  /// Descriptors of clients that were put aside since the last call; they are to be watched for input.
  std::vector<int> take_new_clients() { return std::move(new_clients_); }

  /// To be called for the descriptor of each client that was put aside, before it is closed.
  using forget_function = void (*)(void* context, int fd);
  void on_forget(forget_function function, void* context) noexcept
  {
    forget_ = function;
    forget_context_ = context;
  }

  /// Descriptors of all clients that are put aside.
  void clients(std::vector<int>& fds) const;

  /// Forgets and closes all clients.
  void clear();

private:
  struct client
  {
    descriptor socket;
    hello_receiver receiver;
    std::chrono::steady_clock::time_point since;
  };

  std::unique_ptr<established> advance(client& from, bool& finished);
  std::unique_ptr<established> validate(client& from, boost::system::error_code& ec);
  std::unique_ptr<established> look_at_clients();
  void forget(client& gone);

  socket_address local_;
  std::deque<client> clients_; // put aside, oldest first
  std::vector<int> new_clients_;
  std::unique_ptr<established> kept_;
  bool more_ = false;
  unsigned doubt_ = 0;   // after looking in vain: so many newcomers are not looked for
  unsigned skipped_ = 0; // of them
  forget_function forget_ = nullptr;
  void* forget_context_ = nullptr;
};

} // namespace detail
} // namespace shm

#endif
