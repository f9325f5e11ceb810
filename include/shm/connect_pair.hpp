// SPDX-License-Identifier: BSL-1.0
// A pair of sockets that are connected to each other.
#ifndef ASIO_SHM_CONNECT_PAIR_HPP
#define ASIO_SHM_CONNECT_PAIR_HPP

#include <shm/stream_protocol.hpp>

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/detail/throw_error.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>

#include <utility>

namespace shm {

/// Connects two closed sockets to each other, without a listener.
/**
 * Does not block. Afterwards both sockets are open with the protocol @c stream_protocol::local(), and their local and
 * remote endpoints are the empty path. They may belong to different contexts. The buffer sizes are the default ones.
 *
 * @param socket1 One end.
 * @param socket2 The other end.
 * @param ec Set to @c boost::asio::error::already_open if a socket is open, or to what the system said about
 * descriptors or memory (@c no_descriptors, @c no_memory, ...; @c shm::error::unsealed_memory where the kernel does not
 * seal). Both sockets are closed then, unless they were open.
 * @returns @p ec.
 *
 * @par Thread Safety
 * Safe for distinct sockets.
 *
 * Source: @c boost::asio::local::connect_pair.
 */
template <typename Executor1, typename Executor2>
boost::system::error_code connect_pair(boost::asio::basic_stream_socket<stream_protocol, Executor1>& socket1,
    boost::asio::basic_stream_socket<stream_protocol, Executor2>& socket2, boost::system::error_code& ec)
{
  ec.clear();
  if (socket1.is_open() || socket2.is_open())
    return ec = boost::asio::error::already_open;
  detail::accepted_connection end1;
  detail::accepted_connection end2;
  detail::socket_core::make_pair(end1, end2, ec);
  if (!ec)
    detail::adopt_into(socket1, stream_protocol::local(), std::move(end1), nullptr, ec);
  if (!ec)
    detail::adopt_into(socket2, stream_protocol::local(), std::move(end2), nullptr, ec);
  if (ec)
  {
    boost::system::error_code ignored;
    socket1.close(ignored);
  }
  return ec;
}

/// Connects two closed sockets to each other, without a listener.
/**
 * Does not block; does what the other overload does.
 *
 * @param socket1 One end.
 * @param socket2 The other end.
 * @throws boost::system::system_error with the codes that the other overload sets @c ec to.
 *
 * @par Thread Safety
 * Safe for distinct sockets.
 */
template <typename Executor1, typename Executor2>
void connect_pair(boost::asio::basic_stream_socket<stream_protocol, Executor1>& socket1,
    boost::asio::basic_stream_socket<stream_protocol, Executor2>& socket2)
{
  boost::system::error_code ec;
  connect_pair(socket1, socket2, ec);
  boost::asio::detail::throw_error(ec, "connect_pair");
}

} // namespace shm

#endif
