// SPDX-License-Identifier: BSL-1.0
// Blocking operations with a deadline, which Asio's sockets do not have: as I/O control commands for stream buffers.
#ifndef ASIO_SHM_DETAIL_TIMED_OPERATIONS_HPP
#define ASIO_SHM_DETAIL_TIMED_OPERATIONS_HPP

#include <shm/detail/socket_core.hpp>

#include <boost/asio/buffer.hpp>

#include <cstddef>

namespace shm {
namespace detail {

// None of these reaches the kernel: basic_socket::io_control is public and leads to the service of the socket. Each
// waits until the deadline, whatever the socket's non-blocking mode is, and then gives would_block or try_again.

/// Receives at least one byte.
struct timed_receive
{
  boost::asio::mutable_buffer buffer;
  socket_core::deadline until;
  std::size_t bytes_transferred = 0;
};

/// Sends at least one byte.
struct timed_send
{
  boost::asio::const_buffer buffer;
  socket_core::deadline until;
  std::size_t bytes_transferred = 0;
};

/// Connects an open socket.
template <typename Endpoint>
struct timed_connect
{
  Endpoint peer;
  socket_core::deadline until;
};

} // namespace detail
} // namespace shm

#endif
