// SPDX-License-Identifier: BSL-1.0
// The messages between daemons of two partitions, as plain bytes. No I/O here.
#ifndef ASIO_SHM_SRC_PARTITIOND_MAIL_HPP
#define ASIO_SHM_SRC_PARTITIOND_MAIL_HPP

#include "connection_memory.hpp"
#include "region_layout.hpp"

#include <shm/detail/socket_address.hpp>

#include <array>
#include <cstdint>
#include <optional>

namespace shm {
namespace partitiond {

enum class mail_kind : std::uint32_t
{
  connect = 1,  ///< From the connector's partition: everything about a new connection.
  accepted = 2, ///< The answer: a listener has it in its backlog.
  refused = 3,  ///< The answer: none has, and why.
  closed = 4    ///< From either: the application here has closed its end or died.
};

struct mail
{
  mail_kind kind = mail_kind::closed;

  /// The number of the connection, chosen by the connector's partition, new for each.
  std::uint64_t connection = 0;

  /// Whether the sender's partition is that of the connector; it tells apart equal numbers chosen by both sides.
  bool from_connector = false;

  /// With connect and accepted: the vector of the sender's partition that wakes its application.
  std::uint32_t vector = 0;

  /// With refused: an error number of Linux, as ECONNREFUSED.
  std::uint32_t reason = 0;

  // With connect:
  std::uint64_t offset = 0; ///< Of the connection's memory, from the beginning of the sender's area.
  detail::connection_geometry geometry{};
  detail::socket_address connector;
  detail::socket_address acceptor;
};

using mail_bytes = std::array<unsigned char, mail_size>;

mail_bytes encode(const mail& message) noexcept;

/// @returns nothing for a message that no correct partition sends: unknown kind, a geometry that is not valid(), an
/// endpoint that is no address, bytes that are not zero and should be.
std::optional<mail> decode(const mail_bytes& bytes) noexcept;

} // namespace partitiond
} // namespace shm

#endif
