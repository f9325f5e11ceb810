// SPDX-License-Identifier: BSL-1.0
// shm_partitiond: the shared memory service provider of one partition.
#include "daemon.hpp"
#include "log.hpp"
#include "options.hpp"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <sys/resource.h>

namespace {

// A connection takes up to two descriptors here, and the default limit is 1024.
void raise_limit_of_descriptors()
{
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

} // namespace

int main(int argc, char** argv)
try
{
  using namespace shm::partitiond;
  const command_line line = parse_command_line(argc, argv);
  std::fputs(line.text.c_str(), line.exit_code == 0 ? stdout : stderr);
  if (!line.run)
    return std::fflush(stdout) == 0 ? line.exit_code : 1;
  if (!line.wanted.runtime_directory.empty())
    ::setenv("ASIO_SHM_DIR", line.wanted.runtime_directory.c_str(), 1);
  raise_limit_of_descriptors();
  return shm::partitiond::daemon(line.wanted).run();
}
catch (const std::exception& e)
{
  shm::partitiond::log(shm::partitiond::level::error, std::string("cannot go on: ") + e.what());
  return 1;
}
