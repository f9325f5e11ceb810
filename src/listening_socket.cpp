// SPDX-License-Identifier: BSL-1.0
// getsockname(2) and the file names of the emulated network.
#include "listening_socket.hpp"

#include "descriptor.hpp"
#include "runtime_directory.hpp"
#include "socket_name.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace shm {
namespace detail {
namespace {

constexpr std::size_t path_offset = offsetof(sockaddr_un, sun_path);

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

// "/run/user/1000/asio-shm/ip/127.0.0.1:80" has the parts directory, room and name.
struct file_parts
{
  std::string directory;
  std::string room;
  std::string name;
};

bool split(const std::string& path, file_parts& result)
{
  const std::size_t last = path.rfind('/');
  if (last == std::string::npos || last == 0)
    return false;
  const std::size_t before = path.rfind('/', last - 1);
  if (before == std::string::npos)
    return false;
  result = {path.substr(0, before), path.substr(before + 1, last - before - 1), path.substr(last + 1)};
  return true;
}

bool in_runtime_directory(const file_parts& file)
{
  boost::system::error_code ec;
  const runtime_directory ours = runtime_directory::open(runtime_directory::if_missing::fail, ec);
  if (ec)
    return false;
  struct stat a, b;
  // Into a directory with a long path, bind goes by a descriptor. It was the binder's, and means nothing any more.
  if (file.directory.compare(0, 14, "/proc/self/fd/") == 0)
    return ::fstatat(ours.get(), (file.room + "/" + file.name).c_str(), &a, AT_SYMLINK_NOFOLLOW) == 0
        && S_ISSOCK(a.st_mode);
  return ::fstat(ours.get(), &a) == 0 && ::stat(file.directory.c_str(), &b) == 0 && a.st_dev == b.st_dev
      && a.st_ino == b.st_ino;
}

socket_address local_address(const std::string& path) noexcept
{
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof(address.sun_path)));
  return to_address(address, path_offset + path.size());
}

} // namespace

socket_address name_of_listener(int socket, int family, boost::system::error_code& ec)
{
  sockaddr_un bound{};
  socklen_t size = sizeof(bound);
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &size) != 0)
  {
    ec = last_error();
    return socket_address();
  }
  ec.clear();
  const std::size_t length = size > path_offset ? std::min<std::size_t>(size, sizeof(bound)) - path_offset : 0;
  const std::string path(bound.sun_path, ::strnlen(bound.sun_path, length));
  file_parts parts;
  ip_name name;
  if (split(path, parts))
  {
    if (parts.room == "ip" && ip_name::parse(parts.name, name)
        && (family != AF_UNIX || in_runtime_directory(parts)))
      return to_address(name);
    if (parts.room == "name" && in_runtime_directory(parts))
      return local_address(parts.name);
  }
  return local_address(path);
}

} // namespace detail
} // namespace shm
