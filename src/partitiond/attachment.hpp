// SPDX-License-Identifier: BSL-1.0
// How a daemon reaches the region and rings other partitions: by QEMU's ivshmem server, by VFIO, or by a plain file.
#ifndef ASIO_SHM_SRC_PARTITIOND_ATTACHMENT_HPP
#define ASIO_SHM_SRC_PARTITIOND_ATTACHMENT_HPP

#include "descriptor.hpp"

#include <boost/system/error_code.hpp>

#include <cstdint>
#include <functional>

namespace shm {
namespace partitiond {

/// What can be mapped, by the daemon and by applications that get the descriptor.
struct region_memory
{
  int descriptor = -1;
  std::uint64_t offset = 0; ///< Of the region, for mmap(2); of a device, where its memory begins.
  std::uint64_t size = 0;
};

/// Nothing here blocks after construction. Not thread safe.
class attachment
{
public:
  /// Called from on_watched(): a partition came or went, as far as this kind of attachment knows.
  using peer_handler = std::function<void(std::uint32_t peer, bool present)>;

  attachment() = default;
  attachment(const attachment&) = delete;
  attachment& operator=(const attachment&) = delete;
  virtual ~attachment() = default;

  /// The number of this partition.
  virtual std::uint32_t id() const noexcept = 0;

  virtual region_memory memory() const noexcept = 0;

  /// How many vectors this partition has; 0 if nobody can ring anybody: then everybody has to look from time to time.
  virtual unsigned vectors() const noexcept = 0;

  /// An eventfd, non-blocking, that is signalled whenever another partition rings this vector, from now on. The caller
  /// owns the descriptor and may give it away. Called again for the same vector, the earlier one is signalled no more,
  /// unless it is the same eventfd. A ring in the midst of the call can be lost: look once after it.
  /// @param vector From 0 to vectors() - 1. @param ec The system's error.
  virtual detail::descriptor listen(unsigned vector, boost::system::error_code& ec) = 0;

  /// An eventfd, non-blocking; writing 1 to it rings that vector of that partition. The caller owns the descriptor and
  /// may give it away; several calls may give the same eventfd. Without vectors() it rings nobody.
  /// @param ec not_found if the partition is not known; the system's error.
  virtual detail::descriptor ringer(std::uint32_t peer, unsigned vector, boost::system::error_code& ec) = 0;

  /// To be polled for reading, and what to call then; -1 if there is nothing to be watched.
  virtual int watched() const noexcept { return -1; }

  /// @param ec Why this attachment is of no more use; connection_reset if nobody tells any more who comes and goes.
  virtual void on_watched(boost::system::error_code& ec) { ec.clear(); }

  /// After connection_reset: whether another region has taken the place of this one. Until then, those who are there can
  /// go on with each other.
  virtual bool replaced() const noexcept { return true; }

  virtual void set_peer_handler(peer_handler) {}
};

} // namespace partitiond
} // namespace shm

#endif
