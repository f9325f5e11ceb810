// SPDX-License-Identifier: BSL-1.0
// The server of a region: what it says to whom, who gets which number, and clients that misbehave.
#define BOOST_TEST_MODULE ivshmem_server
#include "socket_test.hpp"

#include "child_process.hpp"
#include "doorbell.hpp"
#include "ivshmem_server.hpp"
#include "open_resources.hpp"
#include "partition_daemon.hpp"
#include "raw_ivshmem_client.hpp"
#include "running_ivshmem_server.hpp"
#include "shared_eventfd.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include <sys/stat.h>

using namespace shm::partitiond;
using namespace shm::test;
using shm::detail::descriptor;

namespace {

bool rung(const descriptor& bell)
{
  return readable(bell.get(), 0);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(greeting, watchdog)

BOOST_AUTO_TEST_CASE(a_newcomer_is_told_everything_in_order)
{
  for (const std::size_t chunk : {8u, 1u, 3u})
  {
    const running_ivshmem_server server(4, 3);
    const member other(server);
    raw_ivshmem_client newcomer(server.path(), chunk);
    BOOST_TEST(newcomer.next().value == 0);
    BOOST_TEST(newcomer.next().value == 1);
    const auto memory = newcomer.next();
    BOOST_TEST(memory.value == -1);
    BOOST_TEST(memory.attached.valid());
    for (const int id : {0, 0, 0, 1, 1, 1})
    {
      const auto bell = newcomer.next();
      BOOST_TEST(bell.value == id);
      BOOST_TEST(shm::detail::is_eventfd(bell.attached.get()));
    }
    BOOST_TEST(newcomer.idle());
  }
}

BOOST_AUTO_TEST_CASE(version_and_number_come_without_descriptors)
{
  const running_ivshmem_server server;
  raw_ivshmem_client newcomer(server.path());
  BOOST_TEST(!newcomer.next().attached.valid());
  BOOST_TEST(!newcomer.next().attached.valid());
}

BOOST_AUTO_TEST_CASE(the_memory_is_sealed_and_has_a_header)
{
  const running_ivshmem_server server(4, 2);
  const member one(server);
  struct stat status;
  BOOST_REQUIRE(::fstat(one.memory.get(), &status) == 0);
  BOOST_TEST(static_cast<std::uint64_t>(status.st_size) == running_ivshmem_server::region_size);
  BOOST_TEST(::ftruncate(one.memory.get(), 0) != 0);
  error_code ec;
  const region_geometry geometry = region::open({one.memory.get(), 0, running_ivshmem_server::region_size}, ec).geometry();
  BOOST_TEST(!ec);
  BOOST_TEST(geometry.partitions == 4u);
  BOOST_TEST(geometry.vectors == 2u);
  BOOST_TEST(geometry.region_id != 0u);
}

BOOST_AUTO_TEST_CASE(each_rings_each)
{
  const running_ivshmem_server server(4, 3);
  member a(server), b(server), c(server);
  for (member* one : {&a, &b, &c})
    one->wait_for({0, 1, 2}, 3);
  // The server itself rings vector 0.
  for (member* from : {&a, &b, &c})
    for (member* to : {&a, &b, &c})
      for (const std::size_t vector : {1u, 2u})
      {
        shm::detail::ring_eventfd(from->bells[to->id][vector].get());
        for (member* one : {&a, &b, &c})
          for (const std::size_t v : {1u, 2u})
            BOOST_TEST(rung(one->bells[one->id][v]) == (one == to && v == vector));
        shm::detail::drain_eventfd(to->bells[to->id][vector].get());
      }
}

BOOST_AUTO_TEST_CASE(a_header_that_was_written_over_is_right_again)
{
  const running_ivshmem_server server(4, 2);
  const member one(server);
  const mapped_header header(one);
  header.wait_until(0, true);
  error_code ec;
  const region written = region::open({one.memory.get(), 0, running_ivshmem_server::region_size}, ec);
  BOOST_REQUIRE(!ec);
  constexpr std::size_t size = offsetof(region_header, present) + sizeof(region_header::present);
  const std::vector<unsigned char> right(written.base(), written.base() + size);
  for (const int garbage : {0x00, 0xff})
  {
    std::memset(written.base(), garbage, size);
    BOOST_TEST(comes_true([&] { return std::memcmp(written.base(), right.data(), size) == 0; }));
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(coming_and_going, watchdog)

BOOST_AUTO_TEST_CASE(in_whatever_order)
{
  const running_ivshmem_server server(4, 2);
  const member witness(server);
  const mapped_header header(witness);
  std::vector<std::size_t> order = {1, 2, 3};
  do
  {
    std::vector<std::unique_ptr<member>> all(4);
    std::vector<std::int64_t> numbers = {0};
    for (std::size_t i = 1; i != 4; ++i)
    {
      all[i] = std::make_unique<member>(server);
      BOOST_TEST(all[i]->id == static_cast<std::int64_t>(i));
      numbers.push_back(all[i]->id);
    }
    for (const std::size_t leaver : order)
    {
      for (const auto& one : all)
        if (one)
          one->wait_for(numbers, 2);
      header.wait_until(leaver, true);
      all[leaver].reset();
      numbers.erase(std::find(numbers.begin(), numbers.end(), static_cast<std::int64_t>(leaver)));
      header.wait_until(leaver, false);
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

BOOST_AUTO_TEST_CASE(the_lowest_free_number_is_given_out)
{
  const running_ivshmem_server server(3, 1);
  member a(server);
  std::optional<member> b(std::in_place, server);
  const member c(server);
  BOOST_TEST(b->id == 1);
  BOOST_TEST(c.id == 2);
  a.wait_for({0, 1, 2}, 1);
  const mapped_header header(a);
  header.wait_until(1, true);
  b.reset();
  header.wait_until(1, false);
  member d(server);
  BOOST_TEST(d.id == 1);
  // The eventfds are the number's, whoever has it; nobody is told anything.
  BOOST_TEST(a.idle());
  shm::detail::drain_eventfd(d.bells[1][0].get());
  shm::detail::ring_eventfd(a.bells[1][0].get());
  BOOST_TEST(rung(d.bells[1][0]));
}

BOOST_AUTO_TEST_CASE(who_is_too_much_is_turned_away)
{
  const running_ivshmem_server server(2, 1);
  member a(server);
  std::optional<member> b(std::in_place, server);
  a.wait_for({0, 1}, 1);
  raw_ivshmem_client::message ignored;
  BOOST_TEST(!raw_ivshmem_client(server.path()).next(ignored));
  const mapped_header header(a);
  header.wait_until(1, true);
  b.reset();
  header.wait_until(1, false);
  BOOST_TEST(member(server).id == 1);
}

BOOST_AUTO_TEST_CASE(the_header_says_who_is_there)
{
  const running_ivshmem_server server(4, 2);
  member a(server);
  const mapped_header header(a);
  BOOST_TEST(comes_true([&] { return header->present[0].load() != 0; }));
  BOOST_TEST(header->present[1].load() == 0u);
  const descriptor& own = a.bells[0][0];
  BOOST_TEST(!rung(own));
  std::optional<member> b(std::in_place, server);
  BOOST_TEST(readable(own.get()));
  const std::uint64_t since = header->present[1].load();
  BOOST_TEST(since != 0u);
  shm::detail::drain_eventfd(own.get());
  b.reset();
  BOOST_TEST(readable(own.get()));
  BOOST_TEST(header->present[1].load() == 0u);
  shm::detail::drain_eventfd(own.get());
  BOOST_TEST(!rung(a.bells[0][1]));
  b.emplace(server);
  BOOST_TEST(readable(own.get()));
  BOOST_TEST(header->present[1].load() != since);
  BOOST_TEST(header->present[1].load() != 0u);
}

BOOST_AUTO_TEST_CASE(a_killed_process_has_left)
{
  // It waits for the path, so that the process can be made before there are threads.
  child_process child(
      [](channel& parent)
      {
        const auto path = parent.receive<std::array<char, 100>>();
        raw_ivshmem_client client(path.data());
        client.be_greeted(2);
        parent.send(client.id);
        return static_cast<int>(parent.receive<int>());
      });
  const running_ivshmem_server server(4, 2);
  member a(server);
  std::array<char, 100> path{};
  BOOST_REQUIRE(server.path().size() < path.size());
  std::copy_n(server.path().data(), server.path().size(), path.data());
  child.peer().send(path);
  BOOST_TEST(child.peer().receive<std::int64_t>() == 1);
  a.wait_for({0, 1}, 2);
  const mapped_header header(a);
  header.wait_until(1, true);
  child.kill();
  header.wait_until(1, false);
}

BOOST_AUTO_TEST_CASE(sixty_partitions_know_each_other)
{
  const running_ivshmem_server server(60, 2, 64u << 20);
  std::vector<std::unique_ptr<raw_ivshmem_client>> all;
  for (std::size_t i = 0; i != 60; ++i)
  {
    all.push_back(std::make_unique<raw_ivshmem_client>(server.path()));
    for (std::size_t n = 0; n != 3 + 2 * (i + 1); ++n)
      if (const auto said = all.back()->next(); n >= 3)
        BOOST_TEST(said.value == static_cast<std::int64_t>((n - 3) / 2));
    for (std::size_t other = 0; other != i; ++other)
      for (int vector = 0; vector != 2; ++vector)
        BOOST_TEST(all[other]->next().value == static_cast<std::int64_t>(i));
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(bad_clients, watchdog)

BOOST_AUTO_TEST_CASE(who_hangs_up_after_any_byte_leaves_nothing_behind)
{
  const running_ivshmem_server server(4, 2);
  member witness(server);
  const mapped_header header(witness);
  std::optional<open_resources> before;
  for (std::size_t bytes = 0; bytes != 8 * (3 + 2 + 2) + 1; ++bytes)
  {
    {
      raw_ivshmem_client one(server.path());
      BOOST_TEST_REQUIRE(comes_true([&] { return header->present[1].load() != 0; }));
      std::vector<unsigned char> read(bytes);
      for (std::size_t i = 0; i != bytes; ++i)
      {
        descriptor ignored;
        BOOST_TEST_REQUIRE(one.read(&read[i], 1, ignored));
      }
    }
    BOOST_TEST_REQUIRE(comes_true([&] { return header->present[1].load() == 0; }));
    witness.wait_for({0}, 2);
    while (!witness.idle())
      witness.take();
    BOOST_TEST(witness.bells.size() <= 2u);
    if (!before)
      before = open_resources::now();
  }
  BOOST_TEST(open_resources::now() <= *before);
}

BOOST_AUTO_TEST_CASE(who_does_not_read_costs_nothing_and_misses_nothing)
{
  constexpr std::size_t vectors = 8;
  const running_ivshmem_server server(4, vectors, 8u << 20);
  raw_ivshmem_client asleep(server.path());
  member awake(server);
  const mapped_header header(awake);
  std::optional<open_resources> before;
  for (int i = 0; i != 400; ++i)
  {
    member guest(server);
    BOOST_TEST_REQUIRE(guest.id == 2);
    awake.wait_for({0, 1, 2}, vectors);
    header.wait_until(2, true);
    guest.close();
    header.wait_until(2, false);
    // By now it is full.
    if (i == 100)
      before = open_resources::now();
  }
  BOOST_TEST(open_resources::now() <= *before);
  const member last(server);
  BOOST_TEST(last.id == 2);
  asleep.be_greeted(vectors);
  BOOST_TEST(asleep.id == 0);
  while (asleep.bells.size() != 3 || asleep.bells[1].size() != vectors || asleep.bells[2].size() != vectors
      || !asleep.idle())
    asleep.take();
  shm::detail::ring_eventfd(asleep.bells[2][5].get());
  BOOST_TEST(rung(last.bells.at(2)[5]));
}

BOOST_AUTO_TEST_CASE(who_talks_is_not_listened_to)
{
  const running_ivshmem_server server(4, 2);
  member loud(server);
  const mapped_header header(loud);
  const std::vector<char> noise(1 << 16, 'x');
  for (int i = 0; i != 20; ++i)
  {
    BOOST_TEST(::send(loud.native_handle(), noise.data(), noise.size(), MSG_NOSIGNAL)
        == static_cast<ssize_t>(noise.size()));
    member other(server);
    BOOST_TEST(other.id == 1);
    loud.wait_for({0, 1}, 2);
    header.wait_until(1, true);
    other.close();
    header.wait_until(1, false);
  }
}

BOOST_AUTO_TEST_SUITE_END()
