// SPDX-License-Identifier: BSL-1.0
// How a sleeping peer is woken, as a socket option.
#ifndef ASIO_SHM_DOORBELL_HPP
#define ASIO_SHM_DOORBELL_HPP

#include <shm/detail/option_names.hpp>

#include <boost/asio/detail/socket_option.hpp>

namespace shm {

/// Socket option: wake sleeping peers by a byte over the rendezvous socket instead of an eventfd.
/**
 * To be set on a connector before connect; it holds for both sides of the connection. It saves two of the three
 * descriptors that each side of a connection has, for programs with very many connections, and makes each wake-up
 * cost a little more. Peers of different users always use the socket. Off by default.
 *
 * @code
 * socket.open(shm::stream_protocol::v4());
 * socket.set_option(shm::socket_doorbell(true));
 * socket.connect(endpoint);
 * @endcode
 *
 * Does not block.
 *
 * @par Thread Safety
 * As the socket that it is set on.
 *
 * @par Errors
 * @c boost::asio::error::bad_descriptor on a closed socket. On a connected socket it has no effect.
 */
using socket_doorbell
    = boost::asio::detail::socket_option::boolean<detail::option_level, detail::option_socket_doorbell>;

} // namespace shm

#endif
