// SPDX-License-Identifier: BSL-1.0
// What the limits of the machine share: memory of two processes, and Google Benchmark's figures in our report.
#ifndef ASIO_SHM_TEST_BENCH_LIMITS_LIMIT_HPP
#define ASIO_SHM_TEST_BENCH_LIMITS_LIMIT_HPP

#include "support/program.hpp"

#include <benchmark/benchmark.h>
#include <boost/interprocess/anonymous_shared_memory.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <boost/json/object.hpp>

#include <algorithm>
#include <cstddef>
#include <new>
#include <stdexcept>
#include <thread>
#include <vector>

namespace shm::bench {

/// An object that processes forked later share.
template <class Object>
class shared_object
{
public:
  shared_object() : region_(boost::interprocess::anonymous_shared_memory(sizeof(Object)))
  {
    object_ = ::new (region_.get_address()) Object();
  }

  Object* get() const { return object_; }
  Object* operator->() const { return object_; }

private:
  boost::interprocess::mapped_region region_;
  Object* object_;
};

/// Looks again and again. What waits this long is not running on a processor: it may need this one.
template <class Condition>
void spin_until(Condition condition)
{
  constexpr unsigned looks_per_yield = 10000;
  for (unsigned looks = 1; !condition(); ++looks)
  {
    if (looks % looks_per_yield == 0)
      std::this_thread::yield();
  }
}

/// Collects the time of an iteration, one value for each repetition.
class repetitions : public benchmark::BenchmarkReporter
{
public:
  bool ReportContext(const Context&) override { return true; }

  void ReportRuns(const std::vector<Run>& runs) override
  {
    for (const Run& run : runs)
    {
      if (run.error_occurred)
        throw std::runtime_error(run.error_message);
      if (run.run_type == Run::RT_Iteration)
        nanoseconds_.push_back(run.GetAdjustedRealTime());
    }
  }

  /// The repetition that this part of all did not exceed.
  double percentile(double part)
  {
    if (nanoseconds_.empty())
      throw std::runtime_error("nothing was measured");
    std::sort(nanoseconds_.begin(), nanoseconds_.end());
    return nanoseconds_[static_cast<std::size_t>(part * static_cast<double>(nanoseconds_.size() - 1))];
  }

  /// Of a round trip: "p50_ns" is that of the median repetition.
  void add_figures(boost::json::object& figures)
  {
    figures["min_ns"] = percentile(0);
    figures["p50_ns"] = percentile(0.5);
    figures["max_ns"] = percentile(1);
  }

private:
  std::vector<double> nanoseconds_;
};

/// Runs step over and over for so long, in repetitions of some length: a busy machine does not spoil their median.
template <class Step>
repetitions measure_limit(double seconds, double repetition, Step step)
{
  benchmark::ClearRegisteredBenchmarks();
  benchmark::RegisterBenchmark("limit",
    [&step](benchmark::State& state)
    {
      for (auto _ : state)
        step();
    })
    ->UseRealTime()
    ->Unit(benchmark::kNanosecond)
    ->MinTime(repetition)
    ->Repetitions(std::max(3, static_cast<int>(seconds / repetition)));
  repetitions result;
  benchmark::RunSpecifiedBenchmarks(&result);
  return result;
}

} // namespace shm::bench

#endif
