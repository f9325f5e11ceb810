// SPDX-License-Identifier: BSL-1.0
// The side of a connection whose application connects.
#include "connections.hpp"

#include "connection_memory.hpp"
#include "rendezvous.hpp"
#include "sockaddr.hpp"

#include <shm/error.hpp>

#include <boost/asio/error.hpp>

#include <algorithm>
#include <memory>
#include <sys/socket.h>
#include <utility>

namespace shm {
namespace partitiond {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// How long the other partition may look for a listener.
constexpr std::chrono::seconds answer_timeout{30};

// While the kernel has too many descriptors in flight for this user.
constexpr std::chrono::milliseconds retry_pause{10};

// Where there is no memory, but some that others may give up soon.
constexpr std::chrono::seconds memory_patience{10};
constexpr std::chrono::milliseconds longest_memory_pause{50};

// With many that wait, all together look so often.
constexpr std::chrono::microseconds between_looks{50};

// One connection takes at most this part of what is free, so that there is something left for the next ones.
constexpr std::uint64_t share = 32;

bool has_hung_up(int socket) noexcept
{
  char ignored;
  return ::recv(socket, &ignored, sizeof(ignored), MSG_PEEK | MSG_DONTWAIT) == 0;
}

} // namespace

/// An application that has asked, and has to wait.
struct connections::waiting_request
{
  waiting_request(asio::io_context& context, detail::descriptor from, const detail::hello& what)
    : socket(std::move(from)), wanted(what), timer(context)
  {}

  detail::descriptor socket;
  detail::hello wanted;
  asio::steady_timer timer;
  std::chrono::microseconds pause{1000};
  std::optional<slice_allocator::clock::time_point> give_up;
};

void connections::request(detail::descriptor socket, const detail::hello& wanted)
{
  if (size() >= most)
  {
    detail::send_refused(socket.get(), error::no_memory);
    return;
  }
  ++waiting_requests_;
  try_request(std::make_shared<waiting_request>(context_, std::move(socket), wanted));
}

void connections::try_request(const waiting_pointer& which)
{
  const auto now = slice_allocator::clock::now();
  if (now < settled_)
  {
    try_again_at(which, settled_);
    return;
  }
  error_code ec;
  const pointer made = has_hung_up(which->socket.get()) ? nullptr : prepare(which->wanted, ec);
  if (ec == error::no_memory && memory_comes_back() && now < which->give_up.value_or(now + memory_patience))
  {
    which->give_up = which->give_up.value_or(now + memory_patience);
    try_again_at(which, now + std::max(which->pause, between_looks * static_cast<int>(waiting_requests_)));
    which->pause = std::min<std::chrono::microseconds>(2 * which->pause, longest_memory_pause);
    return;
  }
  --waiting_requests_;
  if (ec)
    detail::send_refused(which->socket.get(), ec);
  else if (made)
    begin(made, std::move(which->socket));
}

void connections::try_again_at(const waiting_pointer& which, slice_allocator::clock::time_point when)
{
  which->timer.expires_at(when);
  which->timer.async_wait(
      [this, which](const error_code& failed)
      {
        if (!failed)
          try_request(which);
      });
}

bool connections::memory_comes_back() const
{
  return slices_.rests() || std::any_of(kept_by_.begin(), kept_by_.end(), [](const auto& one) { return one.second != 0; });
}

// Who does not say that it has closed may keep memory, but leaves something for connections to others.
std::uint64_t connections::room_for(std::uint32_t peer) const
{
  const std::uint64_t available = slices_.available();
  const std::uint64_t all = places_.area_size - slices_offset(places_.partitions);
  const auto kept = kept_by_.find(peer);
  if (places_.partitions == 2 || kept == kept_by_.end() || kept->second < all / 4)
    return available;
  return available - std::min(available, all / 8);
}

// Finds room for rings as large as wanted, or smaller ones.
bool connections::allocate(end& which, const detail::connection_geometry& wanted)
{
  const slice_allocator::clock::time_point now = slice_allocator::clock::now();
  slices_.allocate(0, now); // nothing, so that what has rested long enough counts as available
  const std::uint64_t room = room_for(which.peer);
  detail::connection_geometry geometry = reduced(wanted, room / share);
  for (;;)
  {
    if (geometry.size() <= room)
      if (const std::optional<std::uint64_t> offset = slices_.allocate(geometry.size(), now))
      {
        which.offset = *offset;
        which.message.geometry = geometry;
        return true;
      }
    const detail::connection_geometry smaller = reduced(geometry, geometry.size() - 1);
    if (smaller == geometry)
      return false;
    geometry = smaller;
  }
}

connections::pointer connections::prepare(const detail::hello& wanted, error_code& ec)
{
  if (!detail::is_ip(wanted.acceptor) || !detail::is_ip(wanted.connector))
  {
    ec = error::protocol_error;
    return nullptr;
  }
  const detail::ip_name acceptor = detail::socket_name::parse(wanted.acceptor, false, ec).ip;
  if (ec)
    return nullptr;
  const std::optional<std::uint32_t> peer = others_.find(acceptor);
  if (!peer || others_.own_address().v6 != acceptor.v6)
  {
    ec = asio::error::host_unreachable;
    return nullptr;
  }
  const auto result = std::make_shared<end>(context_);
  result->peer = *peer;
  if (!allocate(*result, wanted.geometry))
  {
    ec = error::no_memory;
    return nullptr;
  }
  result->connector = true;
  result->number = ++last_number_;
  result->message.memory = detail::memory_kind::slice;
  const std::uint32_t own = bells_.id();
  result->message.offset = bells_.memory().offset + places_.offset(own) + result->offset;
  result->message.acceptor = wanted.acceptor;
  // Whatever address the application is bound to, for the others it is that of its partition.
  result->message.connector = detail::with_address(wanted.acceptor, others_.own_address());
  detail::set_port(result->message.connector, detail::port_of(wanted.connector));
  detail::connection_memory::initialise(memory(*result), result->message.geometry);
  result->own_eventfd = open_own_doorbell(*result, ec);
  if (ec)
  {
    slices_.free(result->offset, true, slice_allocator::clock::now());
    ec = error::no_descriptors;
  }
  return result;
}

void connections::begin(const pointer& which, detail::descriptor socket)
{
  error_code ec;
  ends_.emplace(key(which->peer, true, which->number), which);
  which->socket.assign(socket.get(), ec);
  if (ec)
  {
    detail::send_refused(socket.get(), error::no_descriptors);
    which->peer_ended = true; // it knows nothing of this one
    on_application_end(which);
    return;
  }
  socket.release();
  send(*which, mail_kind::connect);
  watch(which);
  which->timer.expires_after(answer_timeout);
  which->timer.async_wait(
      [this, which](const error_code& failed)
      {
        if (!failed && !which->accepted && !which->application_ended)
          refuse(which, asio::error::timed_out);
      });
}

bool connections::on_accepted(std::uint32_t peer, const mail& message)
{
  const pointer which = find(peer, true, message.connection);
  if (message.from_connector || !which || which->accepted || which->peer_ended)
    return false;
  which->accepted = true;
  which->peer_vector = message.vector;
  if (which->application_ended)
    return true;
  which->timer.cancel();
  which->give_up = std::chrono::steady_clock::now() + answer_timeout;
  answer(which);
  return true;
}

bool connections::on_refused(std::uint32_t peer, const mail& message)
{
  const pointer which = find(peer, true, message.connection);
  if (message.from_connector || !which || which->accepted || which->peer_ended)
    return false;
  which->peer_ended = true;
  if (which->application_ended)
    forget_if_over(which);
  else
    refuse(which, from_reason(message.reason));
  return true;
}

// Gives the application what it has asked for.
void connections::answer(const pointer& which)
{
  error_code ec;
  send_slice(*which, ec);
  if (!ec)
  {
    if (which->rings)
      relayed_.insert(which);
    return;
  }
  if (ec != asio::error::try_again || std::chrono::steady_clock::now() >= which->give_up)
  {
    refuse(which, ec);
    return;
  }
  which->timer.expires_after(retry_pause);
  which->timer.async_wait(
      [this, which](const error_code& failed)
      {
        if (!failed && !which->application_ended && !which->peer_ended && which->linked)
          answer(which);
      });
}

void connections::refuse(const pointer& which, const error_code& reason)
{
  detail::send_refused(which->socket.native_handle(), reason);
  on_application_end(which);
}

} // namespace partitiond
} // namespace shm
