// SPDX-License-Identifier: BSL-1.0
// Tests of both kinds of doorbell.
#define BOOST_TEST_MODULE doorbell
#include "doorbell.hpp"
#include "rendezvous.hpp"
#include "shared_eventfd.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdint>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace shm::detail;
using boost::system::error_code;

namespace {

bool rung(int fd)
{
  pollfd p = {fd, POLLIN, 0};
  return ::poll(&p, 1, 0) == 1 && (p.revents & POLLIN) != 0;
}

int bytes_in(int fd)
{
  int result = -1;
  BOOST_TEST(::ioctl(fd, FIONREAD, &result) == 0);
  return result;
}

descriptor eventfd_with(int flags)
{
  return descriptor(::eventfd(0, flags | EFD_CLOEXEC));
}

} // namespace

BOOST_AUTO_TEST_SUITE(doorbell_suite)

BOOST_AUTO_TEST_CASE(a_new_eventfd_is_silent_and_non_blocking)
{
  error_code ec;
  const descriptor bell = open_eventfd(ec);
  BOOST_TEST_REQUIRE(!ec);
  BOOST_TEST(!rung(bell.get()));
  BOOST_TEST((::fcntl(bell.get(), F_GETFL) & O_NONBLOCK) != 0);
  BOOST_TEST((::fcntl(bell.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

BOOST_AUTO_TEST_CASE(rings_of_an_eventfd_add_up_and_are_drained_at_once)
{
  error_code ec;
  const descriptor bell = open_eventfd(ec);
  drain_eventfd(bell.get()); // nothing to drain: does not block
  ring_eventfd(bell.get());
  ring_eventfd(bell.get());
  BOOST_TEST(rung(bell.get()));
  drain_eventfd(bell.get());
  BOOST_TEST(!rung(bell.get()));
  ring_eventfd(bell.get());
  BOOST_TEST(rung(bell.get()));
}

BOOST_AUTO_TEST_CASE(a_full_eventfd_is_rung_without_blocking)
{
  error_code ec;
  const descriptor bell = open_eventfd(ec);
  const std::uint64_t most = ~std::uint64_t{0} - 1;
  BOOST_TEST_REQUIRE(::write(bell.get(), &most, sizeof(most)) == static_cast<ssize_t>(sizeof(most)));
  ring_eventfd(bell.get());
  BOOST_TEST(rung(bell.get()));
  drain_eventfd(bell.get());
  BOOST_TEST(!rung(bell.get()));
}

BOOST_AUTO_TEST_CASE(only_a_non_blocking_eventfd_is_taken_from_a_peer)
{
  error_code ec;
  BOOST_TEST(is_eventfd(open_eventfd(ec).get()));
  BOOST_TEST(!is_eventfd(eventfd_with(0).get()));

  std::array<int, 2> ends{};
  BOOST_TEST_REQUIRE(::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) == 0);
  const descriptor reading(ends[0]), writing(ends[1]);
  BOOST_TEST(!is_eventfd(reading.get()));
  BOOST_TEST(!is_eventfd(writing.get()));
  const auto pair = open_rendezvous_pair(ec);
  BOOST_TEST(!is_eventfd(pair[0].get()));
  const descriptor file(::open("/proc/self/status", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  BOOST_TEST(!is_eventfd(file.get()));
  BOOST_TEST(!is_eventfd(-1));
}

BOOST_AUTO_TEST_CASE(each_side_rings_the_eventfd_of_the_other)
{
  error_code ec;
  descriptor mine = open_eventfd(ec), theirs = open_eventfd(ec);
  const int own = mine.get(), peer = theirs.get();
  doorbell bell(std::move(mine), std::move(theirs), doorbell::holders::peer);
  BOOST_TEST((bell.kind() == doorbell_kind::eventfd));
  BOOST_TEST(bell.own() == own);
  const auto pair = open_rendezvous_pair(ec);
  bell.ring(pair[0].get());
  BOOST_TEST(rung(peer));
  BOOST_TEST(!rung(own));
  BOOST_TEST(bytes_in(pair[1].get()) == 0);
}

BOOST_AUTO_TEST_CASE(a_socket_doorbell_is_a_byte_over_the_rendezvous_socket)
{
  error_code ec;
  const auto pair = open_rendezvous_pair(ec);
  BOOST_TEST_REQUIRE(!ec);
  doorbell bell;
  BOOST_TEST((bell.kind() == doorbell_kind::socket));
  BOOST_TEST(bell.own() == -1);
  bell.ring(pair[0].get());
  BOOST_TEST(bytes_in(pair[1].get()) == 1);
  BOOST_TEST(bytes_in(pair[0].get()) == 0);
  unsigned char byte = 0;
  BOOST_TEST(::recv(pair[1].get(), &byte, 1, MSG_DONTWAIT) == 1);
  BOOST_TEST(byte == ring_byte);
}

BOOST_AUTO_TEST_CASE(a_full_socket_is_rung_without_blocking)
{
  error_code ec;
  auto pair = open_rendezvous_pair(ec);
  // Even if the peer made the shared description blocking.
  BOOST_TEST(::fcntl(pair[0].get(), F_SETFL, 0) == 0);
  const std::array<char, 4096> filler{};
  while (::send(pair[0].get(), filler.data(), filler.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
  {
  }
  doorbell bell;
  bell.ring(pair[0].get());
  BOOST_TEST(rung(pair[1].get()));
  // A peer that is gone: no signal ends this process.
  pair[1].reset();
  bell.ring(pair[0].get());
}

BOOST_AUTO_TEST_CASE(an_eventfd_that_a_read_does_not_empty_is_told_apart)
{
  const std::uint64_t most = ~std::uint64_t{0} - 1;
  const descriptor good(::eventfd(0, EFD_NONBLOCK)), rung_before(::eventfd(5, EFD_NONBLOCK));
  for (const int fd : {good.get(), rung_before.get()})
  {
    BOOST_TEST(is_drainable(fd));
    BOOST_TEST(!rung(fd));
  }
  const descriptor semaphore(::eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE)), full(::eventfd(0, EFD_NONBLOCK));
  BOOST_TEST(is_eventfd(semaphore.get()));
  BOOST_TEST(!is_drainable(semaphore.get()));
  BOOST_TEST(::write(full.get(), &most, sizeof(most)) == static_cast<ssize_t>(sizeof(most)));
  BOOST_TEST(is_eventfd(full.get()));
  BOOST_TEST(!is_drainable(full.get()));
}

BOOST_AUTO_TEST_SUITE_END()
