// SPDX-License-Identifier: BSL-1.0
// Keeps the threads of this process that spin no more than the CPUs they may run on.
#ifndef ASIO_SHM_SRC_SPINNING_THREADS_HPP
#define ASIO_SHM_SRC_SPINNING_THREADS_HPP

#include <atomic>
#include <sched.h>

namespace shm {
namespace detail {

/// The number of CPUs that may run the calling thread; 1 where the kernel does not tell.
inline int usable_cpus() noexcept
{
  cpu_set_t cpus;
  return ::sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
}

/// A place among the threads that spin. One more than there are CPUs would spin in the way of those that work.
class spinning_thread
{
public:
  spinning_thread() = default;
  spinning_thread(const spinning_thread&) = delete;
  spinning_thread& operator=(const spinning_thread&) = delete;
  ~spinning_thread() { leave(); }

  /// Takes a place unless it has one. @returns whether it has one now.
  bool enter(int limit) noexcept
  {
    // Nothing is ordered by the count.
    if (!inside_)
    {
      inside_ = count_.fetch_add(1, std::memory_order_relaxed) < limit;
      if (!inside_)
        count_.fetch_sub(1, std::memory_order_relaxed);
    }
    return inside_;
  }

  void leave() noexcept
  {
    if (inside_)
      count_.fetch_sub(1, std::memory_order_relaxed);
    inside_ = false;
  }

  /// In a child process, whose only thread has forked: no thread spins.
  void after_fork() noexcept
  {
    inside_ = false;
    count_.store(0, std::memory_order_relaxed);
  }

  /// Threads of this process that have a place.
  static int count() noexcept { return count_.load(std::memory_order_relaxed); }

private:
  static inline std::atomic<int> count_{0};
  bool inside_ = false;
};

} // namespace detail
} // namespace shm

#endif
