// SPDX-License-Identifier: BSL-1.0
// Making, checking and mapping a region.
#include "region.hpp"

#include "untrusted.hpp"

#include <shm/error.hpp>

#include <boost/asio/error.hpp>
#include <boost/interprocess/exceptions.hpp>

#include <cerrno>
#include <cstring>
#include <utility>

namespace shm {
namespace partitiond {
namespace {

// For boost::interprocess::mapped_region.
struct mappable
{
  int descriptor;
  boost::interprocess::mapping_handle_t get_mapping_handle() const
  {
    return boost::interprocess::ipcdetail::mapping_handle_from_file_handle(descriptor);
  }
};

std::uint64_t area_size_of(std::uint64_t size, std::uint32_t partitions) noexcept
{
  return size < header_size ? 0 : (size - header_size) / partitions / page_size * page_size;
}

bool large_enough(std::uint64_t area_size, std::uint32_t partitions) noexcept
{
  return area_size >= slices_offset(partitions) + smallest_slices;
}

} // namespace

void create_header(void* base, std::uint64_t size, std::uint32_t partitions, std::uint32_t vectors,
    std::uint64_t region_id, boost::system::error_code& ec)
{
  if (partitions < 2 || partitions > max_partitions || !large_enough(area_size_of(size, partitions), partitions))
  {
    ec = boost::asio::error::invalid_argument;
    return;
  }
  ec.clear();
  region_header& header = *static_cast<region_header*>(base);
  std::memcpy(header.magic, region_magic, sizeof(region_magic));
  header.version = region_version;
  header.partitions = partitions;
  header.size = size;
  header.area_size = area_size_of(size, partitions);
  header.vectors = vectors;
  header.region_id = region_id;
  if (vectors == 0)
    for (word& present : header.present)
      present.store(1, std::memory_order_relaxed); // nobody knows who is there
}

region_geometry check_header(const void* base, std::uint64_t size, boost::system::error_code& ec)
{
  struct fields
  {
    char magic[8];
    std::uint32_t version;
    std::uint32_t partitions;
    std::uint64_t size;
    std::uint64_t area_size;
    std::uint32_t vectors;
    std::uint32_t unused;
    std::uint64_t region_id;
  };
  static_assert(sizeof(fields) == offsetof(region_header, region_id) + 8, "those of the header");
  const fields copy = detail::untrusted_copy(*static_cast<const fields*>(base));
  ec.clear();
  if (std::memcmp(copy.magic, region_magic, sizeof(region_magic)) != 0)
    ec = error::protocol_error;
  else if (copy.version != region_version)
    ec = error::version_mismatch;
  else if (copy.partitions < 2 || copy.partitions > max_partitions || copy.size > size
      || copy.area_size != area_size_of(copy.size, copy.partitions) || !large_enough(copy.area_size, copy.partitions))
    ec = error::geometry_refused;
  return ec ? region_geometry() : region_geometry{copy.partitions, copy.vectors, copy.area_size, copy.region_id};
}

region region::open(const region_memory& memory, boost::system::error_code& ec)
{
  region result;
  if (memory.size < header_size)
  {
    ec = error::geometry_refused;
    return result;
  }
  try
  {
    boost::interprocess::mapped_region mapping(mappable{memory.descriptor}, boost::interprocess::read_write,
        static_cast<boost::interprocess::offset_t>(memory.offset), static_cast<std::size_t>(memory.size));
    result.mapping_.swap(mapping);
  }
  catch (const boost::interprocess::interprocess_exception& e)
  {
    const int native = e.get_native_error();
    ec = boost::system::error_code(native != 0 ? native : ENOMEM, boost::system::system_category());
    return region();
  }
  result.geometry_ = check_header(result.base(), memory.size, ec);
  return ec ? region() : std::move(result);
}

unsigned char* region::area(std::uint32_t partition) const noexcept
{
  return base() + header_size + partition * geometry_.area_size;
}

area_header& region::header_of(std::uint32_t partition) const noexcept
{
  return *reinterpret_cast<area_header*>(area(partition));
}

listener_table& region::listeners_of(std::uint32_t partition) const noexcept
{
  return *reinterpret_cast<listener_table*>(area(partition) + listeners_offset);
}

link_block& region::block(std::uint32_t of, std::uint32_t to) const noexcept
{
  return *reinterpret_cast<link_block*>(area(of) + links_offset + to * sizeof(link_block));
}

} // namespace partitiond
} // namespace shm
