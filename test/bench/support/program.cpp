// SPDX-License-Identifier: BSL-1.0
// Arguments, the limit of time, and errors of the benchmark programs.

#include "program.hpp"
#include "transports.hpp"

#include <boost/program_options/parsers.hpp>
#include <boost/program_options/variables_map.hpp>

#include <cmath>
#include <csignal>
#include <exception>
#include <iostream>

#include <unistd.h>

namespace shm::bench {
namespace {

namespace po = boost::program_options;

// The kernel ends the other processes, which asked for that when they were made.
extern "C" void give_up(int)
{
  constexpr char text[] = "the benchmark did not end in time\n";
  static_cast<void>(!::write(STDERR_FILENO, text, sizeof(text) - 1));
  ::_exit(1);
}

void set_time_limit(double seconds)
{
  std::signal(SIGALRM, &give_up);
  ::alarm(static_cast<unsigned>(std::ceil(seconds)));
}

} // namespace

program::program(std::string scenario, std::string purpose, std::string only_transport)
  : options_(std::move(purpose)), scenario_(std::move(scenario)), transport_(std::move(only_transport))
{
  options_.add_options()("help", "print this");
  if (transport_.empty())
    options_.add_options()("transport", po::value(&transport_)->required(), "what to measure");
  options_.add_options()("seconds", po::value(&seconds_)->default_value(seconds_), "how long to measure");
}

int program::run(int argc, char* argv[], const std::function<void(report&)>& measure)
{
  try
  {
    po::variables_map values;
    po::store(po::parse_command_line(argc, argv, options_), values);
    if (values.count("help") != 0)
    {
      std::cout << options_;
      return 0;
    }
    po::notify(values);
    if (!(seconds_ > 0 && seconds_ <= 3600))
      throw po::error("seconds: more than 0, at most 3600");
    set_time_limit(seconds_ + time_to_spare_);

    report result;
    result.scenario = scenario_;
    result.transport = transport_;
    for (const auto& add_parameter : parameters_)
      add_parameter(result.parameters);
    measure(result);
    result.print();
    return 0;
  }
  catch (const po::error& e)
  {
    std::cerr << "bench " << scenario_ << ": " << e.what() << "; --help lists the options\n";
    return 1;
  }
  catch (const unsupported_transport& e)
  {
    std::cerr << "bench " << scenario_ << ": " << e.what() << '\n';
    return 3;
  }
  catch (const std::exception& e)
  {
    std::cerr << "bench " << scenario_ << ' ' << transport_ << ": " << e.what() << '\n';
    return 1;
  }
}

} // namespace shm::bench
