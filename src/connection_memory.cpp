// SPDX-License-Identifier: BSL-1.0
// Creating and attaching a connection's region.
#include "connection_memory.hpp"

#include <shm/error.hpp>

#include <boost/interprocess/exceptions.hpp>

#include <cstring>
#include <sys/mman.h>
#include <utility>

namespace shm {
namespace detail {
namespace {

constexpr std::uint64_t first_pages = sizeof(control_segment) + page_size;

constexpr char region_magic[8] = {'A', 'S', 'I', 'O', 'S', 'H', 'M', '\0'};

void write_identity(region_header& header, const connection_geometry& geometry) noexcept
{
  std::memcpy(header.identity.magic, region_magic, sizeof(region_magic));
  header.identity.version = protocol_version;
  header.identity.size = geometry.size();
  header.identity.connector = geometry.connector;
  header.identity.acceptor = geometry.acceptor;
}

std::atomic<std::uint64_t> attached_bytes{0}; // by this process; only a sum, so nothing is ordered by it

#ifdef MADV_POPULATE_WRITE
// Advice is taken for advice by some that stand in for the kernel, as qemu's emulation of processes.
bool populates(void* populated) noexcept
{
  static const bool result = [populated]
  {
    unsigned char there = 0;
    return ::mincore(populated, page_size, &there) == 0 && (there & 1) != 0;
  }();
  return result;
}
#endif

} // namespace

bool attached_share::take(std::uint64_t size) noexcept
{
  std::uint64_t taken = attached_bytes.load(std::memory_order_relaxed);
  do
  {
    if (size > max_attached_bytes - taken)
      return false;
  } while (!attached_bytes.compare_exchange_weak(taken, taken + size, std::memory_order_relaxed));
  size_ = size;
  return true;
}

attached_share::~attached_share()
{
  if (size_ != 0)
    attached_bytes.fetch_sub(size_, std::memory_order_relaxed);
}

void connection_memory::map(const memfd& memory, std::uint64_t offset, boost::system::error_code& ec)
{
  try
  {
    boost::interprocess::mapped_region region(memory, boost::interprocess::read_write,
        static_cast<boost::interprocess::offset_t>(offset), static_cast<std::size_t>(geometry_.size()));
    region_.swap(region);
    ec.clear();
  }
  catch (const boost::interprocess::interprocess_exception& e)
  {
    const int native = e.get_native_error();
    ec = boost::system::error_code(native != 0 ? native : ENOMEM, boost::system::system_category());
  }
}

// Reserves the pages that cannot be done without: touching them later cannot fail. With the first page of data of each
// ring, so that the first message of a side does not wait for the kernel to clear it.
void connection_memory::allocate(const memfd& memory, boost::system::error_code& ec) const
{
  const std::uint64_t acceptor_ring = page_size + connection_geometry::ring_size(geometry_.connector);
#ifdef MADV_POPULATE_WRITE
  // Maps them as well, which is one fault for each otherwise.
  if (::madvise(base(), page_size + first_pages, MADV_POPULATE_WRITE) == 0
      && ::madvise(base() + acceptor_ring, first_pages, MADV_POPULATE_WRITE) == 0 && populates(base()))
  {
    ec.clear();
    return;
  }
#endif
  // By an older kernel; or that tells why not.
  memory.allocate(0, page_size + first_pages, ec);
  if (!ec)
    memory.allocate(acceptor_ring, first_pages, ec);
}

connection_memory connection_memory::create(
    const connection_geometry& geometry, memfd& memory, boost::system::error_code& ec)
{
  connection_memory result;
  result.geometry_ = geometry;
  memory = memfd::create(geometry.size(), ec);
  if (!ec)
    result.map(memory, 0, ec);
  if (!ec)
    result.allocate(memory, ec);
  if (ec)
    return connection_memory();
  write_identity(result.header(), geometry);
  return result;
}

void connection_memory::initialise(void* base, const connection_geometry& geometry) noexcept
{
  const auto begin = static_cast<unsigned char*>(base);
  std::memset(begin, 0, page_size + sizeof(control_segment));
  std::memset(begin + page_size + connection_geometry::ring_size(geometry.connector), 0, sizeof(control_segment));
  write_identity(*static_cast<region_header*>(base), geometry);
}

// Maps memory that passed its check, and sees whether it is what was said.
void connection_memory::map_checked(const memfd& memory, std::uint64_t offset, boost::system::error_code& ec)
{
  if (!share_.take(geometry_.size()))
    ec = error::no_memory;
  if (!ec)
    map(memory, offset, ec);
  if (ec)
    return;
  const region_identity identity = untrusted_copy(header().identity);
  if (std::memcmp(identity.magic, region_magic, sizeof(region_magic)) != 0)
    ec = error::protocol_error;
  else if (identity.version != protocol_version)
    ec = error::version_mismatch;
  else if (identity.size != geometry_.size() || !(identity.connector == geometry_.connector)
      || !(identity.acceptor == geometry_.acceptor))
    ec = error::protocol_error;
}

connection_memory connection_memory::attach(
    const connection_geometry& geometry, const memfd& memory, boost::system::error_code& ec)
{
  connection_memory result;
  result.geometry_ = geometry;
  memory.check(geometry.size(), ec);
  if (!ec)
    result.map_checked(memory, 0, ec);
  if (ec)
    return connection_memory();
  result.mark_attached();
  return result;
}

connection_memory connection_memory::attach_slice(const connection_geometry& geometry, const memfd& memory,
    std::uint64_t offset, bool mark, boost::system::error_code& ec)
{
  connection_memory result;
  result.geometry_ = geometry;
  memory.check_slice(offset + geometry.size(), ec);
  if (!ec)
    result.map_checked(memory, offset, ec);
  if (ec)
    return connection_memory();
  if (mark)
    result.mark_attached();
  return result;
}

void connection_memory::mark_attached() const noexcept
{
  // Release: partner is attached()'s acquire; whoever sees the mark may rely on the checks above having passed.
  header().attached.store(1, std::memory_order_release);
}

control_segment& connection_memory::connector_control() const noexcept
{
  return *reinterpret_cast<control_segment*>(base() + page_size);
}

control_segment& connection_memory::acceptor_control() const noexcept
{
  return *reinterpret_cast<control_segment*>(
      base() + page_size + connection_geometry::ring_size(geometry_.connector));
}

unsigned char* connection_memory::connector_data() const noexcept
{
  return reinterpret_cast<unsigned char*>(&connector_control()) + sizeof(control_segment);
}

unsigned char* connection_memory::acceptor_data() const noexcept
{
  return reinterpret_cast<unsigned char*>(&acceptor_control()) + sizeof(control_segment);
}

} // namespace detail
} // namespace shm
