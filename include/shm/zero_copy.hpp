// SPDX-License-Identifier: BSL-1.0
// Writing into the shared memory and reading from it without a copy: prepare, commit, data, consume.
#ifndef ASIO_SHM_ZERO_COPY_HPP
#define ASIO_SHM_ZERO_COPY_HPP

#include <shm/detail/zero_copy_operations.hpp>
#include <shm/stream_protocol.hpp>

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/detail/throw_error.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>

namespace shm {

// The four functions are those of a dynamic buffer (Asio's DynamicBuffer_v1: prepare, commit, data, consume) whose memory
// is the connection's data segments.
//
// Lifetime: a buffer that prepare() or data() gave is valid until the next call of commit() or consume(), respectively,
// until the next send or receive on the socket, and until the socket is closed, released, assigned to or destroyed, or
// its context is; a socket that was moved keeps it. Access after that is undefined, as with a buffer that was freed.
//
// The bytes are in memory that the peer can write to at any time. Of a peer that you do not trust, copy what you check
// before you check it.

/// Gives free space in the memory that the peer reads, to be filled and then committed.
/**
 * Does not block. A call replaces what the one before has given, if that was not committed. Between prepare() and commit()
 * other sends on this socket, blocking or asynchronous, complete with @c boost::asio::error::in_progress; commit(socket, 0)
 * gives the space back.
 *
 * @param socket A connected socket.
 * @param size How much space is wanted, in bytes.
 * @param ec Set to indicate what error occurred, if any:
 * @c would_block if there is no space now; wait with <tt>socket.async_wait(socket.wait_write, ...)</tt>;
 * @c already_started if an asynchronous write or wait for writing is pending on the socket;
 * @c bad_descriptor, @c not_connected on a socket that is closed or not connected;
 * @c broken_pipe after shutdown(shutdown_send) or if the peer has closed, @c connection_reset if it has closed without
 * reading everything; @c shm::error::corrupted if the peer has damaged the shared memory.
 * @returns The space: at least one byte and at most @p size, often less, because it lies in one data segment. Empty if an
 * error occurred or @p size is 0.
 *
 * @par Thread Safety
 * Distinct sockets: safe. Shared sockets: unsafe, as for all operations; one strand for the functions here and for the
 * other operations on a socket.
 *
 * Source: DynamicBuffer_v1 of Boost.Asio; claim 1 of US 7,571,440: data segments.
 */
template <typename Executor>
boost::asio::mutable_buffer prepare(boost::asio::basic_stream_socket<stream_protocol, Executor>& socket,
    std::size_t size, boost::system::error_code& ec)
{
  detail::prepare_space command{size, {}};
  socket.io_control(command, ec);
  return command.space;
}

/// As above. @throws boost::system::system_error with the codes that the other overload sets @c ec to.
template <typename Executor>
boost::asio::mutable_buffer prepare(
    boost::asio::basic_stream_socket<stream_protocol, Executor>& socket, std::size_t size)
{
  boost::system::error_code ec;
  const boost::asio::mutable_buffer space = shm::prepare(socket, size, ec);
  boost::asio::detail::throw_error(ec, "prepare");
  return space;
}

/// Sends the first bytes of what prepare() gave; the rest is given back.
/**
 * Does not block. The peer cannot tell the bytes from those of a write.
 *
 * @param socket The socket.
 * @param size How many bytes, 0 to the size of the buffer.
 * @param ec Set to indicate what error occurred, if any; then nothing is sent:
 * @c invalid_argument if that much space was not prepared, or was committed already;
 * @c bad_descriptor, @c not_connected, @c broken_pipe, @c connection_reset, @c shm::error::corrupted as for prepare().
 *
 * @par Thread Safety
 * As prepare().
 */
template <typename Executor>
void commit(boost::asio::basic_stream_socket<stream_protocol, Executor>& socket, std::size_t size,
    boost::system::error_code& ec)
{
  detail::commit_space command{size};
  socket.io_control(command, ec);
}

/// As above. @throws boost::system::system_error with the codes that the other overload sets @c ec to.
template <typename Executor>
void commit(boost::asio::basic_stream_socket<stream_protocol, Executor>& socket, std::size_t size)
{
  boost::system::error_code ec;
  shm::commit(socket, size, ec);
  boost::asio::detail::throw_error(ec, "commit");
}

/// Shows bytes that the peer has sent, where they are.
/**
 * Does not block, and takes nothing: the same bytes, and perhaps more behind them, are shown again until they are consumed.
 *
 * @param socket A connected socket.
 * @param ec Set to indicate what error occurred, if any:
 * @c would_block if there is nothing now; wait with <tt>socket.async_wait(socket.wait_read, ...)</tt>;
 * @c already_started if an asynchronous read or wait for reading is pending on the socket;
 * @c eof at the end of the stream; @c connection_reset if the peer has closed without reading everything;
 * @c bad_descriptor, @c not_connected on a socket that is closed or not connected;
 * @c shm::error::corrupted if the peer has damaged the shared memory, or the reason why it refused the connection.
 * @returns The unread bytes that lie in one data segment, at least one. Empty if an error occurred.
 *
 * @par Thread Safety
 * As prepare().
 *
 * Source: DynamicBuffer_v1 of Boost.Asio; claim 1 of US 7,571,440: earliest unread segment, begin and end of its data.
 */
template <typename Executor>
boost::asio::const_buffer data(
    boost::asio::basic_stream_socket<stream_protocol, Executor>& socket, boost::system::error_code& ec)
{
  detail::look_at_data command{};
  socket.io_control(command, ec);
  return command.data;
}

/// As above. @throws boost::system::system_error with the codes that the other overload sets @c ec to.
template <typename Executor>
boost::asio::const_buffer data(boost::asio::basic_stream_socket<stream_protocol, Executor>& socket)
{
  boost::system::error_code ec;
  const boost::asio::const_buffer bytes = shm::data(socket, ec);
  boost::asio::detail::throw_error(ec, "data");
  return bytes;
}

/// Takes bytes off the stream that data() has shown: the peer may use their memory again.
/**
 * Does not block.
 *
 * @param socket The socket.
 * @param size How many bytes, 0 to the size of what data() has shown, less what was consumed of it already.
 * @param ec Set to indicate what error occurred, if any; then nothing is taken:
 * @c invalid_argument if that much was not shown since the last receive on the socket;
 * @c bad_descriptor, @c not_connected, @c shm::error::corrupted as for data().
 *
 * @par Thread Safety
 * As prepare().
 */
template <typename Executor>
void consume(boost::asio::basic_stream_socket<stream_protocol, Executor>& socket, std::size_t size,
    boost::system::error_code& ec)
{
  detail::consume_data command{size};
  socket.io_control(command, ec);
}

/// As above. @throws boost::system::system_error with the codes that the other overload sets @c ec to.
template <typename Executor>
void consume(boost::asio::basic_stream_socket<stream_protocol, Executor>& socket, std::size_t size)
{
  boost::system::error_code ec;
  shm::consume(socket, size, ec);
  boost::asio::detail::throw_error(ec, "consume");
}

} // namespace shm

#endif
