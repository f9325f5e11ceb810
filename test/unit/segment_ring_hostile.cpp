// SPDX-License-Identifier: BSL-1.0
// Tests of the ring against a peer that writes any value into any of its words at any time.
//
// What an end must find out, and what it cannot:
//
//   word     looked at by     wrong and told                                not to be told from a correct peer's
//   newest   reader           below oldest, beyond the window, beyond what  between what was last seen and the truth:
//                             the ends say                                  the peer just has not published yet
//   end      reader           below the position read, above the segment,   within the segment and newest: the bytes
//                             short of it in a segment that was left        are whatever the memory holds
//   oldest   writer           below what was last seen, beyond newest       between the two: the peer gave up data of
//                                                                           its own stream, or has not read yet
//   shut_down reader          neither 0 nor 1, 0 after 1                    set too early: what follows is not read
//   begin    writer, once the peer is gone: any value only decides between eof and connection_reset
#define BOOST_TEST_MODULE segment_ring_hostile
#include "deadline.hpp"
#include "ring_fixture.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <set>
#include <string>
#include <vector>

using namespace shm::detail;
using shm::test::ring_fixture;

namespace {

struct step
{
  bool write;
  std::size_t size;
};

struct state
{
  const char* name;
  ring_geometry geometry;
  std::vector<step> steps;
};

// O oldest, N newest, w bytes written, r bytes read of each segment.
const state states[] = {
    {"empty                  ON[0,0) -", {64, 2}, {}},
    {"one byte               ON[0,1) -", {64, 2}, {{true, 1}}},
    {"partly read            ON[5,10) -", {64, 2}, {{true, 10}, {false, 5}}},
    {"one segment            ON[0,64) -", {64, 2}, {{true, 64}}},
    {"one segment, read      ON[64,64) -", {64, 2}, {{true, 64}, {false, 64}}},
    {"full                   O[0,64) N[..128)", {64, 2}, {{true, 128}}},
    {"full, partly read      O[7,64) N[..128)", {64, 2}, {{true, 128}, {false, 7}}},
    {"wrapped                N[..170) O[64,128)", {64, 2}, {{true, 128}, {false, 64}, {true, 42}}},
    {"wrapped, read          ON[170,170) -", {64, 2}, {{true, 128}, {false, 64}, {true, 42}, {false, 106}}},
    {"four, three used       O[0,64) [..128) N[..150) -", {64, 4}, {{true, 150}}},
    {"four, full, wrapped    N[..320) O[70,128) [..192) [..256)", {64, 4}, {{true, 256}, {false, 70}, {true, 64}}},
    {"four, third lap        - - O[660,704) N[..705)", {64, 4},
        {{true, 256}, {false, 256}, {true, 192}, {false, 192}, {true, 192}, {false, 192}, {true, 65}, {false, 20}}},
};

void prepare(ring_fixture& ring, const state& from)
{
  for (const step& one : from.steps)
    BOOST_REQUIRE_EQUAL(one.write ? ring.write(one.size) : ring.read(one.size), one.size);
  BOOST_REQUIRE(ring.ok() && ring.correct);
  BOOST_REQUIRE_MESSAGE(std::string(from.name).find(ring.strip()) != std::string::npos, ring.strip());
}

std::set<std::uint64_t> wrong_values(std::uint64_t right, const ring_fixture& ring)
{
  const std::uint64_t capacity = ring.geometry.capacity();
  std::set<std::uint64_t> result = {0, 1, right - 1, right + 1, right + ring.geometry.segment_size,
      right - ring.geometry.segment_size, right + capacity, right - capacity, right + 1000 * capacity,
      right - 1000 * capacity, std::uint64_t{1} << 63, ~std::uint64_t{0}};
  for (std::uint64_t n = 0; n <= ring.geometry.segment_count; ++n)
    result.insert(right + n);
  result.erase(right);
  return result;
}

// Reads until nothing comes. Each read moves at least a byte, so more reads than the ring has bytes were endless.
struct drained
{
  std::uint64_t bytes = 0;
  bool right = true;
};

drained drain(ring_fixture& ring, std::size_t piece)
{
  drained result;
  for (std::size_t n = 1; n > 0 && ring.ok();)
  {
    BOOST_REQUIRE(result.bytes <= ring.geometry.capacity());
    n = ring.read(piece);
    result.bytes += n;
    result.right &= ring.correct;
  }
  return result;
}

template <typename Check>
void for_each_state(Check check)
{
  for (const state& from : states)
    BOOST_TEST_CONTEXT(from.name)
      check(from);
}

// Plants each wrong value of the word that word_of(ring) names, each in a fresh ring, and looks with check().
template <typename WordOf, typename Check>
void for_each_wrong_value(const state& from, WordOf word_of, Check check)
{
  ring_fixture model(from.geometry);
  prepare(model, from);
  for (const std::uint64_t value : wrong_values(word_of(model).load(), model))
    for (int way = 0; way < 4; ++way)
      BOOST_TEST_CONTEXT("value " << value << ", way " << way)
      {
        ring_fixture ring(from.geometry);
        prepare(ring, from);
        word_of(ring).store(value);
        // What does not take data must not change what follows from it.
        if (way == 1)
          BOOST_TEST(ring.available() <= ring.geometry.capacity());
        if (way == 2)
          BOOST_TEST(ring.peek(1000) <= ring.geometry.capacity());
        check(ring, value, way == 3 ? std::size_t{3} : std::size_t{1000});
        BOOST_TEST(ring.intact());
      }
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(segment_ring_hostile, shm::test::watchdog)

BOOST_AUTO_TEST_CASE(a_wrong_newest_is_corruption_or_not_yet_published)
{
  for_each_state([](const state& from) {
    for_each_wrong_value(
        from, [](ring_fixture& ring) -> auto& { return ring.control.newest; },
        [](ring_fixture& ring, std::uint64_t value, std::size_t piece) {
          const std::uint64_t oldest = ring.control.oldest.load();
          const std::uint64_t right = ring.written == 0 ? 0 : (ring.written - 1) / ring.geometry.segment_size;
          const std::uint64_t unread = ring.written - ring.consumed;
          const drained result = drain(ring, piece);
          BOOST_TEST(result.right);
          BOOST_TEST(result.bytes <= unread);
          if (value < oldest || value > right)
            BOOST_TEST(!ring.ok());
        });
  });
}

BOOST_AUTO_TEST_CASE(a_wrong_end_never_leads_out_of_its_segment)
{
  for_each_state([](const state& from) {
    for (std::uint32_t slot = 0; slot < from.geometry.segment_count; ++slot)
      for_each_wrong_value(
          from, [slot](ring_fixture& ring) -> auto& { return ring.control.end[slot]; },
          [slot](ring_fixture& ring, std::uint64_t value, std::size_t piece) {
            const std::uint64_t size = ring.geometry.segment_size;
            const std::uint64_t oldest = ring.control.oldest.load(), newest = ring.control.newest.load();
            std::uint64_t number = oldest;
            while (number <= newest && ring.slot(number) != slot)
              ++number;
            const std::uint64_t first = ring.consumed;
            const drained result = drain(ring, piece);
            if (number > newest)
            {
              // The slot's words do not count now.
              BOOST_TEST(ring.ok());
              BOOST_TEST(result.right);
              BOOST_TEST(ring.consumed == ring.written);
            }
            else if (value < std::max(first, number * size) || value > (number + 1) * size || number < newest)
              BOOST_TEST(!ring.ok());
            else if (ring.ok())
              BOOST_TEST(ring.consumed == value);
            BOOST_TEST(ring.consumed <= (newest + 1) * size);
          });
  });
}

BOOST_AUTO_TEST_CASE(a_wrong_oldest_is_corruption_or_a_reader_that_gave_up_data)
{
  for_each_state([](const state& from) {
    for_each_wrong_value(
        from, [](ring_fixture& ring) -> auto& { return ring.control.oldest; },
        [](ring_fixture& ring, std::uint64_t value, std::size_t) {
          const std::uint64_t size = ring.geometry.segment_size, count = ring.geometry.segment_count;
          const std::uint64_t newest = ring.control.newest.load();
          const std::uint64_t right = ring.consumed / size;
          std::uint64_t taken = 0;
          for (int i = 0; i < 10 && ring.ok(); ++i)
            taken += ring.write(1000);
          BOOST_TEST(taken <= (10 * count) * size);
          // The writer looks only when what it last saw leaves no room, so it may have found the room it took.
          if (value > newest + count)
            BOOST_TEST(!ring.ok());
          else if (value < right && ring.ok())
            BOOST_TEST(ring.written <= (right + count) * size);
        });
  });
}

// | O[0,64) | N[..128) | full: the writer looks at oldest for every byte
BOOST_AUTO_TEST_CASE(a_full_ring_does_not_take_a_wrong_oldest_for_full)
{
  for (const std::uint64_t value : {std::uint64_t{2}, std::uint64_t{3}, std::uint64_t{1} << 63, ~std::uint64_t{0}})
  {
    ring_fixture ring({64, 2});
    ring.write(128);
    ring.control.oldest.store(value);
    BOOST_TEST(!ring.writable());
    BOOST_TEST(!ring.ok());
    BOOST_TEST(ring.write(1) == 0u);
    BOOST_TEST(!ring.ok());
  }
}

// | N[..192) | O[64,128) | oldest seen as 1 goes back to 0
BOOST_AUTO_TEST_CASE(an_oldest_that_goes_back_is_corruption)
{
  ring_fixture ring({64, 2});
  ring.write(128);
  ring.read(64);
  ring.write(64);
  ring.control.oldest.store(0);
  BOOST_TEST(ring.write(1) == 0u);
  BOOST_TEST(!ring.ok());
}

// | ON[64,64) | - | all read: the reader looks at newest and end each time
BOOST_AUTO_TEST_CASE(an_empty_ring_does_not_take_a_wrong_word_for_empty)
{
  for (const std::uint64_t value : {std::uint64_t{2}, std::uint64_t{1} << 63, ~std::uint64_t{0}})
  {
    ring_fixture ring({64, 2});
    ring.write(64);
    ring.read(64);
    ring.control.newest.store(value);
    BOOST_TEST(!ring.readable());
    BOOST_TEST(!ring.ok());
  }
  for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{63}, std::uint64_t{65}, ~std::uint64_t{0}})
  {
    ring_fixture ring({64, 2});
    ring.write(64);
    ring.read(64);
    ring.control.end[0].store(value);
    BOOST_TEST(!ring.readable());
    BOOST_TEST(!ring.ok());
  }
}

// | O[0,10) | N[..64) | newest has left a segment that is not full
BOOST_AUTO_TEST_CASE(newest_beyond_a_segment_that_is_not_full_is_corruption)
{
  ring_fixture ring({64, 2});
  ring.write(10);
  ring.control.newest.store(1);
  BOOST_TEST(ring.read(100) == 10u);
  BOOST_TEST(ring.correct);
  BOOST_TEST(ring.read(100) == 0u);
  BOOST_TEST(!ring.ok());
}

// begin is the reader's own word: it must not believe what somebody made of it; the writer asks it one question.
BOOST_AUTO_TEST_CASE(a_wrong_begin_changes_nothing_but_unread)
{
  for_each_state([](const state& from) {
    for (std::uint32_t slot = 0; slot < from.geometry.segment_count; ++slot)
      for_each_wrong_value(
          from, [slot](ring_fixture& ring) -> auto& { return ring.control.begin[slot]; },
          [slot](ring_fixture& ring, std::uint64_t value, std::size_t piece) {
            if (ring.slot(ring.control.oldest.load()) == slot)
              BOOST_TEST(ring.writer.unread() == (value != ring.written));
            drain(ring, piece);
            BOOST_TEST(ring.ok());
            BOOST_TEST(ring.consumed == ring.written);
            BOOST_TEST(ring.write(1) == 1u);
          });
  });
}

// | O[0,10) | N[..70) | newest has left a segment that is not full: peek does not show what lies behind its end
BOOST_AUTO_TEST_CASE(peek_does_not_go_past_the_end_of_a_segment_that_was_left)
{
  ring_fixture ring({64, 2});
  ring.write(10);
  ring.control.end[1].store(70);
  ring.control.newest.store(1);
  BOOST_TEST(ring.peek(100) <= 10u);
  BOOST_TEST(!ring.ok());
}

BOOST_AUTO_TEST_CASE(a_shutdown_flag_is_set_once_and_stays)
{
  for (const std::uint64_t value : {std::uint64_t{2}, std::uint64_t{256}, std::uint64_t{1} << 63, ~std::uint64_t{0}})
  {
    ring_fixture ring({64, 2});
    ring.control.shut_down.store(value);
    BOOST_TEST(!ring.reader.writer_shut_down(ring.status));
    BOOST_TEST(!ring.ok());
  }
  ring_fixture ring({64, 2});
  ring.control.shut_down.store(1);
  BOOST_TEST(ring.reader.writer_shut_down(ring.status));
  BOOST_TEST(ring.ok());
  ring.control.shut_down.store(0);
  BOOST_TEST(ring.reader.writer_shut_down(ring.status));
  BOOST_TEST(!ring.ok());
}

BOOST_AUTO_TEST_SUITE_END()
