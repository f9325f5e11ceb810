// SPDX-License-Identifier: BSL-1.0
// Counts what a reader receives during the measured time.
#ifndef ASIO_SHM_TEST_BENCH_SUPPORT_THROUGHPUT_METER_HPP
#define ASIO_SHM_TEST_BENCH_SUPPORT_THROUGHPUT_METER_HPP

#include "cpu_time.hpp"
#include "program.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace shm::bench {

struct throughput
{
  double seconds = 0;
  std::uint64_t bytes = 0;
  std::uint64_t reads = 0;
  cpu_usage cpu;

  double bytes_per_second() const { return static_cast<double>(bytes) / seconds; }
};

/// Begins and ends at a look on the clock, so that the seconds of the result belong exactly to its bytes.
class throughput_meter
{
public:
  using clock = std::chrono::steady_clock;

  throughput_meter(const interval& when, const cpu_meter& cpu) : when_(when), cpu_(cpu) {}

  /// After each read; false when the time is over.
  bool add(std::size_t length)
  {
    result_.bytes += length;
    return ++result_.reads % reads_per_clock != 0 || look();
  }

  const throughput& result() const { return result_; }

private:
  // A look on the clock takes as long as a short read.
  static constexpr std::uint64_t reads_per_clock = 16;

  bool look()
  {
    const clock::time_point now = clock::now();
    if (!counting_)
    {
      if (now >= when_.begin)
      {
        counting_ = true;
        when_.begin = now;
        result_ = throughput();
        cpu_.restart();
      }
      return true;
    }
    if (now < when_.end)
      return true;
    result_.seconds = std::chrono::duration<double>(now - when_.begin).count();
    result_.cpu = cpu_.usage();
    return false;
  }

  interval when_;
  cpu_meter cpu_;
  bool counting_ = false;
  throughput result_;
};

} // namespace shm::bench

#endif
