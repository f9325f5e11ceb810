// SPDX-License-Identifier: BSL-1.0
// Applications as the partition daemon sees them, without the library's sockets: HELLO, memory and doorbells by hand.

#ifndef ASIO_SHM_TEST_SUPPORT_PARTITION_APPLICATION_HPP
#define ASIO_SHM_TEST_SUPPORT_PARTITION_APPLICATION_HPP

#include "partition_daemon.hpp"
#include "raw_client.hpp"

#include "connection_memory.hpp"
#include "hello.hpp"
#include "rendezvous.hpp"
#include "shared_eventfd.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/test/unit_test.hpp>

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

namespace shm::test {

inline detail::socket_address socket_address_of(const std::string& address, unsigned short port)
{
  const boost::asio::ip::tcp::endpoint endpoint(boost::asio::ip::make_address(address), port);
  detail::socket_address result;
  result.size = endpoint.size();
  std::memcpy(result.data, endpoint.data(), endpoint.size());
  return result;
}

inline std::string address_of(const detail::socket_address& address)
{
  boost::asio::ip::tcp::endpoint endpoint;
  std::memcpy(endpoint.data(), address.data, address.size);
  endpoint.resize(address.size);
  return endpoint.address().to_string();
}

/// One end of a connection between partitions.
class application
{
public:
  /// A connector, connected to the daemon that has this runtime directory.
  explicit application(const std::string& directory)
  {
    boost::system::error_code ec;
    socket_ = detail::open_rendezvous_socket(ec);
    const auto address = raw_address(directory + "/partition/daemon");
    // A full backlog is the kernel's way to say "later".
    BOOST_REQUIRE(comes_true(
        [&]
        {
          return ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
                 errno != EAGAIN;
        }));
  }

  /// What a listener has accepted.
  explicit application(detail::descriptor accepted) : socket_(std::move(accepted)) { acceptor_ = true; }

  void ask(const std::string& address, unsigned short port, std::uint32_t segment_size = 128 * 1024)
  {
    detail::hello wanted;
    wanted.memory = detail::memory_kind::wanted;
    wanted.geometry = {{segment_size, 16}, {segment_size, 16}};
    wanted.connector = socket_address_of("0.0.0.0", 40000);
    wanted.acceptor = socket_address_of(address, port);
    say(wanted);
  }

  void say(const detail::hello& message)
  {
    boost::system::error_code ec;
    detail::send_hello(socket_.get(), encode(message), nullptr, 0, ec);
    // Who is refused for what it is may be refused before it has said anything.
    BOOST_TEST((!ec || ec == boost::asio::error::connection_refused));
  }

  /// Why it was refused; no error if it was not.
  boost::system::error_code reason()
  {
    boost::system::error_code result;
    wait_for_answer();
    receiver_.refused(result);
    return result;
  }

  void wait_for_slice()
  {
    BOOST_REQUIRE_MESSAGE(!reason(), reason().message());
    BOOST_REQUIRE((message_.memory == detail::memory_kind::slice));
    BOOST_REQUIRE(receiver_.descriptors() == 3U);
  }

  const detail::hello& message() const { return message_; }

  void map()
  {
    const detail::memfd memory(receiver_.take_descriptor(0));
    boost::system::error_code ec;
    memory_ = detail::connection_memory::attach_slice(message_.geometry, memory, message_.offset, acceptor_, ec);
    BOOST_REQUIRE_MESSAGE(!ec, ec.message());
    detail::descriptor of_acceptor = receiver_.take_descriptor(1);
    detail::descriptor of_connector = receiver_.take_descriptor(2);
    own_ = std::move(acceptor_ ? of_acceptor : of_connector);
    peer_ = std::move(acceptor_ ? of_connector : of_acceptor);
  }

  /// The control segment of the ring that the connector, or the acceptor, writes.
  detail::control_segment& control(bool of_connector)
  {
    return of_connector ? memory_.connector_control() : memory_.acceptor_control();
  }

  void ring_peer() { detail::ring_shared_eventfd(peer_.get()); }

  /// What nobody should do with eventfds that others ring.
  void fill_doorbells()
  {
    const std::uint64_t most = ~std::uint64_t{0} - 1;
    for (const int eventfd : {own_.get(), peer_.get()})
    {
      ::fcntl(eventfd, F_SETFL, O_RDWR | O_NONBLOCK);
      do
        detail::drain_eventfd(eventfd);
      while (::write(eventfd, &most, sizeof most) < 0); // somebody else was faster
      ::fcntl(eventfd, F_SETFL, O_RDWR); // blocks from now on
    }
  }

  bool rung() const
  {
    pollfd bell = {own_.get(), POLLIN, 0};
    return ::poll(&bell, 1, 0) == 1;
  }

  bool hung_up() const
  {
    pollfd socket = {socket_.get(), POLLIN | POLLRDHUP, 0};
    return ::poll(&socket, 1, 0) == 1 && (socket.revents & (POLLRDHUP | POLLHUP)) != 0;
  }

  void close() { socket_.reset(); }

private:
  void wait_for_answer()
  {
    if (answered_)
      return;
    answered_ = true;
    boost::system::error_code ec;
    BOOST_REQUIRE_MESSAGE(comes_true([&] { return receiver_.receive(socket_.get(), ec); }), "no answer");
    boost::system::error_code refused;
    if (receiver_.refused(refused))
      return;
    BOOST_REQUIRE_MESSAGE(!ec, ec.message());
    const auto message = detail::decode(receiver_.bytes(), ec);
    BOOST_REQUIRE_MESSAGE(!ec, ec.message());
    message_ = *message;
  }

  bool acceptor_ = false;
  bool answered_ = false;
  detail::descriptor socket_;
  detail::hello_receiver receiver_;
  detail::hello message_;
  detail::connection_memory memory_;
  detail::descriptor own_, peer_;
};

/// Says HELLO as to a listener.
inline void hello_bytes_of_own_memory(application& to)
{
  detail::hello message;
  message.doorbell = detail::doorbell_kind::socket;
  message.geometry = {{4096, 16}, {4096, 16}};
  message.connector = socket_address_of("10.9.8.1", 40000);
  message.acceptor = socket_address_of("10.9.8.2", 80);
  to.say(message);
}

/// Listens in the runtime directory of a partition.
class fake_listener
{
public:
  /// @param name Address and port.
  fake_listener(const std::string& directory, const std::string& name)
  {
    ::mkdir((directory + "/ip").c_str(), 0700);
    boost::system::error_code ec;
    socket_ = detail::open_rendezvous_socket(ec);
    const auto address = raw_address(directory + "/ip/" + name);
    BOOST_REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    BOOST_REQUIRE(::listen(socket_.get(), 10) == 0);
  }

  /// Waits for the next connection and its HELLO.
  std::unique_ptr<application> accept()
  {
    detail::descriptor accepted;
    BOOST_REQUIRE_MESSAGE(comes_true(
                              [&]
                              {
                                accepted.reset(
                                    ::accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
                                return accepted.valid();
                              }),
        "no connection");
    auto result = std::make_unique<application>(std::move(accepted));
    result->wait_for_slice();
    return result;
  }

  /// Whether somebody has connected.
  bool pending() const
  {
    pollfd socket = {socket_.get(), POLLIN, 0};
    return ::poll(&socket, 1, 0) == 1;
  }

private:
  detail::descriptor socket_;
};

} // namespace shm::test

#endif
