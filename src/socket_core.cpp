// SPDX-License-Identifier: BSL-1.0
// A socket's lifetime, its names and its options.
#include <shm/detail/socket_core.hpp>

#include "listening_socket.hpp"
#include "rendezvous.hpp"
#include "sockaddr.hpp"
#include "socket_state.hpp"

#include <shm/detail/option_names.hpp>
#include <shm/peer_credentials.hpp>

#include <boost/asio/error.hpp>

#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <sys/socket.h>
#include <sys/un.h>
#include <utility>

namespace shm {
namespace detail {

namespace asio_error = boost::asio::error;

namespace {

bound_name try_bind(
    int socket, socket_address& local, const socket_options& options, boost::system::error_code& ec)
try
{
  return bind_name(socket, local, options.v6_only(), options.permissions(), ec);
}
catch (const std::bad_alloc&)
{
  ec = asio_error::no_memory;
  return bound_name();
}

// The kernel binds a socket once. One that was bound before something else failed could not be bound again.
void renew_if_named(descriptor& socket)
{
  sockaddr_un name{};
  socklen_t size = sizeof(name);
  boost::system::error_code failed;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &size) == 0 && size <= sizeof(sa_family_t))
    return;
  socket = open_rendezvous_socket(failed); // if there is none, the next bind or connect asks again
}

} // namespace

socket_core::socket_core(reactor_core& reactor, int family) : reactor_(reactor), state_(new socket_state)
{
  state_->family = family;
  state_->local = unbound_address(family);
  state_->id = reactor_.add_socket(*this);
}

socket_core::~socket_core() = default;

socket_core::pointer socket_core::open(reactor_core& reactor, int family, error_code& ec)
{
  descriptor fd = open_rendezvous_socket(ec);
  if (ec)
    return nullptr;
  pointer result = make(reactor, family, ec);
  if (result)
    result->state_->socket = std::move(fd);
  return result;
}

socket_core::pointer socket_core::make(reactor_core& reactor, int family, error_code& ec)
try
{
  return new socket_core(reactor, family);
}
catch (const std::bad_alloc&)
{
  ec = asio_error::no_memory;
  return nullptr;
}

socket_core::pointer socket_core::assign(reactor_core& reactor, int family, int native_handle, error_code& ec)
{
  const auto get = [&](int name) {
    int value = 0;
    socklen_t size = sizeof(value);
    if (!ec && ::getsockopt(native_handle, SOL_SOCKET, name, &value, &size) != 0)
      ec = last_error();
    return value;
  };
  ec.clear();
  const bool right = get(SO_DOMAIN) == AF_UNIX && get(SO_TYPE) == SOCK_STREAM;
  const bool listening = get(SO_ACCEPTCONN) != 0;
  if (ec == boost::system::errc::not_a_socket)
    ec = asio_error::operation_not_supported;
  if (ec)
    return nullptr;
  sockaddr_un name{};
  socklen_t size = sizeof(name);
  const bool connected = ::getpeername(native_handle, reinterpret_cast<sockaddr*>(&name), &size) == 0;
  if (!right || connected)
  {
    ec = asio_error::operation_not_supported;
    return nullptr;
  }
  const int flags = ::fcntl(native_handle, F_GETFL);
  if (flags < 0 || ::fcntl(native_handle, F_SETFL, flags | O_NONBLOCK) != 0)
  {
    ec = last_error();
    return nullptr;
  }
  pointer result = make(reactor, family, ec);
  if (!result)
    return nullptr;
  socket_state& state = *result->state_;
  const socket_address local = name_of_listener(native_handle, family, ec);
  const bool named = local.size > unbound_address(AF_UNIX).size && is_ip(local) == (family != AF_UNIX);
  if (!ec && (listening || named))
  {
    state.bound = true;
    state.local = local;
  }
  else
  {
    // A name that stands for no endpoint of this family: connect cannot give the socket another one.
    size = sizeof(name);
    state.claimed = ::getsockname(native_handle, reinterpret_cast<sockaddr*>(&name), &size) == 0
        && size > offsetof(sockaddr_un, sun_path);
  }
  if (!ec && listening)
    result->make_acceptor(native_handle, ec);
  if (ec)
  {
    error_code ignored;
    result->close(ignored);
    return nullptr;
  }
  state.socket.reset(native_handle);
  return result;
}

socket_core::pointer socket_core::adopt(
    reactor_core& reactor, int family, accepted_connection&& connection, error_code& ec)
{
  pointer result;
  try
  {
    result.reset(new socket_core(reactor, family));
    const std::unique_ptr<established> end = connection.release();
    const lock_type lock(result->mutex_);
    result->state_->options = std::move(end->options);
    result->establish(std::move(*end), ec);
  }
  catch (const std::bad_alloc&)
  {
    ec = asio_error::no_memory; // in the middle of an accept there is nobody to throw to
  }
  if (!ec)
    return result;
  error_code ignored;
  if (result)
    result->close(ignored);
  return nullptr;
}

// Everything that the reactor or other processes could see goes; the mapping goes with its last user.
void socket_core::tear_down()
{
  socket_state& state = *state_;
  closed_ = true;
  if (state.acceptor)
    state.acceptor->clear();
  if (state.end)
  {
    // No word of the ring is written: after a fork the other copy goes on, and may be asleep.
    reactor_.remove_descriptor(state.end->own_doorbell());
    reactor_.remove_descriptor(state.end->rendezvous());
  }
  else if (state.acceptor)
    reactor_.remove_descriptor(state.socket.get());
  nudge_sleeper();
  state.acceptor.reset();
  state.socket.reset();
  error_code ignored; // what is left behind is stale and replaced by the next bind
  state.name.release(ignored);
  if (state.end && state.end.use_count() == 1)
  {
    state.end->close_rendezvous(); // the peer is told now; the memory takes longer
    reactor_.retire(std::move(state.end));
  }
  state.end.reset();
  reactor_.remove_socket(state.id);
}

void socket_core::close(error_code& ec)
{
  ec.clear();
  operation_queue ops;
  const pointer self(this); // the reactor's reference goes below
  {
    const lock_type lock(mutex_);
    if (closed_)
      return;
    take_all(ops, asio_error::operation_aborted);
    tear_down();
  }
  reactor_.push_ready(ops);
}

void socket_core::abandon(operation_queue& abandoned)
{
  const pointer self(this);
  const lock_type lock(mutex_);
  if (closed_)
    return;
  take_all(abandoned, asio_error::operation_aborted);
  tear_down();
}

int socket_core::release(error_code& ec)
{
  const pointer self(this);
  operation_queue ops;
  int fd = -1;
  {
    const lock_type lock(mutex_);
    // The mapping cannot leave the process by a descriptor.
    if (closed_ || state_->end || state_->linked)
    {
      ec = closed_ ? asio_error::bad_descriptor : asio_error::operation_not_supported;
      return -1;
    }
    ec.clear();
    take_all(ops, asio_error::operation_aborted);
    if (state_->acceptor)
    {
      state_->acceptor->clear();
      reactor_.remove_descriptor(state_->socket.get());
      state_->acceptor.reset();
    }
    fd = state_->socket.release();
    state_->name.leave();
    tear_down();
  }
  reactor_.push_ready(ops);
  return fd;
}

int socket_core::native_handle() const noexcept
{
  const lock_type lock(mutex_);
  return state_->end ? state_->end->rendezvous() : state_->socket.get();
}

void socket_core::register_again()
{
  const lock_type lock(mutex_);
  error_code ignored; // no memory for an epoll entry: operations then see no wake, as with Asio's own sockets
  if (closed_)
    return;
  if (state_->end)
  {
    if (state_->end->own_doorbell() >= 0)
      watch(reactor_core::source::doorbell, state_->end->own_doorbell(), ignored);
    watch(reactor_core::source::rendezvous, state_->end->rendezvous(), ignored);
  }
  if (state_->acceptor)
  {
    watch(reactor_core::source::listener, state_->socket.get(), ignored);
    std::vector<int> clients;
    state_->acceptor->clients(clients);
    for (const int fd : clients)
      watch(reactor_core::source::listener, fd, ignored);
  }
}

void socket_core::watch(reactor_core::source from, int fd, error_code& ec)
{
  if (const int error = reactor_.add_descriptor(state_->id, from, fd))
    ec = error_code(error, boost::system::system_category());
}

void socket_core::bind_locked(const socket_address& address, error_code& ec)
{
  if (closed_)
    ec = asio_error::bad_descriptor;
  else if (state_->bound || state_->claimed || state_->end)
    ec = asio_error::invalid_argument;
  else if (family_of(address) != state_->family)
    ec = wrong_family(state_->family, address);
  else
  {
    // A connect that failed may have found no descriptor for another socket.
    if (!state_->socket.valid())
      state_->socket = open_rendezvous_socket(ec);
    if (!state_->socket.valid())
      return;
    socket_address local = address;
    bound_name name = try_bind(state_->socket.get(), local, state_->options, ec);
    if (ec)
    {
      renew_if_named(state_->socket);
      return;
    }
    state_->name = std::move(name);
    state_->local = local;
    state_->bound = true;
  }
}

void socket_core::bind(const socket_address& address, error_code& ec)
{
  const lock_type lock(mutex_);
  bind_locked(address, ec);
}

void socket_core::listen(int backlog, error_code& ec)
{
  const lock_type lock(mutex_);
  ec.clear();
  if (closed_)
    ec = asio_error::bad_descriptor;
  else if (state_->end || state_->connecting || (!state_->bound && state_->family == AF_UNIX))
    ec = asio_error::invalid_argument;
  else if (!state_->bound)
    bind_locked(state_->local, ec); // as TCP: an ephemeral port on the wildcard
  if (ec)
    return;
  if (::listen(state_->socket.get(), backlog) != 0)
  {
    ec = last_error();
    return;
  }
  if (!state_->acceptor)
    make_acceptor(state_->socket.get(), ec);
}

void socket_core::make_acceptor(int socket, error_code& ec)
try
{
  auto made = std::make_unique<listener>(state_->local);
  made->on_forget(
      [](void* reactor, int fd) { static_cast<reactor_core*>(reactor)->remove_descriptor(fd); }, &reactor_);
  watch(reactor_core::source::listener, socket, ec);
  if (!ec)
    state_->acceptor = std::move(made);
}
catch (const std::bad_alloc&)
{
  ec = asio_error::no_memory;
}

socket_address socket_core::local_address(error_code& ec) const
{
  const lock_type lock(mutex_);
  if (closed_)
    ec = asio_error::bad_descriptor;
  else
    ec.clear();
  return state_->end ? state_->end->local() : state_->local;
}

socket_address socket_core::remote_address(error_code& ec) const
{
  const lock_type lock(mutex_);
  if (closed_)
    ec = asio_error::bad_descriptor;
  else if (!state_->end)
    ec = asio_error::not_connected;
  else
  {
    ec.clear();
    return state_->end->remote();
  }
  return socket_address();
}

void socket_core::set_option(int level, int name, const void* data, std::size_t size, error_code& ec)
{
  const lock_type lock(mutex_);
  if (closed_)
    ec = asio_error::bad_descriptor;
  else if (level == option_level && name == option_permissions && (state_->bound || state_->claimed || state_->end))
    ec = asio_error::invalid_argument; // the file is there already
  else
    try
    {
      state_->options.set(level, name, data, size, ec);
    }
    catch (const std::bad_alloc&)
    {
      ec = asio_error::no_memory;
    }
}

void socket_core::get_option(int level, int name, void* data, std::size_t& size, error_code& ec) const
{
  const lock_type lock(mutex_);
  if (closed_)
  {
    ec = asio_error::bad_descriptor;
    return;
  }
  const bool sizes = level == SOL_SOCKET && (name == SO_SNDBUF || name == SO_RCVBUF);
  if (state_->end && sizes && size >= sizeof(int))
  {
    const int value = static_cast<int>(name == SO_SNDBUF ? state_->end->send_capacity() : state_->end->receive_capacity());
    std::memcpy(data, &value, size = sizeof(value));
    ec.clear();
  }
  else if (((level == option_level && name == option_busy_poll) || (level == SOL_SOCKET && name == SO_BUSY_POLL))
      && size >= sizeof(int))
  {
    const auto time = std::chrono::duration_cast<std::chrono::microseconds>(busy_poll());
    const int value = static_cast<int>(time.count());
    std::memcpy(data, &value, size = sizeof(value));
    ec.clear();
  }
  else if (level == SOL_SOCKET && name == SO_ACCEPTCONN && size >= sizeof(int))
  {
    const int value = state_->acceptor ? 1 : 0;
    std::memcpy(data, &value, size = sizeof(value));
    ec.clear();
  }
  else if (level == option_level && name == option_peer_credentials && size >= sizeof(peer_credentials::value_type))
  {
    peer_identity identity;
    if (!state_->end)
      ec = asio_error::not_connected;
    else if (!get_peer_identity(state_->end->rendezvous(), identity))
      ec = last_error();
    else
    {
      const peer_credentials::value_type value = {identity.uid, identity.gid, identity.pid};
      std::memcpy(data, &value, size = sizeof(value));
      ec.clear();
    }
  }
  else
    state_->options.get(level, name, data, size, ec);
}

bool socket_core::non_blocking() const noexcept
{
  const lock_type lock(mutex_);
  return state_->non_blocking;
}

void socket_core::non_blocking(bool mode) noexcept
{
  const lock_type lock(mutex_);
  state_->non_blocking = mode;
  state_->native_non_blocking = state_->native_non_blocking || mode;
}

bool socket_core::native_non_blocking() const noexcept
{
  const lock_type lock(mutex_);
  return state_->native_non_blocking;
}

void socket_core::native_non_blocking(bool mode, error_code& ec) noexcept
{
  const lock_type lock(mutex_);
  // As in Asio: the user's mode rests on the native one.
  if (!mode && state_->non_blocking)
  {
    ec = asio_error::invalid_argument;
    return;
  }
  ec.clear();
  state_->native_non_blocking = mode;
}

} // namespace detail
} // namespace shm
