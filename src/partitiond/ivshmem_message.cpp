// SPDX-License-Identifier: BSL-1.0
// Messages of an ivshmem server on a socket.
#include "ivshmem_message.hpp"

#include "message_bytes.hpp"

#include <shm/error.hpp>

#include <boost/asio/error.hpp>

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <utility>

namespace shm {
namespace partitiond {

using boost::system::error_code;

bool send_ivshmem_message(int socket, std::int64_t value, int attached) noexcept
{
  auto bytes = static_cast<std::uint64_t>(value); // this machine is little endian, like all that have such devices
  iovec part = {&bytes, sizeof(bytes)};
  alignas(cmsghdr) unsigned char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (attached >= 0)
  {
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &attached, sizeof(int));
  }
  ssize_t n;
  do
    n = ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  return n == static_cast<ssize_t>(sizeof(bytes));
}

bool ivshmem_receiver::receive(int socket, ivshmem_message& result, error_code& ec)
{
  iovec part = {bytes_.data() + have_, bytes_.size() - have_};
  alignas(cmsghdr) unsigned char control[CMSG_SPACE(2 * sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  ssize_t n;
  do
    n = ::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN)
    return false;
  for (cmsghdr* i = n > 0 ? CMSG_FIRSTHDR(&header) : nullptr; i; i = CMSG_NXTHDR(&header, i))
    for (std::size_t at = 0; i->cmsg_level == SOL_SOCKET && i->cmsg_type == SCM_RIGHTS
         && at + sizeof(int) <= i->cmsg_len - CMSG_LEN(0);
         at += sizeof(int))
    {
      int fd;
      std::memcpy(&fd, CMSG_DATA(i) + at, sizeof(int));
      if (attached_.valid())
        ec = error::protocol_error;
      attached_.reset(fd);
    }
  if (n < 0)
    ec = detail::last_error();
  else if (n == 0)
    ec = boost::asio::error::connection_reset;
  else if (!ec && (header.msg_flags & MSG_CTRUNC))
    ec = error::no_descriptors;
  if (ec)
    return false;
  have_ += static_cast<std::size_t>(n);
  if (have_ < bytes_.size())
    return false;
  have_ = 0;
  result.value = static_cast<std::int64_t>(detail::get<std::uint64_t>(bytes_.data()));
  result.attached = std::exchange(attached_, detail::descriptor());
  return true;
}

} // namespace partitiond
} // namespace shm
