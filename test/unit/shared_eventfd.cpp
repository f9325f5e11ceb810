// SPDX-License-Identifier: BSL-1.0
// Eventfds whose other holders are hostile.
#define BOOST_TEST_MODULE shared_eventfd
#include <boost/test/unit_test.hpp>

#include "doorbell.hpp"
#include "shared_eventfd.hpp"

#include "child_process.hpp"
#include "deadline.hpp"

#include <atomic>
#include <cstdint>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

using namespace shm::detail;

namespace {

bool readable(int fd)
{
  pollfd polled = {fd, POLLIN, 0};
  return ::poll(&polled, 1, 0) == 1;
}

// What a hostile holder leaves behind.
void make_blocking(int fd)
{
  BOOST_TEST_REQUIRE(::fcntl(fd, F_SETFL, O_RDWR) == 0);
}

void fill(int fd)
{
  const std::uint64_t most = ~std::uint64_t{0} - 1;
  BOOST_TEST_REQUIRE(::write(fd, &most, sizeof(most)) == static_cast<ssize_t>(sizeof(most)));
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(shared_eventfd, shm::test::watchdog)

BOOST_AUTO_TEST_CASE(rings_and_drains)
{
  const descriptor bell(::eventfd(0, EFD_NONBLOCK));
  for (int i = 0; i != 1000; ++i) // more than fit into one context
  {
    ring_shared_eventfd(bell.get());
    BOOST_TEST_REQUIRE(readable(bell.get()));
    drain_eventfd(bell.get());
    BOOST_TEST_REQUIRE(!readable(bell.get()));
  }
}

BOOST_AUTO_TEST_CASE(full_and_blocking_ones_are_rung_without_waiting)
{
  const descriptor bell(::eventfd(0, 0));
  fill(bell.get());
  for (int i = 0; i != 3; ++i)
    ring_shared_eventfd(bell.get());
  BOOST_TEST(readable(bell.get()));
  drain_eventfd(bell.get());
  BOOST_TEST(!readable(bell.get()));
}

BOOST_AUTO_TEST_CASE(empty_and_blocking_ones_are_drained_without_waiting)
{
  const descriptor bell(::eventfd(0, 0));
  drain_eventfd(bell.get());
  BOOST_TEST(!readable(bell.get()));
}

BOOST_AUTO_TEST_CASE(somebody_who_changes_it_all_the_time_delays_nobody)
{
  aio_context_t probe = 0;
  if (::syscall(SYS_io_setup, 1u, &probe) != 0)
  {
    BOOST_TEST_MESSAGE("skipped: nothing but io_submit can do that");
    return;
  }
  ::syscall(SYS_io_destroy, probe);
  const descriptor bell(::eventfd(0, EFD_NONBLOCK));
  std::atomic<bool> end{false};
  std::thread hostile(
      [&]
      {
        const std::uint64_t most = ~std::uint64_t{0} - 1;
        while (!end)
        {
          ::fcntl(bell.get(), F_SETFL, O_RDWR | O_NONBLOCK);
          const ssize_t n = ::write(bell.get(), &most, sizeof(most));
          static_cast<void>(n);
          ::fcntl(bell.get(), F_SETFL, O_RDWR);
        }
      });
  for (int i = 0; i != 20'000; ++i)
  {
    ring_shared_eventfd(bell.get());
    if (i % 16 == 0)
      drain_eventfd(bell.get());
  }
  end = true;
  // It may be waiting in write(2), for which it has only itself to blame.
  std::thread rescue(
      [&]
      {
        for (int i = 0; i != 1000; ++i)
        {
          drain_eventfd(bell.get());
          std::this_thread::yield();
        }
      });
  hostile.join();
  rescue.join();
}

BOOST_AUTO_TEST_CASE(threads_ring_at_once)
{
  const descriptor bells[] = {descriptor(::eventfd(0, EFD_NONBLOCK)), descriptor(::eventfd(0, EFD_NONBLOCK))};
  std::atomic<int> lost{0};
  const auto ring = [&](int fd)
  {
    for (int i = 0; i != 5000; ++i)
    {
      ring_shared_eventfd(fd);
      lost += readable(fd) ? 0 : 1;
      drain_eventfd(fd);
    }
  };
  std::thread other(ring, bells[0].get());
  ring(bells[1].get());
  other.join();
  BOOST_TEST(lost == 0);
}

BOOST_AUTO_TEST_CASE(a_child_rings_as_well)
{
  const descriptor bell(::eventfd(0, 0));
  ring_shared_eventfd(bell.get()); // by what a child does not have
  drain_eventfd(bell.get());
  fill(bell.get());
  shm::test::child_process child(
      [&](shm::test::channel&)
      {
        ring_shared_eventfd(bell.get());
        drain_eventfd(bell.get());
        ring_shared_eventfd(bell.get());
        return readable(bell.get()) ? 0 : 1;
      });
  BOOST_TEST(child.wait() == 0);
  BOOST_TEST(readable(bell.get()));
  make_blocking(bell.get());
  ring_shared_eventfd(bell.get());
}

BOOST_AUTO_TEST_SUITE_END()
