// SPDX-License-Identifier: BSL-1.0
// One writing and one reading thread on a ring in ordinary memory: checked data of odd sizes, several geometries.
#define BOOST_TEST_MODULE ring_two_threads
#include "connection_fixture.hpp"
#include "ring_fixture.hpp"
#include "ring_stress.hpp"

#include <boost/asio/error.hpp>
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

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

// Meets another thread over and over; after each meeting both go on at almost the same time.
class meeting
{
public:
  void meet(int round)
  {
    arrived_.fetch_add(1);
    for (int spins = 0; arrived_.load() < 2 * (round + 1); ++spins)
      spins < 1000 ? spin_pause() : std::this_thread::yield();
  }

private:
  std::atomic<int> arrived_{0};
};

void delay(int n)
{
  for (volatile int i = 0; i < n; i = i + 1)
  {
  }
}

constexpr int sleeps = static_cast<int>(scaled(100000));

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
      const bool nothing = pair.acceptor.receive(1000) == 0;
      waiting = !pair.acceptor.ready || !nothing; // 0 bytes are the end
      pair.acceptor->look_for_hang_up(true);
      if (waiting && !other.wait())
        break;
    }
    writer.join();
    BOOST_REQUIRE(!waiting);
    BOOST_REQUIRE(!pair.acceptor.ec);
    BOOST_REQUIRE_EQUAL(pair.acceptor.received, 65u);
  }
}

// "I fall asleep, I look again" against "I publish, I look whether you sleep": one of the two must see the other. Only
// the fences of both make it so.
BOOST_AUTO_TEST_CASE(a_reader_that_falls_asleep_sees_the_data_or_is_rung)
{
  shm::test::connection_fixture pair;
  meeting start, finish;
  std::thread writer([&] {
    for (int round = 0; round < sleeps; ++round)
    {
      start.meet(round);
      delay(round % 97);
      pair.connector.send(1);
      finish.meet(round);
    }
  });
  int lost = 0;
  for (int round = 0; round < sleeps; ++round)
  {
    start.meet(round);
    delay(round / 97 % 97);
    pair.acceptor->arm(true, false);
    const bool seen = pair.acceptor->readable();
    finish.meet(round);
    lost += !seen && pair.acceptor.rings() == 0;
    pair.acceptor->disarm();
    pair.acceptor.rings();
    pair.acceptor.receive(2);
  }
  writer.join();
  BOOST_TEST(lost == 0);
  BOOST_TEST(pair.acceptor.received == static_cast<std::uint64_t>(sleeps));
}

// | O[0,64) | N[..128) | full before each meeting
BOOST_AUTO_TEST_CASE(a_writer_that_falls_asleep_sees_the_space_or_is_rung)
{
  shm::test::connection_fixture pair;
  meeting start, finish;
  std::thread reader([&] {
    for (int round = 0; round < sleeps; ++round)
    {
      start.meet(round);
      delay(round % 97);
      pair.acceptor.receive(64);
      finish.meet(round);
    }
  });
  pair.connector.send(64);
  int lost = 0;
  for (int round = 0; round < sleeps; ++round)
  {
    pair.connector.send(64);
    start.meet(round);
    delay(round / 97 % 97);
    pair.connector->arm(false, true);
    const bool seen = pair.connector->writable();
    finish.meet(round);
    lost += !seen && pair.connector.rings() == 0;
    pair.connector->disarm();
    pair.connector.rings();
  }
  reader.join();
  BOOST_TEST(lost == 0);
  BOOST_TEST(pair.acceptor.received == 64u * static_cast<std::uint64_t>(sleeps));
}

// Copies past the caches are behind no release store: without their own fence the end is seen before the last bytes.
// The reader looks at the last bytes first, because they are the latest to arrive.
BOOST_AUTO_TEST_CASE(a_copy_past_the_caches_is_complete_when_its_end_is_seen)
{
  constexpr std::size_t block = 8192;
  constexpr int blocks = static_cast<int>(scaled(100000));
  shm::test::ring_fixture ring({block, 4});
  ring.writer.streaming(true);
  std::atomic<int> taken{0};
  std::thread writer([&] {
    std::vector<unsigned char> bytes(block);
    for (int i = 0; i < blocks; ++i)
    {
      std::memset(bytes.data(), i & 0xff, block);
      shm::test::spinner other;
      while (taken.load() < i && other.wait())
      {
      }
      const const_view view = {bytes.data(), block};
      ring_status status;
      ring.writer.write(&view, 1, status);
    }
  });
  int stale = 0;
  std::vector<unsigned char> bytes(block);
  for (int i = 0; i < blocks; ++i)
  {
    const mutable_view view = {bytes.data(), block};
    ring_status status;
    shm::test::spinner other;
    while (ring.reader.available(status) == 0 && other.wait())
    {
    }
    const unsigned char last = ring.data()[ring.slot(static_cast<std::uint64_t>(i)) * block + block - 1];
    const std::size_t n = ring.reader.read(&view, 1, status);
    taken.store(i + 1);
    BOOST_REQUIRE_EQUAL(n, block);
    const unsigned char expected = static_cast<unsigned char>(i & 0xff);
    stale += last != expected || bytes[block - 1] != expected || bytes[0] != expected;
  }
  writer.join();
  BOOST_TEST(stale == 0);
}

BOOST_AUTO_TEST_SUITE_END()
