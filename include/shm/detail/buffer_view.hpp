// SPDX-License-Identifier: BSL-1.0
// A span of the caller's memory as the compiled part of the library takes it.
#ifndef ASIO_SHM_DETAIL_BUFFER_VIEW_HPP
#define ASIO_SHM_DETAIL_BUFFER_VIEW_HPP

#include <cstddef>

namespace shm {
namespace detail {

/// Memory to be filled. Asio's own buffer types change their layout with a user's macros, so they stop here.
struct mutable_view
{
  void* data;
  std::size_t size;
};

/// Memory to be sent.
struct const_view
{
  const void* data;
  std::size_t size;
};

/// As many buffers of a sequence are used in one operation; the rest waits for the next, as with readv(2) in Asio.
inline constexpr std::size_t max_views = 64;

} // namespace detail
} // namespace shm

#endif
