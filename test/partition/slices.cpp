// SPDX-License-Identifier: BSL-1.0
// Tests of giving out and taking back parts of an area.
#define BOOST_TEST_MODULE slices
#include "region_layout.hpp"
#include "slice_allocator.hpp"

#include <boost/test/unit_test.hpp>

#include <map>
#include <random>
#include <vector>

using namespace shm::partitiond;

namespace {

const slice_allocator::clock::time_point now{};
constexpr std::uint64_t begin = 0x10000, size = 64 * page_size;

} // namespace

BOOST_AUTO_TEST_SUITE(slices)

BOOST_AUTO_TEST_CASE(whole_pages_first_fit)
{
  slice_allocator slices(begin, begin + size);
  BOOST_TEST((slices.allocate(1, now) == begin));
  BOOST_TEST((slices.allocate(page_size + 1, now) == begin + page_size));
  BOOST_TEST((slices.allocate(page_size, now) == begin + 3 * page_size));
  BOOST_TEST(slices.available() == size - 4 * page_size);
  slices.free(begin, true, now);
  BOOST_TEST((slices.allocate(2 * page_size, now) == begin + 4 * page_size));
  BOOST_TEST((slices.allocate(page_size, now) == begin));
}

BOOST_AUTO_TEST_CASE(exhaustion_is_no_answer)
{
  slice_allocator slices(begin, begin + size);
  BOOST_TEST((slices.allocate(size + 1, now) == std::nullopt));
  BOOST_TEST((slices.allocate(0, now) == std::nullopt));
  BOOST_TEST((slices.allocate(~std::uint64_t{0}, now) == std::nullopt));
  BOOST_TEST((slices.allocate(size, now) == begin));
  BOOST_TEST((slices.allocate(1, now) == std::nullopt));
  BOOST_TEST(slices.largest() == 0u);
  slices.free(begin, true, now);
  BOOST_TEST(slices.largest() == size);
  slices.free(begin, true, now); // twice: nothing
  slices.free(begin + 1, true, now);
  BOOST_TEST(slices.available() == size);
}

BOOST_AUTO_TEST_CASE(neighbours_become_one)
{
  for (int order = 0; order != 6; ++order)
  {
    slice_allocator slices(begin, begin + size);
    std::vector<std::uint64_t> taken;
    for (int i = 0; i != 3; ++i)
      taken.push_back(*slices.allocate(page_size, now));
    static constexpr int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (const int which : orders[order])
      slices.free(taken[static_cast<std::size_t>(which)], true, now);
    BOOST_TEST(slices.largest() == size);
  }
}

BOOST_AUTO_TEST_CASE(what_the_other_side_may_still_write_to_rests)
{
  slice_allocator slices(begin, begin + size);
  const std::uint64_t one = *slices.allocate(page_size, now), two = *slices.allocate(page_size, now);
  slices.free(one, false, now);
  slices.free(two, false, now + slice_allocator::rest / 2);
  BOOST_TEST(slices.available() == size - 2 * page_size);
  BOOST_TEST((slices.allocate(page_size, now + slice_allocator::rest / 2) == begin + 2 * page_size));
  BOOST_TEST((slices.allocate(page_size, now + slice_allocator::rest) == one));
  BOOST_TEST((slices.allocate(2 * page_size, now + 2 * slice_allocator::rest) == begin + 3 * page_size));
  BOOST_TEST((slices.allocate(page_size, now + 2 * slice_allocator::rest) == two));
}

BOOST_AUTO_TEST_CASE(slices_never_overlap)
{
  std::mt19937 random(5);
  slice_allocator slices(begin, begin + size);
  std::map<std::uint64_t, std::uint64_t> taken;
  for (int i = 0; i != 20'000; ++i)
  {
    if (random() % 2 == 0)
    {
      const std::uint64_t wanted = 1 + random() % (8 * page_size);
      const auto offset = slices.allocate(wanted, now);
      if (!offset)
        continue;
      const auto next = taken.lower_bound(*offset);
      BOOST_TEST_REQUIRE((next == taken.end() || *offset + wanted <= next->first));
      BOOST_TEST_REQUIRE((next == taken.begin() || std::prev(next)->first + std::prev(next)->second <= *offset));
      BOOST_TEST_REQUIRE((*offset >= begin && *offset + wanted <= begin + size));
      taken.emplace(*offset, wanted);
    }
    else if (!taken.empty())
    {
      auto which = taken.begin();
      std::advance(which, static_cast<long>(random() % taken.size()));
      slices.free(which->first, true, now);
      taken.erase(which);
    }
  }
  for (const auto& one : taken)
    slices.free(one.first, true, now);
  BOOST_TEST(slices.largest() == size);
}

BOOST_AUTO_TEST_SUITE_END()
