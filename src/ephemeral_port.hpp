// SPDX-License-Identifier: BSL-1.0
// Walking through the ports that are given out for port 0.
#ifndef ASIO_SHM_SRC_EPHEMERAL_PORT_HPP
#define ASIO_SHM_SRC_EPHEMERAL_PORT_HPP

#include "address_space.hpp"

#include <cstdint>
#include <sys/random.h>
#include <sys/types.h>
#include <time.h>

namespace shm {
namespace detail {

/// Where the search for a free port begins: two processes seldom start at one place.
inline std::uint16_t random_ephemeral_port() noexcept
{
  std::uint32_t value = 0;
  if (::getrandom(&value, sizeof(value), GRND_NONBLOCK) != static_cast<ssize_t>(sizeof(value)))
  {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    value = static_cast<std::uint32_t>(now.tv_nsec);
  }
  const std::uint32_t count = last_ephemeral_port - first_ephemeral_port + 1u;
  return static_cast<std::uint16_t>(first_ephemeral_port + value % count);
}

inline std::uint16_t next_ephemeral_port(std::uint16_t port) noexcept
{
  return port >= last_ephemeral_port ? first_ephemeral_port : static_cast<std::uint16_t>(port + 1);
}

} // namespace detail
} // namespace shm

#endif
