// SPDX-License-Identifier: BSL-1.0
// eventfd(2) and send(2) as doorbells.
#include "doorbell.hpp"

#include "shared_eventfd.hpp"

#include <cstdint>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace shm {
namespace detail {

descriptor open_eventfd(boost::system::error_code& ec)
{
  descriptor fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (fd.valid())
    ec.clear();
  else
    ec = last_error();
  return fd;
}

// What /proc says about a descriptor takes longer to find out than all else in accepting a connection. Of what has no
// file system of its own, an eventfd alone takes a number that changes nothing.
bool is_eventfd(int fd) noexcept
{
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || (flags & O_NONBLOCK) == 0)
    return false;
  struct statfs system;
  if (::fstatfs(fd, &system) != 0 || system.f_type != ANON_INODE_FS_MAGIC)
    return false;
  const std::uint64_t nothing = 0;
  return ::write(fd, &nothing, sizeof(nothing)) == static_cast<ssize_t>(sizeof(nothing));
}

// Of the semaphore kind, which nothing else tells, a read takes one.
bool is_drainable(int eventfd) noexcept
{
  const std::uint64_t two = 2;
  std::uint64_t taken = 0;
  return ::write(eventfd, &two, sizeof(two)) == static_cast<ssize_t>(sizeof(two))
      && ::read(eventfd, &taken, sizeof(taken)) == static_cast<ssize_t>(sizeof(taken)) && taken >= two;
}

void ring_eventfd(int fd) noexcept
{
  const std::uint64_t one = 1;
  ssize_t n;
  do
    n = ::write(fd, &one, sizeof(one));
  while (n < 0 && errno == EINTR);
}

void doorbell::ring(int rendezvous_socket) noexcept
{
  if (kind() == doorbell_kind::eventfd)
  {
    if (shared_)
      ring_shared_eventfd(peer_.get());
    else
      ring_eventfd(peer_.get());
    return;
  }
  ssize_t n;
  do
    n = ::send(rendezvous_socket, &ring_byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
}

} // namespace detail
} // namespace shm
