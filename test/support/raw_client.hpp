// SPDX-License-Identifier: BSL-1.0
// Clients that speak to a listener's AF_UNIX socket with bytes of their own.

#ifndef ASIO_SHM_TEST_SUPPORT_RAW_CLIENT_HPP
#define ASIO_SHM_TEST_SUPPORT_RAW_CLIENT_HPP

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace shm::test {

/// A descriptor that is closed with its owner.
class raw_descriptor
{
public:
  explicit raw_descriptor(int value = -1) : value_(value) {}
  raw_descriptor(raw_descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  raw_descriptor& operator=(raw_descriptor&& other) noexcept
  {
    std::swap(value_, other.value_);
    return *this;
  }
  ~raw_descriptor()
  {
    if (value_ >= 0)
      ::close(value_);
  }
  int get() const { return value_; }

  static raw_descriptor checked(int value, const char* what)
  {
    if (value < 0)
      throw std::system_error(errno, std::generic_category(), what);
    return raw_descriptor(value);
  }

private:
  int value_;
};

/// Bytes with the descriptors that travel on the first of them.
struct raw_message
{
  std::vector<unsigned char> bytes;
  std::vector<raw_descriptor> descriptors;

  std::vector<int> numbers() const
  {
    std::vector<int> result;
    for (const auto& one : descriptors)
      result.push_back(one.get());
    return result;
  }
};

inline sockaddr_un raw_address(const std::string& path)
{
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    throw std::system_error(ENAMETOOLONG, std::generic_category(), path);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

/// The socket file of the listener on 127.0.0.1 and a port.
inline std::string socket_file(unsigned short port)
{
  return std::string(std::getenv("ASIO_SHM_DIR")) + "/ip/127.0.0.1:" + std::to_string(port);
}

class raw_client
{
public:
  explicit raw_client(const std::string& path)
    : socket_(raw_descriptor::checked(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"))
  {
    const auto address = raw_address(path);
    if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      throw std::system_error(errno, std::generic_category(), "connect " + path);
  }

  /// Sends what the socket takes; a listener may hang up in the middle of it.
  void send(const void* data, std::size_t size, const std::vector<int>& descriptors = {})
  {
    iovec part{const_cast<void*>(data), size};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    std::vector<unsigned char> control(CMSG_SPACE(sizeof(int) * descriptors.size()));
    if (!descriptors.empty())
    {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
      std::memcpy(CMSG_DATA(header), descriptors.data(), sizeof(int) * descriptors.size());
    }
    [[maybe_unused]] const auto ignored = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  void send(const raw_message& message) { send(message.bytes.data(), message.bytes.size(), message.numbers()); }

private:
  raw_descriptor socket_;
};

/// A listener in place of a real one: it hears what a client of the library says.
class raw_listener
{
public:
  explicit raw_listener(const std::string& path)
    : socket_(raw_descriptor::checked(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"))
  {
    const auto address = raw_address(path);
    if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(socket_.get(), 10) != 0)
      throw std::system_error(errno, std::generic_category(), "listen " + path);
  }

  /// Takes the first message of the next client.
  raw_message hear()
  {
    const auto peer = raw_descriptor::checked(::accept(socket_.get(), nullptr, nullptr), "accept");
    raw_message result;
    result.bytes.resize(4096);
    iovec part{result.bytes.data(), result.bytes.size()};
    alignas(cmsghdr) unsigned char control[CMSG_SPACE(sizeof(int) * 16)];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const auto n = ::recvmsg(peer.get(), &message, MSG_CMSG_CLOEXEC);
    if (n < 0)
      throw std::system_error(errno, std::generic_category(), "recvmsg");
    result.bytes.resize(static_cast<std::size_t>(n));
    for (auto* h = CMSG_FIRSTHDR(&message); h; h = CMSG_NXTHDR(&message, h))
    {
      const std::size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (std::size_t i = 0; i != count; ++i)
      {
        int value;
        std::memcpy(&value, CMSG_DATA(h) + i * sizeof(int), sizeof value);
        result.descriptors.emplace_back(value);
      }
    }
    return result;
  }

private:
  raw_descriptor socket_;
};

} // namespace shm::test

#endif
