// SPDX-License-Identifier: BSL-1.0
// Chooses between ordinary and non-temporal copies by what both cost.
#ifndef ASIO_SHM_SRC_COPY_CHOICE_HPP
#define ASIO_SHM_SRC_COPY_CHOICE_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace shm {
namespace detail {

/// Ordinary copies are faster as long as the two cores share a cache and have it for themselves; else every line moves
/// dirty from core to core, and copies that go past the caches are. The writer feels it, in its copies or in the time
/// that it waits for space:
///
///   ordinary --[slow]--> trial of non-temporal ones --[cheaper]--> non-temporal --[much was written]--> ordinary
///      ^                            |
///      +------[not cheaper]---------+  then not tried again until much was written
///
/// The first bytes after each change are not judged: they find pages that nobody has touched, or lines in the wrong
/// cache.
class copy_choice
{
public:
  /// Only copies of this size, in bytes, are measured and chosen for.
  static constexpr std::size_t measured_size = 32768;

  bool streaming() const noexcept { return state_ == state::trial || state_ == state::streaming; }

  using time_point = std::chrono::steady_clock::time_point;

  /// A write of @p size bytes was made between @p start and @p end. @param waited Whether the reader had left no space
  /// for it at first: then the reader is what takes the time, and what counts is how long both take together.
  void note(std::size_t size, time_point start, time_point end, bool waited) noexcept
  {
    const std::uint64_t unjudged = std::min<std::uint64_t>(unjudged_, size);
    unjudged_ -= unjudged;
    if (unjudged != 0)
      return;
    if (bytes_ == 0)
      begin_ = start;
    else
      waited_ = waited_ || waited;
    bytes_ += size;
    copying_ += end - start;
    if (bytes_ < sample)
      return;
    const auto time = waited_ ? end - begin_ : copying_;
    const std::uint64_t cost = static_cast<std::uint64_t>(std::chrono::nanoseconds(time).count()) * 1024 / bytes_;
    left_ -= std::min(left_, bytes_);
    bytes_ = 0;
    copying_ = {};
    waited_ = false;
    switch (state_)
    {
    case state::ordinary:
      if (cost <= slow_cost || left_ != 0)
        return;
      ordinary_cost_ = cost;
      return enter(state::trial, 0);
    case state::trial:
      return cost < ordinary_cost_ ? enter(state::streaming, period) : enter(state::ordinary, period);
    case state::streaming:
      if (left_ == 0)
        enter(state::ordinary, 0);
    }
  }

private:
  enum class state : std::uint8_t
  {
    ordinary,
    trial,
    streaming
  };

  static constexpr std::uint64_t slow_cost = 250;               // nanoseconds for 1 KiB
  static constexpr std::uint64_t sample = std::uint64_t{1} << 20;    // bytes that one judgement is about
  static constexpr std::uint64_t warm_up = std::uint64_t{4} << 20;   // bytes: twice through a ring of the default size
  static constexpr std::uint64_t period = std::uint64_t{256} << 20;  // bytes that a judgement holds for

  void enter(state next, std::uint64_t bytes) noexcept
  {
    state_ = next;
    left_ = bytes;
    unjudged_ = warm_up;
  }

  state state_ = state::ordinary;
  std::uint64_t unjudged_ = warm_up;
  std::uint64_t left_ = 0;
  std::uint64_t bytes_ = 0; // of the sample so far, as the next three
  time_point begin_{};
  std::chrono::steady_clock::duration copying_{};
  bool waited_ = false;
  std::uint64_t ordinary_cost_ = 0;
};

} // namespace detail
} // namespace shm

#endif
