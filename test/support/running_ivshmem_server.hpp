// SPDX-License-Identifier: BSL-1.0
// An ivshmem server in a thread of its own, and clients of it.
#ifndef ASIO_SHM_TEST_SUPPORT_RUNNING_IVSHMEM_SERVER_HPP
#define ASIO_SHM_TEST_SUPPORT_RUNNING_IVSHMEM_SERVER_HPP

#include "partition_daemon.hpp"
#include "raw_ivshmem_client.hpp"
#include "temp_runtime_directory.hpp"

#include "ivshmem_server.hpp"
#include "region_layout.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <sys/mman.h>

namespace shm::test {

/// A server in a thread of its own.
class running_ivshmem_server
{
public:
  static constexpr std::uint64_t region_size = 4u << 20;

  explicit running_ivshmem_server(std::uint32_t partitions = 4, std::uint32_t vectors = 2, std::uint64_t size = region_size)
    : vectors_(vectors)
  {
    boost::system::error_code ec;
    server_.emplace(context_, partitiond::ivshmem_server::settings{path(), size, partitions, vectors}, ec);
    BOOST_TEST_REQUIRE(!ec, ec.message());
    thread_ = std::thread([this] { context_.run(); });
  }

  ~running_ivshmem_server()
  {
    context_.stop();
    thread_.join();
  }

  std::string path() const { return directory_.path() + "/server"; }
  std::uint32_t vectors() const { return vectors_; }

private:
  temp_directory directory_;
  std::uint32_t vectors_;
  boost::asio::io_context context_{1};
  std::optional<partitiond::ivshmem_server> server_;
  std::thread thread_;
};

/// One that is there and knows who else is.
struct member : raw_ivshmem_client
{
  explicit member(const running_ivshmem_server& server, std::size_t chunk = 8) : raw_ivshmem_client(server.path(), chunk)
  {
    be_greeted(server.vectors());
  }

  /// Reads until it knows these, with all their eventfds.
  void wait_for(const std::vector<std::int64_t>& numbers, std::size_t vectors)
  {
    const auto right = [&]
    {
      return std::all_of(numbers.begin(), numbers.end(),
          [&](std::int64_t one) { return bells.count(one) != 0 && bells[one].size() == vectors; });
    };
    while (!right())
      take();
  }
};

/// The header of the region as a member has it.
class mapped_header
{
public:
  explicit mapped_header(const raw_ivshmem_client& from)
    : base_(::mmap(nullptr, partitiond::header_size, PROT_READ, MAP_SHARED, from.memory.get(), 0))
  {
    BOOST_REQUIRE(base_ != MAP_FAILED);
  }
  ~mapped_header() { ::munmap(base_, partitiond::header_size); }
  mapped_header(const mapped_header&) = delete;
  mapped_header& operator=(const mapped_header&) = delete;
  const partitiond::region_header* operator->() const { return static_cast<const partitiond::region_header*>(base_); }

  /// Waits until the server has noticed that this one is there, or has left.
  void wait_until(std::size_t number, bool there) const
  {
    BOOST_TEST_REQUIRE(comes_true([&] { return ((*this)->present[number].load() != 0) == there; }));
  }

private:
  void* base_;
};

} // namespace shm::test

#endif
