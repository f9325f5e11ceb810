// SPDX-License-Identifier: BSL-1.0
// What is known to differ from TCP, as data: a case may ask for a difference by its name, never for a protocol.

#ifndef ASIO_SHM_TEST_SUPPORT_DIFFERENCES_HPP
#define ASIO_SHM_TEST_SUPPORT_DIFFERENCES_HPP

#include "transports.hpp"

#include <boost/asio/error.hpp>

namespace shm::test {

/// What TCP does.
struct tcp_behaviour
{
  /// The bytes are taken before the peer's host has answered that nobody reads them.
  static constexpr bool first_write_after_close_succeeds = true;
  /// After an asynchronous read got eof, Asio's reactor waits for another event of the kernel, and there is none.
  static constexpr bool asynchronous_read_after_eof_completes = false;
  /// The connection is all in the descriptor.
  static constexpr bool release_of_connected_socket = true;
  /// run_one() and poll_one() run one handler.
  static constexpr int handlers_in_one_step = 1;
  /// IPv6 is there if the machine has it.
  static constexpr bool ipv6_needs_the_machine = true;
  /// A connector that did not bind has an endpoint of its own all the same.
  static constexpr bool connector_has_endpoint = true;
  /// An endpoint is free as soon as its listener is gone.
  static constexpr bool listener_leaves_its_name = false;
  /// A connect that finds no room in the backlog waits.
  static constexpr bool full_backlog_fails_connect = false;
  /// An accepted socket has the buffer sizes of its acceptor.
  static constexpr bool accepted_socket_inherits_buffer_sizes = true;
  /// What a socket that was never connected answers.
  static constexpr bool shutdown_of_unconnected_succeeds = false;
  static constexpr auto read_of_unconnected = boost::asio::error::not_connected;
  static constexpr auto write_of_unconnected = boost::asio::error::broken_pipe;
  /// The default endpoint is the wildcard with port 0, where nobody listens.
  static constexpr auto connect_to_default_endpoint = boost::asio::error::connection_refused;
  /// io_control passes every command on to a descriptor of the kernel.
  static constexpr bool takes_every_command = true;
  /// There is data beside the stream.
  static constexpr bool has_out_of_band_data = true;
  /// A connection that was reset has forgotten its peer, and cannot be shut down.
  static constexpr bool keeps_its_peer_after_a_reset = false;
};

/// Where a protocol differs it hides TCP's behaviour with its own, and says why.
template <class Protocol>
struct differences : tcp_behaviour
{};

template <>
struct differences<boost::asio::local::stream_protocol> : tcp_behaviour
{
  /// Close and write are in one kernel: the writer knows at once.
  static constexpr bool first_write_after_close_succeeds = false;
  /// A connector that did not bind has the empty path.
  static constexpr bool connector_has_endpoint = false;
  /// The file of a socket is for the program to remove.
  static constexpr bool listener_leaves_its_name = true;
  /// The kernel has nothing to poll for room in a backlog, so Asio reports that there is none.
  static constexpr bool full_backlog_fails_connect = true;
  /// The kernel gives every local socket the sizes of the system.
  static constexpr bool accepted_socket_inherits_buffer_sizes = false;
  /// The kernel has no states of a connection to check for these.
  static constexpr bool shutdown_of_unconnected_succeeds = true;
  static constexpr auto read_of_unconnected = boost::asio::error::invalid_argument;
  static constexpr auto write_of_unconnected = boost::asio::error::not_connected;
  /// The default endpoint is the empty path.
  static constexpr auto connect_to_default_endpoint = boost::asio::error::invalid_argument;
  static constexpr bool keeps_its_peer_after_a_reset = true;
};

#ifndef ASIO_SHM_TEST_KERNEL_ONLY
template <>
struct differences<shm::stream_protocol> : tcp_behaviour
{
  /// The hang-up is seen before bytes are written that nobody would read.
  static constexpr bool first_write_after_close_succeeds = false;
  /// Whether a read can complete is seen in memory, not by an event.
  static constexpr bool asynchronous_read_after_eof_completes = true;
  /// The memory of a connection cannot leave with one descriptor.
  static constexpr bool release_of_connected_socket = false;
  /// One look at the connections may run the handlers of all that is ready, up to a slice of time.
  static constexpr int handlers_in_one_step = 8;
  /// The emulated network has both families everywhere.
  static constexpr bool ipv6_needs_the_machine = false;
  /// The descriptor is not where the bytes are.
  static constexpr bool takes_every_command = false;
  /// A ring is one stream.
  static constexpr bool has_out_of_band_data = false;
  /// The endpoints are known from the handshake on.
  static constexpr bool keeps_its_peer_after_a_reset = true;
};
#endif

} // namespace shm::test

#endif
