// SPDX-License-Identifier: BSL-1.0
// Both ends of a connection made by hand, and the words between them.
#ifndef ASIO_SHM_TEST_SUPPORT_CONNECTION_FIXTURE_HPP
#define ASIO_SHM_TEST_SUPPORT_CONNECTION_FIXTURE_HPP

#include "connection.hpp"
#include "pattern.hpp"
#include "rendezvous.hpp"

#include <boost/asio/error.hpp>
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace shm {
namespace test {

inline detail::descriptor duplicate(const detail::descriptor& from)
{
  detail::descriptor result(::dup(from.get()));
  BOOST_TEST_REQUIRE(result.valid());
  return result;
}

/// What each end of a connection owns, as the handshake would have left it.
struct connection_ends
{
  connection_ends(const detail::connection_geometry& geometry, detail::doorbell_kind kind, bool attached = true)
  {
    boost::system::error_code ec;
    connector.side = detail::connection_side::connector;
    connector.memory = detail::connection_memory::create(geometry, memory, ec);
    BOOST_TEST_REQUIRE(!ec);
    acceptor.side = detail::connection_side::acceptor;
    if (attached)
      acceptor.memory = detail::connection_memory::attach(geometry, memory, ec);
    BOOST_TEST_REQUIRE(!ec);
    auto sockets = detail::open_rendezvous_pair(ec);
    BOOST_TEST_REQUIRE(!ec);
    connector.rendezvous = std::move(sockets[0]);
    acceptor.rendezvous = std::move(sockets[1]);
    if (kind == detail::doorbell_kind::eventfd)
    {
      const detail::descriptor first = detail::open_eventfd(ec), second = detail::open_eventfd(ec);
      BOOST_TEST_REQUIRE(!ec);
      connector.bell = detail::doorbell(duplicate(first), duplicate(second), detail::doorbell::holders::peer);
      acceptor.bell = detail::doorbell(duplicate(second), duplicate(first), detail::doorbell::holders::peer);
    }
  }

  detail::memfd memory;
  detail::established connector;
  detail::established acceptor;
};

/// One end and what a test asks of it.
class connection_end
{
public:
  using error_code = boost::system::error_code;

  void open(detail::established&& from) { end_.emplace(std::move(from)); }
  void hang_up() { end_.reset(); }
  detail::connection* operator->() { return &*end_; }

  /// Sends the next bytes of this end's stream. @returns how many were taken; ec as try_send() gave it.
  std::size_t send(std::size_t size)
  {
    const std::vector<unsigned char> bytes = stream.bytes(size, sent);
    const detail::const_view view = {bytes.data(), bytes.size()};
    std::size_t n = 0;
    ec = {};
    ready = end_->try_send(&view, 1, n, ec);
    sent += n;
    return n;
  }

  /// Receives from the other end's stream. @returns how many came, 0 if they were not the right ones.
  std::size_t receive(std::size_t size, bool peek = false)
  {
    std::vector<unsigned char> bytes(size);
    const detail::mutable_view view = {bytes.data(), bytes.size()};
    std::size_t n = 0;
    ec = {};
    ready = end_->try_receive(&view, 1, peek, n, ec);
    if (!stream.matches(bytes.data(), n, received))
      return 0;
    received += peek ? 0 : n;
    return n;
  }

  /// Takes the rings of this end since the last call; both kinds count each of them.
  std::uint64_t rings()
  {
    if (end_->own_doorbell() >= 0)
    {
      std::uint64_t count = 0;
      return ::read(end_->own_doorbell(), &count, sizeof(count)) == static_cast<ssize_t>(sizeof(count)) ? count : 0;
    }
    int bytes = 0;
    BOOST_TEST_REQUIRE(::ioctl(end_->rendezvous(), FIONREAD, &bytes) == 0);
    std::vector<char> taken(static_cast<std::size_t>(bytes) + 1);
    const ssize_t n = ::recv(end_->rendezvous(), taken.data(), taken.size(), MSG_DONTWAIT);
    BOOST_TEST((n == bytes || bytes == 0));
    return static_cast<std::uint64_t>(bytes);
  }

  error_code ec;
  bool ready = false;
  pattern stream{3};
  std::uint64_t sent = 0;
  std::uint64_t received = 0;

private:
  std::optional<detail::connection> end_;
};

/// Small rings, and their control segments in the open.
struct connection_fixture
{
  explicit connection_fixture(detail::doorbell_kind kind = detail::doorbell_kind::eventfd)
    : connection_fixture(connection_ends({{64, 2}, {64, 4}}, kind))
  {
  }

  /// What the connector writes and what the acceptor writes.
  detail::control_segment& forth() { return words.connector_control(); }
  detail::control_segment& back() { return words.acceptor_control(); }

  detail::connection_memory words;
  connection_end connector;
  connection_end acceptor;

private:
  explicit connection_fixture(connection_ends ends)
  {
    boost::system::error_code ec;
    words = detail::connection_memory::attach(ends.connector.memory.geometry(), ends.memory, ec);
    BOOST_TEST_REQUIRE(!ec);
    connector.open(std::move(ends.connector));
    acceptor.open(std::move(ends.acceptor));
  }
};

} // namespace test
} // namespace shm

#endif
