// SPDX-License-Identifier: BSL-1.0
// How long sockets without progress stay hot: what spinning brings is told to the budget.
#include "reactor_state.hpp"

#include "prepared_connection.hpp"

#include <algorithm>
#include <utility>

namespace shm {
namespace detail {

void reactor_core::account_spin(bool progress, bool started, const clock::time_point* now)
{
  spin_state& spin = *spin_;
  if (progress && spin.waited)
  {
    spin.waited = false;
    spin.budget.spin_ended(spin.now - spin.last_progress, spin.cap);
  }
  spin.progress = spin.progress || progress || started;
  if (!now)
    return;
  spin.now = *now;
  if (spin.cap_of_pass != clock::duration::zero())
    spin.cap = std::max<clock::duration>(spin.cap_of_pass, poll_budget::default_cap);
  if (std::exchange(spin.progress, false))
    spin.last_progress = *now;
  else
  {
    if (spare_->wanted())
      keep_spare(); // the peers of new connections have more to do than this takes
    if (has_retired_.load(std::memory_order_relaxed))
      free_retired();
    spin.waited = spin.place.enter(cpus_);
    // Too many spin already: that says nothing about the peers.
    spin_level_.store(spin.waited ? spin.budget.level() : 0, std::memory_order_relaxed);
  }
}

// No socket is hot any more. In vain: after a whole spin of the last one.
void reactor_core::fell_asleep(bool in_vain)
{
  spin_state& spin = *spin_;
  spin.place.leave();
  if (in_vain && spin.waited && spin.budget.level() > 0)
    spin.budget.spin_failed();
  spin.waited = false;
  spin.asleep = in_vain;
  spin_level_.store(spin.budget.level(), std::memory_order_relaxed);
}

// A doorbell has rung, or a peer is gone.
void reactor_core::woken()
{
  spin_state& spin = *spin_;
  if (!std::exchange(spin.asleep, false))
    return;
  spin.budget.sleep_ended(clock::now() - spin.last_progress, spin.cap);
  spin_level_.store(spin.budget.level(), std::memory_order_relaxed);
}

void reactor_core::busy_poll(clock::duration longest) noexcept
{
  busy_poll_.store(longest.count(), std::memory_order_relaxed);
}

reactor_core::clock::duration reactor_core::spin_share(clock::duration longest) noexcept
{
  spin_->cap_of_pass = std::max(spin_->cap_of_pass, longest);
  return may_spin() ? poll_budget::share_of(longest, spin_level_.load(std::memory_order_relaxed))
                    : clock::duration::zero();
}

} // namespace detail
} // namespace shm
