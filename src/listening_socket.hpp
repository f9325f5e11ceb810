// SPDX-License-Identifier: BSL-1.0
// Which endpoint a listening socket from elsewhere stands for.
#ifndef ASIO_SHM_SRC_LISTENING_SOCKET_HPP
#define ASIO_SHM_SRC_LISTENING_SOCKET_HPP

#include <shm/detail/socket_address.hpp>

#include <boost/system/error_code.hpp>

namespace shm {
namespace detail {

/// The emulated endpoint of a listening AF_UNIX socket, by the name of its file: an IP endpoint for a file of the
/// runtime directory's ip/, else the path.
socket_address name_of_listener(int socket, boost::system::error_code& ec);

} // namespace detail
} // namespace shm

#endif
