// SPDX-License-Identifier: BSL-1.0
// Small questions about the bytes of a sockaddr.
#ifndef ASIO_SHM_SRC_SOCKADDR_HPP
#define ASIO_SHM_SRC_SOCKADDR_HPP

#include <shm/detail/socket_address.hpp>

#include <boost/asio/error.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <netinet/in.h>
#include <sys/socket.h>

namespace shm {
namespace detail {

/// AF_UNSPEC if there is no address.
inline int family_of(const socket_address& address) noexcept
{
  sa_family_t family = AF_UNSPEC;
  if (address.size >= sizeof(family))
    std::memcpy(&family, address.data, sizeof(family));
  return family;
}

inline bool is_ip(const socket_address& address) noexcept
{
  return family_of(address) == AF_INET || family_of(address) == AF_INET6;
}

/// The port of an IPv4 or IPv6 sockaddr.
inline std::uint16_t port_of(const socket_address& address) noexcept
{
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port), "one place for both");
  std::uint16_t port;
  std::memcpy(&port, address.data + offsetof(sockaddr_in, sin_port), sizeof(port));
  return ntohs(port);
}

/// What bind and connect say about an address that is not of the socket's family; for IP endpoints as the kernel does.
inline boost::asio::error::basic_errors wrong_family(int family, const socket_address& address) noexcept
{
  // An IPv4 sockaddr is too short to be an IPv6 one, which is checked first.
  return family == AF_INET6 && address.size < sizeof(sockaddr_in6) ? boost::asio::error::invalid_argument
                                                                   : boost::asio::error::address_family_not_supported;
}

/// What a socket of a family has before it is bound: the wildcard address and port 0, or the empty path.
inline socket_address unbound_address(int family) noexcept
{
  sockaddr_storage any{};
  any.ss_family = static_cast<sa_family_t>(family);
  socket_address result;
  result.size = family == AF_INET ? sizeof(sockaddr_in)
      : family == AF_INET6        ? sizeof(sockaddr_in6)
                                  : sizeof(sa_family_t);
  std::memcpy(result.data, &any, result.size);
  return result;
}

} // namespace detail
} // namespace shm

#endif
