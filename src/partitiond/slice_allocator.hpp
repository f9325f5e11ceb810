// SPDX-License-Identifier: BSL-1.0
// Which parts of a partition's area are memory of connections.
#ifndef ASIO_SHM_SRC_PARTITIOND_SLICE_ALLOCATOR_HPP
#define ASIO_SHM_SRC_PARTITIOND_SLICE_ALLOCATOR_HPP

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>

namespace shm {
namespace partitiond {

/// Gives out ranges of whole pages, first fit; neighbours that are free become one. Private memory only: nothing here
/// reads the region.
///
/// A slice that the other side has not given up for certain rests before it is given out again: an application that
/// does not know yet of the end of its connection may still write to it.
class slice_allocator
{
public:
  using clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds rest{5};

  /// @param begin, end Offsets, multiples of the page size.
  slice_allocator(std::uint64_t begin, std::uint64_t end);

  /// @param size In bytes, rounded up to whole pages. @returns the offset, or nothing if there is no room.
  std::optional<std::uint64_t> allocate(std::uint64_t size, clock::time_point now);

  /// Gives a slice back. @param at_once Both sides have let go of it.
  void free(std::uint64_t offset, bool at_once, clock::time_point now);

  /// Bytes that are free now, without those that rest.
  std::uint64_t available() const noexcept { return available_; }

  /// Whether there are slices that rest.
  bool rests() const noexcept { return !resting_.empty(); }

  /// The largest piece of them.
  std::uint64_t largest() const noexcept;

private:
  struct resting
  {
    clock::time_point until;
    std::uint64_t offset;
  };

  void release_rested(clock::time_point now);
  void put_back(std::uint64_t offset);

  std::map<std::uint64_t, std::uint64_t> free_;  // offset, size
  std::map<std::uint64_t, std::uint64_t> taken_; // also those that rest
  std::deque<resting> resting_;
  std::uint64_t available_ = 0;
};

} // namespace partitiond
} // namespace shm

#endif
