// SPDX-License-Identifier: BSL-1.0
// Joining, leaving, and beats of the heart.
#include "area.hpp"

#include "untrusted.hpp"

#include <algorithm>
#include <cstring>
#include <random>

namespace shm {
namespace partitiond {

using detail::untrusted;

own_area::own_area(const region& where, std::uint32_t id)
  : header_(where.header_of(id)), listeners_(where.listeners_of(id))
{
  leave();
}

void own_area::join(const partition_identity& identity)
{
  std::random_device random;
  identity_ = identity;
  joined_ = (std::uint64_t{random()} << 32 | random()) | 1;
  say_who();
}

// Others read at any time, so what is right is not written again.
void own_area::say_who() noexcept
{
  const partition_identity said = detail::untrusted_copy(header_.identity);
  if (std::memcmp(&said, &identity_, sizeof(said)) != 0)
    header_.identity = identity_;
  // Release: whoever sees it sees the identity.
  if (untrusted(header_.joined).any() != joined_)
    header_.joined.store(joined_, std::memory_order_release);
}

void own_area::leave() noexcept
{
  joined_ = 0;
  header_.joined.store(0, std::memory_order_release);
  listeners_.count.store(0, std::memory_order_release);
}

void own_area::beat() noexcept
{
  if (joined_ != 0)
    say_who();
  header_.heartbeat.store(++beats_, std::memory_order_release);
}

void own_area::set_listeners(const std::vector<std::uint16_t>& ports) noexcept
{
  const std::size_t listed = std::min<std::size_t>(ports.size(), listener_table::capacity);
  for (std::size_t i = 0; i != listed; ++i)
    listeners_.ports[i].store(ports[i], std::memory_order_relaxed);
  listeners_.count.store(ports.size(), std::memory_order_release);
}

other_area::other_area(const region& where, std::uint32_t id, std::chrono::milliseconds dead_after)
  : header_(where.header_of(id)), present_(where.header().present[id]), dead_after_(dead_after)
{
}

bool other_area::alive(clock::time_point now) noexcept
{
  const std::uint64_t joined = untrusted(header_.joined).any();
  const std::uint64_t beat = untrusted(header_.heartbeat).any();
  if (!looked_ || joined != joined_ || beat != beat_)
  {
    // What was in the memory when it was looked at for the first time may be as old as the region.
    beating_ = looked_;
    looked_ = true;
    joined_ = joined;
    beat_ = beat;
    changed_ = now;
  }
  return joined != 0 && beating_ && now - changed_ < dead_after_ && !untrusted(present_).is(0);
}

partition_identity other_area::identity() const noexcept
{
  return detail::untrusted_copy(header_.identity);
}

} // namespace partitiond
} // namespace shm
