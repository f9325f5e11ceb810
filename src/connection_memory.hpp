// SPDX-License-Identifier: BSL-1.0
// The shared memory region of one connection: a header page and a ring for each direction, mapped.
#ifndef ASIO_SHM_SRC_CONNECTION_MEMORY_HPP
#define ASIO_SHM_SRC_CONNECTION_MEMORY_HPP

#include "memfd.hpp"
#include "segment_ring.hpp"
#include "untrusted.hpp"

#include <boost/interprocess/mapped_region.hpp>
#include <boost/system/error_code.hpp>

#include <cstdint>
#include <utility>

namespace shm {
namespace detail {

inline constexpr std::uint32_t protocol_version = 1;
inline constexpr std::uint64_t page_size = 4096;

/// The largest region that is created or accepted, in bytes.
inline constexpr std::uint64_t max_region_size = std::uint64_t{512} << 20;

/// Rings of a connection by who writes them.
struct connection_geometry
{
  ring_geometry connector; ///< Written by the side that connected.
  ring_geometry acceptor;  ///< Written by the side that accepted.

  bool valid() const noexcept { return connector.valid() && acceptor.valid() && size() <= max_region_size; }

  /// Bytes of the whole region.
  std::uint64_t size() const noexcept { return page_size + ring_size(connector) + ring_size(acceptor); }

  bool operator==(const connection_geometry& other) const noexcept
  {
    return connector == other.connector && acceptor == other.acceptor;
  }

  /// Bytes of one ring: its control segment and its data segments, in whole pages.
  static std::uint64_t ring_size(const ring_geometry& ring) noexcept
  {
    return sizeof(control_segment) + (ring.capacity() + page_size - 1) / page_size * page_size;
  }
};

// The header, one page. Written once by the connector before anyone else can see it, but for the last three words.
//
//   0x000  magic "ASIOSHM\0"     0x080  attached: 1 once the acceptor has mapped the region
//   0x008  version               0x100  connector_cpu: where the connector polls, plus 1; 0: unknown
//   0x00c  (zero)                0x180  acceptor_cpu: where the acceptor polls, plus 1; 0: unknown
//   0x010  size of the region
//   0x018  connector: segment_size, segment_count
//   0x020  acceptor: segment_size, segment_count
//
// The CPU words are hints: whoever shares a CPU with its peer must not spin, for the peer cannot run meanwhile.
struct region_identity
{
  char magic[8];
  std::uint32_t version;
  std::uint32_t unused;
  std::uint64_t size;
  ring_geometry connector;
  ring_geometry acceptor;
};
struct region_header
{
  region_identity identity;
  alignas(word_block) std::atomic<std::uint64_t> attached;
  alignas(word_block) std::atomic<std::uint64_t> connector_cpu;
  alignas(word_block) std::atomic<std::uint64_t> acceptor_cpu;
  alignas(word_block) unsigned char unused_to_end[0x1000 - 0x200];
};
static_assert(offsetof(region_identity, size) == 0x010, "layout");
static_assert(offsetof(region_identity, connector) == 0x018, "layout");
static_assert(offsetof(region_identity, acceptor) == 0x020, "layout");
static_assert(offsetof(region_header, attached) == 0x080, "layout");
static_assert(offsetof(region_header, connector_cpu) == 0x100, "layout");
static_assert(offsetof(region_header, acceptor_cpu) == 0x180, "layout");
static_assert(sizeof(region_header) == page_size, "one page");

/// What peers may make this process map, in bytes, all of it together: what so many regions of the default size take as
/// a process can have mappings.
inline constexpr std::uint64_t max_attached_bytes = std::uint64_t{256} << 30;

/// A share of that for as long as it lives.
class attached_share
{
public:
  attached_share() = default;
  attached_share(attached_share&& other) noexcept : size_(std::exchange(other.size_, 0)) {}
  attached_share& operator=(attached_share&& other) noexcept
  {
    std::swap(size_, other.size_);
    return *this;
  }
  ~attached_share();

  /// Takes that much, once. @returns false if there is not so much left.
  bool take(std::uint64_t size) noexcept;

private:
  std::uint64_t size_ = 0;
};

/// The mapping of one side and where its two rings lie.
///
///   0           page_size                   page_size + ring_size(connector)
///   +-----------+---------------------------+---------------------------+
///   | header    | ring of the connector     | ring of the acceptor      |
///   |           | control | data segments   | control | data segments   |
///   +-----------+---------------------------+---------------------------+
class connection_memory
{
public:
  connection_memory() = default;

  /// Creates a region in new memory, with its control pages and the first page of data of each side allocated;
  /// @p memory receives the descriptor to hand on.
  static connection_memory create(const connection_geometry& geometry, memfd& memory, boost::system::error_code& ec);

  /// Maps a region that the peer created. @p geometry comes from its HELLO and is valid(); memory and header are
  /// checked against it. @param ec error::unsealed_memory, error::protocol_error, error::version_mismatch,
  /// error::no_memory beyond max_attached_bytes, or why mapping failed.
  static connection_memory attach(
      const connection_geometry& geometry, const memfd& memory, boost::system::error_code& ec);

  /// Makes a region of memory that is mapped already, whatever was in it. It is this size, and nobody else uses it yet.
  static void initialise(void* base, const connection_geometry& geometry) noexcept;

  /// Maps a slice of somebody else's memory that the partition daemon has initialised. It is not ours to seal: its owner
  /// could take it away, and is trusted not to.
  /// @param offset For mmap(2). @param mark Whether this is the acceptor, which says so in the header. @param ec as for
  /// attach(); error::unsealed_memory for a memfd whose size can shrink.
  static connection_memory attach_slice(const connection_geometry& geometry, const memfd& memory, std::uint64_t offset,
      bool mark, boost::system::error_code& ec);

  control_segment& connector_control() const noexcept;
  control_segment& acceptor_control() const noexcept;
  unsigned char* connector_data() const noexcept;
  unsigned char* acceptor_data() const noexcept;
  const connection_geometry& geometry() const noexcept { return geometry_; }

  /// The hints where each side polls.
  std::atomic<std::uint64_t>& connector_cpu() const noexcept { return header().connector_cpu; }
  std::atomic<std::uint64_t>& acceptor_cpu() const noexcept { return header().acceptor_cpu; }

  /// Set by the acceptor when it has mapped the region. Acquire: partner is attach()'s release.
  bool attached() const noexcept { return !untrusted(header().attached).is(0); }

private:
  unsigned char* base() const noexcept { return static_cast<unsigned char*>(region_.get_address()); }
  region_header& header() const noexcept { return *reinterpret_cast<region_header*>(base()); }
  void map(const memfd& memory, std::uint64_t offset, boost::system::error_code& ec);
  void allocate(const memfd& memory, boost::system::error_code& ec) const;
  void mark_attached() const noexcept;
  void map_checked(const memfd& memory, std::uint64_t offset, boost::system::error_code& ec);

  attached_share share_;
  boost::interprocess::mapped_region region_;
  connection_geometry geometry_{};
};

} // namespace detail
} // namespace shm

#endif
