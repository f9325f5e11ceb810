// SPDX-License-Identifier: BSL-1.0
// Every allocation fails once: the program is told, nothing leaks, and the next client is served.
#define BOOST_TEST_MODULE failing_allocations
#include "socket_test.hpp"

#include "life_of_a_listener.hpp"
#include "open_resources.hpp"

#include <shm/connect_pair.hpp>

#include <cstdlib>
#include <iostream>
#include <new>
#include <optional>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ASIO_SHM_TEST_OWN_NEW 0
#endif
#endif
#ifndef ASIO_SHM_TEST_OWN_NEW
#define ASIO_SHM_TEST_OWN_NEW 1
#endif

namespace {

// Allocations of one scenario; that many would be an endless loop.
[[maybe_unused]] constexpr int too_many = 5000;

thread_local int allocations_left = 0; // until one fails; 0: none will

/// While it lives, the nth allocation of this thread fails.
class failing_allocation
{
public:
  explicit failing_allocation(int nth) { allocations_left = nth; }
  ~failing_allocation() { disarm(); }
  failing_allocation(const failing_allocation&) = delete;
  failing_allocation& operator=(const failing_allocation&) = delete;

  void disarm()
  {
    if (armed_)
      failed_ = allocations_left == 0;
    armed_ = false;
    allocations_left = 0;
  }

  /// Whether it came to the nth allocation, after disarm().
  bool failed() const { return failed_; }

private:
  bool armed_ = true;
  bool failed_ = false;
};

} // namespace

#if ASIO_SHM_TEST_OWN_NEW

// Not inlined: g++ takes free for the wrong partner of new where it sees both.
[[gnu::noinline]] void* operator new(std::size_t size)
{
  if (allocations_left != 0 && --allocations_left == 0)
    throw std::bad_alloc();
  if (void* memory = std::malloc(size ? size : 1))
    return memory;
  throw std::bad_alloc();
}

[[gnu::noinline]] void operator delete(void* memory) noexcept
{
  std::free(memory);
}

[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept
{
  std::free(memory);
}

#endif

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

/// Calls `scenario(failing_allocation&)`, which gives what the program was told, until nothing fails in it.
template <class Scenario>
void fail_every_allocation(const char* name, Scenario scenario)
{
#if ASIO_SHM_TEST_OWN_NEW
  const open_resources before = open_resources::now();
  int told = 0;
  for (int nth = 1; nth != too_many; ++nth)
  {
    failing_allocation one(nth);
    const error_code ec = scenario(one);
    one.disarm();
    BOOST_TEST_INFO_SCOPE("allocation " << nth << ": " << ec.message());
    BOOST_TEST(open_resources::now() == before);
    if (!one.failed())
    {
      BOOST_TEST(!ec);
      std::cout << "failing_allocations: " << name << ": " << nth - 1 << " failed allocations, " << told
                << " of them reported to the program" << std::endl;
      BOOST_TEST(told > 20);
      return;
    }
    told += ec ? 1 : 0;
  }
  BOOST_ERROR("there is no end of allocations");
#else
  static_cast<void>(scenario);
  BOOST_TEST_MESSAGE(name << ": skipped, ThreadSanitizer's operator new cannot be replaced");
#endif
}

void check_life(const tcp::endpoint& at, const char* name)
{
  life_of_a_listener(at).recover(); // what is made once in a process is there
  fail_every_allocation(name,
      [&](failing_allocation& one) -> error_code
      {
        std::optional<life_of_a_listener> life;
        try
        {
          life.emplace(at);
        }
        catch (const std::bad_alloc&)
        {
          return error::no_memory; // for the context
        }
        life->live();
        one.disarm();
        const error_code told = life->failure();
        BOOST_TEST_INFO_SCOPE(name << ", " << told.message());
        life->settle();
        life->recover();
        return told;
      });
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(failing_allocations, watchdog)

BOOST_AUTO_TEST_CASE(life_at_an_address)
{
  check_life(loopback<tcp>(4246), "at an address");
}

BOOST_AUTO_TEST_CASE(life_at_a_path)
{
  check_life(tcp::endpoint(unused_path()), "at a path");
}

BOOST_AUTO_TEST_CASE(connected_pairs)
{
  fail_every_allocation("connected pairs",
      [](failing_allocation& one) -> error_code
      {
        error_code ec;
        try
        {
          asio::io_context context;
          tcp::socket a(context);
          tcp::socket b(context);
          shm::connect_pair(a, b, ec);
          if (!ec)
            check_carries_data(a, b);
        }
        catch (const std::bad_alloc&)
        {
          ec = error::no_memory;
        }
        one.disarm();
        return ec;
      });
}

BOOST_AUTO_TEST_SUITE_END()
