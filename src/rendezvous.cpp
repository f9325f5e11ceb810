// SPDX-License-Identifier: BSL-1.0
// The system calls of the handshake.
#include "rendezvous.hpp"

#include <shm/error.hpp>

#include <boost/asio/error.hpp>

#include <cstring>
#include <sys/socket.h>
#include <unistd.h>

// The number on all architectures but alpha, mips, parisc and sparc.
#if !defined(SO_PASSRIGHTS) && (defined(__x86_64__) || defined(__aarch64__))
#define SO_PASSRIGHTS 83
#endif

namespace shm {
namespace detail {
namespace {

// What the kernel calls everybody whom the user namespace does not know: this may be two users.
constexpr uid_t overflow_user = 65534;

} // namespace

descriptor open_rendezvous_socket(boost::system::error_code& ec)
{
  descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.valid())
    ec.clear();
  else
    ec = last_error();
  return fd;
}

std::array<descriptor, 2> open_rendezvous_pair(boost::system::error_code& ec)
{
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
  {
    ec = last_error();
    return {};
  }
  ec.clear();
  return {descriptor(fds[0]), descriptor(fds[1])};
}

void refuse_descriptors(int socket) noexcept
{
#if defined(SO_PASSRIGHTS)
  const int off = 0;
  ::setsockopt(socket, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof(off));
#else
  static_cast<void>(socket);
#endif
}

void send_hello(int socket, const hello_bytes& bytes, const int* descriptors, std::size_t count,
    boost::system::error_code& ec)
{
  alignas(cmsghdr) unsigned char control[CMSG_SPACE(max_hello_descriptors * sizeof(int))] = {};
  iovec iov = {const_cast<unsigned char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  if (count != 0)
  {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    std::memcpy(CMSG_DATA(header), descriptors, count * sizeof(int));
  }

  ssize_t sent;
  do
    sent = ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent == static_cast<ssize_t>(bytes.size()))
  {
    if (count != 0) // else some are to come
      refuse_descriptors(socket);
    ec.clear();
  }
  else if (sent >= 0)
    ec = error::protocol_error; // cannot be: an empty socket takes 128 bytes at once
  else if (errno == ETOOMANYREFS || errno == EAGAIN)
    ec = boost::asio::error::try_again;
  else if (errno == EPIPE || errno == ECONNRESET)
    ec = boost::asio::error::connection_refused; // the listener closed between connect and here
  else
    ec = last_error();
}

void send_refused(int socket, const boost::system::error_code& reason) noexcept
{
  const refused_bytes bytes = encode_refused(reason);
  const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  static_cast<void>(sent);
}

bool get_peer_identity(int socket, peer_identity& identity) noexcept
{
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return false;
  identity = {credentials.uid, credentials.gid, credentials.pid};
  return true;
}

bool peer_is_same_user(int socket) noexcept
{
  peer_identity identity;
  return get_peer_identity(socket, identity) && identity.uid == ::geteuid() && identity.uid != overflow_user;
}

bool peer_may_lend_memory(int socket) noexcept
{
  peer_identity identity;
  return get_peer_identity(socket, identity)
      && (identity.uid == 0 || (identity.uid == ::geteuid() && identity.uid != overflow_user));
}

bool hello_receiver::refused(boost::system::error_code& reason) const noexcept
{
  if (have_ < refused_size || bytes_[0] != 'R')
    return false;
  reason = decode_refused(bytes_.data());
  return true;
}

bool hello_receiver::receive(int socket, boost::system::error_code& ec)
{
  ec.clear();
  for (;;)
  {
    // Room for more descriptors than are allowed, so that an extra one is seen and closed.
    alignas(cmsghdr) unsigned char control[CMSG_SPACE((max_hello_descriptors + 1) * sizeof(int))] = {};
    iovec iov = {bytes_.data() + have_, bytes_.size() - have_};
    msghdr message{};
    message.msg_iov = &iov;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    const ssize_t n = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
    {
      if (errno == EINTR)
        continue;
      if (errno == EAGAIN)
        return false;
      ec = last_error();
      return true;
    }
    bool extra = false;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header))
    {
      if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
        continue;
      const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (std::size_t i = 0; i < count; ++i)
      {
        int fd;
        std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
        descriptor received(fd);
        if (count_ < max_hello_descriptors)
          descriptors_[count_++] = static_cast<descriptor&&>(received);
        else
          extra = true;
      }
    }
    if (message.msg_flags & MSG_CTRUNC)
      ec = error::no_descriptors;
    else if (n == 0 || extra)
      ec = error::protocol_error;
    if (ec)
      return true;
    have_ += static_cast<std::size_t>(n);
    if (have_ == bytes_.size())
      return true;
  }
}

} // namespace detail
} // namespace shm
