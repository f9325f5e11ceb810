// SPDX-License-Identifier: BSL-1.0
// Where the socket file of a name lies, and how the kernel is told in the 108 bytes of a sockaddr_un.
#ifndef ASIO_SHM_SRC_FILE_PLACE_HPP
#define ASIO_SHM_SRC_FILE_PLACE_HPP

#include "socket_name.hpp"

#include <boost/asio/error.hpp>

#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>

namespace shm {
namespace detail {

/// A file in an open directory, or by a path of the user's.
struct file_place
{
  int directory = AT_FDCWD;
  std::string directory_path; ///< Empty with AT_FDCWD.
  std::string name;           ///< From the directory.
};

inline file_place ip_place(int directory, const std::string& directory_path, const ip_name& name)
{
  return {directory, directory_path, "ip/" + name.file_name()};
}

inline file_place short_name_place(int directory, const std::string& directory_path, const std::string& name)
{
  return {directory, directory_path, "name/" + name};
}

inline file_place path_place(const std::string& path)
{
  return {AT_FDCWD, std::string(), path};
}

/// The sockaddr of a socket file.
class local_sockaddr
{
public:
  /// @returns false with name_too_long if there is no way to say it.
  bool assign(const file_place& place, boost::system::error_code& ec)
  {
    std::string text = place.name;
    if (place.directory != AT_FDCWD)
    {
      text = place.directory_path + "/" + place.name;
      // The plain path is what other tools show, so the detour over /proc is only for long ones.
      if (text.size() >= sizeof(address_.sun_path))
        text = "/proc/self/fd/" + std::to_string(place.directory) + "/" + place.name;
    }
    if (text.size() >= sizeof(address_.sun_path))
    {
      ec = boost::asio::error::name_too_long;
      return false;
    }
    address_ = sockaddr_un();
    address_.sun_family = AF_UNIX;
    std::memcpy(address_.sun_path, text.c_str(), text.size() + 1);
    size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size() + 1);
    ec.clear();
    return true;
  }

  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&address_); }
  socklen_t size() const noexcept { return size_; }

private:
  sockaddr_un address_{};
  socklen_t size_ = 0;
};

} // namespace detail
} // namespace shm

#endif
