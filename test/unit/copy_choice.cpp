// SPDX-License-Identifier: BSL-1.0
// When large writes change from ordinary to non-temporal copies and back.
#define BOOST_TEST_MODULE copy_choice
#include "copy_choice.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstddef>

using shm::detail::copy_choice;
using std::chrono::microseconds;

namespace {

constexpr std::size_t size = 65536;
constexpr microseconds fast(8);  // 125 ns for 1 KiB
constexpr microseconds slow(32); // 500 ns for 1 KiB

} // namespace

BOOST_AUTO_TEST_SUITE(choosing)

BOOST_AUTO_TEST_CASE(fast_copies_stay_ordinary)
{
  copy_choice choice;
  for (int i = 0; i < 100; ++i)
    choice.note(size, fast);
  BOOST_TEST(!choice.streaming());
}

BOOST_AUTO_TEST_CASE(four_slow_copies_in_a_row_change_it)
{
  copy_choice choice;
  for (int i = 0; i < 3; ++i)
    choice.note(size, slow);
  choice.note(size, fast);
  for (int i = 0; i < 3; ++i)
    choice.note(size, slow);
  BOOST_TEST(!choice.streaming());
  choice.note(size, slow);
  BOOST_TEST(choice.streaming());
}

BOOST_AUTO_TEST_CASE(ordinary_copies_get_another_chance_after_64_mib)
{
  copy_choice choice;
  for (int i = 0; i < 4; ++i)
    choice.note(size, slow);
  for (int i = 0; i < 1023; ++i)
    choice.note(size, slow);
  BOOST_TEST(choice.streaming());
  choice.note(size, slow);
  BOOST_TEST(!choice.streaming());
}

BOOST_AUTO_TEST_SUITE_END()
