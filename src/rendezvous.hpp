// SPDX-License-Identifier: BSL-1.0
// Sending and receiving the handshake over an AF_UNIX socket, with descriptors by SCM_RIGHTS.
#ifndef ASIO_SHM_SRC_RENDEZVOUS_HPP
#define ASIO_SHM_SRC_RENDEZVOUS_HPP

#include "descriptor.hpp"
#include "hello.hpp"

#include <boost/system/error_code.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace shm {
namespace detail {

inline constexpr std::size_t max_hello_descriptors = 3;

/// A new AF_UNIX stream socket, non-blocking, close-on-exec.
descriptor open_rendezvous_socket(boost::system::error_code& ec);

/// Both ends of a connected pair of them.
std::array<descriptor, 2> open_rendezvous_pair(boost::system::error_code& ec);

/// From now on the peer cannot send descriptors over this socket; without effect on kernels before 6.16. Those that come
/// nevertheless are closed unseen by whoever receives without room for them.
void refuse_descriptors(int socket) noexcept;

/// Sends HELLO and its descriptors, if there are any; after that it takes none. @param ec asio::error::try_again when the kernel has
/// too many descriptors in flight for this user: the same call succeeds later.
void send_hello(int socket, const hello_bytes& bytes, const int* descriptors, std::size_t count,
    boost::system::error_code& ec);

/// Tells a connector why it is not accepted; whether it arrives does not matter.
void send_refused(int socket, const boost::system::error_code& reason) noexcept;

/// The kernel's word on the process at the other end. @returns false if it cannot be had.
struct peer_identity
{
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::int32_t pid = 0;
};
bool get_peer_identity(int socket, peer_identity& identity) noexcept;

/// Whether the process at the other end belongs to the user of this process.
bool peer_is_same_user(int socket) noexcept;

/// Whether memory and doorbells of that process may be used which it could take away or block: it belongs to the user of
/// this process or to root, as the partition daemon does.
bool peer_may_lend_memory(int socket) noexcept;

/// Receives one HELLO in as many pieces as it comes in. Never blocks.
class hello_receiver
{
public:
  /// Takes what is there. @returns true when the HELLO is complete or failed (then @p ec says why).
  bool receive(int socket, boost::system::error_code& ec);

  const hello_bytes& bytes() const noexcept { return bytes_; }

  /// Whether the answer is REFUSED, and why. Without it, receive() fails as soon as the other end is closed.
  bool refused(boost::system::error_code& reason) const noexcept;

  /// Number of descriptors that came, and the nth of them, to be taken.
  std::size_t descriptors() const noexcept { return count_; }
  descriptor take_descriptor(std::size_t n) noexcept { return static_cast<descriptor&&>(descriptors_[n]); }

private:
  hello_bytes bytes_{};
  std::size_t have_ = 0;
  std::array<descriptor, max_hello_descriptors> descriptors_;
  std::size_t count_ = 0;
};

} // namespace detail
} // namespace shm

#endif
