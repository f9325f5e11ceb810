// SPDX-License-Identifier: BSL-1.0
// A partition daemon whose other partition is this process, and which can be told to misbehave.
#ifndef ASIO_SHM_TEST_SUPPORT_FAKE_PARTITION_DAEMON_HPP
#define ASIO_SHM_TEST_SUPPORT_FAKE_PARTITION_DAEMON_HPP

#include "address_space.hpp"
#include "connection_memory.hpp"
#include "doorbell.hpp"
#include "rendezvous.hpp"
#include "sockaddr.hpp"

#include <boost/test/unit_test.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace shm {
namespace test {

/// In the daemon's threads, where Boost.Test's checks are not safe.
inline void fake_daemon_needs(bool holds, const char* what)
{
  if (!holds)
  {
    std::fprintf(stderr, "fake_partition_daemon: %s\n", what);
    std::abort();
  }
}

/// What comes with a slice.
struct granted_slice
{
  detail::hello message; ///< Of the kind slice.
  detail::memfd memory;  ///< Larger than the slice.
  detail::descriptor acceptor_bell, connector_bell;

  /// Memory for what was wanted, two pages into a memfd whose unused pages are not zero.
  static granted_slice make(const detail::hello& wanted)
  {
    boost::system::error_code ec;
    granted_slice result;
    result.message = wanted;
    result.message.memory = detail::memory_kind::slice;
    result.message.doorbell = detail::doorbell_kind::eventfd;
    result.message.offset = 2 * detail::page_size;
    const std::uint64_t size = wanted.geometry.size();
    result.memory = detail::memfd::create(size + 4 * detail::page_size, ec);
    fake_daemon_needs(!ec, "memory");
    void* const base = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, result.memory.native_handle(),
        static_cast<off_t>(result.message.offset));
    fake_daemon_needs(base != MAP_FAILED, "a mapping");
    std::memset(base, 0x5a, size); // what an earlier connection has left
    detail::connection_memory::initialise(base, wanted.geometry);
    ::munmap(base, size);
    result.acceptor_bell = detail::open_eventfd(ec);
    result.connector_bell = detail::open_eventfd(ec);
    fake_daemon_needs(!ec, "eventfds");
    return result;
  }

  void send(int socket) const
  {
    const int descriptors[] = {memory.native_handle(), acceptor_bell.get(), connector_bell.get()};
    boost::system::error_code ec;
    detail::send_hello(socket, detail::encode(message), descriptors, 3, ec);
    fake_daemon_needs(!ec, "a client that takes a HELLO");
  }
};

/// Listens where the daemon does. The runtime directory is that of the test.
class fake_partition_daemon
{
public:
  /// Called in a thread for each request; what it returns is kept open until the daemon ends.
  using answer = std::function<void(int client, const detail::hello& wanted)>;

  fake_partition_daemon(const std::string& hosts, answer how)
    : fake_partition_daemon(hosts, [how = std::move(how)](int client) { read_and_answer(client, how); })
  {
  }

  /// With what is done with a client before anything was read of it.
  fake_partition_daemon(const std::string& hosts, std::function<void(int client)> how) : serve_(std::move(how))
  {
    const std::string directory = std::string(std::getenv("ASIO_SHM_DIR")) + "/partition";
    std::filesystem::create_directory(directory);
    std::ofstream(directory + "/hosts") << hosts;
    boost::system::error_code ec;
    listening_ = detail::open_rendezvous_socket(ec);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_ = directory + "/daemon";
    ::unlink(path_.c_str());
    BOOST_TEST_REQUIRE(path_.size() < sizeof(address.sun_path));
    std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
    BOOST_TEST_REQUIRE(::bind(listening_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    BOOST_TEST_REQUIRE(::listen(listening_.get(), 16) == 0);
    stop_ = detail::open_eventfd(ec);
    thread_ = std::thread([this] { run(); });
  }

  ~fake_partition_daemon()
  {
    detail::ring_eventfd(stop_.get());
    thread_.join();
    std::filesystem::remove_all(std::filesystem::path(path_).parent_path());
  }

  /// Connects to the listener of the request and hands it the same slice, as the other partition's daemon would.
  static void introduce(int client, const detail::hello& wanted, const char* as_address = nullptr)
  {
    const granted_slice slice = granted_slice::make(wanted);
    boost::system::error_code ec;
    detail::descriptor socket = detail::open_rendezvous_socket(ec);
    detail::socket_address listener = wanted.acceptor;
    if (as_address)
      listener = ip(as_address, detail::port_of(wanted.acceptor));
    detail::connect_name(socket.get(), listener, ec);
    if (ec)
    {
      detail::send_refused(client, ec);
      return;
    }
    slice.send(socket.get());
    slice.send(client);
    wait_for_end(client, socket.get());
  }

  static detail::socket_address ip(const char* address, std::uint16_t port)
  {
    const boost::asio::ip::tcp::endpoint there(boost::asio::ip::make_address(address), port);
    detail::socket_address result;
    result.size = there.size();
    std::memcpy(result.data, there.data(), there.size());
    return result;
  }

private:
  // The sockets are closed when either end is.
  static void wait_for_end(int a, int b)
  {
    pollfd polled[2] = {{a, POLLIN | POLLRDHUP, 0}, {b, POLLIN | POLLRDHUP, 0}};
    ::poll(polled, 2, 30'000);
  }

  void run()
  {
    std::vector<std::thread> clients;
    for (;;)
    {
      pollfd polled[2] = {{listening_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
      ::poll(polled, 2, -1);
      if (polled[1].revents != 0)
        break;
      detail::descriptor client(::accept4(listening_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (client.valid())
        clients.emplace_back([this, client = std::move(client)] { serve_(client.get()); });
    }
    for (std::thread& client : clients)
      client.join();
  }

  static void read_and_answer(int client, const answer& how)
  {
    detail::hello_receiver receiver;
    boost::system::error_code ec;
    while (!receiver.receive(client, ec))
    {
      pollfd polled = {client, POLLIN, 0};
      ::poll(&polled, 1, 1000);
    }
    const std::optional<detail::hello> wanted = detail::decode(receiver.bytes(), ec);
    fake_daemon_needs(wanted.has_value() && wanted->memory == detail::memory_kind::wanted, "a HELLO that wants memory");
    how(client, *wanted);
  }

  std::function<void(int client)> serve_;
  std::string path_;
  detail::descriptor listening_;
  detail::descriptor stop_;
  std::thread thread_;
};

} // namespace test
} // namespace shm

#endif
