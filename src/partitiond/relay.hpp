// SPDX-License-Identifier: BSL-1.0
// Whether an application that sleeps has to be woken, as far as its daemon can see in the memory of the connection.
#ifndef ASIO_SHM_SRC_PARTITIOND_RELAY_HPP
#define ASIO_SHM_SRC_PARTITIOND_RELAY_HPP

#include "connection_memory.hpp"

#include <cstdint>

namespace shm {
namespace partitiond {

/// For an application whose peer rings the daemon, or nobody: looks at the two words by which it says that it sleeps,
/// and at what the peer has published. Reads the memory only; no value in it can do more than to cause a ring.
///
///   wait word   what its peer has published since the last ring       ring
///   even        (any)                                                 no: awake
///   odd, rung   (any)                                                 no: it is on its way
///   odd, new    nothing: it has looked after it wrote the word        no
///   odd, new    something                                             yes
class relay
{
public:
  /// @param base The memory of the connection. @param connector Whether the application is the connector.
  relay(void* base, const detail::connection_geometry& geometry, bool connector) noexcept;

  /// @returns whether to ring the application now. Each sleep is rung at most once.
  bool due() noexcept;

private:
  /// What one side of a ring has published.
  struct published
  {
    std::uint64_t number = 0;   // newest, or oldest
    std::uint64_t position = 0; // end of newest
    std::uint64_t shut_down = 0;
    bool operator==(const published& other) const noexcept
    {
      return number == other.number && position == other.position && shut_down == other.shut_down;
    }
  };

  /// One wait word, and what its sleeper waits for.
  struct wait
  {
    std::uint64_t rung = 0;
    published told;

    bool due(std::uint64_t word, const published& now) noexcept;
  };

  detail::control_segment& received_; // the ring that the application reads
  detail::control_segment& sent_;     // the one that it writes
  std::uint32_t received_slots_;
  wait reader_;
  wait writer_;
};

/// The rings that are given to an application, where it wants more than there should be for one connection: at most
/// what is wanted, power-of-two capacities of 16 segments, not below 64 KiB.
/// @param wanted valid(). @param limit In bytes, for the whole connection. @returns a geometry that may still be larger
/// than the limit when nothing smaller is left to try.
detail::connection_geometry reduced(const detail::connection_geometry& wanted, std::uint64_t limit) noexcept;

} // namespace partitiond
} // namespace shm

#endif
