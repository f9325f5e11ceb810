// SPDX-License-Identifier: BSL-1.0
// The server that QEMU's ivshmem-doorbell devices and other daemons of this machine connect to.
#ifndef ASIO_SHM_SRC_PARTITIOND_IVSHMEM_SERVER_HPP
#define ASIO_SHM_SRC_PARTITIOND_IVSHMEM_SERVER_HPP

#include "descriptor.hpp"
#include "memfd.hpp"
#include "region.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace shm {
namespace partitiond {

/// Makes the region, gives out numbers and eventfds, and tells everybody who comes and goes. After that nothing passes
/// through it: when it ends, those who are there can go on without it.
///
/// To a newcomer it says what is in ivshmem_message.hpp. To the others: <id> (+ eventfd) for each vector, unless they
/// have been told before: the eventfds belong to the number, whoever has it. Nobody is told that a number is gone (<id>
/// without an eventfd): QEMU 7.2 frees what it knows of it, and writes there when the number comes back. The region's
/// header says who is there, and each daemon is rung when that changes. Clients say nothing. What a partition writes over
/// the header is right again within a second.
///
/// Lives in one thread, that of the context; its constructor and destructor are called while that does not run.
class ivshmem_server
{
public:
  struct settings
  {
    std::string path;
    std::uint64_t size = 0;
    std::uint32_t partitions = 0;
    std::uint32_t vectors = 0;
  };

  /// @param ec address_in_use if another server listens there; invalid_argument if the region would be too small, or
  /// its size is not a power of two, as QEMU wants it; the system's error.
  ivshmem_server(boost::asio::io_context& context, const settings& wanted, boost::system::error_code& ec);

  /// Removes the socket's file, and hangs up.
  ~ivshmem_server();

  ivshmem_server(const ivshmem_server&) = delete;
  ivshmem_server& operator=(const ivshmem_server&) = delete;

private:
  using socket = boost::asio::local::stream_protocol::socket;
  using shared_descriptor = std::shared_ptr<const detail::descriptor>;

  struct message
  {
    std::int64_t value = 0;
    shared_descriptor attached; // or none
  };

  struct client
  {
    explicit client(socket&& from) : connection(std::move(from)), retry(connection.get_executor()) {}

    std::uint32_t id = 0;
    socket connection;
    boost::asio::steady_timer retry;
    std::vector<shared_descriptor> bells;
    std::deque<message> waiting; // no more than the eventfds of all numbers
    std::set<std::uint32_t> knows;
    bool writing = false;
    bool gone = false;
  };
  using pointer = std::shared_ptr<client>;

  void make_region(boost::system::error_code& ec);
  void listen(boost::system::error_code& ec);
  void accept();
  void join(socket&& from);
  void leave(const pointer& who);
  void watch(const pointer& who);
  void announce(const client& about, const pointer& to);
  void say(const pointer& to, std::int64_t value, shared_descriptor attached = nullptr);
  void write(const pointer& to);
  void set_present(std::uint32_t id, std::uint64_t since);
  void keep_header();

  boost::asio::io_context& context_;
  const settings wanted_;
  shared_descriptor memory_;
  boost::interprocess::mapped_region mapping_;
  std::array<unsigned char, offsetof(region_header, present)> constants_; // of the region's header, and the rest of it:
  std::array<std::uint64_t, max_partitions> present_{};
  boost::asio::steady_timer header_timer_;
  boost::asio::local::stream_protocol::acceptor acceptor_;
  bool bound_ = false;
  std::map<std::uint32_t, std::vector<shared_descriptor>> bells_; // by number, for whoever has it
  std::map<std::uint32_t, pointer> clients_;
};

} // namespace partitiond
} // namespace shm

#endif
