// SPDX-License-Identifier: BSL-1.0
// The error codes that only a connection through shared memory has.
#ifndef ASIO_SHM_ERROR_HPP
#define ASIO_SHM_ERROR_HPP

#include <boost/system/error_code.hpp>

#include <type_traits>

namespace shm {
namespace error {

/// Errors of shm::stream_protocol that have no counterpart in boost::asio::error.
/**
 * All other errors are Asio's own: @c boost::asio::error::connection_refused, @c eof and so on. A refused connection
 * reports its reason on the connector's first read or write. The values travel between processes of different builds,
 * so they never change.
 */
enum basic_errors
{
  /// The peer wrote control words into the shared memory that cannot be right; the connection has ended.
  corrupted = 1,

  /// The peer's handshake is malformed.
  protocol_error = 2,

  /// The peer speaks another version of the protocol.
  version_mismatch = 3,

  /// The ring sizes that the connector asked for exceed what the acceptor allows.
  geometry_refused = 4,

  /// The peer belongs to another user and that is not allowed here.
  untrusted_peer = 5,

  /// The peer's memory does not carry the seals that keep it from shrinking.
  unsealed_memory = 6,

  /// The runtime directory belongs to somebody else, or others may write to it and it is not one to share.
  unsafe_runtime_directory = 7,

  /// The acceptor had no file descriptor left for the connection.
  no_descriptors = 8,

  /// The acceptor could not map the memory of the connection; between partitions, the region has no room for it.
  no_memory = 9
};

/// The category of @ref basic_errors; its name is "asio.shm".
/**
 * The messages say what can be done about the error. These compare equal to conditions of boost::system::errc:
 * @c protocol_error to @c protocol_error, @c version_mismatch to @c protocol_not_supported, @c untrusted_peer and
 * @c unsafe_runtime_directory to @c permission_denied, @c no_descriptors to @c too_many_files_open, @c no_memory to
 * @c not_enough_memory.
 *
 * @par Thread Safety
 * Safe.
 */
const boost::system::error_category& get_category() noexcept;

/// Makes an error code of @p e. Found by argument-dependent lookup when an error code is made from the enumerator.
inline boost::system::error_code make_error_code(basic_errors e) noexcept
{
  return boost::system::error_code(static_cast<int>(e), get_category());
}

} // namespace error
} // namespace shm

namespace boost {
namespace system {

template <>
struct is_error_code_enum<shm::error::basic_errors> : std::true_type
{
};

} // namespace system
} // namespace boost

#endif
