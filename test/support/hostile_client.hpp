// SPDX-License-Identifier: BSL-1.0
// A client that speaks the handshake and owns the mapping with system calls and offsets alone, so that it can do
// everything wrong. It shares no code with the library: see doc/protocol.md for the numbers.

#ifndef ASIO_SHM_TEST_SUPPORT_HOSTILE_CLIENT_HPP
#define ASIO_SHM_TEST_SUPPORT_HOSTILE_CLIENT_HPP

#include "raw_client.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace shm::test {

/// Both rings have this shape.
struct hostile_geometry
{
  std::uint32_t segment_size = 4096;
  std::uint32_t segment_count = 4;

  std::uint64_t capacity() const { return std::uint64_t{segment_size} * segment_count; }
  std::uint64_t ring() const { return 4096 + (capacity() + 4095) / 4096 * 4096; }
  std::uint64_t region() const { return 4096 + 2 * ring(); }
};

/// Everything that an honest client would send, to be spoilt before or after it is sent.
class hostile_client
{
public:
  using bytes = std::array<unsigned char, 128>;
  static constexpr int good_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

  // Offsets in a control segment.
  static constexpr std::size_t newest = 0x000, shut_down = 0x008, end = 0x080, writer_wait = 0x280, oldest = 0x300,
                               begin = 0x380, reader_wait = 0x580;
  // Offsets in the header.
  static constexpr std::size_t attached = 0x080, connector_cpu = 0x100, acceptor_cpu = 0x180;

  explicit hostile_client(unsigned short port, hostile_geometry shape = {}, bool eventfds = true)
    : geometry(shape),
      socket(raw_descriptor::checked(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")),
      memory(make_memory(shape.region(), good_seals)),
      acceptor_bell(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      connector_bell(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      address_(raw_address(socket_file(port)))
  {
    map();
    write_header(base());
    const char magic[] = "ASIOSHM?";
    std::memcpy(hello.data(), magic, 8);
    put<std::uint32_t>(8, 1);
    put<std::uint32_t>(12, eventfds ? 0 : 1);
    for (const std::size_t at : {16u, 24u})
    {
      put(at, shape.segment_size);
      put(at + 4, shape.segment_count);
    }
    put(40, shape.region());
    put_endpoint(48, 50000);
    put_endpoint(80, port);
    descriptors.push_back(memory.get());
    if (eventfds)
      descriptors.insert(descriptors.end(), {acceptor_bell.get(), connector_bell.get()});
  }

  hostile_client(const hostile_client&) = delete;
  hostile_client& operator=(const hostile_client&) = delete;
  ~hostile_client() { unmap(); }

  template <typename Unsigned>
  void put(std::size_t at, Unsigned value)
  {
    for (std::size_t i = 0; i < sizeof value; ++i)
      hello[at + i] = static_cast<unsigned char>(value >> (8 * i));
  }

  /// @returns false if the backlog is full.
  bool connect()
  {
    return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address_), sizeof address_) == 0;
  }

  /// Sends any bytes with any descriptors. @returns what the kernel says.
  ssize_t send(const void* data, std::size_t size, const std::vector<int>& fds = {})
  {
    iovec part{const_cast<void*>(data), size};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    std::vector<unsigned char> control(CMSG_SPACE(sizeof(int) * fds.size()));
    if (!fds.empty())
    {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* const header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
      std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
    }
    return ::sendmsg(socket.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  void say_hello() { send(hello.data(), hello.size(), descriptors); }

  /// The reason in the REFUSED that came, 0 if none did.
  int refusal()
  {
    unsigned char got[64];
    const ssize_t n = ::recv(socket.get(), got, sizeof got, MSG_DONTWAIT);
    for (ssize_t i = 0; i + 5 <= n; ++i)
      if (got[i] == 'R')
        return got[i + 1] | got[i + 2] << 8 | got[i + 3] << 16 | got[i + 4] << 24;
    return 0;
  }

  bool hung_up() const
  {
    pollfd p = {socket.get(), POLLRDHUP, 0};
    return ::poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLRDHUP)) != 0;
  }

  bool is_attached() { return header_word(attached).load() != 0; }

  void hang_up() { socket = raw_descriptor(); }

  /// Wakes the honest side.
  void ring()
  {
    const std::uint64_t one = 1;
    if (::write(acceptor_bell.get(), &one, sizeof one) < 0)
      return;
  }

  // --- the mapping ---
  using word = std::atomic<std::uint64_t>;
  word& header_word(std::size_t at) { return *reinterpret_cast<word*>(base() + at); }
  /// Of the ring that this client writes.
  word& forth(std::size_t at) { return *reinterpret_cast<word*>(base() + 4096 + at); }
  /// Of the ring that the honest side writes.
  word& back(std::size_t at) { return *reinterpret_cast<word*>(base() + 4096 + geometry.ring() + at); }
  unsigned char* forth_data() { return base() + 4096 + 4096; }
  unsigned char* base() const { return static_cast<unsigned char*>(mapped_); }

  void unmap()
  {
    if (mapped_)
      ::munmap(std::exchange(mapped_, nullptr), geometry.region());
  }

  void write_header(unsigned char* at) const
  {
    std::memcpy(at, "ASIOSHM", 8);
    const std::uint32_t version = 1;
    std::memcpy(at + 8, &version, 4);
    const std::uint64_t size = geometry.region();
    std::memcpy(at + 16, &size, 8);
    for (const std::size_t ring : {24u, 32u})
    {
      std::memcpy(at + ring, &geometry.segment_size, 4);
      std::memcpy(at + ring + 4, &geometry.segment_count, 4);
    }
  }

  static raw_descriptor make_memory(std::uint64_t size, int seals, unsigned flags = 0)
  {
    raw_descriptor result(::memfd_create("asio-shm", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags));
    if (result.get() < 0)
      return result;
    if (::ftruncate(result.get(), static_cast<off_t>(size)) != 0)
      throw std::system_error(errno, std::generic_category(), "ftruncate");
    if (seals != 0 && ::fcntl(result.get(), F_ADD_SEALS, seals) != 0)
      throw std::system_error(errno, std::generic_category(), "F_ADD_SEALS");
    return result;
  }

  hostile_geometry geometry;
  raw_descriptor socket;
  raw_descriptor memory;
  raw_descriptor acceptor_bell;
  raw_descriptor connector_bell;
  bytes hello{};
  std::vector<int> descriptors;

private:
  void map()
  {
    mapped_ = ::mmap(nullptr, geometry.region(), PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
    if (mapped_ == MAP_FAILED)
      throw std::system_error(errno, std::generic_category(), "mmap");
  }

  void put_endpoint(std::size_t at, std::uint16_t port)
  {
    put<std::uint16_t>(at, 4);
    put<std::uint16_t>(at + 2, port);
    const unsigned char loopback[] = {127, 0, 0, 1};
    std::memcpy(&hello[at + 8], loopback, sizeof loopback);
  }

  sockaddr_un address_;
  void* mapped_ = nullptr;
};

} // namespace shm::test

#endif
