// SPDX-License-Identifier: BSL-1.0
// The region that partitions share: who writes which word where.
#ifndef ASIO_SHM_SRC_PARTITIOND_REGION_LAYOUT_HPP
#define ASIO_SHM_SRC_PARTITIOND_REGION_LAYOUT_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace shm {
namespace partitiond {

using word = std::atomic<std::uint64_t>;
static_assert(word::is_always_lock_free && sizeof(word) == 8, "between operating systems");

inline constexpr std::uint64_t page_size = 4096;
inline constexpr std::uint32_t region_version = 1;
inline constexpr std::uint32_t max_partitions = 64;

/// Words of different lines do not disturb each other: two cache lines, because processors fetch the adjacent one too.
inline constexpr std::size_t line = 128;

// Every word is written by one partition alone, or by the creator of the region: no lock, no read-modify-write, so a
// partition that dies in the midst of anything blocks nobody. All words are little endian, as the machines are.
//
//   0          header_size       + area_size         + area_size
//   +----------+-----------------+-----------------+ ...
//   | header   | area 0          | area 1          |
//   | creator  | partition 0     | partition 1     |        <- who writes there
//   +----------+-----------------+-----------------+ ...
//
//   area:  | area_header | listener_table | link_block to partition 0 | ... 1 | ... | slices                         |
//          0             0x1000           0x2000                      + 0x2000      links_offset + n * 0x2000, to the end
//
// In the slices of its area a partition makes the memory of the connections that its applications open. They are the
// exception: the ring that the acceptor writes, its words in the ring that it reads, and two words of the connection's
// header are written by the other partition's application (doc/protocol.md, "The region").

// Written once, before anybody else sees it, but for present[].
//
//   0x000  magic "ASIOSHMP"        0x018  area_size              0x080  present[id]: 0 if the creator knows that no
//   0x008  version, 32 bit         0x020  vectors, 32 bit               partition has this number; any other number
//   0x00c  partitions, 32 bit      0x024  (zero)                        since when it has. All 1 if nobody knows.
//   0x010  size of the region      0x028  region_id: chosen at random
struct region_header
{
  char magic[8];
  std::uint32_t version;
  std::uint32_t partitions;
  std::uint64_t size;
  std::uint64_t area_size;
  std::uint32_t vectors;
  std::uint32_t unused;
  std::uint64_t region_id;
  alignas(line) word present[max_partitions];
  alignas(line) unsigned char unused_to_end[page_size - line - sizeof(word) * max_partitions];
};
static_assert(sizeof(region_header) == page_size, "one page");
static_assert(offsetof(region_header, area_size) == 0x18, "layout");
static_assert(offsetof(region_header, region_id) == 0x28, "layout");
static_assert(offsetof(region_header, present) == 0x80, "layout");

inline constexpr char region_magic[8] = {'A', 'S', 'I', 'O', 'S', 'H', 'M', 'P'};

/// What a partition calls itself. Not changed while `joined` is not 0, but back to what it was.
struct partition_identity
{
  std::uint32_t family; ///< 4 or 6.
  std::uint32_t name_size;
  unsigned char address[16]; ///< 4 used for family 4.
  char name[64];
};

//   0x000  joined: 0 while the partition has no daemon; else its start, a number chosen at random
//   0x080  heartbeat: grows while the daemon runs
//   0x100  identity
struct area_header
{
  word joined;
  alignas(line) word heartbeat;
  alignas(line) partition_identity identity;
  alignas(line) unsigned char unused_to_end[page_size - 3 * line];
};
static_assert(sizeof(area_header) == page_size, "one page");
static_assert(offsetof(area_header, heartbeat) == 0x080, "layout");
static_assert(offsetof(area_header, identity) == 0x100, "layout");

/// Ports on which somebody listens for other partitions; only for information, the daemon decides.
struct listener_table
{
  static constexpr std::uint32_t capacity = 511;
  word count; ///< May exceed capacity; only so many are listed.
  word ports[capacity];
};
static_assert(sizeof(listener_table) == page_size, "one page");

inline constexpr std::uint64_t mail_size = 192;
inline constexpr std::uint64_t mailbox_slots = 32;

// What one partition writes for another one, and all that it writes for it.
//
//   0x000  epoch: of this side of the link; a new one each time that this side drops the link; 0: never used
//   0x008  seen: the epoch of the other side that this one has taken note of, 0: none
//   0x080  sent: messages put into slots since this epoch began; number n lies in slot n % 32
//   0x100  received: messages of the other side's seen epoch that were taken
//   0x180  slots
struct link_block
{
  word epoch;
  word seen;
  alignas(line) word sent;
  alignas(line) word received;
  alignas(line) unsigned char slots[mailbox_slots][mail_size];
  alignas(line) unsigned char unused_to_end[0x2000 - 3 * line - mailbox_slots * mail_size];
};
static_assert(sizeof(link_block) == 0x2000, "two pages");
static_assert(offsetof(link_block, sent) == 0x080, "layout");
static_assert(offsetof(link_block, received) == 0x100, "layout");
static_assert(offsetof(link_block, slots) == 0x180, "layout");

inline constexpr std::uint64_t header_size = page_size;
inline constexpr std::uint64_t listeners_offset = page_size;
inline constexpr std::uint64_t links_offset = 2 * page_size;

/// Where in an area the slices begin.
inline constexpr std::uint64_t slices_offset(std::uint32_t partitions) noexcept
{
  return links_offset + partitions * std::uint64_t{sizeof(link_block)};
}

} // namespace partitiond
} // namespace shm

#endif
