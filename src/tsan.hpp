// SPDX-License-Identifier: BSL-1.0
// Tells ThreadSanitizer what it cannot see: that two mappings of one memory order the same bytes.
#ifndef ASIO_SHM_SRC_TSAN_HPP
#define ASIO_SHM_SRC_TSAN_HPP

#include <cstddef>

#if defined(__SANITIZE_THREAD__)
#define ASIO_SHM_SRC_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ASIO_SHM_SRC_TSAN 1
#endif
#endif

#if defined(ASIO_SHM_SRC_TSAN)
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#endif

namespace shm {
namespace detail {

#if defined(ASIO_SHM_SRC_TSAN)

/// One key for every ring of this process; rings that share one only look more ordered than they are.
inline void* tsan_key(std::size_t ring) noexcept
{
  static char keys[4096];
  return &keys[ring % sizeof(keys)];
}

/// Both ends of a connection live in one process: what was written before publish() is seen after observe().
inline void tsan_publish(std::size_t ring) noexcept
{
  __tsan_release(tsan_key(ring));
}
inline void tsan_observe(std::size_t ring) noexcept
{
  __tsan_acquire(tsan_key(ring));
}
inline constexpr bool tsan_enabled = true;

#else

inline void tsan_publish(std::size_t) noexcept {}
inline void tsan_observe(std::size_t) noexcept {}
inline constexpr bool tsan_enabled = false;

#endif

} // namespace detail
} // namespace shm

#endif
