// SPDX-License-Identifier: BSL-1.0
// What an ivshmem server says to its clients: QEMU's docs/specs/ivshmem-spec, version 0.
#ifndef ASIO_SHM_SRC_PARTITIOND_IVSHMEM_MESSAGE_HPP
#define ASIO_SHM_SRC_PARTITIOND_IVSHMEM_MESSAGE_HPP

#include "descriptor.hpp"

#include <boost/system/error_code.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace shm {
namespace partitiond {

/// 8 bytes, little endian, most of them with a descriptor.
///
///   0                  version
///   <id>               the newcomer's number
///   -1 (+ descriptor)  the memory
///   <peer> (+ eventfd) for each of the others, as often as there are vectors
///   <id> (+ eventfd)   the same of its own
struct ivshmem_message
{
  static constexpr std::int64_t protocol_version = 0;
  static constexpr std::int64_t memory_follows = -1;

  std::int64_t value = 0;
  detail::descriptor attached; ///< Or none.
};

/// Sends one. Does not block. @param attached A descriptor, or -1. @returns whether it was sent; else errno says why
/// not.
bool send_ivshmem_message(int socket, std::int64_t value, int attached) noexcept;

/// Puts messages together from what comes.
class ivshmem_receiver
{
public:
  /// Takes what is there; does not block. @returns whether it is a whole message. @param ec protocol_error for more
  /// than one descriptor, no_descriptors if this process can have no more, connection_reset at the end, the system's
  /// error.
  bool receive(int socket, ivshmem_message& result, boost::system::error_code& ec);

private:
  // A message whose bytes have not all come.
  std::array<unsigned char, 8> bytes_ = {};
  std::size_t have_ = 0;
  detail::descriptor attached_;
};

} // namespace partitiond
} // namespace shm

#endif
