// SPDX-License-Identifier: BSL-1.0
// The same between two processes: a ring in a memfd that each maps, and whole connections whose ends sleep in poll(2).
#define BOOST_TEST_MODULE ring_two_processes
#include "child_process.hpp"
#include "connection_fixture.hpp"
#include "ring_stress.hpp"
#include "sleeping_end.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

using namespace shm::detail;
using shm::test::channel;
using shm::test::child_process;
using shm::test::connection_ends;
using shm::test::odd_sizes;
using shm::test::scaled;
using shm::test::sleeping_end;

namespace {

int exit_code(const std::string& failure)
{
  if (!failure.empty())
    std::fprintf(stderr, "child process: %s\n", failure.c_str());
  return failure.empty() ? 0 : 1;
}

void run_rings(const ring_geometry& geometry, std::uint64_t total)
{
  const std::uint64_t seed = std::random_device{}();
  const connection_geometry both = {geometry, {64, 2}};
  memfd file;
  boost::system::error_code ec;
  const connection_memory memory = connection_memory::create(both, file, ec);
  BOOST_TEST_REQUIRE(!ec);
  child_process reading([&](channel&) {
    boost::system::error_code error;
    const connection_memory mine = connection_memory::attach(both, file, error);
    if (error)
      return exit_code(error.message());
    ring_reader reader(mine.connector_control(), mine.connector_data(), geometry);
    return exit_code(shm::test::read_all(reader, geometry, total, seed));
  });
  BOOST_TEST_CONTEXT(geometry.segment_count << " segments of " << geometry.segment_size << ", seed " << seed)
  {
    ring_writer writer(memory.connector_control(), memory.connector_data(), geometry);
    BOOST_TEST(shm::test::write_all(writer, geometry, total, seed) == "");
    BOOST_TEST(reading.wait() == 0);
    BOOST_TEST(!writer.unread());
  }
}

/// Runs mine(end) here as the connector and theirs(end) in a child as the acceptor; each says what went wrong.
template <typename Mine, typename Theirs>
void run_connection(const ring_geometry& geometry, doorbell_kind kind, std::uint64_t seed, Mine mine, Theirs theirs)
{
  connection_ends ends({geometry, geometry}, kind);
  child_process other([&](channel&) {
    ends.connector.rendezvous.reset(); // the parent's alone, so that its end is a hang-up
    sleeping_end end(std::move(ends.acceptor), seed);
    return exit_code(theirs(end));
  });
  ends.acceptor.rendezvous.reset();
  BOOST_TEST_CONTEXT(geometry.segment_count << " segments of " << geometry.segment_size << ", seed " << seed)
  {
    sleeping_end end(std::move(ends.connector), seed);
    BOOST_TEST(mine(end) == "");
    BOOST_TEST(other.wait() == 0);
    BOOST_TEST_MESSAGE(end.sleeps() << " sleeps");
  }
}

// One end sends all, the other answers with the number of bytes that it got when the stream ended.
void run_stream(const ring_geometry& geometry, doorbell_kind kind, std::uint64_t total)
{
  const std::uint64_t seed = std::random_device{}();
  const auto mine = [&](sleeping_end& end) {
    odd_sizes sizes(seed, geometry);
    for (std::uint64_t sent = 0; sent < total;)
    {
      const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(sizes.next(), total - sent));
      if (!end.send(size))
        return end.failure();
      sent += size;
    }
    end.shutdown_send();
    end.receive_exactly(9);
    return end.failure();
  };
  const auto theirs = [&](sleeping_end& end) -> std::string {
    odd_sizes sizes(seed + 1, geometry);
    while (end.receive(sizes.next()) > 0)
    {
    }
    if (end.received() != total)
      return "the stream ended early" + end.failure();
    end.send(9);
    return end.failure();
  };
  run_connection(geometry, kind, seed, mine, theirs);
}

// Each end waits for the whole message before it answers with one: both sleep for each of them.
void run_ping_pong(const ring_geometry& geometry, doorbell_kind kind, int rounds)
{
  const std::uint64_t seed = std::random_device{}();
  const auto play = [&](sleeping_end& end, bool first) {
    odd_sizes sizes(seed, geometry);
    for (int i = 0; i < rounds; ++i)
    {
      const std::size_t size = sizes.next();
      if (first && !end.send(size))
        break;
      if (!end.receive_exactly(size))
        break;
      if (!first && !end.send(size))
        break;
    }
    return end.failure();
  };
  run_connection(
      geometry, kind, seed, [&](sleeping_end& end) { return play(end, true); },
      [&](sleeping_end& end) { return play(end, false); });
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(ring_two_processes, shm::test::watchdog)

BOOST_AUTO_TEST_CASE(the_smallest_ring) { run_rings({64, 2}, scaled(8u << 20)); }
BOOST_AUTO_TEST_CASE(segments_of_no_power_of_two) { run_rings({192, 8}, scaled(16u << 20)); }
BOOST_AUTO_TEST_CASE(pages) { run_rings({4096, 16}, scaled(96u << 20)); }
BOOST_AUTO_TEST_CASE(the_default_size) { run_rings({131072, 16}, scaled(192u << 20)); }

BOOST_AUTO_TEST_CASE(sleeping_ends_of_a_stream)
{
  for (const doorbell_kind kind : {doorbell_kind::eventfd, doorbell_kind::socket})
  {
    run_stream({64, 2}, kind, scaled(1u << 20));
    run_stream({4096, 4}, kind, scaled(32u << 20));
    run_stream({131072, 16}, kind, scaled(96u << 20));
  }
}

BOOST_AUTO_TEST_CASE(sleeping_ends_of_a_conversation)
{
  for (const doorbell_kind kind : {doorbell_kind::eventfd, doorbell_kind::socket})
  {
    run_ping_pong({64, 2}, kind, static_cast<int>(scaled(10000)));
    run_ping_pong({4096, 4}, kind, static_cast<int>(scaled(10000)));
  }
}

BOOST_AUTO_TEST_SUITE_END()
