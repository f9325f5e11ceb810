// SPDX-License-Identifier: BSL-1.0
// Tests of HELLO and its descriptors on their way through an AF_UNIX socket.
#define BOOST_TEST_MODULE rendezvous
#include "address_space_fixture.hpp"
#include "doorbell.hpp"
#include "rendezvous.hpp"
#include "send_descriptors.hpp"

#include <shm/error.hpp>

#include <boost/asio/error.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace shm::detail;
using boost::system::error_code;
using shm::test::open_descriptors;

namespace {

hello_bytes sample()
{
  hello message;
  message.geometry = {{64, 2}, {64, 2}};
  return encode(message);
}

/// A connected pair, three descriptors to send, and the receiver; fails if a descriptor is left over.
struct fixture
{
  fixture() : before(open_descriptors())
  {
    error_code error;
    sockets = open_rendezvous_pair(error);
    BOOST_TEST_REQUIRE(!error);
    for (descriptor& bell : bells)
      bell = open_eventfd(error);
    BOOST_TEST_REQUIRE(!error);
  }

  ~fixture()
  {
    receiver = hello_receiver();
    sockets = {};
    bells = {};
    BOOST_TEST(open_descriptors() == before);
  }

  std::vector<int> numbers(std::size_t count) const
  {
    std::vector<int> result;
    for (std::size_t i = 0; i < count; ++i)
      result.push_back(bells[i % bells.size()].get());
    return result;
  }

  void send(const void* data, std::size_t size, std::size_t descriptors = 0)
  {
    BOOST_TEST_REQUIRE(shm::test::send_with_descriptors(sockets[0].get(), data, size, numbers(descriptors))
        == static_cast<ssize_t>(size));
  }

  bool receive() { return receiver.receive(sockets[1].get(), ec); }

  std::set<int> before;
  std::array<descriptor, 2> sockets;
  std::array<descriptor, 3> bells;
  hello_receiver receiver;
  error_code ec;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(rendezvous, fixture)

BOOST_AUTO_TEST_CASE(sockets_are_non_blocking_and_closed_on_exec)
{
  const descriptor single = open_rendezvous_socket(ec);
  BOOST_TEST(!ec);
  for (const int fd : {single.get(), sockets[0].get(), sockets[1].get()})
  {
    BOOST_TEST((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    BOOST_TEST((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  }
}

BOOST_AUTO_TEST_CASE(a_hello_arrives_with_its_descriptors_in_order)
{
  for (const std::size_t count : {1u, 3u})
  {
    receiver = hello_receiver();
    BOOST_TEST(!receive());
    BOOST_TEST(!ec);
    send_hello(sockets[0].get(), sample(), numbers(count).data(), count, ec);
    BOOST_TEST(!ec);
    BOOST_TEST_REQUIRE(receive());
    BOOST_TEST(!ec);
    BOOST_TEST(receiver.bytes() == sample(), boost::test_tools::per_element());
    BOOST_TEST_REQUIRE(receiver.descriptors() == count);
    for (std::size_t i = 0; i < count; ++i)
    {
      const descriptor received = receiver.take_descriptor(i);
      BOOST_TEST(received.get() != bells[i].get());
      BOOST_TEST((::fcntl(received.get(), F_GETFD) & FD_CLOEXEC) != 0);
      // The same eventfd: what is rung here is heard there.
      ring_eventfd(received.get());
      std::uint64_t rung = 0;
      BOOST_TEST(::read(bells[i].get(), &rung, sizeof(rung)) == static_cast<ssize_t>(sizeof(rung)));
    }
  }
}

BOOST_AUTO_TEST_CASE(descriptors_that_nobody_takes_are_closed)
{
  send_hello(sockets[0].get(), sample(), numbers(3).data(), 3, ec);
  BOOST_TEST(receive());
  BOOST_TEST(receiver.descriptors() == 3u);
}

BOOST_AUTO_TEST_CASE(a_hello_comes_in_pieces)
{
  const hello_bytes bytes = sample();
  for (const std::size_t piece : {1u, 2u, 3u, 17u, 64u, 127u})
  {
    receiver = hello_receiver();
    for (std::size_t at = 0; at < bytes.size(); at += piece)
    {
      BOOST_REQUIRE(!receive());
      BOOST_REQUIRE(!ec);
      send(&bytes[at], std::min(piece, bytes.size() - at), at == 0 ? 3 : 0);
    }
    BOOST_REQUIRE(receive());
    BOOST_TEST(!ec);
    BOOST_TEST((receiver.bytes() == bytes));
    BOOST_TEST(receiver.descriptors() == 3u);
  }
}

BOOST_AUTO_TEST_CASE(a_client_that_goes_before_the_end_is_a_protocol_error)
{
  const hello_bytes bytes = sample();
  for (const std::size_t size : {0u, 1u, 64u, 127u})
  {
    receiver = hello_receiver();
    sockets = open_rendezvous_pair(ec);
    if (size > 0)
      send(bytes.data(), size, 3);
    BOOST_TEST(!receive());
    sockets[0].reset();
    BOOST_TEST(receive());
    BOOST_TEST(ec == shm::error::protocol_error);
  }
}

BOOST_AUTO_TEST_CASE(a_hello_without_descriptors_is_complete)
{
  send(sample().data(), hello_size);
  BOOST_TEST(receive());
  BOOST_TEST(!ec);
  BOOST_TEST(receiver.descriptors() == 0u);
}

BOOST_AUTO_TEST_CASE(too_many_descriptors_are_closed_and_refused)
{
  send(sample().data(), hello_size, 4);
  BOOST_TEST(receive());
  BOOST_TEST(ec == shm::error::protocol_error);
  for (const std::size_t count : {5u, 16u, 253u})
  {
    receiver = hello_receiver();
    sockets = open_rendezvous_pair(ec);
    send(sample().data(), hello_size, count);
    BOOST_TEST(receive());
    // The kernel cuts what has no room, as it does when this process has no descriptor left.
    BOOST_TEST((ec == shm::error::protocol_error || ec == shm::error::no_descriptors));
  }
}

BOOST_AUTO_TEST_CASE(descriptors_on_every_byte_are_too_many_as_well)
{
  const hello_bytes bytes = sample();
  for (std::size_t i = 0; i < 4; ++i)
    send(&bytes[i], 1, 1);
  BOOST_TEST(receive());
  BOOST_TEST(ec == shm::error::protocol_error);
}

BOOST_AUTO_TEST_CASE(bytes_behind_the_hello_stay_in_the_socket)
{
  std::vector<unsigned char> bytes(hello_size + 3);
  std::memcpy(bytes.data(), sample().data(), hello_size);
  bytes[hello_size] = 'a';
  bytes[hello_size + 1] = 'b';
  bytes[hello_size + 2] = 'c';
  send(bytes.data(), bytes.size(), 1);
  BOOST_TEST(receive());
  BOOST_TEST(!ec);
  char rest[8] = {};
  BOOST_TEST(::recv(sockets[1].get(), rest, sizeof(rest), MSG_DONTWAIT) == 3);
  BOOST_TEST(std::string(rest) == "abc");
}

BOOST_AUTO_TEST_CASE(a_listener_that_is_gone_refuses)
{
  sockets[1].reset();
  send_hello(sockets[0].get(), sample(), numbers(1).data(), 1, ec);
  BOOST_TEST(ec == boost::asio::error::connection_refused);
}

BOOST_AUTO_TEST_CASE(a_full_socket_is_to_be_tried_again)
{
  const std::array<char, 4096> filler{};
  while (::send(sockets[0].get(), filler.data(), filler.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
  {
  }
  send_hello(sockets[0].get(), sample(), numbers(1).data(), 1, ec);
  BOOST_TEST(ec == boost::asio::error::try_again);
}

BOOST_AUTO_TEST_CASE(a_refusal_arrives_as_five_bytes)
{
  send_refused(sockets[1].get(), shm::error::unsealed_memory);
  refused_bytes bytes{};
  BOOST_TEST(::recv(sockets[0].get(), bytes.data(), bytes.size(), MSG_DONTWAIT) == static_cast<ssize_t>(refused_size));
  BOOST_TEST((bytes == encode_refused(shm::error::unsealed_memory)));
  sockets[0].reset();
  send_refused(sockets[1].get(), shm::error::unsealed_memory); // to nobody: no signal
}

BOOST_AUTO_TEST_CASE(the_kernel_names_the_peer)
{
  peer_identity peer;
  BOOST_TEST(get_peer_identity(sockets[0].get(), peer));
  BOOST_TEST(peer.uid == ::geteuid());
  BOOST_TEST(peer.gid == ::getegid());
  BOOST_TEST(peer.pid == ::getpid());
  BOOST_TEST(peer_is_same_user(sockets[0].get()));
  BOOST_TEST(!get_peer_identity(bells[0].get(), peer));
  BOOST_TEST(!peer_is_same_user(bells[0].get()));
}

BOOST_AUTO_TEST_SUITE_END()
