// SPDX-License-Identifier: BSL-1.0
// Makes the nth system call of a thread fail, as it does when something runs out.
//
// The linker directs the calls here: test/CMakeLists.txt links every test that includes this header with --wrap for
// each function that failing_calls.cpp defines. The library itself knows nothing of it.

#ifndef ASIO_SHM_TEST_SUPPORT_FAILING_CALLS_HPP
#define ASIO_SHM_TEST_SUPPORT_FAILING_CALLS_HPP

#include <string>

namespace shm::test {

/// While it lives, the nth of this thread's wrapped calls fails; one at a time.
class failing_call
{
public:
  /// @param nth From 1. @param reason Which of the reasons that this call can fail for, from 0.
  failing_call(int nth, int reason);
  ~failing_call();
  failing_call(const failing_call&) = delete;
  failing_call& operator=(const failing_call&) = delete;

  /// From now on all calls succeed.
  void disarm();

  bool failed() const;         ///< Whether it came to the nth call.
  int reasons() const;         ///< For how many reasons that call can fail.
  std::string what() const;    ///< "memfd_create: Too many open files".
  const char* name() const;    ///< "memfd_create".
};

} // namespace shm::test

#endif
