// SPDX-License-Identifier: BSL-1.0
// What the files of reactor_core share: its parts, and what the epoll instance tells.
#ifndef ASIO_SHM_SRC_REACTOR_STATE_HPP
#define ASIO_SHM_SRC_REACTOR_STATE_HPP

#include <shm/detail/reactor_core.hpp>
#include <shm/detail/socket_core.hpp>

#include "poll_budget.hpp"
#include "spinning_threads.hpp"

#include <chrono>
#include <cstdint>

namespace shm {
namespace detail {

inline constexpr auto never = reactor_core::clock::time_point::max();

// Event data: generation, slot, source; or the timer.
inline constexpr unsigned source_bits = 2;
inline constexpr unsigned slot_bits = 30;
inline constexpr std::uint64_t timer_data = ~std::uint64_t{0};

struct reactor_core::slot
{
  boost::intrusive_ptr<socket_core> socket;
  std::uint32_t generation = 0;
};

struct reactor_core::timer
{
  clock::time_point when;
  boost::intrusive_ptr<socket_core> socket;
};

// What spinning has brought. Guarded by the poll role.
struct reactor_core::spin_state
{
  poll_budget budget;
  spinning_thread place; // while sockets are hot
  clock::duration cap = poll_budget::default_cap;        // the longest time that a hot socket may spend
  clock::duration cap_of_pass = clock::duration::zero(); // the same of those seen in this pass
  unsigned passes = 0;
  bool progress = false; // since the clock was read last
  bool waited = false;   // the clock was read since the last progress
  bool asleep = false;   // the last hot socket went to sleep
  clock::time_point last_progress{};
  clock::time_point now{};
  clock::time_point slice_start{};
};

} // namespace detail
} // namespace shm

#endif
