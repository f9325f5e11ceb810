// SPDX-License-Identifier: BSL-1.0
// Tells Asio's null_buffers from buffer sequences.
#ifndef ASIO_SHM_DETAIL_NULL_BUFFERS_HPP
#define ASIO_SHM_DETAIL_NULL_BUFFERS_HPP

#include <boost/asio/buffer.hpp>

#include <type_traits>

namespace shm {
namespace detail {

// Later versions of Asio say deprecated to whoever names it; programs that use it must go on working.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

template <typename Buffers>
inline constexpr bool is_null_buffers = std::is_same_v<Buffers, boost::asio::null_buffers>;

#pragma GCC diagnostic pop

} // namespace detail
} // namespace shm

#endif
