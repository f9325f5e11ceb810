// SPDX-License-Identifier: BSL-1.0
// The region as this process has it mapped.
#ifndef ASIO_SHM_SRC_PARTITIOND_REGION_HPP
#define ASIO_SHM_SRC_PARTITIOND_REGION_HPP

#include "attachment.hpp"
#include "region_layout.hpp"

#include <boost/interprocess/mapped_region.hpp>
#include <boost/system/error_code.hpp>

#include <cstdint>

namespace shm {
namespace partitiond {

/// What the header says, read and checked once; the memory is not asked again.
struct region_geometry
{
  std::uint32_t partitions = 0;
  std::uint32_t vectors = 0;
  std::uint64_t area_size = 0;
  std::uint64_t region_id = 0;
};

/// So small that a connection of the smallest rings fits into each area.
inline constexpr std::uint64_t smallest_slices = std::uint64_t{256} << 10;

/// Writes the header of a new region, all bytes of which are zero.
/// @param size In bytes, a multiple of the page size. @param partitions From 2 to max_partitions. @param vectors 0 if
/// nobody can be rung. @param ec invalid_argument if the areas would be too small, or a number is out of range.
void create_header(void* base, std::uint64_t size, std::uint32_t partitions, std::uint32_t vectors,
    std::uint64_t region_id, boost::system::error_code& ec);

/// @param size What is mapped. @param ec error::protocol_error, error::version_mismatch or error::geometry_refused.
region_geometry check_header(const void* base, std::uint64_t size, boost::system::error_code& ec);

/// A mapping. Moving it does not move the memory.
class region
{
public:
  region() = default;

  /// @param ec As for check_header(), or the system's error.
  static region open(const region_memory& memory, boost::system::error_code& ec);

  const region_geometry& geometry() const noexcept { return geometry_; }
  unsigned char* base() const noexcept { return static_cast<unsigned char*>(mapping_.get_address()); }
  const region_header& header() const noexcept { return *reinterpret_cast<const region_header*>(base()); }

  // Numbers are below geometry().partitions.
  unsigned char* area(std::uint32_t partition) const noexcept;
  area_header& header_of(std::uint32_t partition) const noexcept;
  listener_table& listeners_of(std::uint32_t partition) const noexcept;

  /// What partition @p of writes for partition @p to.
  link_block& block(std::uint32_t of, std::uint32_t to) const noexcept;

private:
  boost::interprocess::mapped_region mapping_;
  region_geometry geometry_;
};

} // namespace partitiond
} // namespace shm

#endif
