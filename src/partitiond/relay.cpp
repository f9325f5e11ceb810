// SPDX-License-Identifier: BSL-1.0
// Looking for sleepers, and sizes of rings.
#include "relay.hpp"

#include "untrusted.hpp"

namespace shm {
namespace partitiond {
namespace {

using detail::connection_geometry;
using detail::control_segment;
using detail::ring_geometry;
using detail::untrusted;

constexpr std::uint32_t segments = 16;
constexpr std::uint64_t smallest_capacity = 16 * 1024;

control_segment& control(void* base, const connection_geometry& geometry, bool of_connector) noexcept
{
  const std::uint64_t offset =
      detail::page_size + (of_connector ? 0 : connection_geometry::ring_size(geometry.connector));
  return *reinterpret_cast<control_segment*>(static_cast<unsigned char*>(base) + offset);
}

// The half of a ring, or its next smaller power of two. @returns whether there was one.
bool halve(ring_geometry& ring) noexcept
{
  std::uint64_t capacity = smallest_capacity;
  if (ring.capacity() <= capacity)
    return false;
  while (2 * capacity < ring.capacity())
    capacity *= 2;
  ring = {static_cast<std::uint32_t>(capacity / segments), segments};
  return true;
}

} // namespace

relay::relay(void* base, const connection_geometry& geometry, bool connector) noexcept
  : received_(control(base, geometry, !connector)),
    sent_(control(base, geometry, connector)),
    received_slots_(connector ? geometry.acceptor.segment_count : geometry.connector.segment_count)
{}

bool relay::wait::due(std::uint64_t word, const published& now) noexcept
{
  if ((word & 1) == 0 || word == rung || now == told)
    return false;
  rung = word;
  told = now;
  return true;
}

bool relay::due() noexcept
{
  // Wait words first: what the peer has published before it looked at them is seen below. Partner: the peer's fence
  // between publishing and its look at the wait word.
  const std::uint64_t reader_word = untrusted(received_.reader_wait).any();
  const std::uint64_t writer_word = untrusted(sent_.writer_wait).any();
  if (((reader_word | writer_word) & 1) == 0)
    return false;
  published data;
  data.number = untrusted(received_.newest).any();
  data.position = untrusted(received_.end[data.number & (received_slots_ - 1)]).any();
  data.shut_down = untrusted(received_.shut_down).any();
  published space;
  space.number = untrusted(sent_.oldest).any();
  const bool for_data = reader_.due(reader_word, data);
  const bool for_space = writer_.due(writer_word, space);
  return for_data || for_space;
}

connection_geometry reduced(const connection_geometry& wanted, std::uint64_t limit) noexcept
{
  connection_geometry result = wanted;
  while (result.size() > limit)
  {
    ring_geometry& larger =
        result.connector.capacity() > result.acceptor.capacity() ? result.connector : result.acceptor;
    if (!halve(larger))
      break;
  }
  return result;
}

} // namespace partitiond
} // namespace shm
