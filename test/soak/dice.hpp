// SPDX-License-Identifier: BSL-1.0
// Everything that a soak leaves to chance: the same for the same seed.

#ifndef ASIO_SHM_TEST_SOAK_DICE_HPP
#define ASIO_SHM_TEST_SOAK_DICE_HPP

#include <cmath>
#include <cstdint>
#include <random>

#include <sched.h>
#include <unistd.h>

namespace shm::test::soak {

class dice
{
public:
  template <class... Numbers>
  explicit dice(Numbers... seed)
  {
    std::seed_seq sequence{static_cast<std::uint64_t>(seed)...};
    random_.seed(sequence);
  }

  std::uint64_t between(std::uint64_t first, std::uint64_t last)
  {
    return std::uniform_int_distribution<std::uint64_t>(first, last)(random_);
  }

  bool one_in(unsigned n) { return between(1, n) == 1; }

  /// Each power of two as often as every other.
  std::uint64_t any_size(std::uint64_t first, std::uint64_t last)
  {
    const double low = std::log2(static_cast<double>(first)), high = std::log2(static_cast<double>(last) + 1);
    const double size = std::exp2(std::uniform_real_distribution<double>(low, high)(random_));
    const auto result = static_cast<std::uint64_t>(size);
    return result < first ? first : result > last ? last : result;
  }

  std::uint64_t number() { return random_(); }

  /// Lets others run between two steps, now and then.
  void stumble()
  {
    if (one_in(8))
      ::sched_yield();
    if (one_in(40))
      ::usleep(static_cast<useconds_t>(between(1, 500)));
  }

private:
  std::mt19937 random_;
};

} // namespace shm::test::soak

#endif
