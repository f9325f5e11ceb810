// SPDX-License-Identifier: BSL-1.0
// One connection as the daemon of one side knows it, and the numbers of errors that partitions tell each other.
#ifndef ASIO_SHM_SRC_PARTITIOND_CONNECTION_END_HPP
#define ASIO_SHM_SRC_PARTITIOND_CONNECTION_END_HPP

#include "descriptor.hpp"
#include "hello.hpp"
#include "relay.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstdint>
#include <optional>

namespace shm {
namespace partitiond {

/// Plain data; connections moves it on.
struct connection_end
{
  explicit connection_end(boost::asio::io_context& context) : socket(context), timer(context) {}

  std::uint32_t peer = 0;
  std::uint64_t number = 0;
  bool connector = false;   ///< Whether the application here is the connector.
  detail::hello message;    ///< What is to be sent to the application here.
  std::uint64_t offset = 0; ///< Of its memory, in the area of the connector's partition.

  /// To the application here, or to its listener; closed when that has closed it.
  boost::asio::posix::stream_descriptor socket;
  boost::asio::steady_timer timer;

  // For what is tried repeatedly.
  std::chrono::milliseconds pause{1};
  std::chrono::steady_clock::time_point give_up{};

  unsigned vector = 0; ///< Wakes the application here; 0: this daemon is rung, and rings own_eventfd.
  detail::descriptor own_eventfd;
  unsigned peer_vector = 0; ///< Wakes the application there, or its daemon.
  detail::descriptor peer_eventfd;
  std::optional<relay> rings; ///< Whether the application here has to be rung by this daemon.

  bool waiting = false;           ///< For the listener's backlog to have room.
  bool reached = false;           ///< The acceptor's socket is connected to the listener.
  bool accepted = false;          ///< ACCEPTED was sent or received.
  bool linked = true;             ///< The link has been up since it began.
  bool peer_ended = false;        ///< CLOSED or REFUSED came, or nothing is to come.
  bool kept = false;              ///< Counted as memory that the other partition has not given up.
  bool application_ended = false; ///< The same for this side.
};

/// The error number that stands for a reason to refuse a connection.
std::uint32_t to_reason(const boost::system::error_code& ec) noexcept;

/// The inverse; connection_refused for numbers that are never sent.
boost::system::error_code from_reason(std::uint32_t reason) noexcept;

} // namespace partitiond
} // namespace shm

#endif
