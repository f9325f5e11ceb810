// SPDX-License-Identifier: BSL-1.0
// One end of an established connection: its two rings, its wait words, its doorbell and how it ends.
#ifndef ASIO_SHM_SRC_CONNECTION_HPP
#define ASIO_SHM_SRC_CONNECTION_HPP

#include "connection_memory.hpp"
#include "copy_choice.hpp"
#include "doorbell.hpp"
#include "segment_ring.hpp"
#include "socket_options.hpp"

#include <shm/detail/socket_address.hpp>

#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace shm {
namespace detail {

/// Which end of a connection this is.
enum class connection_side
{
  connector,
  acceptor
};

/// Everything that makes up one end of a connection, before a socket owns it.
struct established
{
  connection_side side = connection_side::connector;
  connection_memory memory;
  descriptor rendezvous;
  doorbell bell;
  socket_address local;
  socket_address remote;
  bool other_system = false; ///< The peer is in another partition: its CPUs are not ours.
  socket_options options; ///< What the acceptor passes on to the sockets that it accepts.
  std::size_t identity = 0; ///< Same on both ends in one process; for ThreadSanitizer only.
};

/// One end of a connection. Nothing here blocks or locks: its socket's mutex guards every call.
///
/// End of the connection, as TCP has it: what was published is read first; then eof if the peer shut down, closed or
/// died, but once connection_reset if it went without having read everything that was sent to it.
class connection
{
public:
  explicit connection(established&& from) noexcept;

  /// Reads what is there. @returns false if there is nothing yet; else @p n bytes were read or @p ec says why not; 0
  /// bytes without an error are the end of the stream.
  bool try_receive(
      const mutable_view* views, std::size_t count, bool peek, std::size_t& n, boost::system::error_code& ec) noexcept;

  /// Writes what fits. @returns false if nothing does; else @p n bytes were taken or @p ec says why not.
  bool try_send(const const_view* views, std::size_t count, std::size_t& n, boost::system::error_code& ec) noexcept;

  /// Free space in the ring, at most @p n bytes, to be written to and then committed. Until then sends are refused
  /// with in_progress. @returns false if there is none; else @p space is not empty, or @p ec says why not.
  bool prepare(std::size_t n, mutable_view& space, boost::system::error_code& ec) noexcept;

  /// Publishes bytes at the beginning of what was prepared, and gives up the rest. @param ec invalid_argument if
  /// there are more of them than were prepared; then the preparation stays.
  void commit(std::size_t n, boost::system::error_code& ec) noexcept;

  /// Unread bytes in the ring. @returns false if there are none; else @p view is not empty, or @p ec says why, or
  /// neither: the end of the stream.
  bool look(const_view& view, boost::system::error_code& ec) noexcept;

  /// Frees bytes at the beginning of what look() has shown last. @param ec invalid_argument if there are more of them
  /// than were shown; a read hides what was shown before.
  void consume(std::size_t n, boost::system::error_code& ec) noexcept;

  bool readable() noexcept; ///< Whether try_receive() would return true.
  bool writable() noexcept; ///< Whether try_send() would return true.
  bool failed() const noexcept { return failure_.failed() || hung_up_; }

  std::size_t available(boost::system::error_code& ec) noexcept;

  void shutdown_receive() noexcept { receive_shut_down_ = true; }
  void shutdown_send() noexcept;

  /// Goes to sleep for the directions named: after this the peer rings when it has done something for them. The
  /// caller must look again after this and before it sleeps.
  void arm(bool receive, bool send) noexcept;

  /// Ends every sleep.
  void disarm() noexcept;

  /// Whether the peer is to ring.
  bool asleep() const noexcept { return ((reader_wait_ | writer_wait_) & 1) != 0; }

  /// Takes the rings out of the own doorbell (eventfd kind).
  void drain_doorbell() noexcept;

  /// The rendezvous socket is readable or hung up: takes rings, a refusal, the hang-up. Rings are left where they are
  /// while this side is awake.
  void on_rendezvous(bool hang_up) noexcept;

  /// Looks for a hang-up without waiting for the reactor, at most once in a while unless @p now.
  void look_for_hang_up(bool now) noexcept;

  /// Says on which CPU this side polls now. @returns whether the peer polls, or last polled, on the same one.
  bool shares_cpu_with_peer() noexcept;

  bool hung_up() const noexcept { return hung_up_; }
  /// Ends the connection as the destructor does; nothing but that may follow.
  void close_rendezvous() noexcept { rendezvous_.reset(); }

  int rendezvous() const noexcept { return rendezvous_.get(); }
  int own_doorbell() const noexcept { return bell_.own(); }
  const socket_address& local() const noexcept { return local_; }
  const socket_address& remote() const noexcept { return remote_; }
  std::uint64_t send_capacity() const noexcept;
  std::uint64_t receive_capacity() const noexcept;

private:
  bool refuses_send(boost::system::error_code& ec) noexcept;
  bool look_once(const_view& view, boost::system::error_code& ec) noexcept;
  bool receive_some(const mutable_view* views, std::size_t count, bool peek, std::size_t& n,
      boost::system::error_code& ec) noexcept;
  bool end_of_stream(boost::system::error_code& ec) noexcept;
  void corrupted() noexcept;
  void latch_hang_up() noexcept;
  void tell_of_freed_segment() noexcept;
  void ring_sleeper(const std::atomic<std::uint64_t>& wait_word, std::uint64_t& rung) noexcept;

  connection_side side_;
  connection_memory memory_;
  descriptor rendezvous_;
  doorbell bell_;
  socket_address local_;
  socket_address remote_;

  control_segment& send_control_;
  control_segment& receive_control_;
  std::atomic<std::uint64_t>& own_cpu_;
  const std::atomic<std::uint64_t>& peer_cpu_;
  std::uint64_t own_cpu_value_ = 0; // what own_cpu_ holds
  const bool other_system_;
  bool shares_cpu_ = false; // as shares_cpu_with_peer() found last
  copy_choice copies_;
  bool waited_for_space_ = false; // since the last write
  ring_writer writer_;
  ring_reader reader_;

  std::uint64_t reader_wait_ = 0;       // what our wait word for data holds
  std::uint64_t writer_wait_ = 0;       // what our wait word for space holds
  std::uint64_t reader_wait_rung_ = 0;  // the peer's sleep for data that was rung last
  std::uint64_t writer_wait_rung_ = 0;  // the peer's sleep for space that was rung last

  std::size_t prepared_ = 0; // bytes of space that the program writes to
  std::size_t shown_ = 0;    // bytes of data that the program looks at

  reply_parser replies_;
  boost::system::error_code failure_;   // ends everything: corrupted, refused
  bool reset_ = false;                  // report connection_reset once
  bool torn_ = false; // it was not the peer's program that ended the connection
  bool hung_up_ = false;
  bool receive_shut_down_ = false;
  bool send_shut_down_ = false;
  std::size_t identity_;
  std::chrono::steady_clock::time_point looked_{};
};

} // namespace detail
} // namespace shm

#endif
