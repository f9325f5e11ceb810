// SPDX-License-Identifier: BSL-1.0
// Which endpoint a listening socket from elsewhere stands for.
#ifndef ASIO_SHM_SRC_LISTENING_SOCKET_HPP
#define ASIO_SHM_SRC_LISTENING_SOCKET_HPP

#include <shm/detail/socket_address.hpp>

#include <boost/system/error_code.hpp>

namespace shm {
namespace detail {

/// The emulated endpoint of a bound AF_UNIX socket, by the name of its file; the empty path if it has no file.
///
/// A file of the runtime directory stands for the address and port, or for the short name, that connectors find there.
/// @param family With AF_INET and AF_INET6 a file "ip/127.0.0.1:80" stands for an address in any directory: who bound
/// it may have had another runtime directory. With AF_UNIX such a file elsewhere is a path of the user's.
socket_address name_of_listener(int socket, int family, boost::system::error_code& ec);

} // namespace detail
} // namespace shm

#endif
