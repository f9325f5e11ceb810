// SPDX-License-Identifier: BSL-1.0
// What a soak is asked to do.

#ifndef ASIO_SHM_TEST_SOAK_OPTIONS_HPP
#define ASIO_SHM_TEST_SOAK_OPTIONS_HPP

#include <cstdint>

namespace shm::test::soak {

struct options
{
  int seconds = 30;
  int processes = 8;
  int sessions = 4;        ///< That a process connects at a time.
  int kill_interval = 150; ///< Mean time between two kills, in ms; 0 for none.
  int stop_interval = 50;  ///< The same of SIGSTOP.
  std::uint64_t quota = 8u << 20;  ///< Most bytes of a stream.
  std::uint64_t size = 3u << 20;   ///< Most bytes of an operation.
  std::uint64_t seed = 0;
};

} // namespace shm::test::soak

#endif
