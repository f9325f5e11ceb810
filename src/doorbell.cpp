// SPDX-License-Identifier: BSL-1.0
// eventfd(2) and send(2) as doorbells.
#include "doorbell.hpp"

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
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

bool is_eventfd(int fd) noexcept
{
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || (flags & O_NONBLOCK) == 0)
    return false;
  char link[32];
  char target[32] = {};
  std::snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  const ssize_t n = ::readlink(link, target, sizeof(target) - 1);
  return n > 0 && std::strcmp(target, "anon_inode:[eventfd]") == 0;
}

void ring_eventfd(int fd) noexcept
{
  const std::uint64_t one = 1;
  ssize_t n;
  do
    n = ::write(fd, &one, sizeof(one));
  while (n < 0 && errno == EINTR);
}

void drain_eventfd(int fd) noexcept
{
  std::uint64_t count;
  ssize_t n;
  do
    n = ::read(fd, &count, sizeof(count));
  while (n < 0 && errno == EINTR);
}

void doorbell::ring(int rendezvous_socket) noexcept
{
  if (kind() == doorbell_kind::eventfd)
  {
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
