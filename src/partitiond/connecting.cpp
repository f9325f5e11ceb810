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

// One connection takes at most this part of what is free, so that there is something left for the next ones.
constexpr std::uint64_t share = 32;

} // namespace

// Who does not say that it has closed keeps memory, but not all of it: half of what others do not keep.
std::uint64_t connections::may_keep(std::uint32_t peer) const
{
  std::uint64_t by_others = 0;
  for (const auto& one : kept_by_)
    if (one.first != peer)
      by_others += one.second;
  const std::uint64_t all = places_.area_size - slices_offset(places_.partitions) - by_others;
  return places_.partitions > 2 ? all / 2 : all;
}

// Finds room for rings as large as wanted, or smaller ones.
bool connections::allocate(end& which, const detail::connection_geometry& wanted)
{
  const slice_allocator::clock::time_point now = slice_allocator::clock::now();
  slices_.allocate(0, now); // nothing, so that what has rested long enough counts as available
  std::uint64_t room = slices_.available();
  if (const std::uint64_t kept = kept_by_[which.peer]; kept != 0)
  {
    const std::uint64_t most_kept = may_keep(which.peer);
    if (kept >= most_kept)
      return false;
    room = std::min(room, most_kept - kept);
  }
  detail::connection_geometry geometry = reduced(wanted, room / share);
  for (;;)
  {
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
  if (size() >= most || !allocate(*result, wanted.geometry))
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

void connections::request(detail::descriptor socket, const detail::hello& wanted)
{
  if (slice_allocator::clock::now() < settled_)
  {
    if (size() >= most)
    {
      detail::send_refused(socket.get(), error::no_memory);
      return;
    }
    ++early_;
    const auto later = std::make_shared<asio::steady_timer>(context_, settled_);
    const auto kept = std::make_shared<detail::descriptor>(std::move(socket));
    later->async_wait(
        [this, later, kept, wanted](const error_code& failed)
        {
          --early_;
          if (!failed)
            request(std::move(*kept), wanted);
        });
    return;
  }
  error_code ec;
  const pointer which = prepare(wanted, ec);
  if (ec)
  {
    detail::send_refused(socket.get(), ec);
    return;
  }
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
