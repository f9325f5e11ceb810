// SPDX-License-Identifier: BSL-1.0
// What the bytes of a sockaddr name in the emulated address space, and which names exclude each other. No I/O here.
#ifndef ASIO_SHM_SRC_SOCKET_NAME_HPP
#define ASIO_SHM_SRC_SOCKET_NAME_HPP

#include <shm/detail/socket_address.hpp>

#include <boost/system/error_code.hpp>

#include <array>
#include <cstdint>
#include <string>

namespace shm {
namespace detail {

/// An address and a port. An IPv4-mapped IPv6 address is the IPv4 address.
struct ip_name
{
  bool v6 = false;
  std::array<unsigned char, 16> bytes{}; ///< The first four for IPv4.
  std::uint32_t scope = 0;
  std::uint16_t port = 0;
  bool v6_only = false; ///< Only the IPv6 wildcard can have it.

  bool is_wildcard() const noexcept;
  bool is_loopback() const noexcept;

  /// "127.0.0.1:80", "[::1]:80", "[fe80::1%2]:80"; "[::]:80-v6only" for the wildcard that leaves IPv4 out.
  std::string file_name() const;

  /// The inverse. @returns false for any other string.
  static bool parse(const std::string& file_name, ip_name& result);

  /// Whether @p a and @p b cannot be bound at the same time, as TCP has it.
  static bool conflict(const ip_name& a, const ip_name& b) noexcept;

  /// The wildcard names that accept connections to this one too, best first.
  std::array<ip_name, 2> wildcards() const noexcept;

  /// The address of this machine that a wildcard destination means; others are returned as they are.
  ip_name destination() const noexcept;
};

/// What a sockaddr names.
struct socket_name
{
  enum class kind
  {
    ip,
    short_name, ///< A file in the runtime directory.
    path        ///< A file where the user said: the path contains '/'.
  };

  kind what = kind::ip;
  ip_name ip;
  std::string text; ///< Short name or path.

  /// Reads a sockaddr. @param v6_only Counts for IPv6 only. @param ec invalid_argument for names that no file can
  /// have, a size that is too small or an IPv4-mapped address with @p v6_only; address_family_not_supported.
  static socket_name parse(const socket_address& address, bool v6_only, boost::system::error_code& ec);
};

/// The local end of a connection to @p peer within this machine: its address, or loopback for a wildcard. The port
/// is 0; for a path or a name the result is the empty path.
socket_address local_end(const socket_address& peer) noexcept;

/// That address with port 0, in a sockaddr of the same kind as the peer's, whose name is of the same family.
socket_address with_address(const socket_address& peer, const ip_name& address) noexcept;

/// Sets the port of an IPv4 or IPv6 sockaddr.
void set_port(socket_address& address, std::uint16_t port) noexcept;

} // namespace detail
} // namespace shm

#endif
