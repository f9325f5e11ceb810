// SPDX-License-Identifier: BSL-1.0
// Level and names of the socket options that only this protocol has.
#ifndef ASIO_SHM_DETAIL_OPTION_NAMES_HPP
#define ASIO_SHM_DETAIL_OPTION_NAMES_HPP

namespace shm {
namespace detail {

/// A level that no protocol of the kernel uses.
inline constexpr int option_level = 0x53484d31;

inline constexpr int option_socket_doorbell = 1; ///< int: wake the peer over the rendezvous socket
inline constexpr int option_peer_credentials = 2; ///< peer_credentials, get only
inline constexpr int option_busy_poll = 3; ///< int: microseconds

inline constexpr int option_permissions = 4; ///< int: mode of a socket file

inline constexpr int max_busy_poll = 1000000; ///< In microseconds.

} // namespace detail
} // namespace shm

#endif
