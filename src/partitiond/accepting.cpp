// SPDX-License-Identifier: BSL-1.0
// The side of a connection with the listener.
#include "connections.hpp"

#include "address_space.hpp"
#include "rendezvous.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>

namespace shm {
namespace partitiond {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// For a full backlog, and while the kernel has too many descriptors in flight for this user.
constexpr std::chrono::milliseconds longest_pause{50};

// With many that wait, all of one partition's together try so often.
constexpr std::chrono::milliseconds between_attempts{1};
constexpr std::chrono::seconds patience{10};

bool same_address(const detail::ip_name& a, const detail::ip_name& b) noexcept
{
  return a.v6 == b.v6 && a.bytes == b.bytes;
}

bool has_address(const detail::socket_address& endpoint, const detail::ip_name& address)
{
  error_code ec;
  const detail::socket_name name = detail::socket_name::parse(endpoint, false, ec);
  return !ec && name.what == detail::socket_name::kind::ip && same_address(name.ip, address);
}

// Whether the memory of a new connection lies where its partition may put it.
bool is_slice(const mail& message, const area_places& places)
{
  const std::uint64_t size = message.geometry.size();
  return message.geometry.valid() && message.offset % page_size == 0 &&
         message.offset >= slices_offset(places.partitions) && size <= places.area_size &&
         message.offset <= places.area_size - size;
}

} // namespace

bool connections::on_connect(std::uint32_t peer, const mail& message)
{
  const key name(peer, false, message.connection);
  if (!message.from_connector || ends_.count(name) != 0 || !is_slice(message, places_))
    return false;
  const auto which = std::make_shared<end>(context_);
  which->peer = peer;
  which->number = message.connection;
  which->offset = message.offset;
  which->peer_vector = message.vector;
  which->message.memory = detail::memory_kind::slice;
  which->message.offset = bells_.memory().offset + places_.offset(peer) + message.offset;
  which->message.geometry = message.geometry;
  which->message.connector = message.connector;
  which->message.acceptor = message.acceptor;
  const bool room = size() < most && accepted_from_[peer] < most_from_peer;
  ++accepted_from_[peer];
  ends_.emplace(name, which);

  // Only listeners that are meant for others: not those on a loopback address, or on that of a third partition.
  if (!has_address(message.acceptor, others_.own_address()) ||
      !has_address(message.connector, others_.address_of(peer)))
    refuse_peer(which, asio::error::connection_refused);
  else if (!room)
    refuse_peer(which, asio::error::no_memory);
  else
  {
    which->give_up = std::chrono::steady_clock::now() + patience;
    try_listener(which);
  }
  return true;
}

// One attempt to hand the connection to a listener here, as any connector would.
void connections::reach_listener(end& which, error_code& ec)
{
  ec.clear();
  if (!which.socket.is_open())
  {
    detail::descriptor socket = detail::open_rendezvous_socket(ec);
    if (ec)
      return;
    which.socket.assign(socket.get(), ec);
    if (ec)
      return;
    socket.release();
  }
  if (!which.reached)
  {
    detail::connect_name(which.socket.native_handle(), which.message.acceptor, ec);
    if (ec)
      return;
    which.reached = true;
  }
  if (!which.own_eventfd.valid())
  {
    which.own_eventfd = open_own_doorbell(which, ec);
    if (ec)
      return;
  }
  send_slice(which, ec);
}

void connections::try_listener(const pointer& which)
{
  error_code ec;
  reach_listener(*which, ec);
  if (ec == asio::error::try_again)
  {
    if (std::chrono::steady_clock::now() >= which->give_up)
    {
      refuse_peer(which, asio::error::timed_out);
      return;
    }
    // One that waits holds no descriptor.
    if (!which->reached)
    {
      error_code ignored;
      which->socket.close(ignored);
    }
    if (!which->waiting)
    {
      which->waiting = true;
      ++waiting_from_[which->peer];
    }
    which->timer.expires_after(std::max(which->pause, between_attempts * waiting_from_[which->peer]));
    which->pause = std::min(2 * which->pause, longest_pause);
    which->timer.async_wait(
        [this, which](const error_code& failed)
        {
          if (!failed && !which->application_ended)
            try_listener(which);
        });
  }
  else if (ec)
    refuse_peer(which, ec);
  else
  {
    which->accepted = true;
    wait_no_longer(*which);
    if (which->rings)
      relayed_.insert(which);
    send(*which, mail_kind::accepted);
    watch(which);
  }
}

void connections::wait_no_longer(end& which)
{
  if (which.waiting)
    --waiting_from_[which.peer];
  which.waiting = false;
}

void connections::refuse_peer(const pointer& which, const error_code& reason)
{
  if (which->linked)
    send(*which, mail_kind::refused, to_reason(reason));
  which->peer_ended = true;
  on_application_end(which);
}

} // namespace partitiond
} // namespace shm
