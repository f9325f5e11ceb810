// SPDX-License-Identifier: BSL-1.0
// Mail as bytes.
#include "mail.hpp"

#include "message_bytes.hpp"

#include <algorithm>

namespace shm {
namespace partitiond {
namespace {

using detail::endpoint_size;
using detail::get;
using detail::put;

// Where what is. Unused bytes are zero.
enum place : std::size_t
{
  at_kind = 0,            // 32 bit
  at_from_connector = 4,  // 32 bit, 0 or 1
  at_connection = 8,      // 64 bit
  at_vector = 16,         // 32 bit
  at_reason = 20,         // 32 bit
  at_offset = 24,         // 64 bit
  at_connector_ring = 32, // segment_size, segment_count: 32 bit each
  at_acceptor_ring = 40,
  at_connector = 48, // endpoint_size
  at_acceptor = at_connector + endpoint_size,
  used = at_acceptor + endpoint_size
};
static_assert(used <= mail_size, "fits");

void put_ring(unsigned char* at, const detail::ring_geometry& ring) noexcept
{
  put(at, ring.segment_size);
  put(at + 4, ring.segment_count);
}

detail::ring_geometry get_ring(const unsigned char* at) noexcept
{
  return {get<std::uint32_t>(at), get<std::uint32_t>(at + 4)};
}

bool is_address(const detail::socket_address& endpoint) noexcept
{
  return endpoint.size != 0;
}

} // namespace

mail_bytes encode(const mail& message) noexcept
{
  mail_bytes bytes{};
  put(&bytes[at_kind], static_cast<std::uint32_t>(message.kind));
  put(&bytes[at_from_connector], std::uint32_t{message.from_connector ? 1u : 0u});
  put(&bytes[at_connection], message.connection);
  put(&bytes[at_vector], message.vector);
  put(&bytes[at_reason], message.reason);
  if (message.kind != mail_kind::connect)
    return bytes;
  put(&bytes[at_offset], message.offset);
  put_ring(&bytes[at_connector_ring], message.geometry.connector);
  put_ring(&bytes[at_acceptor_ring], message.geometry.acceptor);
  detail::put_endpoint(&bytes[at_connector], message.connector);
  detail::put_endpoint(&bytes[at_acceptor], message.acceptor);
  return bytes;
}

std::optional<mail> decode(const mail_bytes& bytes) noexcept
{
  mail message;
  const std::uint32_t kind = get<std::uint32_t>(&bytes[at_kind]);
  const std::uint32_t from_connector = get<std::uint32_t>(&bytes[at_from_connector]);
  message.kind = static_cast<mail_kind>(kind);
  if (kind < static_cast<std::uint32_t>(mail_kind::connect) || kind > static_cast<std::uint32_t>(mail_kind::closed)
      || from_connector > 1)
    return std::nullopt;
  message.from_connector = from_connector == 1;
  message.connection = get<std::uint64_t>(&bytes[at_connection]);
  message.vector = get<std::uint32_t>(&bytes[at_vector]);
  message.reason = get<std::uint32_t>(&bytes[at_reason]);
  const std::size_t size = message.kind == mail_kind::connect ? std::size_t{used} : std::size_t{at_offset};
  const auto is_zero = [](unsigned char byte) { return byte == 0; };
  if (!std::all_of(bytes.begin() + static_cast<std::ptrdiff_t>(size), bytes.end(), is_zero))
    return std::nullopt;
  if (message.kind != mail_kind::connect)
    return message;
  message.offset = get<std::uint64_t>(&bytes[at_offset]);
  message.geometry = {get_ring(&bytes[at_connector_ring]), get_ring(&bytes[at_acceptor_ring])};
  if (!message.geometry.valid() || !detail::get_endpoint(&bytes[at_connector], message.connector)
      || !detail::get_endpoint(&bytes[at_acceptor], message.acceptor) || !is_address(message.connector)
      || !is_address(message.acceptor))
    return std::nullopt;
  return message;
}

} // namespace partitiond
} // namespace shm
