// SPDX-License-Identifier: BSL-1.0
// Decides how long it pays to spin before sleeping, from what spinning brought so far.
#ifndef ASIO_SHM_SRC_POLL_BUDGET_HPP
#define ASIO_SHM_SRC_POLL_BUDGET_HPP

#include <algorithm>
#include <chrono>

namespace shm {
namespace detail {

/// A level between "not at all" and "as long as the cap allows", which follows outcomes as KVM's halt polling does.
///
///   spin ended soon          it paid: remembered, and forgives what went wrong before
///   spin ended late, or      half the level, unless it paid several times since the last such spin; down to none
///   was in vain
///   sleep was short          a spin would have ended it: full level again; after spins in vain only if that keeps
///                            happening
///
/// Knows no clock: its owner measures. Not thread safe.
class poll_budget
{
public:
  using duration = std::chrono::steady_clock::duration;

  /// A doorbell's way between cores takes some 25 us on a virtual machine; twice that is worth waiting for.
  static constexpr duration default_cap = std::chrono::microseconds(50);

  /// How much of a cap may be spent spinning now; nothing instead of very little.
  duration share_of(duration cap) const noexcept { return share_of(cap, level_); }

  static duration share_of(duration cap, unsigned level) noexcept
  {
    const duration share = cap / full * static_cast<int>(level);
    return share < shortest ? duration::zero() : share;
  }

  unsigned level() const noexcept { return level_; }
  static constexpr unsigned full = 32;

  /// There was progress after so long a spin. @param cap A spin that ends before half of it pays.
  void spin_ended(duration after, duration cap) noexcept
  {
    if (after > cap / 2)
      return spin_failed();
    paid_ = std::min(paid_ + 1, often);
    if (paid_ == often)
      doubt_ = 0;
  }

  /// A spin of the whole share ended in sleep.
  void spin_failed() noexcept
  {
    if (paid_ < often)
    {
      level_ = share_of(default_cap, level_ / 2) == duration::zero() ? 0 : level_ / 2;
      doubt_ = std::min(2 * doubt_ + 1, most_doubt);
    }
    paid_ = short_sleeps_ = 0;
  }

  /// The peer ended a sleep, so long after the last progress. Both sides may have slept, one after the other: each
  /// adds the time of its wake-up. @param cap A spin of that time might have ended the sleep.
  void sleep_ended(duration blocked, duration cap) noexcept
  {
    if (level_ == full || blocked > cap + wake_ups)
      return;
    if (++short_sleeps_ <= doubt_)
      return;
    level_ = full;
    short_sleeps_ = 0;
  }

private:
  static constexpr duration shortest = std::chrono::microseconds(2);
  static constexpr duration wake_ups = std::chrono::microseconds(100);
  static constexpr unsigned often = 4;
  static constexpr unsigned most_doubt = 255;

  unsigned level_ = full;
  unsigned paid_ = 0;         // spins since the last one in vain
  unsigned doubt_ = 0;        // how many short sleeps it takes to try again
  unsigned short_sleeps_ = 0;
};

} // namespace detail
} // namespace shm

#endif
