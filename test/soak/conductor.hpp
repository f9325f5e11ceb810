// SPDX-License-Identifier: BSL-1.0
// The process that starts, stops, kills and replaces the others, and judges what they leave behind.

#ifndef ASIO_SHM_TEST_SOAK_CONDUCTOR_HPP
#define ASIO_SHM_TEST_SOAK_CONDUCTOR_HPP

#include "board.hpp"
#include "dice.hpp"
#include "options.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <sched.h>
#include <sys/types.h>

namespace shm::test::soak {

/// Has one thread, no context and no socket.
class conductor
{
public:
  conductor(board& shared, const options& wanted);

  /// @returns whether all is well. Prints a table.
  bool run();

private:
  using clock = std::chrono::steady_clock;

  struct process
  {
    pid_t id = 0; // 0: it has ended
    std::uint32_t life = 0;
    clock::time_point goes_on = clock::time_point::max(); // if it is stopped
    bool condemned = false;
  };

  void start(int number);
  void collect(bool replace);
  void disturb(clock::time_point now);
  void kill(process& p);
  void change_cpus();
  void finish();
  void judge();
  void judge(std::size_t connection);
  void judge(std::size_t connection, std::size_t from);
  void wrong(const std::string& what);
  bool print();
  process& any();

  board& shared_;
  const options& wanted_;
  dice chance_;
  std::vector<process> processes_;
  cpu_set_t all_cpus_;
  clock::time_point next_kill_, next_stop_, next_cpus_;
  bool interrupted_ = false;

  std::uint64_t kills_ = 0, stops_ = 0, phases_ = 0;
  std::uint64_t sent_ = 0, received_ = 0, complete_ = 0, prefixes_ = 0, unjoined_ = 0;
  std::uint64_t wrong_ = 0, files_ = 0, shm_files_ = 0, left_over_ = 0;
};

} // namespace shm::test::soak

#endif
