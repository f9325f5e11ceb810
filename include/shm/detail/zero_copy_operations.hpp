// SPDX-License-Identifier: BSL-1.0
// Access to buffers in the shared memory, as I/O control commands for the functions of zero_copy.hpp.
#ifndef ASIO_SHM_DETAIL_ZERO_COPY_OPERATIONS_HPP
#define ASIO_SHM_DETAIL_ZERO_COPY_OPERATIONS_HPP

#include <boost/asio/buffer.hpp>

#include <cstddef>

namespace shm {
namespace detail {

// None of these reaches the kernel: see timed_operations.hpp.

struct prepare_space
{
  std::size_t size;
  boost::asio::mutable_buffer space;
};

struct commit_space
{
  std::size_t size;
};

struct look_at_data
{
  boost::asio::const_buffer data;
};

struct consume_data
{
  std::size_t size;
};

} // namespace detail
} // namespace shm

#endif
