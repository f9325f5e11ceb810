// SPDX-License-Identifier: BSL-1.0
// The one full memory fence of the library, and the pause of a spinning core.
#ifndef ASIO_SHM_SRC_FULL_FENCE_HPP
#define ASIO_SHM_SRC_FULL_FENCE_HPP

#include <atomic>

namespace shm {
namespace detail {

/// Orders every earlier load and store before every later one, between cores and between kernels.
///
/// Partner: the same fence on the other side of the ring. The sleeper stores its wait word, fences, and looks at
/// the ring; the other side publishes in the ring, fences, and looks at the wait word. Without either fence both can
/// read the old value, and the sleeper sleeps over data that is there.
///
/// Written as an instruction because g++ refuses std::atomic_thread_fence under -fsanitize=thread -Werror.
inline void full_fence() noexcept
{
#if defined(__x86_64__)
  asm volatile("lock; orl $0, (%%rsp)" ::: "memory", "cc");
#elif defined(__aarch64__)
  asm volatile("dmb ish" ::: "memory");
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

/// Tells the core that this is a spin loop.
inline void spin_pause() noexcept
{
#if defined(__x86_64__)
  asm volatile("pause" ::: "memory");
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

} // namespace detail
} // namespace shm

#endif
