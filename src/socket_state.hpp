// SPDX-License-Identifier: BSL-1.0
// What a socket_core holds; guarded by its mutex.
#ifndef ASIO_SHM_SRC_SOCKET_STATE_HPP
#define ASIO_SHM_SRC_SOCKET_STATE_HPP

#include "address_space.hpp"
#include "connection.hpp"
#include "descriptor.hpp"
#include "listener.hpp"
#include "poll_budget.hpp"
#include "rendezvous.hpp"
#include "socket_options.hpp"

#include <shm/detail/reactor_core.hpp>

#include <chrono>
#include <condition_variable>
#include <memory>

namespace shm {
namespace detail {

/// An open socket is unconnected, or has exactly one of a listener and an end (of a connection).
struct socket_state
{
  int family = 0;
  reactor_core::socket_id id = 0;
  socket_options options;
  bool non_blocking = false;
  bool native_non_blocking = false;

  descriptor socket; ///< AF_UNIX; moves into the end when connected.
  bound_name name;   ///< Held by acceptors, and by connectors that were bound.
  socket_address local;
  bool bound = false;
  bool claimed = false; ///< The socket carries an ephemeral endpoint.

  std::unique_ptr<listener> acceptor;
  bool unwatched = false; ///< It has clients that the reactor does not watch.
  poll_budget spinning;            ///< Of blocking operations; asynchronous ones share their context's.
  std::shared_ptr<connection> end; ///< Shared with a thread that sleeps on its descriptors.

  // A connect that waits for room in the listener's backlog.
  bool connecting = false;
  bool linked = false; ///< Connected to the listener or the daemon; HELLO is still to be sent.
  connected_to linked_to = connected_to::listener;
  std::unique_ptr<hello_receiver> answer; ///< Of the partition daemon, while it is waited for.
  bool blocking_connect = false; ///< By a thread that waits in connect(); cancel() does not concern it.
  bool connects_later() const noexcept { return connecting && !blocking_connect; } ///< An operation waits for it.
  std::chrono::microseconds pause{0};
  std::chrono::steady_clock::time_point connect_deadline;
  bool timer = false; ///< on_timer() will be called

  // Threads in blocking operations: one sleeps on the descriptors, the others wait for it to tell them.
  bool sleeper = false;
  std::condition_variable followers;
  descriptor nudge; ///< Wakes the sleeper from within the process; made for the first one.
};

} // namespace detail
} // namespace shm

#endif
