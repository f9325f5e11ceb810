// SPDX-License-Identifier: BSL-1.0
// Times, and how they are distributed.

#ifndef ASIO_SHM_TEST_SUPPORT_DISTRIBUTION_HPP
#define ASIO_SHM_TEST_SUPPORT_DISTRIBUTION_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <vector>

namespace shm::test {

/// Nanoseconds of the steady clock.
inline std::int64_t steady_now()
{
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// How long something took, many times.
class distribution
{
public:
  void add(std::int64_t nanoseconds) { values_.push_back(nanoseconds); }
  std::size_t size() const { return values_.size(); }

  friend std::ostream& operator<<(std::ostream& out, const distribution& d)
  {
    if (d.values_.empty())
      return out << "nothing measured";
    std::vector<std::int64_t> sorted = d.values_;
    std::sort(sorted.begin(), sorted.end());
    const auto at = [&](double share)
    {
      const auto last = static_cast<double>(sorted.size() - 1);
      return static_cast<double>(sorted[static_cast<std::size_t>(share * last + 0.5)]) / 1e6;
    };
    return out << sorted.size() << " times, p50 " << at(0.5) << " ms, p99 " << at(0.99) << " ms, p99.9 " << at(0.999)
               << " ms, max " << at(1) << " ms";
  }

private:
  std::vector<std::int64_t> values_;
};

} // namespace shm::test

#endif
