// SPDX-License-Identifier: BSL-1.0
// The handshake's messages as plain bytes: HELLO from the connector, REFUSED from the acceptor. No I/O here.
#ifndef ASIO_SHM_SRC_HELLO_HPP
#define ASIO_SHM_SRC_HELLO_HPP

#include "connection_memory.hpp"

#include <shm/detail/socket_address.hpp>

#include <boost/system/error_code.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace shm {
namespace detail {

/// How a sleeping peer is woken.
enum class doorbell_kind : std::uint32_t
{
  eventfd = 0, ///< Each side has an eventfd; both come with HELLO.
  socket = 1   ///< One byte over the rendezvous socket.
};

/// Where the memory of the connection is.
enum class memory_kind : std::uint32_t
{
  own = 0,    ///< The descriptor's memory is that of this connection, and nothing else.
  slice = 1,  ///< From the partition daemon: the memory is a part of what the descriptor maps.
  wanted = 2  ///< To the partition daemon: it is to be made by whoever gets this. Without descriptors.
};

/// What the connector says about a connection.
struct hello
{
  doorbell_kind doorbell = doorbell_kind::eventfd;
  memory_kind memory = memory_kind::own;
  std::uint64_t offset = 0; ///< Of a slice, for mmap(2).
  connection_geometry geometry{};
  socket_address connector; ///< The connector's emulated endpoint; size 0 for names and paths.
  socket_address acceptor;  ///< The endpoint that it connected to; size 0 for names and paths.

  /// Descriptors that travel with it: the memory, then the acceptor's and the connector's eventfd.
  std::size_t descriptors() const noexcept
  {
    return memory == memory_kind::wanted ? 0 : doorbell == doorbell_kind::eventfd ? 3 : 1;
  }
};

// HELLO, little endian, with SCM_RIGHTS on its first byte.
//
//   0   magic "ASIOSHM?"           32  offset of the memory, 64 bit; 0 unless it is a slice
//   8   version, 32 bit            40  its length, 64 bit
//   12  doorbell kind, 32 bit      48  connector's endpoint, 32 bytes
//   16  connector: segment_size,   80  acceptor's endpoint, 32 bytes
//   20    segment_count            112 memory kind, 32 bit
//   24  acceptor: segment_size,
//   28    segment_count
//
// The endpoints are those of message_bytes.hpp.
inline constexpr std::size_t hello_size = 128;
using hello_bytes = std::array<unsigned char, hello_size>;

hello_bytes encode(const hello& message) noexcept;

/// Reads a whole HELLO. @param ec error::protocol_error, error::version_mismatch or error::geometry_refused.
std::optional<hello> decode(const hello_bytes& bytes, boost::system::error_code& ec) noexcept;

/// What rings a doorbell of the socket kind.
inline constexpr unsigned char ring_byte = 0x01;

// REFUSED: 'R', then the reason as 32 bit little endian: a value of error::basic_errors, or 0x10000 and one of a few
// error numbers of Linux, which the partition daemon uses; of these, ECONNRESET says of a connection that the other
// partition has died: what was published counts.
inline constexpr std::size_t refused_size = 5;
using refused_bytes = std::array<unsigned char, refused_size>;

refused_bytes encode_refused(const boost::system::error_code& reason) noexcept;

/// @returns the reason; error::protocol_error for one that is not known.
boost::system::error_code decode_refused(const unsigned char* bytes) noexcept;

/// Reads what an acceptor sends after HELLO: rings, which mean nothing by themselves, and at most one REFUSED.
class reply_parser
{
public:
  /// Takes bytes in the order in which they came, in pieces of any size.
  void feed(const unsigned char* data, std::size_t size) noexcept;

  /// The reason of the refusal; no error while there is none.
  const boost::system::error_code& refused() const noexcept { return refused_; }

private:
  refused_bytes bytes_{};
  std::size_t have_ = 0;
  boost::system::error_code refused_;
};

} // namespace detail
} // namespace shm

#endif
