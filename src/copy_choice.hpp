// SPDX-License-Identifier: BSL-1.0
// Chooses between ordinary and non-temporal copies by what ordinary ones cost.
#ifndef ASIO_SHM_SRC_COPY_CHOICE_HPP
#define ASIO_SHM_SRC_COPY_CHOICE_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace shm {
namespace detail {

/// Ordinary copies are faster as long as the two cores share a cache and have it for themselves; else every line moves
/// dirty from core to core. The writer feels it too: when its copies turn slow, they go past the cache for a while.
class copy_choice
{
public:
  /// Only copies of this size, in bytes, are measured and chosen for.
  static constexpr std::size_t measured_size = 32768;

  bool streaming() const noexcept { return left_ != 0; }

  /// A write of @p size bytes took that long.
  void note(std::size_t size, std::chrono::nanoseconds time) noexcept
  {
    if (left_ != 0)
    {
      left_ -= std::min<std::uint64_t>(left_, size);
      return;
    }
    const std::uint64_t cost = static_cast<std::uint64_t>(time.count()) * 1024 / size;
    slow_ = cost > slow_cost ? slow_ + 1 : 0;
    if (slow_ < slow_in_a_row)
      return;
    slow_ = 0;
    left_ = streamed;
  }

private:
  static constexpr std::uint64_t slow_cost = 250;             // nanoseconds for 1 KiB
  static constexpr int slow_in_a_row = 4;                     // one alone may be an interruption
  static constexpr std::uint64_t streamed = std::uint64_t{64} << 20; // bytes until ordinary copies get another chance

  int slow_ = 0;
  std::uint64_t left_ = 0;
};

} // namespace detail
} // namespace shm

#endif
