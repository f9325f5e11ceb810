// SPDX-License-Identifier: BSL-1.0
// Listeners and connectors without Asio, for the tests of the emulated network.
#ifndef ASIO_SHM_TEST_SUPPORT_ADDRESS_SPACE_FIXTURE_HPP
#define ASIO_SHM_TEST_SUPPORT_ADDRESS_SPACE_FIXTURE_HPP

#include "address_space.hpp"
#include "descriptor.hpp"
#include "socket_name.hpp"
#include "temp_runtime_directory.hpp"

#include <boost/asio/error.hpp>
#include <boost/test/unit_test.hpp>

#include <arpa/inet.h>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <netinet/in.h>
#include <set>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

BOOST_TEST_DONT_PRINT_LOG_VALUE(std::set<std::string>)
BOOST_TEST_DONT_PRINT_LOG_VALUE(std::set<int>)

namespace shm {
namespace test {

inline detail::socket_address ip(const char* address, std::uint16_t port)
{
  detail::socket_address result;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (::inet_pton(AF_INET, address, &v4.sin_addr) == 1)
  {
    v4.sin_family = AF_INET;
    result.size = sizeof(v4);
    std::memcpy(result.data, &v4, sizeof(v4));
  }
  else
  {
    BOOST_TEST_REQUIRE(::inet_pton(AF_INET6, address, &v6.sin6_addr) == 1);
    v6.sin6_family = AF_INET6;
    result.size = sizeof(v6);
    std::memcpy(result.data, &v6, sizeof(v6));
  }
  detail::set_port(result, port);
  return result;
}

/// A path or a short name.
inline detail::socket_address local(const std::string& path)
{
  sockaddr_un address{};
  BOOST_TEST_REQUIRE(path.size() < sizeof(address.sun_path));
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  detail::socket_address result;
  result.size = offsetof(sockaddr_un, sun_path) + path.size();
  std::memcpy(result.data, &address, result.size);
  return result;
}

inline std::uint16_t port_of(const detail::socket_address& address)
{
  sockaddr_in v4;
  std::memcpy(&v4, address.data, sizeof(v4));
  return ntohs(v4.sin_port);
}

inline detail::descriptor new_socket()
{
  return detail::descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

/// A socket bound to an endpoint, listening unless the last argument says no.
struct listener
{
  explicit listener(const detail::socket_address& wanted, bool v6_only = false, bool listening = true)
    : address(wanted)
  {
    name = detail::bind_name(socket.get(), address, v6_only, std::nullopt, error);
    BOOST_TEST(name.valid() == !error);
    if (!error && listening)
      BOOST_TEST(::listen(socket.get(), 8) == 0);
  }

  detail::descriptor accept()
  {
    return detail::descriptor(::accept4(socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  }

  detail::descriptor socket = new_socket();
  detail::socket_address address;
  boost::system::error_code error;
  detail::bound_name name;
};

inline boost::system::error_code connect_error(const detail::socket_address& peer)
{
  const detail::descriptor socket = new_socket();
  boost::system::error_code ec;
  detail::connect_name(socket.get(), peer, ec);
  return ec;
}

/// Whether a connection to this endpoint comes in at this listener.
inline bool reaches(const detail::socket_address& peer, listener& server)
{
  const detail::descriptor socket = new_socket();
  boost::system::error_code ec;
  detail::connect_name(socket.get(), peer, ec);
  return !ec && server.accept().valid();
}

inline bool exists(const std::string& path)
{
  struct stat status;
  return ::lstat(path.c_str(), &status) == 0;
}

inline std::set<int> open_descriptors()
{
  std::set<int> result;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
    result.insert(std::stoi(entry.path().filename()));
  // The iterator's own has closed by now.
  for (auto i = result.begin(); i != result.end();)
    i = ::fcntl(*i, F_GETFD) < 0 ? result.erase(i) : std::next(i);
  return result;
}

/// A runtime directory of the test case's own.
class runtime_fixture
{
public:
  const std::string& path() const noexcept { return directory_.path(); }

  /// All files in it that are not directories.
  std::set<std::string> files() const
  {
    std::set<std::string> result;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path()))
      if (!entry.is_directory())
        result.insert(entry.path());
    return result;
  }

private:
  temp_runtime_directory directory_;
};

} // namespace test
} // namespace shm

#endif
