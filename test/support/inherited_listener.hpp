// SPDX-License-Identifier: BSL-1.0
// A descriptor that somebody else has bound and listens on, as a service manager has it before the server runs.

#ifndef ASIO_SHM_TEST_SUPPORT_INHERITED_LISTENER_HPP
#define ASIO_SHM_TEST_SUPPORT_INHERITED_LISTENER_HPP

#include "connected_pair.hpp"
#include "raw_client.hpp"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace shm::test {

/// An AF_UNIX stream socket that is bound to a file, and listens if wanted.
inline raw_descriptor bound_to_file(const std::string& path, bool listening = true)
{
  auto fd = raw_descriptor::checked(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::strncpy(name.sun_path, path.c_str(), sizeof name.sun_path - 1);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0)
    throw std::system_error(errno, std::generic_category(), path);
  if (listening)
    ::listen(fd.get(), 64);
  return fd;
}

/// The same for a port of 127.0.0.1 that the kernel chooses.
inline raw_descriptor bound_to_port(unsigned short& port, bool listening = true)
{
  auto fd = raw_descriptor::checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  const int on = 1; // as managers do: the port is free for the next one at once
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name);
  socklen_t size = sizeof name;
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&name), &size);
  port = ntohs(name.sin_port);
  if (listening)
    ::listen(fd.get(), 64);
  return fd;
}

/// The file of the runtime directory that stands for an address and a port, "127.0.0.1:80"; its folder is made.
inline std::string file_of_address(const std::string& address)
{
  const std::filesystem::path folder = std::filesystem::path(std::getenv("ASIO_SHM_DIR")) / "ip";
  std::filesystem::create_directories(folder);
  return folder / address;
}

/// What a manager has made for a server of that protocol: no code of the library takes part.
template <class Protocol>
class manager
{
public:
  explicit manager(bool listening = true)
  {
    if constexpr (is_local<Protocol>)
    {
      endpoint_ = typename Protocol::endpoint(unused_path());
      descriptor_ = bound_to_file(endpoint_.path(), listening);
    }
    else if constexpr (is_tcp<Protocol>)
    {
      unsigned short port = 0;
      descriptor_ = bound_to_port(port, listening);
      endpoint_ = loopback<Protocol>(port);
    }
    else
    {
      static std::atomic<unsigned short> next{2000};
      endpoint_ = loopback<Protocol>(++next);
      descriptor_ = bound_to_file(file_of_address("127.0.0.1:" + std::to_string(endpoint_.port())), listening);
    }
  }

  const typename Protocol::endpoint& endpoint() const { return endpoint_; }
  int descriptor() const { return descriptor_.get(); }

  /// The copy that a server inherits, which is the server's to close.
  int for_server() const { return ::fcntl(descriptor_.get(), F_DUPFD_CLOEXEC, 0); }

private:
  typename Protocol::endpoint endpoint_;
  raw_descriptor descriptor_;
};

} // namespace shm::test

#endif
