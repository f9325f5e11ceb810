// SPDX-License-Identifier: BSL-1.0
// The connector's side of the handshake: find the listener, create the memory, send HELLO.
#include <shm/detail/socket_core.hpp>

#include "prepared_connection.hpp"
#include "rendezvous.hpp"
#include "sockaddr.hpp"
#include "socket_name.hpp"
#include "socket_state.hpp"

#include <shm/error.hpp>

#include <boost/asio/error.hpp>

#include <algorithm>
#include <fcntl.h>
#include <new>
#include <optional>
#include <poll.h>
#include <time.h>
#include <utility>

namespace shm {
namespace detail {

namespace asio_error = boost::asio::error;

namespace {

// A full backlog is retried, first soon, then less often, and given up after as long as TCP repeats its SYN.
constexpr std::chrono::microseconds first_pause{1000};
constexpr std::chrono::microseconds longest_pause{50'000};

// The partition daemon's answer is looked for so often, should epoll not tell of it.
constexpr std::chrono::microseconds answer_pause{10'000};
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
    end.bell = doorbell(
        std::move(made.connector_eventfd), std::move(made.acceptor_eventfd), doorbell::holders::peer);
  end.rendezvous = std::move(state_->socket);
  establish(std::move(end), ec);
}

// Asks the partition daemon for memory that the other partition shares, and doorbells.
void socket_core::send_request(const socket_address& address, error_code& ec)
{
  hello message;
  message.memory = memory_kind::wanted;
  message.geometry = state_->options.geometry_for_connector();
  message.connector = state_->local;
  message.acceptor = destination_of(address);
  state_->answer = std::make_unique<hello_receiver>();
  send_hello(state_->socket.get(), encode(message), nullptr, 0, ec);
  if (ec == asio_error::connection_refused)
    ec.clear(); // the daemon did not wait for what it refuses: its answer tells why
  if (ec)
  {
    state_->answer.reset();
    return;
  }
  state_->pause = answer_pause;
  if (state_->blocking_connect)
    return;
  error_code unwatched; // then the timer has to do
  watch(reactor_core::source::rendezvous, state_->socket.get(), unwatched);
}

// Takes the partition daemon's answer if it is there, and owns the connection then.
void socket_core::receive_answer(error_code& ec)
{
  hello_receiver& answer = *state_->answer;
  const bool finished = answer.receive(state_->socket.get(), ec);
  error_code reason;
  if (answer.refused(reason))
  {
    ec = reason;
    return;
  }
  if (!finished)
    ec = asio_error::try_again;
  else if (ec == error::protocol_error || ec == asio_error::connection_reset)
    ec = asio_error::host_unreachable; // the daemon has gone
  if (ec)
    return;
  const std::optional<hello> message = decode(answer.bytes(), ec);
  if (!ec && (message->memory != memory_kind::slice || answer.descriptors() != message->descriptors()
          || message->doorbell != doorbell_kind::eventfd))
    ec = error::protocol_error;
  if (ec)
    return;
  established end;
  end.local = destination_of(state_->local);
  if (is_ip(message->connector) && family_of(message->connector) == family_of(end.local))
    end.local = message->connector;
  end.remote = destination_of(message->acceptor);
  end.other_system = true;
  const memfd memory(answer.take_descriptor(0));
  end.identity = memory.identity();
  end.memory = connection_memory::attach_slice(message->geometry, memory, message->offset, false, ec);
  descriptor acceptor_eventfd = answer.take_descriptor(1);
  descriptor connector_eventfd = answer.take_descriptor(2);
  if (!ec && (!is_eventfd(acceptor_eventfd.get()) || !is_eventfd(connector_eventfd.get())))
    ec = error::protocol_error;
  if (ec)
    return;
  refuse_descriptors(state_->socket.get());
  // Watched anew below, so that what has happened meanwhile is told again.
  reactor_.remove_descriptor(state_->socket.get());
  end.bell = doorbell(std::move(connector_eventfd), std::move(acceptor_eventfd), doorbell::holders::anybody);
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
    state.linked_to = names.connect(state.socket.get(), address, ec);
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
  if (state.answer)
    receive_answer(ec);
  else if (state.linked_to == connected_to::listener)
    send_own_hello(address, ec);
  else
  {
    send_request(address, ec);
    if (!ec)
      ec = asio_error::try_again;
  }
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
  if (state.answer && !connected)
    reactor_.remove_descriptor(state.socket.get()); // a forked process may keep it open
  state.answer.reset();
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

void socket_core::lengthen_pause() noexcept
{
  state_->pause = std::min(2 * state_->pause, state_->answer ? answer_pause : longest_pause);
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
  state_->pause = first_pause;
  const auto give_up = reactor_core::clock::now() + connect_timeout;
  for (; !connect_step(address, ec); lengthen_pause())
  {
    const auto now = reactor_core::clock::now();
    // As of Asio's, a connect that is under way is waited for, whatever the mode.
    if (until ? now >= *until : state_->non_blocking && !state_->answer)
      break; // ec says try_again
    if (now >= give_up)
    {
      ec = asio_error::timed_out;
      break;
    }
    const auto latest = until ? std::min(*until, give_up) : give_up;
    const std::chrono::nanoseconds left = std::min<reactor_core::clock::duration>(state_->pause, latest - now);
    const timespec time = {0, static_cast<long>(left.count())};
    // An answer ends the pause; of a full backlog nothing tells.
    pollfd answer = {state_->answer ? state_->socket.get() : -1, POLLIN, 0};
    lock.unlock();
    ::ppoll(&answer, 1, &time, nullptr);
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
        lengthen_pause();
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
    perform_connect(done);
  }
  reactor_.push_ready(done);
}

void socket_core::perform_connect(operation_queue& done)
{
  perform_all(done);
  if (!state_->connecting)
    perform_all(done); // what was queued before the connect, and waited for its outcome
  if (state_->end && pending())
    wait_for_progress(done); // operations that were started behind the connect
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
  acceptor->bell = doorbell(std::move(bells[1]), std::move(bells[0]), doorbell::holders::peer);
  acceptor->rendezvous = std::move(sockets[1]);
  auto connector = std::make_unique<established>();
  connector->identity = made.identity;
  connector->memory = std::move(made.memory);
  connector->bell = doorbell(
      std::move(made.connector_eventfd), std::move(made.acceptor_eventfd), doorbell::holders::peer);
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
