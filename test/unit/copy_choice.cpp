// SPDX-License-Identifier: BSL-1.0
// Which kind of copies is chosen for what both cost.
#include "copy_choice.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>

using shm::detail::copy_choice;

namespace {

constexpr std::size_t block = 64 * 1024;

/// What a block costs its writer and its reader, in nanoseconds for 1 KiB.
struct cost
{
  long writer;
  long reader;
};

/// A writer that is always busy: the ring is full whenever its reader is slower.
class busy_writer
{
public:
  /// Writes for that many mebibytes. @returns the part that was streamed.
  double write(int mebibytes, cost ordinary, cost streaming)
  {
    const int writes = mebibytes * 16;
    int streamed = 0;
    for (int i = 0; i < writes; ++i)
    {
      streamed += choice.streaming() ? 1 : 0;
      const cost each = choice.streaming() ? streaming : ordinary;
      const auto start = now_ + std::chrono::nanoseconds(std::max(0L, each.reader - each.writer) * 64);
      now_ = start + std::chrono::nanoseconds(each.writer * 64);
      choice.note(block, start, now_, each.reader > each.writer);
    }
    return static_cast<double>(streamed) / writes;
  }

  copy_choice choice;

private:
  copy_choice::time_point now_{};
};

} // namespace

BOOST_AUTO_TEST_SUITE(copy_choice_)

BOOST_AUTO_TEST_CASE(fast_copies_stay_ordinary)
{
  busy_writer writer;
  BOOST_TEST(writer.write(2000, {50, 30}, {10, 10}) == 0.0);
}

BOOST_AUTO_TEST_CASE(slow_copies_go_past_the_cache_if_that_is_cheaper)
{
  busy_writer writer;
  BOOST_TEST(writer.write(2000, {400, 100}, {80, 80}) > 0.9);
}

BOOST_AUTO_TEST_CASE(slow_copies_stay_ordinary_if_the_others_are_slower)
{
  busy_writer writer;
  BOOST_TEST(writer.write(2000, {300, 100}, {400, 100}) < 0.1);
}

// The writer is faster, but the reader, which has to get the bytes from memory, is not.
BOOST_AUTO_TEST_CASE(time_of_the_reader_counts)
{
  busy_writer writer;
  BOOST_TEST(writer.write(2000, {260, 60}, {60, 300}) < 0.1);
  busy_writer other;
  BOOST_TEST(other.write(2000, {40, 400}, {60, 140}) > 0.9);
}

// Pages that are touched for the first time make the first copies slow, whoever reads them.
BOOST_AUTO_TEST_CASE(first_writes_are_not_judged)
{
  busy_writer writer;
  writer.write(4, {500, 100}, {80, 80});
  BOOST_TEST(writer.write(100, {50, 30}, {80, 80}) == 0.0);
}

BOOST_AUTO_TEST_CASE(follows_when_the_cores_change)
{
  busy_writer writer;
  BOOST_TEST(writer.write(100, {400, 100}, {80, 80}) > 0.8);
  writer.write(300, {40, 40}, {80, 80}); // the end of what was decided before
  BOOST_TEST(writer.write(1000, {40, 40}, {80, 80}) == 0.0);
}

// A writer with nothing to write is not slow.
BOOST_AUTO_TEST_CASE(pauses_of_the_program_do_not_count)
{
  copy_choice choice;
  copy_choice::time_point now{};
  for (int i = 0; i != 10000; ++i)
  {
    const auto start = now + std::chrono::milliseconds(1);
    now = start + std::chrono::microseconds(3);
    choice.note(block, start, now, false);
  }
  BOOST_TEST(!choice.streaming());
}

BOOST_AUTO_TEST_SUITE_END()
