// SPDX-License-Identifier: BSL-1.0
// The data structure for one direction of a connection: a control segment and a plurality of data segments.
#ifndef ASIO_SHM_SRC_SEGMENT_RING_HPP
#define ASIO_SHM_SRC_SEGMENT_RING_HPP

#include <shm/detail/buffer_view.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace shm {
namespace detail {

/// Words that different sides write are this far apart: two lines, because the adjacent one is prefetched.
inline constexpr std::size_t word_block = 128;

inline constexpr std::uint32_t max_segment_count = 64;
inline constexpr std::uint32_t max_segment_size = 64u << 20;

// The control segment, one page. Offsets in bytes; W: written by the writer only, R: by the reader only.
//
//   0x000  W  newest         number of the data segment most recently written    (claim 1: first portion, first field)
//   0x008  W  shut_down      1 after the writer's last byte
//             ... to 0x080
//   0x080  W  end[64]        per data segment: stream position behind its data   (claim 1: second portions, end)
//   0x280  W  writer_wait    odd while the writer sleeps for space
//             ... to 0x300
//   0x300  R  oldest         number of the earliest data segment not fully read  (claim 1: first portion, second field)
//             ... to 0x380
//   0x380  R  begin[64]      per data segment: position of its first unread byte (claim 1: second portions, begin)
//   0x580  R  reader_wait    odd while the reader sleeps for data
//             ... to 0x600, then unused to 0x1000
//
// Segment n holds the stream positions [n * segment_size, (n + 1) * segment_size) in slot n % segment_count. Numbers and
// positions only grow. A slot's end counts only for the numbers in [oldest, newest], its begin only for oldest: the
// reader writes it when it enters the segment. The reader keeps the last segment, full and read, until newest moves on.
struct control_segment
{
  alignas(word_block) std::atomic<std::uint64_t> newest;
  std::atomic<std::uint64_t> shut_down;
  alignas(word_block) std::atomic<std::uint64_t> end[max_segment_count];
  alignas(word_block) std::atomic<std::uint64_t> writer_wait;
  alignas(word_block) std::atomic<std::uint64_t> oldest;
  alignas(word_block) std::atomic<std::uint64_t> begin[max_segment_count];
  alignas(word_block) std::atomic<std::uint64_t> reader_wait;
  alignas(word_block) unsigned char unused[0x1000 - 0x600];
};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "words in shared memory cannot hide a lock");
static_assert(sizeof(std::atomic<std::uint64_t>) == 8, "a word is eight bytes");
static_assert(offsetof(control_segment, shut_down) == 0x008, "layout");
static_assert(offsetof(control_segment, end) == 0x080, "layout");
static_assert(offsetof(control_segment, writer_wait) == 0x280, "layout");
static_assert(offsetof(control_segment, oldest) == 0x300, "layout");
static_assert(offsetof(control_segment, begin) == 0x380, "layout");
static_assert(offsetof(control_segment, reader_wait) == 0x580, "layout");
static_assert(sizeof(control_segment) == 0x1000, "one page");

/// The size of one direction's data structure. Chosen by the creator, copied and checked by the other side.
struct ring_geometry
{
  std::uint32_t segment_size;  ///< Bytes; a multiple of 64, 64 to max_segment_size.
  std::uint32_t segment_count; ///< A power of two, 2 to max_segment_count.

  bool valid() const noexcept
  {
    return segment_size >= 64 && segment_size <= max_segment_size && segment_size % 64 == 0 && segment_count >= 2
        && segment_count <= max_segment_count && (segment_count & (segment_count - 1)) == 0;
  }

  bool operator==(const ring_geometry& other) const noexcept
  {
    return segment_size == other.segment_size && segment_count == other.segment_count;
  }

  /// Bytes of all data segments together.
  std::uint64_t capacity() const noexcept { return std::uint64_t{segment_size} * segment_count; }
};

/// What a step on a ring found.
enum class ring_status
{
  ok,
  corrupted ///< The other side wrote a value that no correct program writes.
};

/// The writing side of a ring. Never blocks, makes no system call. One thread at a time.
class ring_writer
{
public:
  ring_writer() = default;
  ring_writer(control_segment& control, unsigned char* data, ring_geometry geometry) noexcept;

  /// Copies as much of the views as there is room for and publishes it. @returns the bytes taken.
  std::size_t write(const const_view* views, std::size_t count, ring_status& status) noexcept;

  /// The free space behind the last byte written, in one piece: empty if there is none.
  mutable_view space(ring_status& status) noexcept;

  /// Publishes that many bytes, which have been written to the beginning of space(). At most its size.
  void publish(std::size_t n) noexcept;

  /// Whether write() would take at least one byte.
  bool writable(ring_status& status) noexcept;

  /// Whether large writes go past this core's cache: right when the reader runs on another core.
  void streaming(bool on) noexcept { streaming_ = on; }

  /// Publishes that no byte will follow.
  void shut_down() noexcept;

  /// Whether the reader has not read everything that was written; meant for when the reader is gone.
  bool unread() const noexcept;

  std::uint64_t position() const noexcept { return position_; }

private:
  bool segment_free(ring_status& status) noexcept;

  control_segment* control_ = nullptr;
  unsigned char* data_ = nullptr;
  ring_geometry geometry_{};
  std::uint64_t newest_ = 0;   // what control_->newest holds
  std::uint64_t position_ = 0; // stream position behind the last byte written
  std::uint64_t limit_ = 0;    // stream position at which segment newest_ is full
  std::uint64_t oldest_ = 0;   // the reader's word as last seen and checked
  bool streaming_ = false;
};

/// The reading side of a ring. Never blocks, makes no system call. One thread at a time.
class ring_reader
{
public:
  ring_reader() = default;
  ring_reader(control_segment& control, const unsigned char* data, ring_geometry geometry) noexcept;

  /// Copies as much as there is into the views and frees what was copied. @returns the bytes given.
  std::size_t read(const mutable_view* views, std::size_t count, ring_status& status) noexcept;

  /// As read(), but the data stays.
  std::size_t peek(const mutable_view* views, std::size_t count, ring_status& status) noexcept;

  /// The unread bytes, as many as lie in one piece: empty if there are none.
  const_view data(ring_status& status) noexcept;

  /// Frees that many bytes at the beginning of data(). At most its size.
  void consume(std::size_t n, ring_status& status) noexcept;

  /// The number of bytes that can be read at once.
  std::size_t available(ring_status& status) noexcept;

  /// Whether read() would give at least one byte.
  bool readable(ring_status& status) noexcept;

  /// Whether the writer has said that no byte will follow, which it cannot take back. Bytes may still be unread: look at
  /// them after this. Sets @p status if the flag is corrupted, else leaves it.
  bool writer_shut_down(ring_status& status) noexcept;

  /// Whether a segment was given back since the last call: only then can a sleeping writer be waiting for it.
  bool take_freed() noexcept
  {
    const bool freed = freed_;
    freed_ = false;
    return freed;
  }

  std::uint64_t position() const noexcept { return position_; }

private:
  std::uint64_t end_of_oldest(ring_status& status) noexcept;
  bool leave_segment(ring_status& status) noexcept;
  std::uint64_t check_newest(ring_status& status) noexcept;

  control_segment* control_ = nullptr;
  const unsigned char* data_ = nullptr;
  ring_geometry geometry_{};
  std::uint64_t oldest_ = 0;   // what control_->oldest holds
  std::uint64_t position_ = 0; // stream position of the first unread byte
  std::uint64_t limit_ = 0;    // stream position at which segment oldest_ is full
  std::uint64_t end_ = 0;      // end of segment oldest_ as last seen and checked
  std::uint64_t newest_ = 0;   // the writer's word as last seen and checked
  std::uint64_t shut_down_ = 0; // the same
  bool freed_ = false;
};

} // namespace detail
} // namespace shm

#endif
