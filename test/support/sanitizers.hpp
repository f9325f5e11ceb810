// SPDX-License-Identifier: BSL-1.0
// Which sanitizer a test is compiled with.

#ifndef ASIO_SHM_TEST_SUPPORT_SANITIZERS_HPP
#define ASIO_SHM_TEST_SUPPORT_SANITIZERS_HPP

namespace shm::test {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool address_sanitizer = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool address_sanitizer = true;
#else
inline constexpr bool address_sanitizer = false;
#endif
#else
inline constexpr bool address_sanitizer = false;
#endif

#if defined(__SANITIZE_THREAD__)
inline constexpr bool thread_sanitizer = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
inline constexpr bool thread_sanitizer = true;
#else
inline constexpr bool thread_sanitizer = false;
#endif
#else
inline constexpr bool thread_sanitizer = false;
#endif

/// Instrumented code is slow: such a build tries a sample where others try everything.
inline constexpr bool sanitized = address_sanitizer || thread_sanitizer;

} // namespace shm::test

#endif
