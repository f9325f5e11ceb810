// SPDX-License-Identifier: BSL-1.0
// Which options there are, how large their values are, and what the buffer sizes make of the geometry.
#include "socket_options.hpp"

#include <shm/detail/option_names.hpp>

#include <boost/asio/error.hpp>

#include <algorithm>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

namespace shm {
namespace detail {
namespace {

// Large enough that a ring does not fit into a core's private cache: through a smaller one every line moves dirty
// from core to core. Its pages are touched only when data passes.
constexpr int default_buffer_size = 2 << 20;
constexpr std::uint32_t default_segment_count = 16;

// Options that are accepted and given back; they have no effect on a connection without a network.
struct kept_option
{
  int level;
  int name;
  std::size_t size;
};
constexpr kept_option kept_options[] = {
    {SOL_SOCKET, SO_REUSEADDR, sizeof(int)}, // a name is free as soon as its listener is gone
    {SOL_SOCKET, SO_REUSEPORT, sizeof(int)},
    {SOL_SOCKET, SO_KEEPALIVE, sizeof(int)}, // the kernel reports a dead peer at once
    {SOL_SOCKET, SO_LINGER, sizeof(linger)}, // what was written before close is always delivered
    {SOL_SOCKET, SO_BROADCAST, sizeof(int)},
    {SOL_SOCKET, SO_DEBUG, sizeof(int)},
    {SOL_SOCKET, SO_DONTROUTE, sizeof(int)},
    {SOL_SOCKET, SO_OOBINLINE, sizeof(int)},
    {SOL_SOCKET, SO_PRIORITY, sizeof(int)},
    {SOL_SOCKET, SO_RCVLOWAT, sizeof(int)},
    {IPPROTO_TCP, TCP_NODELAY, sizeof(int)}, // nothing is ever held back
    {IPPROTO_TCP, TCP_QUICKACK, sizeof(int)},
    {IPPROTO_TCP, TCP_CORK, sizeof(int)},
    {IPPROTO_TCP, TCP_KEEPIDLE, sizeof(int)},
    {IPPROTO_TCP, TCP_KEEPINTVL, sizeof(int)},
    {IPPROTO_TCP, TCP_KEEPCNT, sizeof(int)},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, sizeof(int)},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT, sizeof(int)},
    {IPPROTO_TCP, TCP_FASTOPEN, sizeof(int)},
    {IPPROTO_IP, IP_TTL, sizeof(int)},
    {IPPROTO_IP, IP_TOS, sizeof(int)},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, sizeof(int)},
    {IPPROTO_IPV6, IPV6_V6ONLY, sizeof(int)}, // honoured by bind
};

const kept_option* find_kept(int level, int name) noexcept
{
  for (const kept_option& option : kept_options)
    if (option.level == level && option.name == name)
      return &option;
  return nullptr;
}

ring_geometry ring_for(int bytes) noexcept
{
  const std::uint64_t wanted = static_cast<std::uint64_t>(bytes > 0 ? bytes : default_buffer_size);
  const std::uint64_t share = (wanted + default_segment_count - 1) / default_segment_count;
  const std::uint64_t segment = (share + page_size - 1) / page_size * page_size;
  const std::uint64_t largest = max_region_size / 4 / default_segment_count;
  return {static_cast<std::uint32_t>(std::clamp<std::uint64_t>(segment, page_size, largest)), default_segment_count};
}

int read_int(const void* data) noexcept
{
  int value;
  std::memcpy(&value, data, sizeof(value));
  return value;
}

} // namespace

socket_options::key socket_options::v6_only_key() noexcept
{
  return {IPPROTO_IPV6, IPV6_V6ONLY};
}

bool socket_options::flag(key k) const noexcept
{
  const auto it = kept_.find(k);
  return it != kept_.end() && it->second.size() == sizeof(int) && read_int(it->second.data()) != 0;
}

void socket_options::set(int level, int name, const void* data, std::size_t size, boost::system::error_code& ec)
{
  ec.clear();
  const bool buffer_size = level == SOL_SOCKET && (name == SO_SNDBUF || name == SO_RCVBUF);
  const bool busy_poll = (level == option_level && name == option_busy_poll) || (level == SOL_SOCKET && name == SO_BUSY_POLL);
  const bool own = level == option_level;
  const kept_option* kept = find_kept(level, name);
  if (!buffer_size && !busy_poll && !kept
      && !(own && (name == option_socket_doorbell || name == option_permissions)))
  {
    ec = boost::asio::error::no_protocol_option;
    return;
  }
  if (size < (kept ? kept->size : sizeof(int)))
  {
    ec = boost::asio::error::invalid_argument;
    return;
  }
  if (busy_poll)
  {
    if (read_int(data) < 0 || read_int(data) > max_busy_poll)
      ec = boost::asio::error::invalid_argument;
    else
      busy_poll_ = read_int(data);
  }
  else if (own && name == option_permissions)
  {
    if (read_int(data) < 0 || read_int(data) > (S_IRWXU | S_IRWXG | S_IRWXO))
      ec = boost::asio::error::invalid_argument;
    else
      permissions_ = static_cast<mode_t>(read_int(data));
  }
  else if (own)
    socket_doorbell_ = read_int(data) != 0;
  else if (buffer_size)
    (name == SO_SNDBUF ? send_buffer_size_ : receive_buffer_size_) = std::max(read_int(data), 1);
  else
  {
    const auto* bytes = static_cast<const unsigned char*>(data);
    kept_[{level, name}].assign(bytes, bytes + kept->size);
  }
}

void socket_options::get(int level, int name, void* data, std::size_t& size, boost::system::error_code& ec) const
{
  ec.clear();
  const auto give_int = [&](int value) {
    if (size < sizeof(value))
    {
      ec = boost::asio::error::invalid_argument;
      return;
    }
    std::memcpy(data, &value, sizeof(value));
    size = sizeof(value);
  };
  const connection_geometry geometry = geometry_for_connector();
  if (level == SOL_SOCKET && name == SO_SNDBUF)
    return give_int(static_cast<int>(geometry.connector.capacity()));
  if (level == SOL_SOCKET && name == SO_RCVBUF)
    return give_int(static_cast<int>(geometry.acceptor.capacity()));
  if (level == SOL_SOCKET && name == SO_SNDLOWAT)
    return give_int(1); // as Linux has it: cannot be set
  if (level == SOL_SOCKET && name == SO_TYPE)
    return give_int(SOCK_STREAM);
  if (level == SOL_SOCKET && name == SO_ERROR)
    return give_int(0);
  if (level == option_level && name == option_socket_doorbell)
    return give_int(socket_doorbell_ ? 1 : 0);
  if (level == option_level && name == option_permissions)
    return give_int(permissions_ ? static_cast<int>(*permissions_) : 0);

  const kept_option* kept = find_kept(level, name);
  if (!kept)
  {
    ec = boost::asio::error::no_protocol_option;
    return;
  }
  if (size < kept->size)
  {
    ec = boost::asio::error::invalid_argument;
    return;
  }
  std::memset(data, 0, size);
  size = kept->size;
  const auto it = kept_.find({level, name});
  if (it != kept_.end())
    std::memcpy(data, it->second.data(), kept->size);
  else if (level == SOL_SOCKET && name == SO_RCVLOWAT)
    give_int(1);
}

connection_geometry socket_options::geometry_for_connector() const noexcept
{
  return {ring_for(send_buffer_size_), ring_for(receive_buffer_size_)};
}

} // namespace detail
} // namespace shm
