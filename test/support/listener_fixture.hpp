// SPDX-License-Identifier: BSL-1.0
// A listener on a socket of its own and the clients that come to it.
#ifndef ASIO_SHM_TEST_SUPPORT_LISTENER_FIXTURE_HPP
#define ASIO_SHM_TEST_SUPPORT_LISTENER_FIXTURE_HPP

#include "address_space_fixture.hpp"
#include "doorbell.hpp"
#include "listener.hpp"
#include "send_descriptors.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <poll.h>
#include <sys/socket.h>

namespace shm {
namespace test {

/// A client with all that it would send; a test spoils one thing of it.
struct listener_client
{
  explicit listener_client(const std::string& path)
  {
    const detail::socket_address address = local(path);
    boost::system::error_code ec;
    socket = detail::open_rendezvous_socket(ec);
    BOOST_TEST_REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(address.data),
                           static_cast<socklen_t>(address.size))
        == 0);
    message.geometry = {{64, 2}, {64, 4}};
    message.connector = ip("127.0.0.1", 50000);
    message.acceptor = ip("127.0.0.1", 8080);
    memory = detail::connection_memory::create(message.geometry, file, ec);
    bells = {detail::open_eventfd(ec), detail::open_eventfd(ec)};
    BOOST_TEST_REQUIRE(!ec);
    descriptors = {file.native_handle(), bells[0].get(), bells[1].get()};
  }

  void say(const void* data, std::size_t size, bool with_descriptors) const
  {
    const std::vector<int> sent = with_descriptors ? descriptors : std::vector<int>();
    BOOST_TEST(send_with_descriptors(socket.get(), data, size, sent) == static_cast<ssize_t>(size));
  }

  void say_hello() const
  {
    const detail::hello_bytes bytes = detail::encode(message);
    say(bytes.data(), bytes.size(), true);
  }

  /// Why it was refused; no error if no reason came.
  boost::system::error_code refusal() const
  {
    unsigned char bytes[16];
    const ssize_t n = ::recv(socket.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
    detail::reply_parser parser;
    parser.feed(bytes, n > 0 ? static_cast<std::size_t>(n) : 0);
    return parser.refused();
  }

  bool dropped() const
  {
    pollfd p = {socket.get(), POLLIN, 0};
    return ::poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
  }

  detail::descriptor socket;
  detail::hello message;
  detail::memfd file;
  detail::connection_memory memory;
  std::array<detail::descriptor, 2> bells;
  std::vector<int> descriptors;
};

/// A listener on 127.0.0.1:8080; fails if a descriptor is left over.
struct listener_fixture
{
  listener_fixture() : before(open_descriptors()), path(directory.path() + "/listener")
  {
    const detail::socket_address address = local(path);
    socket = new_socket();
    BOOST_TEST_REQUIRE(
        ::bind(socket.get(), reinterpret_cast<const sockaddr*>(address.data), static_cast<socklen_t>(address.size)) == 0);
    BOOST_TEST_REQUIRE(::listen(socket.get(), 200) == 0);
    tested.on_forget([](void* self, int fd) { static_cast<listener_fixture*>(self)->forgotten.push_back(fd); }, this);
  }

  ~listener_fixture()
  {
    tested.clear();
    socket.reset();
    BOOST_TEST(open_descriptors() == before);
  }

  std::unique_ptr<detail::established> next()
  {
    boost::system::error_code ec;
    auto result = tested.next(socket.get(), ec);
    BOOST_TEST(!ec);
    return result;
  }

  /// Says what was spoilt, expects that the listener drops it for that reason and takes a good client behind it.
  template <typename Spoil>
  void expect_refused(const boost::system::error_code& reason, Spoil spoil)
  {
    listener_client bad(path);
    spoil(bad);
    bad.say_hello();
    listener_client good(path);
    good.say_hello();
    const auto end = next();
    BOOST_TEST(good.memory.attached());
    BOOST_TEST(!bad.memory.attached());
    BOOST_TEST((end != nullptr));
    BOOST_TEST(bad.refusal() == reason);
    BOOST_TEST(bad.dropped());
    BOOST_TEST(!good.refusal());
    BOOST_TEST(!good.dropped());
  }

  std::set<int> before;
  temp_directory directory;
  std::string path;
  detail::descriptor socket;
  std::vector<int> forgotten;
  detail::listener tested{ip("127.0.0.1", 8080)};
};

} // namespace test
} // namespace shm

#endif
