// SPDX-License-Identifier: BSL-1.0
// Percentiles and JSON of a histogram.

#include "latency_histogram.hpp"

#include <boost/json/array.hpp>

#include <cmath>
#include <string>

namespace shm::bench {

double latency_histogram::percentile(double part) const
{
  if (count_ == 0)
    return 0;
  const double wanted = part * static_cast<double>(count_);
  double passed = 0;
  const axis& scale = bins_.axis();
  for (int i = -1; i <= scale.size(); ++i) // with those below and above the scale
  {
    const auto here = static_cast<double>(bins_.at(i));
    if (here != 0 && passed + here >= wanted)
    {
      const double at = i < 0 ? min_ : i == scale.size() ? max_ : scale.value(i + (wanted - passed) / here);
      return std::clamp(at, min_, max_);
    }
    passed += here;
  }
  return max_;
}

void latency_histogram::add_figures(boost::json::object& figures, const std::string& prefix) const
{
  figures[prefix + "count"] = count_;
  figures[prefix + "mean_ns"] = std::round(mean());
  figures[prefix + "min_ns"] = std::round(min());
  figures[prefix + "p50_ns"] = std::round(percentile(0.5));
  figures[prefix + "p90_ns"] = std::round(percentile(0.9));
  figures[prefix + "p99_ns"] = std::round(percentile(0.99));
  figures[prefix + "p99_9_ns"] = std::round(percentile(0.999));
  figures[prefix + "max_ns"] = std::round(max());
}

boost::json::object latency_histogram::bins() const
{
  boost::json::array edges;
  boost::json::array counts;
  const axis& scale = bins_.axis();
  for (int i = -1; i <= scale.size(); ++i)
  {
    if (bins_.at(i) == 0)
      continue;
    edges.push_back(i < 0 ? 0.0 : std::round(scale.value(i) * 10) / 10);
    counts.push_back(bins_.at(i));
  }
  return {{"edges_ns", edges}, {"counts", counts}};
}

} // namespace shm::bench
