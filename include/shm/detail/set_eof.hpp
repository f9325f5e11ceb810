// SPDX-License-Identifier: BSL-1.0
// Makes Asio's error code of the end of a stream.
#ifndef ASIO_SHM_DETAIL_SET_EOF_HPP
#define ASIO_SHM_DETAIL_SET_EOF_HPP

#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>

namespace shm {
namespace detail {

/// 0 bytes without an error are the end. In a header, because the program's category of eof may be another object than
/// the compiled library's, and would not compare equal.
inline void set_eof(std::size_t bytes_transferred, boost::system::error_code& ec)
{
  if (bytes_transferred == 0 && !ec)
    ec = boost::asio::error::eof;
}

} // namespace detail
} // namespace shm

#endif
