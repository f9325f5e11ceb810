// SPDX-License-Identifier: BSL-1.0
// A region in a file that partitions share: a file in memory, a DAX device, the memory of an ivshmem-plain device.
#ifndef ASIO_SHM_SRC_PARTITIOND_SHARED_FILE_HPP
#define ASIO_SHM_SRC_PARTITIOND_SHARED_FILE_HPP

#include "attachment.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace shm {
namespace partitiond {

/// Without interrupts: everybody has to look.
class shared_file : public attachment
{
public:
  /// How a new region is made.
  struct creation
  {
    std::uint64_t size = 0;
    std::uint32_t partitions = 0;
  };

  /// @param make If the file is to be made, or its contents to be replaced. @param ec The system's error;
  /// invalid_argument if its size cannot be found out or is too small.
  static std::unique_ptr<shared_file> open(
      const std::string& path, std::uint32_t id, const creation* make, boost::system::error_code& ec);

  std::uint32_t id() const noexcept override { return id_; }
  region_memory memory() const noexcept override { return {file_.get(), 0, size_}; }
  unsigned vectors() const noexcept override { return 0; }
  detail::descriptor listen(unsigned vector, boost::system::error_code& ec) override;
  detail::descriptor ringer(std::uint32_t peer, unsigned vector, boost::system::error_code& ec) override;

private:
  detail::descriptor file_;
  std::uint64_t size_ = 0;
  std::uint32_t id_ = 0;
};

} // namespace partitiond
} // namespace shm

#endif
