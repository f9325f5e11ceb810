// SPDX-License-Identifier: BSL-1.0
// What the daemons of both sides do for a connection: doorbells, mail, ends. Beginnings: connecting.cpp, accepting.cpp.
#include "connections.hpp"

#include "doorbell.hpp"
#include "rendezvous.hpp"
#include "shared_eventfd.hpp"

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <random>
#include <sys/socket.h>

namespace shm {
namespace partitiond {

namespace asio = boost::asio;
using boost::system::error_code;
using detail::descriptor;

connections::connections(asio::io_context& context, exchange& others, attachment& bells, slice_allocator& slices,
    const area_places& places, bool after_another)
  : context_(context),
    others_(others),
    bells_(bells),
    slices_(slices),
    places_(places),
    settled_(slice_allocator::clock::now() + (after_another ? settling : std::chrono::seconds(0))),
    last_number_(std::random_device()())
{
  // Vector 0 is the daemon's.
  for (unsigned vector = bells.vectors(); vector > 1; --vector)
    free_vectors_.push_back(vector - 1);
}

connections::~connections() = default;

connections::pointer connections::find(std::uint32_t peer, bool connector, std::uint64_t number) const
{
  const auto found = ends_.find(key(peer, connector, number));
  return found == ends_.end() ? nullptr : found->second;
}

unsigned char* connections::memory(const end& which) const noexcept
{
  return places_.region + (which.message.offset - bells_.memory().offset);
}

// The application gets the vector's own eventfd, if there is one left, and is woken by its peer. Else this daemon is.
descriptor connections::open_own_doorbell(end& which, error_code& ec)
{
  if (!free_vectors_.empty())
  {
    descriptor result = bells_.listen(free_vectors_.back(), ec);
    if (!ec)
    {
      which.vector = free_vectors_.back();
      free_vectors_.pop_back();
      return result;
    }
  }
  descriptor result = detail::open_eventfd(ec);
  if (!ec)
    which.rings.emplace(memory(which), which.message.geometry, which.connector);
  return result;
}

void connections::send_slice(end& which, error_code& ec)
{
  if (!which.peer_eventfd.valid())
  {
    which.peer_eventfd = bells_.ringer(which.peer, which.peer_vector, ec);
    if (ec == asio::error::not_found)
      ec = asio::error::host_unreachable;
    if (ec)
      return;
  }
  const int own = which.own_eventfd.get();
  const int peer = which.peer_eventfd.get();
  // Applications take no others. Who had them before can have changed that.
  for (const int eventfd : {own, peer})
    ::fcntl(eventfd, F_SETFL, O_RDWR | O_NONBLOCK);
  const std::array<int, 3> descriptors = {
      bells_.memory().descriptor, which.connector ? peer : own, which.connector ? own : peer};
  detail::send_hello(which.socket.native_handle(), encode(which.message), descriptors.data(), descriptors.size(), ec);
  if (ec)
    return;
  which.peer_eventfd.reset();
  if (!which.rings)
    which.own_eventfd.reset(); // it is the application's now
}

void connections::watch(const pointer& which)
{
  which->socket.async_wait(asio::posix::stream_descriptor::wait_read,
      [this, which](const error_code& ec)
      {
        if (ec || which->application_ended)
          return;
        // An application sends nothing more; a listener tells why it refuses, which its end tells as well.
        std::array<char, 256> ignored;
        const ssize_t n = ::recv(which->socket.native_handle(), ignored.data(), ignored.size(), MSG_DONTWAIT);
        if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
          watch(which);
        else
          on_application_end(which);
      });
}

void connections::send(const end& which, mail_kind kind, std::uint32_t reason)
{
  mail message;
  message.kind = kind;
  message.connection = which.number;
  message.from_connector = which.connector;
  message.reason = reason;
  if (kind == mail_kind::connect || kind == mail_kind::accepted)
    message.vector = which.vector;
  if (kind == mail_kind::connect)
  {
    message.offset = which.offset;
    message.geometry = which.message.geometry;
    message.connector = which.message.connector;
    message.acceptor = which.message.acceptor;
  }
  others_.send(which.peer, message);
}

// Closed, killed, or not wanted any more.
void connections::on_application_end(const pointer& which)
{
  if (which->application_ended)
    return;
  which->application_ended = true;
  wait_no_longer(*which);
  which->timer.cancel();
  error_code ignored;
  which->socket.close(ignored);
  which->own_eventfd.reset();
  which->peer_eventfd.reset();
  relayed_.erase(which);
  if (which->vector != 0)
    free_vectors_.push_back(which->vector);
  // Who was refused, or has refused, says no more.
  if (which->linked && (which->accepted || !which->peer_ended))
    send(*which, mail_kind::closed);
  if (which->connector && which->linked && !which->peer_ended)
  {
    which->kept = true;
    kept_by_[which->peer] += which->message.geometry.size();
  }
  forget_if_over(which);
}

void connections::forget_if_over(const pointer& which)
{
  const pointer kept = which;
  if (!kept->application_ended || (kept->linked && !kept->peer_ended))
    return;
  if (kept->kept)
    kept_by_[kept->peer] -= kept->message.geometry.size();
  if (kept->linked)
    ends_.erase(key(kept->peer, kept->connector, kept->number));
  else
    unlinked_.erase(kept);
  if (kept->connector)
    slices_.free(kept->offset, kept->peer_ended, slice_allocator::clock::now());
  else
    --accepted_from_[kept->peer];
}

bool connections::on_closed(std::uint32_t peer, const mail& message)
{
  const pointer which = find(peer, !message.from_connector, message.connection);
  if (!which)
    return true; // refused by one side when the other closed
  if (which->peer_ended)
    return false;
  which->peer_ended = true;
  if (which->application_ended)
    forget_if_over(which);
  else if (which->accepted)
    // The application sees the end of file, reads what was published, and closes. Until then its memory stays.
    ::shutdown(which->socket.native_handle(), SHUT_WR);
  else if (which->connector)
    refuse(which, asio::error::connection_refused);
  else
  {
    // The connector did not want to wait for the listener.
    which->accepted = true; // so that it is told
    on_application_end(which);
  }
  return true;
}

bool connections::on_mail(std::uint32_t peer, const mail& message)
{
  switch (message.kind)
  {
  case mail_kind::connect:
    return on_connect(peer, message);
  case mail_kind::accepted:
    return on_accepted(peer, message);
  case mail_kind::refused:
    return on_refused(peer, message);
  case mail_kind::closed:
    return on_closed(peer, message);
  }
  return false;
}

void connections::on_link_down(std::uint32_t peer)
{
  std::vector<pointer> with_peer;
  for (auto i = ends_.lower_bound(key(peer, false, 0)); i != ends_.end() && std::get<0>(i->first) == peer;)
  {
    with_peer.push_back(i->second);
    unlinked_.insert(i->second);
    i = ends_.erase(i);
  }
  for (const pointer& which : with_peer)
  {
    which->linked = false;
    if (which->application_ended)
      forget_if_over(which);
    else if (which->accepted)
    {
      detail::send_refused(which->socket.native_handle(), asio::error::connection_reset);
      ::shutdown(which->socket.native_handle(), SHUT_WR);
    }
    else if (which->connector)
      refuse(which, asio::error::host_unreachable);
    else
      on_application_end(which);
  }
}

std::size_t connections::relay_rings()
{
  std::size_t due = 0;
  for (const pointer& which : relayed_)
    if (which->rings->due())
    {
      ++due;
      detail::ring_shared_eventfd(which->own_eventfd.get());
    }
  return due;
}

} // namespace partitiond
} // namespace shm
