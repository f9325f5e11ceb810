// SPDX-License-Identifier: BSL-1.0
// Reasons to refuse a connection, by their numbers.
#include "connection_end.hpp"

#include <shm/error.hpp>

#include <boost/asio/error.hpp>

#include <cerrno>

namespace shm {
namespace partitiond {

std::uint32_t to_reason(const boost::system::error_code& ec) noexcept
{
  if (ec == error::no_memory)
    return ENOMEM;
  if (ec.category() != boost::system::system_category())
    return ECONNREFUSED;
  switch (ec.value())
  {
  case EACCES:
  case EHOSTUNREACH:
  case ETIMEDOUT:
    return static_cast<std::uint32_t>(ec.value());
  case EMFILE:
  case ENFILE:
  case ENOBUFS:
  case ENOMEM:
    return ENOMEM;
  default:
    return ECONNREFUSED;
  }
}

boost::system::error_code from_reason(std::uint32_t reason) noexcept
{
  switch (reason)
  {
  case ENOMEM:
    return error::no_memory;
  case EACCES:
    return boost::asio::error::access_denied;
  case EHOSTUNREACH:
    return boost::asio::error::host_unreachable;
  case ETIMEDOUT:
    return boost::asio::error::timed_out;
  default:
    return boost::asio::error::connection_refused;
  }
}

} // namespace partitiond
} // namespace shm
