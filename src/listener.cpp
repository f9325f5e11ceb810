// SPDX-License-Identifier: BSL-1.0
// Accepting, receiving and validating HELLOs.
#include "listener.hpp"

#include "partition_hosts.hpp"
#include "sockaddr.hpp"
#include "socket_name.hpp"

#include <shm/error.hpp>

#include <boost/asio/error.hpp>

#include <algorithm>
#include <cstring>
#include <netinet/in.h>
#include <new>
#include <optional>
#include <sys/socket.h>
#include <utility>

namespace shm {
namespace detail {
namespace {

// Clients without a complete HELLO: as many are kept, for as long; a correct client sends it right after connecting.
constexpr std::size_t max_clients = 64;
constexpr std::chrono::seconds max_silence{5};

// With more than these silent, looking at them takes too long; and a HELLO that comes so soon was worth looking for.
constexpr std::size_t few_clients = 4;
constexpr std::chrono::microseconds soon{100};
constexpr unsigned most_doubt = 255;

// Clients that are taken out of the backlog in one go without any being a connection.
constexpr int max_attempts = 16;

// As TCP shows an IPv4 peer to a socket of an IPv6 listener, and one that calls itself IPv4-mapped to an IPv4 listener.
// @returns nothing for an address of which a listener of that family cannot have a peer.
std::optional<socket_address> as_seen_from(const socket_address& listener, const socket_address& address) noexcept
{
  if (family_of(listener) == family_of(address))
    return address;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  socket_address result;
  if (family_of(listener) == AF_INET6)
  {
    std::memcpy(&v4, address.data, sizeof(v4));
    v6.sin6_family = AF_INET6;
    v6.sin6_port = v4.sin_port;
    v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xff;
    std::memcpy(&v6.sin6_addr.s6_addr[12], &v4.sin_addr, 4);
    result.size = sizeof(v6);
    std::memcpy(result.data, &v6, sizeof(v6));
    return result;
  }
  std::memcpy(&v6, address.data, sizeof(v6));
  if (!IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
    return std::nullopt;
  v4.sin_family = AF_INET;
  v4.sin_port = v6.sin6_port;
  std::memcpy(&v4.sin_addr, &v6.sin6_addr.s6_addr[12], 4);
  result.size = sizeof(v4);
  std::memcpy(result.data, &v4, sizeof(v4));
  return result;
}

bool takes_connections_to(const socket_address& listener, const socket_address& address)
{
  boost::system::error_code ec;
  const ip_name bound = socket_name::parse(listener, false, ec).ip;
  const ip_name wanted = socket_name::parse(address, false, ec).ip;
  return bound.is_wildcard() || (bound.v6 == wanted.v6 && bound.bytes == wanted.bytes);
}

// What accepted sockets give as their endpoints: the program may rely on the family and, with a listener on one
// address, on its own end.
bool name_ends(const socket_address& listener, const hello& message, established& end)
{
  if (!is_ip(listener))
  {
    end.local = listener;
    end.remote = unbound_address(AF_UNIX);
    return !is_ip(message.connector) || !is_ip(message.acceptor);
  }
  if (!is_ip(message.connector) || !is_ip(message.acceptor) || port_of(message.acceptor) != port_of(listener))
    return false;
  const std::optional<socket_address> local = as_seen_from(listener, message.acceptor);
  const std::optional<socket_address> remote = as_seen_from(listener, message.connector);
  if (!local || !remote || !takes_connections_to(listener, *local))
    return false;
  end.local = *local;
  end.remote = *remote;
  return true;
}

} // namespace

void listener::forget(client& gone)
{
  if (forget_)
    forget_(forget_context_, gone.socket.get());
  const int fd = gone.socket.get();
  new_clients_.erase(std::remove(new_clients_.begin(), new_clients_.end(), fd), new_clients_.end());
}

std::unique_ptr<established> listener::validate(client& from, boost::system::error_code& ec)
{
  const std::optional<hello> message = decode(from.receiver.bytes(), ec);
  if (ec)
    return nullptr;
  const bool slice = message->memory == memory_kind::slice;
  auto result = std::make_unique<established>();
  if (message->memory == memory_kind::wanted || (slice && message->doorbell != doorbell_kind::eventfd)
      || from.receiver.descriptors() != message->descriptors() || !name_ends(local_, *message, *result))
  {
    ec = error::protocol_error;
    return nullptr;
  }
  result->side = connection_side::acceptor;
  if (slice && !peer_may_lend_memory(from.socket.get()))
    ec = error::untrusted_peer;
  else if (message->doorbell == doorbell_kind::eventfd)
  {
    descriptor own = from.receiver.take_descriptor(1);
    descriptor peer = from.receiver.take_descriptor(2);
    if (!slice && !peer_is_same_user(from.socket.get()))
      ec = error::untrusted_peer;
    else if (!is_eventfd(own.get()) || !is_eventfd(peer.get()) || (!slice && !is_drainable(own.get())))
      ec = error::protocol_error;
    result->bell = doorbell(
        std::move(own), std::move(peer), slice ? doorbell::holders::anybody : doorbell::holders::peer);
  }
  if (ec)
    return nullptr;
  const memfd memory(from.receiver.take_descriptor(0));
  // Of the user's other programs, none can make this one crash by taking the memory away.
  if (slice && !memory.cannot_shrink() && !is_partition_daemon(from.socket.get()))
    ec = error::untrusted_peer;
  if (ec)
    return nullptr;
  result->identity = memory.identity();
  result->other_system = slice;
  result->memory = slice ? connection_memory::attach_slice(message->geometry, memory, message->offset, true, ec)
                         : connection_memory::attach(message->geometry, memory, ec);
  if (ec && ec.category() != error::get_category())
    ec = error::no_memory;
  if (ec)
    return nullptr;
  refuse_descriptors(from.socket.get());
  return result;
}

// Takes what the client has sent. finished: it is a connection now (returned) or nothing any more.
std::unique_ptr<established> listener::advance(client& from, bool& finished)
{
  boost::system::error_code ec;
  finished = from.receiver.receive(from.socket.get(), ec);
  if (!finished)
    return nullptr;
  std::unique_ptr<established> result;
  try
  {
    if (!ec)
      result = validate(from, ec);
  }
  catch (const std::bad_alloc&)
  {
    ec = error::no_memory;
  }
  if (ec)
    send_refused(from.socket.get(), ec);
  return result;
}

std::unique_ptr<established> listener::look_at_clients()
{
  const auto now = std::chrono::steady_clock::now();
  for (auto it = clients_.begin(); it != clients_.end();)
  {
    bool finished = false;
    std::unique_ptr<established> result = advance(*it, finished);
    if (finished || now - it->since > max_silence)
    {
      forget(*it);
      if (result)
      {
        result->rendezvous = std::move(it->socket);
        if (now - it->since < soon)
          doubt_ = skipped_ = 0;
      }
      it = clients_.erase(it);
    }
    else
      ++it;
    if (result)
      return result;
  }
  return nullptr;
}

std::unique_ptr<established> listener::next(int socket, boost::system::error_code& ec)
{
  ec.clear();
  more_ = false;
  if (kept_)
    return std::move(kept_);
  if (std::unique_ptr<established> result = look_at_clients())
    return result;
  for (int attempt = 0; attempt < max_attempts; ++attempt)
  {
    descriptor fd(::accept4(socket, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.valid())
    {
      if (errno == EINTR || errno == ECONNABORTED)
        continue;
      if (errno != EAGAIN)
        ec = last_error();
      return nullptr;
    }
    client next{std::move(fd), {}, std::chrono::steady_clock::now()};
    bool finished = false;
    std::unique_ptr<established> result = advance(next, finished);
    if (result)
    {
      result->rendezvous = std::move(next.socket);
      return result;
    }
    if (finished)
      continue;
    if (clients_.size() == max_clients)
    {
      forget(clients_.front());
      clients_.pop_front();
    }
    const int socket_of_client = next.socket.get();
    new_clients_.reserve(new_clients_.size() + 1); // no client stays behind that nobody knows to watch
    clients_.push_back(std::move(next));
    new_clients_.push_back(socket_of_client);
  }
  more_ = true;
  return nullptr;
}

bool listener::expects_few() const noexcept
{
  return !clients_.empty() && clients_.size() <= few_clients;
}

bool listener::worth_looking() noexcept
{
  if (!expects_few())
    return false;
  if (skipped_ >= doubt_)
    return true;
  ++skipped_;
  return false;
}

void listener::looked_in_vain() noexcept
{
  doubt_ = std::min(2 * doubt_ + 1, most_doubt);
  skipped_ = 0;
}

bool listener::ready(int socket, boost::system::error_code& ec)
{
  if (!kept_)
    kept_ = next(socket, ec);
  else
    ec.clear();
  return kept_ || ec;
}

void listener::clients(std::vector<int>& fds) const
{
  for (const client& waiting : clients_)
    fds.push_back(waiting.socket.get());
}

void listener::clear()
{
  for (client& waiting : clients_)
    forget(waiting);
  clients_.clear();
  kept_.reset();
}

} // namespace detail
} // namespace shm
