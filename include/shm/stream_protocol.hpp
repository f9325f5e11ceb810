// SPDX-License-Identifier: BSL-1.0
// The protocol that takes the place of boost::asio::ip::tcp: its byte streams run through shared memory.
#ifndef ASIO_SHM_STREAM_PROTOCOL_HPP
#define ASIO_SHM_STREAM_PROTOCOL_HPP

#include <shm/endpoint.hpp>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_socket_iostream.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/detail/socket_option.hpp>
#include <boost/asio/detail/socket_types.hpp>
#include <boost/asio/ip/basic_resolver.hpp>

namespace shm {

/// Encapsulates the flags and types for byte streams between programs on one machine.
/**
 * To be used where @c boost::asio::ip::tcp is used:
 *
 * @code
 * using tcp = shm::stream_protocol;
 * @endcode
 *
 * Sockets and acceptors are Asio's own class templates. Both programs see a network peer: a connection between them
 * is emulated by a shared memory region with, for each direction, a control segment and a plurality of data segments
 * (claim 1 of US 7,571,440; see doc/protocol.md).
 *
 * What differs from TCP is listed in doc/guarantees.md.
 *
 * @par Thread Safety
 * @e Distinct @e objects: Safe.@n
 * @e Shared @e objects: Safe.
 *
 * Source: the Protocol and InternetProtocol requirements of Boost.Asio.
 */
class stream_protocol
{
public:
  /// The type of an endpoint: address and port, path, or short name.
  using endpoint = basic_endpoint<stream_protocol>;

  /// The socket type.
  using socket = boost::asio::basic_stream_socket<stream_protocol>;

  /// The acceptor type.
  using acceptor = boost::asio::basic_socket_acceptor<stream_protocol>;

  /// The resolver type: Asio's, with the system's host names and services, and the names of partitions.
  using resolver = boost::asio::ip::basic_resolver<stream_protocol>;

#if !defined(BOOST_ASIO_NO_IOSTREAM)
  /// The type of a stream for operator<< and operator>>: Asio's, over a stream buffer of this library.
  using iostream = boost::asio::basic_socket_iostream<stream_protocol>;
#endif

  /// Socket option of TCP programs. Accepted and given back; nothing is ever held back here.
  using no_delay = boost::asio::detail::socket_option::boolean<IPPROTO_TCP, TCP_NODELAY>;

  /// Endpoints with IPv4 addresses on the emulated network.
  static stream_protocol v4() noexcept { return stream_protocol(AF_INET); }

  /// Endpoints with IPv6 addresses on the emulated network.
  static stream_protocol v6() noexcept { return stream_protocol(AF_INET6); }

  /// Endpoints that are paths or short names.
  static stream_protocol local() noexcept { return stream_protocol(AF_UNIX); }

  /// The socket type for the resolver and for socket(2): SOCK_STREAM.
  int type() const noexcept { return SOCK_STREAM; }

  /// The protocol for the resolver: IPPROTO_TCP, so that services are found as for TCP; 0 for local().
  int protocol() const noexcept { return family_ == AF_UNIX ? 0 : IPPROTO_TCP; }

  /// The address family: AF_INET, AF_INET6 or AF_UNIX.
  int family() const noexcept { return family_; }

  /// Whether both have the same family.
  friend bool operator==(const stream_protocol& a, const stream_protocol& b) noexcept
  {
    return a.family_ == b.family_;
  }

  /// Whether the families differ.
  friend bool operator!=(const stream_protocol& a, const stream_protocol& b) noexcept
  {
    return a.family_ != b.family_;
  }

private:
  explicit stream_protocol(int family) noexcept : family_(family) {}

  int family_;
};

} // namespace shm

#include <shm/detail/asio_service.hpp>
#include <shm/detail/resolver_query.hpp>

#endif
