// SPDX-License-Identifier: BSL-1.0
// The result of a benchmark program, and the one place where Boost.JSON is compiled.

#include "report.hpp"

#include <boost/json/serialize.hpp>
#include <boost/json/src.hpp>

#include <iostream>

namespace shm::bench {

void report::add(const latency_histogram& times)
{
  times.add_figures(figures);
  histogram = times.bins();
}

void report::print() const
{
  boost::json::object all{{"scenario", scenario}, {"transport", transport}, {"parameters", parameters},
    {"figures", figures}, {"cpu", {{"client_s", cpu.client_s}, {"server_s", cpu.server_s}}}};
  if (!histogram.empty())
    all["histogram"] = histogram;
  std::cout << boost::json::serialize(all) << std::endl;
}

} // namespace shm::bench
