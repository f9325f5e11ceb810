// SPDX-License-Identifier: BSL-1.0
// The processor time of both processes during a measurement, read by one of them.
#ifndef ASIO_SHM_TEST_BENCH_SUPPORT_CPU_TIME_HPP
#define ASIO_SHM_TEST_BENCH_SUPPORT_CPU_TIME_HPP

#include <sys/types.h>

namespace shm::bench {

/// The processor time, in seconds, that a process of this user has had since its start; all threads, user and system.
double cpu_time_of(pid_t process);

/// What both sides used.
struct cpu_usage
{
  double client_s = 0;
  double server_s = 0;
};

/// Measures between two calls.
class cpu_meter
{
public:
  cpu_meter(pid_t client, pid_t server) : client_(client), server_(server) { restart(); }

  void restart() { start_ = read(); }

  cpu_usage usage() const
  {
    const cpu_usage now = read();
    return {now.client_s - start_.client_s, now.server_s - start_.server_s};
  }

private:
  cpu_usage read() const { return {cpu_time_of(client_), cpu_time_of(server_)}; }

  pid_t client_;
  pid_t server_;
  cpu_usage start_;
};

} // namespace shm::bench

#endif
