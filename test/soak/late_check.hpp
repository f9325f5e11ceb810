// SPDX-License-Identifier: BSL-1.0
// Finds operations that should have been done, in a process whose threads sleep: wake-ups that were missed.

#ifndef ASIO_SHM_TEST_SOAK_LATE_CHECK_HPP
#define ASIO_SHM_TEST_SOAK_LATE_CHECK_HPP

#include "session.hpp"

#include <atomic>
#include <chrono>
#include <thread>

namespace shm::test::soak {

/// A thread that looks at every session ten times a second. It looks at what both ends have written on the board, and
/// not at the connection: a call of the library could mend what it is to find.
///
///   pending, and the other end has done its part, as the board says
///     and all threads that could complete it sleep           ten looks in a row: a wake-up was missed
///     and one of them is awake                                it may come soon: 150 looks in a row
///   no step of a session in either direction for 200 looks    it hangs
///     at which the other process was not stopped
///
/// A look that comes late does not count: the process was stopped, or had no CPU.
class late_check
{
public:
  explicit late_check(surroundings& around);
  ~late_check();
  late_check(const late_check&) = delete;
  late_check& operator=(const late_check&) = delete;

private:
  void run();
  void look();
  void look_at(session& s, bool context_sleeps);
  void look_at(session& s, direction& d, bool context_sleeps);

  surroundings& around_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

} // namespace shm::test::soak

#endif
