// SPDX-License-Identifier: BSL-1.0
// The bytes of a sockaddr, as endpoints and the compiled part of the library exchange them.
#ifndef ASIO_SHM_DETAIL_SOCKET_ADDRESS_HPP
#define ASIO_SHM_DETAIL_SOCKET_ADDRESS_HPP

#include <cstddef>

namespace shm {
namespace detail {

/// A sockaddr of any family that an endpoint can have.
struct socket_address
{
  alignas(8) unsigned char data[128];
  std::size_t size = 0; ///< Bytes of data in use; 0: no address.
};

} // namespace detail
} // namespace shm

#endif
