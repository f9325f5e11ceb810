// SPDX-License-Identifier: BSL-1.0
// The processor time of a process.

#include "cpu_time.hpp"

#include <cerrno>
#include <ctime>
#include <system_error>

namespace shm::bench {

double cpu_time_of(pid_t process)
{
  clockid_t clock = 0;
  if (const int error = ::clock_getcpuclockid(process, &clock))
    throw std::system_error(error, std::generic_category(), "clock_getcpuclockid");
  timespec time{};
  if (::clock_gettime(clock, &time) != 0)
    throw std::system_error(errno, std::generic_category(), "clock_gettime");
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

} // namespace shm::bench
