// SPDX-License-Identifier: BSL-1.0
// What all benchmark programs share: options, the limit of time, the report, and what errors end with.
#ifndef ASIO_SHM_TEST_BENCH_SUPPORT_PROGRAM_HPP
#define ASIO_SHM_TEST_BENCH_SUPPORT_PROGRAM_HPP

#include "report.hpp"

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/value_semantic.hpp>

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace shm::bench {

/// From the start of a scenario until its figures count.
constexpr std::chrono::milliseconds warm_up{200};

/// A duration in seconds for clocks and timers.
inline std::chrono::steady_clock::duration duration_of(double seconds)
{
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(seconds));
}

/// When figures count. The clock is the same in all processes.
struct interval
{
  std::chrono::steady_clock::time_point begin;
  std::chrono::steady_clock::time_point end;
};

/// So many seconds after a warm-up that begins now.
inline interval measured_interval(double seconds, std::chrono::milliseconds before = warm_up)
{
  const auto begin = std::chrono::steady_clock::now() + before;
  return {begin, begin + duration_of(seconds)};
}

/// Options have to be added before run(), which gives main()'s result: 0, 1 for an error, 3 for a transport that the
/// scenario does not have.
class program
{
public:
  /// The option --transport is there only if none is given here.
  program(std::string scenario, std::string purpose, std::string only_transport = "");

  /// One more option, which becomes one of the report's parameters. The value is the default.
  template <class Value>
  program& option(const char* name, Value& value, const char* description)
  {
    options_.add_options()(name, boost::program_options::value(&value)->default_value(value), description);
    parameters_.push_back([name, &value](boost::json::object& parameters) { parameters[name] = value; });
    return *this;
  }

  /// Reads the arguments, then calls measure(report&), which adds its figures, and prints the report.
  int run(int argc, char* argv[], const std::function<void(report&)>& measure);

  const std::string& transport() const { return transport_; }

  /// How long to measure.
  double seconds() const { return seconds_; }

  /// Seconds that a run may need beside that, 20 unless set: then the program ends with an error.
  void set_time_to_spare(unsigned seconds) { time_to_spare_ = seconds; }

private:
  boost::program_options::options_description options_;
  std::string scenario_;
  std::string transport_;
  double seconds_ = 1;
  unsigned time_to_spare_ = 20;
  std::vector<std::function<void(boost::json::object&)>> parameters_;
};

} // namespace shm::bench

#endif
