// SPDX-License-Identifier: BSL-1.0
// soak: many processes that do everything that they may do to each other, for a given time.
#include "conductor.hpp"
#include "temp_runtime_directory.hpp"

#include <boost/program_options.hpp>

#include <cstdio>
#include <exception>
#include <iostream>
#include <random>

namespace {

namespace po = boost::program_options;

/// @returns whether the program is to go on.
bool parse(int argc, char** argv, shm::test::soak::options& wanted)
{
  po::options_description known("soak: moves checked data between processes that are killed, stopped and starved");
  known.add_options()
    ("help", "this text")
    ("seconds", po::value(&wanted.seconds)->default_value(wanted.seconds), "how long")
    ("processes", po::value(&wanted.processes)->default_value(wanted.processes), "how many at a time")
    ("sessions", po::value(&wanted.sessions)->default_value(wanted.sessions), "connections that each keeps up")
    ("kill", po::value(&wanted.kill_interval)->default_value(wanted.kill_interval), "ms between SIGKILLs, 0: none")
    ("stop", po::value(&wanted.stop_interval)->default_value(wanted.stop_interval), "ms between SIGSTOPs, 0: none")
    ("quota", po::value(&wanted.quota)->default_value(wanted.quota), "most bytes of a stream")
    ("size", po::value(&wanted.size)->default_value(wanted.size), "most bytes of an operation")
    ("seed", po::value(&wanted.seed), "what chance decides is the same for the same seed; another one each time");
  po::positional_options_description first;
  first.add("seconds", 1);
  po::variables_map values;
  po::store(po::command_line_parser(argc, argv).options(known).positional(first).run(), values);
  po::notify(values);
  if (values.count("help") != 0)
    std::cout << known;
  if (values.count("seed") == 0)
    wanted.seed = std::random_device()();
  if (wanted.seconds < 1 || wanted.processes < 1 || wanted.sessions < 1 || wanted.quota < 1 || wanted.size < 1000
      || static_cast<std::size_t>(wanted.processes) > shm::test::soak::board::max_processes || wanted.kill_interval < 0 || wanted.stop_interval < 0)
    throw po::error("a number is out of range");
  return values.count("help") == 0;
}

} // namespace

int main(int argc, char** argv)
{
  using namespace shm::test;
  try
  {
    soak::options wanted;
    if (!parse(argc, argv, wanted))
      return 0;
    std::printf("soak: seed %llu\n", static_cast<unsigned long long>(wanted.seed));
    const temp_runtime_directory directory;
    soak::conductor conducting(soak::board::create(), wanted);
    return conducting.run() ? 0 : 1;
  }
  catch (const po::error& e)
  {
    std::fprintf(stderr, "soak: %s\n", e.what());
    return 2;
  }
  catch (const std::exception& e)
  {
    std::fprintf(stderr, "soak: %s\n", e.what());
    return 1;
  }
}
