// SPDX-License-Identifier: BSL-1.0
// Notifying the service manager.
#include "service_manager.hpp"

#include "descriptor.hpp"

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

namespace shm {
namespace partitiond {

void tell_service_manager(const std::string& state)
{
  const char* const path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t size = path ? std::strlen(path) : 0;
  if (size < 2 || size >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
    return;
  std::memcpy(address.sun_path, path, size);
  if (path[0] == '@')
    address.sun_path[0] = '\0'; // an abstract name
  const detail::descriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const ssize_t sent = ::sendto(socket.get(), state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
      reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size));
  static_cast<void>(sent);
}

} // namespace partitiond
} // namespace shm
