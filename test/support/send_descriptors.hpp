// SPDX-License-Identifier: BSL-1.0
// Sends any bytes with any number of descriptors, as no correct client would.
#ifndef ASIO_SHM_TEST_SUPPORT_SEND_DESCRIPTORS_HPP
#define ASIO_SHM_TEST_SUPPORT_SEND_DESCRIPTORS_HPP

#include <cstddef>
#include <cstring>
#include <vector>

#include <sys/socket.h>
#include <sys/types.h>

namespace shm {
namespace test {

inline ssize_t send_with_descriptors(
    int socket, const void* data, std::size_t size, const std::vector<int>& descriptors)
{
  iovec iov = {const_cast<void*>(data), size};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  std::vector<unsigned char> control(CMSG_SPACE(descriptors.size() * sizeof(int)));
  if (!descriptors.empty())
  {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size() * sizeof(int));
  }
  return ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

} // namespace test
} // namespace shm

#endif
