// SPDX-License-Identifier: BSL-1.0
// An ivshmem server that says what it is told to, right or wrong.
#ifndef ASIO_SHM_TEST_SUPPORT_FAKE_IVSHMEM_SERVER_HPP
#define ASIO_SHM_TEST_SUPPORT_FAKE_IVSHMEM_SERVER_HPP

#include "partition_region.hpp"
#include "raw_ivshmem_client.hpp"
#include "send_descriptors.hpp"
#include "socket_test.hpp"

#include "doorbell.hpp"
#include "ivshmem_client.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sys/socket.h>
#include <sys/un.h>

namespace shm::test {

/// Something that a server says: bytes, with descriptors.
struct saying
{
  std::int64_t value = 0;
  std::vector<int> attached;
};

using speech = std::vector<saying>;

inline void say(int socket, const saying& one)
{
  const auto bytes = static_cast<std::uint64_t>(one.value);
  BOOST_TEST_REQUIRE(send_with_descriptors(socket, &bytes, sizeof(bytes), one.attached) == 8);
}

/// A server that says what it is told to, with a region of 4 partitions that have 2 vectors.
class fake_ivshmem_server
{
public:
  fake_ivshmem_server() : listening_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0))
  {
    const sockaddr_un address = socket_file(path());
    BOOST_REQUIRE(::bind(listening_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    BOOST_REQUIRE(::listen(listening_.get(), 8) == 0);
    error_code ec;
    for (detail::descriptor& bell : bells)
      bell = detail::open_eventfd(ec);
  }

  std::string path() const { return directory_.path() + "/server"; }

  /// Number 1 of two.
  speech greeting() const
  {
    return {{0, {}}, {1, {}}, {-1, {memory()}}, {0, {bells[0].get()}}, {0, {bells[1].get()}}, {1, {bells[2].get()}},
        {1, {bells[3].get()}}};
  }

  int memory() const { return region_.place().descriptor; }

  /// A client to whom something is said meanwhile.
  std::unique_ptr<partitiond::ivshmem_client> meet(
      const std::function<void(int)>& talk, error_code& ec, std::chrono::milliseconds timeout = std::chrono::seconds(10))
  {
    connection.reset();
    std::promise<void> accepted;
    std::thread talking(
        [&]
        {
          connection.reset(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
          accepted.set_value();
          talk(connection.get());
        });
    auto result = partitiond::ivshmem_client::connect(path(), timeout, ec);
    accepted.get_future().wait();
    if (!result)
      ::shutdown(connection.get(), SHUT_RDWR); // for who talks without end
    talking.join();
    return result;
  }

  std::unique_ptr<partitiond::ivshmem_client> meet(
      const speech& said, error_code& ec, std::chrono::milliseconds timeout = std::chrono::seconds(10))
  {
    return meet(
        [&](int socket)
        {
          for (const saying& one : said)
          {
            const auto bytes = static_cast<std::uint64_t>(one.value);
            send_with_descriptors(socket, &bytes, sizeof(bytes), one.attached);
          }
        },
        ec, timeout);
  }

  std::unique_ptr<partitiond::ivshmem_client> meet()
  {
    error_code ec;
    auto result = meet(greeting(), ec);
    BOOST_TEST_REQUIRE(!ec, ec.message());
    return result;
  }

  detail::descriptor bells[6];
  detail::descriptor connection;

private:
  temp_directory directory_;
  partition_region region_;
  detail::descriptor listening_;
};

} // namespace shm::test

#endif
