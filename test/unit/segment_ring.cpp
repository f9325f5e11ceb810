// SPDX-License-Identifier: BSL-1.0
// Tests of one direction's data structure, step by step; the state of the control segment is drawn above each step.
#define BOOST_TEST_MODULE segment_ring
#include "ring_fixture.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace shm::detail;
using shm::test::ring_fixture;

// The strips: O oldest, N newest, [begin,end) of a slot that counts; see ring_fixture::strip().

BOOST_AUTO_TEST_SUITE(segment_ring)

// | ON[0,0) | - |
BOOST_AUTO_TEST_CASE(a_new_ring_is_empty_and_writable)
{
  ring_fixture ring({64, 2});
  BOOST_TEST(ring.strip() == "ON[0,0) -");
  BOOST_TEST(!ring.readable());
  BOOST_TEST(ring.available() == 0u);
  BOOST_TEST(ring.read(1) == 0u);
  BOOST_TEST(ring.ok());
  BOOST_TEST(ring.writable());
  BOOST_TEST(!ring.writer.unread());
}

// | ON[0,1) | - |  then  | ON[1,1) | - |
BOOST_AUTO_TEST_CASE(one_byte_goes_through)
{
  ring_fixture ring({64, 2});
  BOOST_TEST(ring.write(1) == 1u);
  BOOST_TEST(ring.strip() == "ON[0,1) -");
  BOOST_TEST(ring.readable());
  BOOST_TEST(ring.available() == 1u);
  BOOST_TEST(ring.read(10) == 1u);
  BOOST_TEST(ring.correct);
  BOOST_TEST(ring.strip() == "ON[1,1) -");
  BOOST_TEST(!ring.readable());
}

// | ON[0,10) | - |  is filled first  | ON[0,64) | - |  one more byte opens the next segment  | O[0,64) | N[..65) |
BOOST_AUTO_TEST_CASE(a_segment_is_left_only_when_it_is_full)
{
  ring_fixture ring({64, 2});
  BOOST_TEST(ring.write(10) == 10u);
  BOOST_TEST(ring.strip() == "ON[0,10) -");
  BOOST_TEST(ring.write(54) == 54u);
  BOOST_TEST(ring.strip() == "ON[0,64) -");
  BOOST_TEST(ring.write(1) == 1u);
  BOOST_TEST(ring.strip() == "O[0,64) N[..65)");
}

// | O[0,64) | N[..128) |  refuses  | ON | reading one byte frees nothing | reading the segment frees it
BOOST_AUTO_TEST_CASE(a_full_ring_refuses_until_a_segment_is_read)
{
  ring_fixture ring({64, 2});
  BOOST_TEST(ring.write(129) == 128u);
  BOOST_TEST(ring.strip() == "O[0,64) N[..128)");
  BOOST_TEST(!ring.writable());
  BOOST_TEST(ring.write(1) == 0u);
  BOOST_TEST(ring.ok());

  BOOST_TEST(ring.read(63) == 63u);
  BOOST_TEST(ring.strip() == "O[63,64) N[..128)");
  BOOST_TEST(!ring.writable());

  BOOST_TEST(ring.read(1) == 1u);
  BOOST_TEST(ring.correct);
  BOOST_TEST(ring.strip() == "- ON[64,128)");
  BOOST_TEST(ring.writable());
  BOOST_TEST(ring.write(65) == 64u);
  BOOST_TEST(ring.strip() == "N[..192) O[64,128)");
  BOOST_TEST(ring.intact());
}

// | ON[60,64) | - |  takes 4 + 64  | O[60,64) | N[..128) |
BOOST_AUTO_TEST_CASE(a_write_beyond_the_room_is_taken_in_part)
{
  ring_fixture ring({64, 2});
  BOOST_TEST(ring.write(60) == 60u);
  BOOST_TEST(ring.read(60) == 60u);
  BOOST_TEST(ring.write(100) == 68u);
  BOOST_TEST(ring.strip() == "O[60,64) N[..128)");
  BOOST_TEST(ring.read(100) == 68u);
  BOOST_TEST(ring.correct);
}

// | ON[64,64) | - |  all is read, but the writer has not moved on: the reader stays  | - | ON[65,65) |
BOOST_AUTO_TEST_CASE(the_reader_leaves_a_segment_only_after_newest_has_moved_beyond_it)
{
  ring_fixture ring({64, 2});
  BOOST_TEST(ring.write(64) == 64u);
  BOOST_TEST(ring.read(64) == 64u);
  BOOST_TEST(!ring.readable());
  BOOST_TEST(ring.strip() == "ON[64,64) -");
  BOOST_TEST(!ring.reader.take_freed());

  BOOST_TEST(ring.write(1) == 1u);
  BOOST_TEST(ring.strip() == "O[64,64) N[..65)");
  BOOST_TEST(ring.read(1) == 1u);
  BOOST_TEST(ring.correct);
  BOOST_TEST(ring.strip() == "- ON[65,65)");
  BOOST_TEST(ring.reader.take_freed());
}

// | O[0,64) | N[..128) |  a read frees at most what it empties
BOOST_AUTO_TEST_CASE(take_freed_tells_once_that_oldest_has_moved)
{
  ring_fixture ring({64, 4});
  BOOST_TEST(ring.write(256) == 256u);
  BOOST_TEST(!ring.reader.take_freed());
  BOOST_TEST(ring.read(63) == 63u);
  BOOST_TEST(!ring.reader.take_freed());
  BOOST_TEST(ring.peek(200) == 193u);
  BOOST_TEST(!ring.reader.take_freed());
  BOOST_TEST(ring.read(1) == 1u);
  BOOST_TEST(ring.reader.take_freed());
  BOOST_TEST(!ring.reader.take_freed());
  BOOST_TEST(ring.read(192) == 192u);
  BOOST_TEST(ring.reader.take_freed());
  BOOST_TEST(ring.strip() == "- - - ON[256,256)");
}

// | O[10,64) | [..128) | N[..150) | - |  stays as it is
BOOST_AUTO_TEST_CASE(peek_over_segment_borders_leaves_the_data)
{
  ring_fixture ring({64, 4});
  BOOST_TEST(ring.write(150) == 150u);
  BOOST_TEST(ring.read(10) == 10u);
  for (const std::size_t size : {1u, 53u, 54u, 55u, 118u, 119u, 140u, 200u})
  {
    BOOST_TEST(ring.peek(size) == std::min<std::size_t>(size, 140));
    BOOST_TEST(ring.correct);
  }
  BOOST_TEST(ring.strip() == "O[10,64) [..128) N[..150) -");
  BOOST_TEST(ring.available() == 140u);
  BOOST_TEST(ring.read(200) == 140u);
  BOOST_TEST(ring.correct);
  BOOST_TEST(ring.peek(1) == 0u);
}

// For each fill and each amount read before: | O[r,64) | ... | N[..f) |
BOOST_AUTO_TEST_CASE(available_counts_over_segments)
{
  for (std::size_t fill = 0; fill <= 256; ++fill)
    for (std::size_t read = 0; read <= fill; read += 21)
    {
      ring_fixture ring({64, 4});
      ring.write(fill);
      ring.read(read);
      BOOST_REQUIRE_EQUAL(ring.available(), fill - read);
      BOOST_REQUIRE_EQUAL(ring.readable(), fill != read);
      BOOST_REQUIRE(ring.ok());
    }
}

// Every size of write against every size of read passes every border at every offset.
static void every_size(ring_geometry geometry)
{
  const std::size_t largest = 2 * geometry.segment_size + 1;
  for (std::size_t in = 1; in <= largest; ++in)
    for (std::size_t out = 1; out <= largest; out += (in % 5) + 1)
    {
      ring_fixture ring(geometry);
      const std::uint64_t laps = 2 * geometry.capacity();
      while (ring.consumed < laps)
      {
        ring.write(in);
        const std::size_t held = static_cast<std::size_t>(ring.written - ring.consumed);
        BOOST_REQUIRE_EQUAL(ring.available(), held);
        BOOST_REQUIRE_EQUAL(ring.read(out), std::min(out, held));
        BOOST_REQUIRE(ring.correct);
        BOOST_REQUIRE(ring.ok());
      }
      BOOST_REQUIRE(ring.intact());
    }
}
BOOST_AUTO_TEST_CASE(all_sizes_wrap_around_at_every_border)
{
  every_size({64, 2});
  every_size({64, 4});
}

// | O[0,64) | N[..100) |  from five views, two of them empty, into four, two of them empty
BOOST_AUTO_TEST_CASE(buffers_are_gathered_and_scattered_over_borders)
{
  ring_fixture ring({64, 2});
  const std::vector<unsigned char> in = ring.stream.bytes(100);
  const const_view from[] = {{nullptr, 0}, {&in[0], 1}, {&in[1], 70}, {nullptr, 0}, {&in[71], 29}};
  BOOST_TEST(ring.writer.write(from, 5, ring.status) == 100u);
  BOOST_TEST(ring.strip() == "O[0,64) N[..100)");

  std::vector<unsigned char> peeked(100), out(100);
  const mutable_view first[] = {{&peeked[0], 63}, {nullptr, 0}, {&peeked[63], 37}, {nullptr, 0}};
  BOOST_TEST(ring.reader.peek(first, 4, ring.status) == 100u);
  BOOST_TEST(ring.stream.matches(peeked));
  const mutable_view to[] = {{nullptr, 0}, {&out[0], 65}, {&out[65], 1}, {&out[66], 34}};
  BOOST_TEST(ring.reader.read(to, 4, ring.status) == 100u);
  BOOST_TEST(ring.stream.matches(out));
}

BOOST_AUTO_TEST_CASE(empty_views_move_nothing)
{
  ring_fixture ring({64, 2});
  ring.write(5);
  const const_view from[] = {{nullptr, 0}, {nullptr, 0}};
  const mutable_view to[] = {{nullptr, 0}, {nullptr, 0}};
  BOOST_TEST(ring.writer.write(from, 2, ring.status) == 0u);
  BOOST_TEST(ring.writer.write(from, 0, ring.status) == 0u);
  BOOST_TEST(ring.reader.read(to, 2, ring.status) == 0u);
  BOOST_TEST(ring.reader.read(to, 0, ring.status) == 0u);
  BOOST_TEST(ring.ok());
  BOOST_TEST(ring.strip() == "ON[0,5) -");
}

// | O[0,64) | N[..70) | and the flag: seen at once, but the bytes before it are still read
BOOST_AUTO_TEST_CASE(the_shutdown_flag_follows_the_last_byte)
{
  ring_fixture ring({64, 2});
  ring.write(70);
  BOOST_TEST(!ring.reader.writer_shut_down(ring.status));
  ring.writer.shut_down();
  BOOST_TEST(ring.reader.writer_shut_down(ring.status));
  BOOST_TEST(ring.readable());
  BOOST_TEST(ring.read(100) == 70u);
  BOOST_TEST(ring.correct);
  BOOST_TEST(!ring.readable());
  BOOST_TEST(ring.reader.writer_shut_down(ring.status));
}

// Unread at each fill level, also where all of a full segment was read: | ON[64,64) | - |
BOOST_AUTO_TEST_CASE(the_writer_can_tell_whether_all_was_read)
{
  for (std::size_t size : {1u, 63u, 64u, 65u, 127u, 128u})
  {
    ring_fixture ring({64, 2});
    for (int lap = 0; lap < 5; ++lap)
    {
      BOOST_TEST(ring.write(size) > 0u);
      BOOST_TEST(ring.writer.unread());
      ring.read(static_cast<std::size_t>(ring.written - ring.consumed) - 1);
      BOOST_TEST(ring.writer.unread());
      ring.peek(1);
      BOOST_TEST(ring.writer.unread());
      BOOST_TEST(ring.read(1) == 1u);
      BOOST_TEST(!ring.writer.unread());
    }
  }
}

// | - | ON[2^32-100,2^32-100) |  goes on over the border of 32 bits as over any other
BOOST_AUTO_TEST_CASE(positions_beyond_32_bits)
{
  ring_fixture ring({1u << 18, 2});
  const std::uint64_t border = std::uint64_t{1} << 32;
  std::vector<unsigned char> junk(1u << 17);
  while (ring.written < border - 100)
  {
    const std::size_t n = static_cast<std::size_t>(std::min<std::uint64_t>(junk.size(), border - 100 - ring.written));
    const const_view from = {junk.data(), n};
    const mutable_view to = {junk.data(), n};
    BOOST_REQUIRE(ring.writer.write(&from, 1, ring.status) == n);
    BOOST_REQUIRE(ring.reader.read(&to, 1, ring.status) == n);
    ring.written += n;
    ring.consumed += n;
  }
  const std::string at = std::to_string(border - 100);
  BOOST_TEST(ring.strip() == "- ON[" + at + "," + at + ")");
  BOOST_TEST(ring.write(300) == 300u);
  BOOST_TEST(ring.strip() == "N[.." + std::to_string(border + 200) + ") O[" + at + "," + std::to_string(border) + ")");
  BOOST_TEST(ring.available() == 300u);
  BOOST_TEST(ring.peek(300) == 300u);
  BOOST_TEST(ring.correct);
  BOOST_TEST(ring.read(300) == 300u);
  BOOST_TEST(ring.correct);
  BOOST_TEST(ring.writer.position() == border + 200);
  BOOST_TEST(!ring.writer.unread());
  BOOST_TEST(ring.write(1u << 20) == (1u << 19) - 200u);
  BOOST_TEST(ring.read(1u << 20) == (1u << 19) - 200u);
  BOOST_TEST(ring.correct);
}

BOOST_AUTO_TEST_CASE(limits_of_the_geometry)
{
  for (const ring_geometry good : {ring_geometry{64, 2}, {192, 4}, {max_segment_size, max_segment_count}, {4096, 64}})
    BOOST_TEST(good.valid());
  for (const ring_geometry bad : {ring_geometry{0, 2}, {32, 2}, {65, 2}, {max_segment_size + 64, 2}, {64, 0}, {64, 1},
           {64, 3}, {64, 12}, {64, 128}, {64, 0x80000000u}, {0xffffffc0u, 2}})
    BOOST_TEST(!bad.valid(), bad.segment_size << " x " << bad.segment_count);
}

BOOST_AUTO_TEST_SUITE_END()
