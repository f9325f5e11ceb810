// SPDX-License-Identifier: BSL-1.0
// Anonymous shared memory whose size nobody can change: a sealed memfd.
#ifndef ASIO_SHM_SRC_MEMFD_HPP
#define ASIO_SHM_SRC_MEMFD_HPP

#include "descriptor.hpp"

#include <boost/interprocess/detail/os_file_functions.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <cstdint>

namespace shm {
namespace detail {

/// A memfd, mappable by boost::interprocess::mapped_region.
class memfd
{
public:
  memfd() = default;
  explicit memfd(descriptor fd) noexcept : fd_(static_cast<descriptor&&>(fd)) {}

  /// Creates memory of that many bytes and seals its size; the seals are read back.
  static memfd create(std::uint64_t size, boost::system::error_code& ec);

  /// Checks memory that came from someone else: shared memory of ordinary pages, at least that size, size sealed,
  /// still writable. @param ec error::unsealed_memory or error::protocol_error if it is not.
  void check(std::uint64_t size, boost::system::error_code& ec) const;

  /// Checks memory of the partition daemon's: a device, or a file of at least that size; if it is a memfd, it cannot
  /// shrink. @param ec as for check().
  void check_slice(std::uint64_t size, boost::system::error_code& ec) const;

  /// Whether nobody can take away memory that is mapped.
  bool cannot_shrink() const noexcept;

  /// Reserves the pages of a range now, so that touching them later cannot fail.
  void allocate(std::uint64_t offset, std::uint64_t size, boost::system::error_code& ec) const;

  /// The same for every descriptor of this memory; for ThreadSanitizer, 0 without it.
  std::size_t identity() const noexcept;

  int native_handle() const noexcept { return fd_.get(); }
  bool valid() const noexcept { return fd_.valid(); }

  /// For boost::interprocess::mapped_region.
  boost::interprocess::mapping_handle_t get_mapping_handle() const
  {
    return boost::interprocess::ipcdetail::mapping_handle_from_file_handle(fd_.get());
  }

private:
  descriptor fd_;
};

} // namespace detail
} // namespace shm

#endif
