// SPDX-License-Identifier: BSL-1.0
// Two processes that fall asleep and wake each other thousands of times, and are held up between any two steps: by
// spinning, by giving the CPU away, by a SIGSTOP at the step or from outside. No timer wakes anybody.
#define BOOST_TEST_MODULE ring_with_pauses
#include "child_process.hpp"
#include "connection_fixture.hpp"
#include "ring_stress.hpp"
#include "sleeping_end.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>
#include <utility>

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace shm::detail;
using shm::test::channel;
using shm::test::child_process;
using shm::test::connection_ends;
using shm::test::scaled;
using shm::test::sleeping_end;

namespace {

/// How much of everything: 1, or what ASIO_SHM_TEST_PAUSES says.
std::uint64_t factor()
{
  const char* const text = std::getenv("ASIO_SHM_TEST_PAUSES");
  return text ? std::max<std::uint64_t>(1, std::strtoull(text, nullptr, 10)) : 1;
}

/// Holds its process up for a while, mostly not at all.
class hold_up
{
public:
  explicit hold_up(std::uint64_t seed) : random_(seed) {}

  void operator()()
  {
    const std::uint64_t chance = random_() % 400;
    if (chance < 100)
      for (std::uint64_t spins = random_() % 1000; spins != 0; --spins)
        spin_pause();
    else if (chance < 120)
      ::sched_yield();
    else if (chance < 124)
      ::usleep(static_cast<useconds_t>(random_() % 100));
    else if (chance == 124)
      ::raise(SIGSTOP); // until the test lets it go on
  }

private:
  std::mt19937_64 random_;
};

/// What an end has to tell.
struct account
{
  std::uint64_t sleeps = 0;
  std::uint64_t received = 0;
};

bool has_ended(const child_process& process)
{
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(process.id()), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
}

// Stops one of them or the other, and lets go on who is stopped.
std::uint64_t disturb_until_both_end(std::array<child_process*, 2> processes, std::uint64_t seed)
{
  std::mt19937_64 random(seed);
  std::uint64_t stops = 0;
  const auto end = std::chrono::steady_clock::now() + 4 * shm::test::patience;
  while (!(has_ended(*processes[0]) && has_ended(*processes[1])))
  {
    BOOST_TEST_REQUIRE((std::chrono::steady_clock::now() < end), "the two do not come to their end");
    child_process& one = *processes[random() % 2];
    if (random() % 4 == 0)
    {
      ::kill(one.id(), SIGSTOP);
      ++stops;
    }
    ::usleep(static_cast<useconds_t>(random() % 200));
    for (child_process* process : processes)
      ::kill(process->id(), SIGCONT);
    ::usleep(static_cast<useconds_t>(random() % 200));
  }
  return stops;
}

/// What the two ends do, each in a process of its own: play(end, first).
template <class Play>
void run(const char* name, const ring_geometry& geometry, doorbell_kind kind, std::uint64_t total, Play play)
{
  const std::uint64_t seed = std::random_device{}();
  connection_ends ends({geometry, geometry}, kind);
  const auto body = [&](channel& test, established& mine, established& theirs)
  {
    theirs.rendezvous.reset(); // so that the other's end is a hang-up
    const bool first = mine.side == connection_side::connector;
    const std::uint64_t own_seed = seed + (first ? 10 : 20);
    sleeping_end end(std::move(mine), seed, hold_up(own_seed));
    play(end, first, own_seed + 1);
    test.send(account{end.sleeps(), end.received()});
    if (!end.failure().empty())
      std::fprintf(stderr, "child process: %s\n", end.failure().c_str());
    return end.failure().empty() ? 0 : 1;
  };
  BOOST_TEST_CONTEXT(name << ", seed " << seed)
  {
    child_process connector([&](channel& test) { return body(test, ends.connector, ends.acceptor); });
    child_process acceptor([&](channel& test) { return body(test, ends.acceptor, ends.connector); });
    ends.connector.rendezvous.reset();
    ends.acceptor.rendezvous.reset();
    const std::uint64_t stops = disturb_until_both_end({&connector, &acceptor}, seed);
    std::uint64_t sleeps = 0;
    for (child_process* process : {&connector, &acceptor})
    {
      const account result = process->peer().receive<account>();
      sleeps += result.sleeps;
      BOOST_TEST(result.received == total);
      BOOST_TEST(process->wait() == 0);
    }
    std::cout << "ring_with_pauses: " << name << ": " << 2 * total << " bytes, " << sleeps << " sleeps, " << stops
              << " stops from outside" << std::endl;
    BOOST_TEST(sleeps > 0u);
  }
}

/// Both directions at once, so many bytes in each.
void exchange(const char* name, const ring_geometry& geometry, doorbell_kind kind, std::uint64_t bytes, std::size_t largest)
{
  const std::uint64_t total = bytes * factor();
  run(name, geometry, kind, total,
      [&](sleeping_end& end, bool, std::uint64_t seed)
      {
        std::mt19937_64 random(seed);
        end.exchange(total, [&] { return static_cast<std::size_t>(1 + random() % largest); });
      });
}

/// One byte there, one byte back: both sleep for each.
void converse(const char* name, const ring_geometry& geometry, doorbell_kind kind, std::uint64_t rounds)
{
  const std::uint64_t total = rounds * factor();
  run(name, geometry, kind, total,
      [&](sleeping_end& end, bool first, std::uint64_t)
      {
        for (std::uint64_t i = 0; i != total; ++i)
          if ((first && !end.send(1)) || !end.receive_exactly(1) || (!first && !end.send(1)))
            return;
      });
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(ring_with_pauses, shm::test::watchdog)

// Every write fills the ring, every read empties it: both sides sleep all the time.
BOOST_AUTO_TEST_CASE(smallest_ring)
{
  exchange("smallest ring, eventfd", {64, 2}, doorbell_kind::eventfd, 600'000, 200);
  exchange("smallest ring, socket", {64, 2}, doorbell_kind::socket, 600'000, 200);
}

BOOST_AUTO_TEST_CASE(conversation)
{
  converse("conversation, eventfd", {64, 2}, doorbell_kind::eventfd, 10'000);
  converse("conversation, socket", {64, 2}, doorbell_kind::socket, 10'000);
}

BOOST_AUTO_TEST_CASE(larger_ring)
{
  exchange("larger ring, eventfd", {4096, 4}, doorbell_kind::eventfd, scaled(30'000'000), 20'000);
  exchange("larger ring, socket", {4096, 4}, doorbell_kind::socket, scaled(30'000'000), 20'000);
}

BOOST_AUTO_TEST_SUITE_END()
