// SPDX-License-Identifier: BSL-1.0
// When which request of an open loop has to be sent.
#ifndef ASIO_SHM_TEST_BENCH_SUPPORT_SEND_SCHEDULE_HPP
#define ASIO_SHM_TEST_BENCH_SUPPORT_SEND_SCHEDULE_HPP

#include "program.hpp"

#include <chrono>
#include <cmath>
#include <cstdint>

namespace shm::bench {

/// All times are since the start; the requests of the warm-up are sent, but do not count.
class send_schedule
{
public:
  send_schedule(double rate, double seconds)
    : interval_ns_(1e9 / rate), end_(warm_up + duration_of(seconds)), first_counted_(until(warm_up)),
      total_(until(end_))
  {}

  std::chrono::nanoseconds end() const { return end_; }
  std::uint64_t total() const { return total_; }
  bool counts(std::uint64_t number) const { return number >= first_counted_; }
  std::uint64_t counted() const { return total_ - first_counted_; }

  std::chrono::nanoseconds time_of(std::uint64_t number) const
  {
    return std::chrono::nanoseconds(static_cast<std::int64_t>(static_cast<double>(number) * interval_ns_));
  }

  /// How many requests belong to the time before.
  std::uint64_t until(std::chrono::nanoseconds time) const
  {
    return static_cast<std::uint64_t>(std::ceil(static_cast<double>(time.count()) / interval_ns_));
  }

private:
  double interval_ns_;
  std::chrono::nanoseconds end_;
  std::uint64_t first_counted_;
  std::uint64_t total_;
};

} // namespace shm::bench

#endif
