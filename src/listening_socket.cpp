// SPDX-License-Identifier: BSL-1.0
// getsockname(2) and the file names of the emulated network.
#include "listening_socket.hpp"

#include "descriptor.hpp"
#include "socket_name.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>

namespace shm {
namespace detail {
namespace {

template <typename Sockaddr>
socket_address to_address(const Sockaddr& from, std::size_t size) noexcept
{
  socket_address result;
  result.size = std::min(size, sizeof(from));
  std::memcpy(result.data, &from, result.size);
  return result;
}

socket_address to_address(const ip_name& name) noexcept
{
  if (name.v6)
  {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(name.port);
    v6.sin6_scope_id = name.scope;
    std::memcpy(&v6.sin6_addr, name.bytes.data(), sizeof(v6.sin6_addr));
    return to_address(v6, sizeof(v6));
  }
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(name.port);
  std::memcpy(&v4.sin_addr, name.bytes.data(), sizeof(v4.sin_addr));
  return to_address(v4, sizeof(v4));
}

} // namespace

socket_address name_of_listener(int socket, boost::system::error_code& ec)
{
  sockaddr_un bound{};
  socklen_t size = sizeof(bound);
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &size) != 0)
  {
    ec = last_error();
    return socket_address();
  }
  ec.clear();
  const std::size_t length = size > offsetof(sockaddr_un, sun_path) ? size - offsetof(sockaddr_un, sun_path) : 0;
  const std::string path(bound.sun_path, ::strnlen(bound.sun_path, length));
  const std::size_t slash = path.rfind('/');
  ip_name name;
  if (slash != std::string::npos && slash >= 3 && path.compare(slash - 3, 4, "/ip/") == 0
      && ip_name::parse(path.substr(slash + 1), name))
    return to_address(name);
  return to_address(bound, offsetof(sockaddr_un, sun_path) + path.size() + (path.empty() ? 0 : 1));
}

} // namespace detail
} // namespace shm
