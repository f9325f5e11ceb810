// SPDX-License-Identifier: BSL-1.0
// The connector's side of the handshake: find the listener, create the memory, send HELLO.
#include <shm/detail/socket_core.hpp>

#include "prepared_connection.hpp"
#include "rendezvous.hpp"
#include "sockaddr.hpp"
#include "socket_name.hpp"
#include "socket_state.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <fcntl.h>
#include <new>
#include <time.h>
#include <utility>

namespace shm {
namespace detail {

namespace asio_error = boost::asio::error;

namespace {

// A full backlog is retried, first soon, then less often, and given up after as long as TCP repeats its SYN.
constexpr std::chrono::milliseconds first_pause{1};
constexpr std::chrono::milliseconds longest_pause{50};
constexpr std::chrono::seconds connect_timeout{120};

// The endpoint that a wildcard means at either end of a connection within this machine; others are returned as they are.
socket_address destination_of(const socket_address& address) noexcept
{
  socket_address result = local_end(address);
  set_port(result, port_of(address));
  return result;
}

} // namespace

bool socket_core::check_connectable(const socket_address& address, error_code& ec) const
{
  ec.clear();
  if (closed_)
    ec = asio_error::bad_descriptor;
  else if (state_->end || state_->acceptor)
    ec = asio_error::already_connected;
  else if (family_of(address) != state_->family)
    ec = wrong_family(state_->family, address);
  return !ec;
}

// Sends HELLO to the listener that the socket is connected to, and owns the connection from then on.
void socket_core::send_own_hello(const socket_address& address, error_code& ec)
{
  hello message;
  message.geometry = state_->options.geometry_for_connector();
  const bool shared_eventfds = !state_->options.socket_doorbell() && peer_is_same_user(state_->socket.get());
  message.doorbell = shared_eventfds ? doorbell_kind::eventfd : doorbell_kind::socket;

  prepared_connection made = reactor_.spare().take(message.geometry, message.doorbell, ec);
  if (ec)
    return;
  established end;
  end.local = state_->local;
  end.remote = address;
  if (is_ip(address))
  {
    end.remote = destination_of(address);
    end.local = destination_of(state_->local);
    message.connector = end.local;
    message.acceptor = end.remote;
  }
  const int descriptors[]
      = {made.memory_descriptor.native_handle(), made.acceptor_eventfd.get(), made.connector_eventfd.get()};
  send_hello(state_->socket.get(), encode(message), descriptors, message.descriptors(), ec);
  if (ec)
    return;
  end.identity = made.identity;
  end.memory = std::move(made.memory);
  if (shared_eventfds)
    end.bell = doorbell(std::move(made.connector_eventfd), std::move(made.acceptor_eventfd));
  end.rendezvous = std::move(state_->socket);
  establish(std::move(end), ec);
}

// One attempt. Returns false if it is worth another one later; else ec tells the outcome.
bool socket_core::connect_step(const socket_address& address, error_code& ec)
try
{
  socket_state& state = *state_;
  connector_names names;
  if (!state.socket.valid())
  {
    state.socket = open_rendezvous_socket(ec);
    if (ec)
      return true;
  }
  if (!state.linked)
  {
    names.connect(state.socket.get(), address, ec);
    if (ec)
      return ec != asio_error::try_again;
    state.linked = true;
  }
  if (!state.bound && !state.claimed)
  {
    const socket_address local = names.claim(state.socket.get(), address, 0, ec);
    if (ec)
      return true;
    state.local = local;
    state.claimed = true;
  }
  send_own_hello(address, ec);
  return ec != asio_error::try_again;
}
catch (const std::bad_alloc&)
{
  ec = asio_error::no_memory;
  return true;
}

// Leaves the connecting state; after a failure the socket is as it was before.
void socket_core::end_connecting(bool connected)
{
  socket_state& state = *state_;
  state.connecting = false;
  nudge_sleeper(); // it may wait for the outcome, or for what only a connected socket has
  const bool used = state.linked && !connected;
  state.linked = false;
  if (!used)
    return;
  state.socket.reset(); // made anew by the next attempt
  state.name = bound_name();
  state.local = unbound_address(state.family);
  state.bound = state.claimed = false;
  error_code ignored;
  state.socket = open_rendezvous_socket(ignored);
}

void socket_core::establish(established&& end, error_code& ec)
{
  ec.clear();
  auto made = std::make_shared<connection>(std::move(end));
  if (made->own_doorbell() >= 0)
    watch(reactor_core::source::doorbell, made->own_doorbell(), ec);
  if (!ec)
    watch(reactor_core::source::rendezvous, made->rendezvous(), ec);
  if (ec)
    reactor_.remove_descriptor(made->own_doorbell());
  else
    state_->end = std::move(made);
}

void socket_core::connect(const socket_address& address, const deadline& until, error_code& ec)
{
  const pointer self(this);
  lock_type lock(mutex_);
  if (!check_connectable(address, ec))
    return;
  if (state_->connecting)
  {
    ec = asio_error::already_started;
    return;
  }
  state_->connecting = true;
  state_->blocking_connect = true;
  const auto give_up = reactor_core::clock::now() + connect_timeout;
  for (std::chrono::milliseconds pause = first_pause; !connect_step(address, ec);
       pause = std::min(2 * pause, longest_pause))
  {
    const auto now = reactor_core::clock::now();
    if (until ? now >= *until : state_->non_blocking)
      break; // ec says try_again
    if (now >= give_up)
    {
      ec = asio_error::timed_out;
      break;
    }
    const auto latest = until ? std::min(*until, give_up) : give_up;
    const std::chrono::nanoseconds left = std::min<reactor_core::clock::duration>(pause, latest - now);
    lock.unlock();
    const timespec time = {0, static_cast<long>(left.count())};
    ::nanosleep(&time, nullptr);
    lock.lock();
    if (closed_)
    {
      ec = asio_error::operation_aborted; // connecting, unlike reading, can be cancelled by whoever closes
      return;
    }
  }
  state_->blocking_connect = false;
  end_connecting(!ec);
}

bool socket_core::try_connect(const socket_address& address, operation& op)
{
  socket_state& state = *state_;
  const auto now = reactor_core::clock::now();
  if (!state.connecting)
  {
    if (!check_connectable(address, op.ec_))
      return true;
    state.connecting = true;
    state.pause = first_pause;
    state.connect_deadline = now + connect_timeout;
  }
  if (!connect_step(address, op.ec_))
  {
    if (now < state.connect_deadline)
    {
      if (call_later(now + state.pause))
      {
        state.pause = std::min(2 * state.pause, longest_pause);
        return false;
      }
      op.ec_ = asio_error::no_memory;
    }
    else
      op.ec_ = asio_error::timed_out;
  }
  end_connecting(!op.ec_);
  return true;
}

// Has on_timer() called once, not before that time. Returns whether there is memory for it.
bool socket_core::call_later(reactor_core::clock::time_point when)
try
{
  if (!state_->timer)
    reactor_.add_timer(*this, when);
  state_->timer = true;
  return true;
}
catch (const std::bad_alloc&)
{
  return false;
}

void socket_core::on_timer()
{
  operation_queue done;
  {
    const lock_type lock(mutex_);
    state_->timer = false;
    if (closed_)
      return;
    perform_all(done);
    if (!state_->connecting)
      perform_all(done); // what was queued before the connect, and waited for its outcome
    if (state_->end && pending())
      wait_for_progress(done); // operations that were started behind the connect
  }
  reactor_.push_ready(done);
}

void socket_core::make_pair(accepted_connection& a, accepted_connection& b, error_code& ec)
try
{
  std::array<descriptor, 2> sockets = open_rendezvous_pair(ec);
  if (ec)
    return;
  prepared_connection made
      = prepared_connection::make(socket_options().geometry_for_connector(), doorbell_kind::eventfd, ec);
  if (ec)
    return;
  auto acceptor = std::make_unique<established>();
  acceptor->side = connection_side::acceptor;
  acceptor->identity = made.identity;
  acceptor->memory = connection_memory::attach(made.memory.geometry(), made.memory_descriptor, ec);
  descriptor bells[2];
  if (!ec)
  {
    // Each side owns descriptors of its own.
    bells[0].reset(::fcntl(made.connector_eventfd.get(), F_DUPFD_CLOEXEC, 0));
    bells[1].reset(::fcntl(made.acceptor_eventfd.get(), F_DUPFD_CLOEXEC, 0));
    if (!bells[0].valid() || !bells[1].valid())
      ec = last_error();
  }
  if (ec)
    return;
  acceptor->bell = doorbell(std::move(bells[1]), std::move(bells[0]));
  acceptor->rendezvous = std::move(sockets[1]);
  auto connector = std::make_unique<established>();
  connector->identity = made.identity;
  connector->memory = std::move(made.memory);
  connector->bell = doorbell(std::move(made.connector_eventfd), std::move(made.acceptor_eventfd));
  connector->rendezvous = std::move(sockets[0]);
  connector->local = connector->remote = acceptor->local = acceptor->remote = unbound_address(AF_UNIX);
  a = accepted_connection(std::move(connector));
  b = accepted_connection(std::move(acceptor));
}
catch (const std::bad_alloc&)
{
  ec = asio_error::no_memory;
}

} // namespace detail
} // namespace shm
