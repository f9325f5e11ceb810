// SPDX-License-Identifier: BSL-1.0
// Durations by the million, with percentiles that are right to half a per cent.
#ifndef ASIO_SHM_TEST_BENCH_SUPPORT_LATENCY_HISTOGRAM_HPP
#define ASIO_SHM_TEST_BENCH_SUPPORT_LATENCY_HISTOGRAM_HPP

#include <boost/histogram/axis/regular.hpp>
#include <boost/histogram/histogram.hpp>
#include <boost/json/object.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

namespace shm::bench {

/// Adding allocates nothing. Bins from 10 ns to 100 s are of equal width on a logarithmic scale.
class latency_histogram
{
public:
  void add(std::chrono::steady_clock::duration time) { add(std::chrono::duration<double, std::nano>(time).count()); }

  void add(double nanoseconds)
  {
    bins_(nanoseconds);
    ++count_;
    sum_ += nanoseconds;
    min_ = std::min(min_, nanoseconds);
    max_ = std::max(max_, nanoseconds);
  }

  void clear() { *this = latency_histogram(); }

  std::uint64_t count() const { return count_; }
  double mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }
  double min() const { return count_ == 0 ? 0 : min_; }
  double max() const { return max_; }

  /// The time, in nanoseconds, that this part of all did not exceed: 0.5 is the median.
  double percentile(double part) const;

  /// "count", "mean_ns", "p50_ns" and so on, each with this before it.
  void add_figures(boost::json::object& figures, const std::string& prefix = "") const;

  /// "edges_ns" and "counts" of the bins that are not empty: a bin reaches from its edge up by half a per cent.
  boost::json::object bins() const;

private:
  using axis = boost::histogram::axis::regular<double, boost::histogram::axis::transform::log>;

  static constexpr unsigned bins_per_decade = 462; // each wider than the one before by 0.5 %

  boost::histogram::histogram<std::tuple<axis>, boost::histogram::dense_storage<std::uint64_t>> bins_{
    axis(10 * bins_per_decade, 1e1, 1e11)};
  std::uint64_t count_ = 0;
  double sum_ = 0;
  double min_ = std::numeric_limits<double>::max();
  double max_ = 0;
};

} // namespace shm::bench

#endif
