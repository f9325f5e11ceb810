// SPDX-License-Identifier: BSL-1.0
// Endpoints in messages.
#include "message_bytes.hpp"

#include <arpa/inet.h>
#include <cstring>
#include <netinet/in.h>

namespace shm {
namespace detail {

void put_endpoint(unsigned char* at, const socket_address& address) noexcept
{
  sockaddr_in in{};
  sockaddr_in6 in6{};
  if (address.size >= sizeof(in))
    std::memcpy(&in, address.data, sizeof(in));
  if (in.sin_family == AF_INET)
  {
    put<std::uint16_t>(at, 4);
    put<std::uint16_t>(at + 2, ntohs(in.sin_port));
    std::memcpy(at + 8, &in.sin_addr, 4);
  }
  else if (in.sin_family == AF_INET6 && address.size >= sizeof(in6))
  {
    std::memcpy(&in6, address.data, sizeof(in6));
    put<std::uint16_t>(at, 6);
    put<std::uint16_t>(at + 2, ntohs(in6.sin6_port));
    put<std::uint32_t>(at + 4, in6.sin6_scope_id);
    std::memcpy(at + 8, &in6.sin6_addr, 16);
  }
}

bool get_endpoint(const unsigned char* at, socket_address& address) noexcept
{
  address.size = 0;
  switch (get<std::uint16_t>(at))
  {
  case 0:
    return true;
  case 4: {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(get<std::uint16_t>(at + 2));
    std::memcpy(&in.sin_addr, at + 8, 4);
    address.size = sizeof(in);
    std::memcpy(address.data, &in, sizeof(in));
    return true;
  }
  case 6: {
    sockaddr_in6 in6{};
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(get<std::uint16_t>(at + 2));
    in6.sin6_scope_id = get<std::uint32_t>(at + 4);
    std::memcpy(&in6.sin6_addr, at + 8, 16);
    address.size = sizeof(in6);
    std::memcpy(address.data, &in6, sizeof(in6));
    return true;
  }
  default:
    return false;
  }
}

} // namespace detail
} // namespace shm
