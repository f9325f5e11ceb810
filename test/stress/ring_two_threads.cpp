// SPDX-License-Identifier: BSL-1.0
// One writing and one reading thread on a ring in ordinary memory: checked data of odd sizes, several geometries.
#define BOOST_TEST_MODULE ring_two_threads
#include "connection_fixture.hpp"
#include "ring_fixture.hpp"
#include "ring_stress.hpp"

#include <boost/asio/error.hpp>
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <random>
#include <string>
#include <thread>

using namespace shm::detail;
using shm::test::scaled;

namespace {

void run(const ring_geometry& geometry, std::uint64_t total)
{
  const std::uint64_t seed = std::random_device{}();
  BOOST_TEST_CONTEXT(geometry.segment_count << " segments of " << geometry.segment_size << ", seed " << seed)
  {
    shm::test::ring_fixture ring(geometry);
    std::string written;
    std::thread writer([&] { written = shm::test::write_all(ring.writer, geometry, total, seed); });
    const std::string read = shm::test::read_all(ring.reader, geometry, total, seed);
    writer.join();
    BOOST_TEST(read == "");
    BOOST_TEST(written == "");
    BOOST_TEST(ring.reader.position() == total);
    BOOST_TEST(!ring.writer.unread());
    BOOST_TEST(ring.intact());
  }
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(ring_two_threads, shm::test::watchdog)

BOOST_AUTO_TEST_CASE(the_smallest_ring) { run({64, 2}, scaled(8u << 20)); }
BOOST_AUTO_TEST_CASE(four_small_segments) { run({64, 4}, scaled(8u << 20)); }
BOOST_AUTO_TEST_CASE(segments_of_no_power_of_two) { run({192, 8}, scaled(16u << 20)); }
BOOST_AUTO_TEST_CASE(many_segments) { run({1024, 64}, scaled(64u << 20)); }
BOOST_AUTO_TEST_CASE(pages) { run({4096, 16}, scaled(96u << 20)); }
BOOST_AUTO_TEST_CASE(the_default_size) { run({131072, 16}, scaled(192u << 20)); }

// The flag comes after the last byte, also for a reader that looks just then.
BOOST_AUTO_TEST_CASE(the_last_byte_comes_before_the_end)
{
  constexpr int rounds = 3000;
  for (int i = 0; i < rounds; ++i)
  {
    shm::test::connection_fixture pair;
    std::atomic<bool> ready{false};
    std::thread writer([&] {
      while (!ready.load())
        spin_pause();
      for (int pause = i % 64; pause > 0; --pause)
        spin_pause();
      pair.connector.send(65);
      if (i % 2)
        pair.connector->shutdown_send();
      else
        pair.connector.hang_up();
    });
    ready.store(true);
    shm::test::spinner other;
    bool waiting = true;
    while (waiting)
    {
      pair.acceptor.receive(1000);
      waiting = !pair.acceptor.ready || !pair.acceptor.ec;
      pair.acceptor->look_for_hang_up(true);
      if (waiting && !other.wait())
        break;
    }
    writer.join();
    BOOST_REQUIRE(!waiting);
    BOOST_REQUIRE(pair.acceptor.ec == boost::asio::error::eof);
    BOOST_REQUIRE_EQUAL(pair.acceptor.received, 65u);
  }
}

BOOST_AUTO_TEST_SUITE_END()
