// SPDX-License-Identifier: BSL-1.0
// Numbers and endpoints as they are in messages: little endian, an endpoint in 32 bytes.
#ifndef ASIO_SHM_SRC_MESSAGE_BYTES_HPP
#define ASIO_SHM_SRC_MESSAGE_BYTES_HPP

#include <shm/detail/socket_address.hpp>

#include <cstddef>
#include <cstdint>

namespace shm {
namespace detail {

template <typename Unsigned>
void put(unsigned char* at, Unsigned value) noexcept
{
  for (std::size_t i = 0; i < sizeof(Unsigned); ++i)
    at[i] = static_cast<unsigned char>(value >> (8 * i));
}

template <typename Unsigned>
Unsigned get(const unsigned char* at) noexcept
{
  Unsigned value = 0;
  for (std::size_t i = 0; i < sizeof(Unsigned); ++i)
    value = static_cast<Unsigned>(value | static_cast<Unsigned>(static_cast<Unsigned>(at[i]) << (8 * i)));
  return value;
}

// An endpoint: family (0, 4 or 6) 16 bit; port 16 bit; scope id 32 bit; address 16 bytes (4 used for family 4); zero.
inline constexpr std::size_t endpoint_size = 32;

/// Family 0 for what is no IPv4 or IPv6 address. The bytes were zero.
void put_endpoint(unsigned char* at, const socket_address& address) noexcept;

/// @param address Size 0 for family 0. @returns false for an unknown family.
bool get_endpoint(const unsigned char* at, socket_address& address) noexcept;

} // namespace detail
} // namespace shm

#endif
