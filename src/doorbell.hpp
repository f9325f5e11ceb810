// SPDX-License-Identifier: BSL-1.0
// What wakes a sleeping peer: an eventfd for each side, or a byte over the rendezvous socket.
#ifndef ASIO_SHM_SRC_DOORBELL_HPP
#define ASIO_SHM_SRC_DOORBELL_HPP

#include "descriptor.hpp"
#include "hello.hpp"

#include <boost/system/error_code.hpp>

namespace shm {
namespace detail {

/// A new eventfd, non-blocking, close-on-exec.
descriptor open_eventfd(boost::system::error_code& ec);

/// Whether a descriptor that came from a peer is a non-blocking eventfd.
bool is_eventfd(int fd) noexcept;

/// Whether one read takes all rings out of it, and it is not full: an eventfd that stays readable would keep whoever
/// sleeps on it awake. Takes the rings that are in it.
bool is_drainable(int eventfd) noexcept;

/// Makes an eventfd readable. Never blocks on one that is non-blocking.
void ring_eventfd(int fd) noexcept;

/// The pair of doorbells of one side of a connection: one's own and the peer's. Of the socket kind both are the
/// rendezvous socket, which belongs to the connection.
class doorbell
{
public:
  doorbell() = default;

  /// Who has a doorbell of the eventfd kind: the peer, which is trusted with it; or anybody who had it before, as of
  /// the vectors that the partition daemon gives to one connection after the other.
  enum class holders
  {
    peer,
    anybody
  };

  /// Doorbells of the eventfd kind.
  doorbell(descriptor own, descriptor peer, holders who) noexcept
    : own_(static_cast<descriptor&&>(own)), peer_(static_cast<descriptor&&>(peer)), shared_(who == holders::anybody)
  {
  }

  doorbell_kind kind() const noexcept { return own_.valid() ? doorbell_kind::eventfd : doorbell_kind::socket; }

  /// Wakes the peer; a doorbell that is full has been rung.
  void ring(int rendezvous_socket) noexcept;

  /// The eventfd on which this side is woken, or -1 for the socket kind.
  int own() const noexcept { return own_.get(); }

private:
  descriptor own_;
  descriptor peer_;
  bool shared_ = false;
};

} // namespace detail
} // namespace shm

#endif
