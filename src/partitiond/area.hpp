// SPDX-License-Identifier: BSL-1.0
// What a partition says of itself in its area, and what another one makes of it.
#ifndef ASIO_SHM_SRC_PARTITIOND_AREA_HPP
#define ASIO_SHM_SRC_PARTITIOND_AREA_HPP

#include "region.hpp"

#include <chrono>
#include <cstdint>
#include <vector>

namespace shm {
namespace partitiond {

/// The own area. Only this process writes there, but for slices.
class own_area
{
public:
  /// Whatever an earlier daemon has left says from now on that nobody is here.
  own_area(const region& where, std::uint32_t id);

  /// Says who is here now.
  void join(const partition_identity& identity);

  /// Says that nobody is here any more.
  void leave() noexcept;

  /// To be called often: without it, the others take this partition for dead. What another one has written over who is
  /// here is right again afterwards.
  void beat() noexcept;

  /// Ports on which somebody listens.
  void set_listeners(const std::vector<std::uint16_t>& ports) noexcept;

private:
  void say_who() noexcept;

  area_header& header_;
  listener_table& listeners_;
  partition_identity identity_{};
  std::uint64_t joined_ = 0;
  std::uint64_t beats_ = 0;
};

/// Another partition, seen from here.
class other_area
{
public:
  using clock = std::chrono::steady_clock;

  /// @param dead_after A partition whose heart has not beaten for so long has died.
  other_area(const region& where, std::uint32_t id, std::chrono::milliseconds dead_after);

  /// Whether it has joined, and its heart has beaten lately; at the first look nobody is believed to be alive.
  bool alive(clock::time_point now = clock::now()) noexcept;

  /// What it calls itself: a copy, not checked.
  partition_identity identity() const noexcept;

private:
  const area_header& header_;
  const word& present_;
  const std::chrono::milliseconds dead_after_;
  bool looked_ = false;
  bool beating_ = false;
  std::uint64_t joined_ = 0;
  std::uint64_t beat_ = 0;
  clock::time_point changed_{};
};

} // namespace partitiond
} // namespace shm

#endif
