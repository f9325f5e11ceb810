// SPDX-License-Identifier: BSL-1.0
// The result of a benchmark program: one JSON object on one line.
#ifndef ASIO_SHM_TEST_BENCH_SUPPORT_REPORT_HPP
#define ASIO_SHM_TEST_BENCH_SUPPORT_REPORT_HPP

#include "cpu_time.hpp"
#include "latency_histogram.hpp"

#include <boost/json/object.hpp>

#include <string>

namespace shm::bench {

struct report
{
  std::string scenario;
  std::string transport;
  boost::json::object parameters;
  boost::json::object figures;
  cpu_usage cpu;
  boost::json::object histogram; ///< left out when it is empty

  /// The figures of the histogram and its bins.
  void add(const latency_histogram& times);

  /// To standard output.
  void print() const;
};

} // namespace shm::bench

#endif
