// SPDX-License-Identifier: BSL-1.0
// A client of an ivshmem server as QEMU's device is one: it reads, and believes what it reads.
#ifndef ASIO_SHM_TEST_SUPPORT_RAW_IVSHMEM_CLIENT_HPP
#define ASIO_SHM_TEST_SUPPORT_RAW_IVSHMEM_CLIENT_HPP

#include "descriptor.hpp"

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace shm::test {

inline sockaddr_un socket_file(const std::string& path)
{
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  BOOST_REQUIRE(path.size() < sizeof(address.sun_path));
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

inline bool readable(int fd, int milliseconds = 20000)
{
  pollfd polled = {fd, POLLIN, 0};
  return ::poll(&polled, 1, milliseconds) == 1;
}

class raw_ivshmem_client
{
public:
  struct message
  {
    std::int64_t value = 0;
    detail::descriptor attached;
  };

  /// @param chunk How many bytes it reads at a time.
  explicit raw_ivshmem_client(const std::string& path, std::size_t chunk = 8)
    : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), chunk_(chunk)
  {
    const sockaddr_un address = socket_file(path);
    BOOST_REQUIRE(::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  }

  /// Reads some bytes of what there is, or waits for them. @returns whether there were that many.
  bool read(unsigned char* to, std::size_t size, detail::descriptor& attached)
  {
    for (std::size_t have = 0; have != size;)
    {
      BOOST_REQUIRE(readable(socket_.get()));
      iovec part = {to + have, std::min(chunk_, size - have)};
      alignas(cmsghdr) unsigned char control[CMSG_SPACE(sizeof(int))] = {};
      msghdr header{};
      header.msg_iov = &part;
      header.msg_iovlen = 1;
      header.msg_control = control;
      header.msg_controllen = sizeof(control);
      const ssize_t n = ::recvmsg(socket_.get(), &header, MSG_CMSG_CLOEXEC);
      if (n <= 0)
        return false;
      BOOST_REQUIRE((header.msg_flags & MSG_CTRUNC) == 0);
      if (const cmsghdr* const rights = CMSG_FIRSTHDR(&header))
      {
        BOOST_REQUIRE(rights->cmsg_type == SCM_RIGHTS);
        BOOST_REQUIRE(rights->cmsg_len == CMSG_LEN(sizeof(int)));
        BOOST_REQUIRE(!attached.valid());
        int fd;
        std::memcpy(&fd, CMSG_DATA(rights), sizeof(fd));
        attached.reset(fd);
      }
      have += static_cast<std::size_t>(n);
    }
    return true;
  }

  /// @returns whether there was another message, before the end of the connection.
  bool next(message& result)
  {
    unsigned char bytes[8];
    result = message();
    if (!read(bytes, sizeof(bytes), result.attached))
      return false;
    std::uint64_t value = 0;
    for (std::size_t i = sizeof(bytes); i != 0; --i)
      value = value << 8 | bytes[i - 1];
    result.value = static_cast<std::int64_t>(value);
    return true;
  }

  message next()
  {
    message result;
    BOOST_REQUIRE(next(result));
    return result;
  }

  /// Reads what a newcomer is told, up to the last one of its own eventfds.
  void be_greeted(std::size_t vectors)
  {
    BOOST_TEST(next().value == 0);
    id = next().value;
    message given = next();
    BOOST_TEST(given.value == -1);
    BOOST_REQUIRE(given.attached.valid());
    memory = std::move(given.attached);
    while (bells[id].size() != vectors)
      take();
  }

  /// Reads one message about a partition.
  void take()
  {
    message about = next();
    if (!about.attached.valid())
      BOOST_TEST(bells.erase(about.value) == 1u, about.value << " left, and nobody knew it");
    else
      bells[about.value].push_back(std::move(about.attached));
  }

  bool idle() const { return !readable(socket_.get(), 0); }
  int native_handle() const { return socket_.get(); }
  void close() { socket_.reset(); }

  std::int64_t id = -1;
  detail::descriptor memory;
  std::map<std::int64_t, std::vector<detail::descriptor>> bells; ///< Of everybody, by number and vector.

private:
  detail::descriptor socket_;
  std::size_t chunk_;
};

} // namespace shm::test

#endif
