// SPDX-License-Identifier: BSL-1.0
// Copying large blocks past the caches, for a reader on another core.
#ifndef ASIO_SHM_SRC_STREAM_COPY_HPP
#define ASIO_SHM_SRC_STREAM_COPY_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace shm {
namespace detail {

/// Copies with non-temporal stores where the processor has them. They go to memory without leaving dirty lines in this
/// core's cache, which another core would have to fetch from there one by one.
inline void stream_copy(void* to, const void* from, std::size_t size) noexcept
{
#if defined(__x86_64__)
  auto* out = static_cast<unsigned char*>(to);
  const auto* in = static_cast<const unsigned char*>(from);
  const std::size_t head = (64 - (reinterpret_cast<std::uintptr_t>(out) & 63)) & 63;
  if (size < head + 64)
  {
    std::memcpy(out, in, size);
    return;
  }
  std::memcpy(out, in, head);
  out += head;
  in += head;
  size -= head;
  for (; size >= 64; size -= 64, out += 64, in += 64)
  {
    const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in));
    const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + 16));
    const __m128i c = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + 32));
    const __m128i d = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + 48));
    _mm_stream_si128(reinterpret_cast<__m128i*>(out), a);
    _mm_stream_si128(reinterpret_cast<__m128i*>(out + 16), b);
    _mm_stream_si128(reinterpret_cast<__m128i*>(out + 32), c);
    _mm_stream_si128(reinterpret_cast<__m128i*>(out + 48), d);
  }
  std::memcpy(out, in, size);
  // Non-temporal stores are not ordered by a release store: without this the reader sees the new end and old bytes.
  _mm_sfence();
#else
  std::memcpy(to, from, size);
#endif
}

} // namespace detail
} // namespace shm

#endif
