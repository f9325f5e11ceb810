// SPDX-License-Identifier: BSL-1.0
// How the share of time that may be spent spinning follows what spinning brought.
#include "poll_budget.hpp"

#include <boost/test/unit_test.hpp>

using shm::detail::poll_budget;
using std::chrono::microseconds;

namespace {

constexpr auto cap = poll_budget::default_cap;
constexpr auto none = poll_budget::duration::zero();

// A peer that needs so long for each answer: spins while the budget lasts, then sleeps. Returns the time spent spinning.
poll_budget::duration answers(
    poll_budget& budget, poll_budget::duration time, int count, poll_budget::duration limit = cap)
{
  poll_budget::duration spent = none;
  for (int i = 0; i < count; ++i)
  {
    const auto share = budget.share_of(limit);
    if (time <= share)
    {
      budget.spin_ended(time, limit);
      spent += time;
      continue;
    }
    if (share != none)
      budget.spin_failed();
    spent += share;
    budget.sleep_ended(time + microseconds(30), limit); // with the time of the wake-up
  }
  return spent;
}

} // namespace

BOOST_AUTO_TEST_SUITE(poll_budget_)

BOOST_AUTO_TEST_CASE(begins_with_the_whole_cap)
{
  const poll_budget budget;
  BOOST_TEST((budget.share_of(cap) == cap / 32 * 32));
  BOOST_TEST((budget.share_of(none) == none));
  BOOST_TEST((budget.share_of(microseconds(200)) > microseconds(190)));
}

BOOST_AUTO_TEST_CASE(stays_while_answers_come_soon)
{
  poll_budget budget;
  answers(budget, microseconds(1), 1000);
  BOOST_TEST(budget.level() == poll_budget::full);
}

BOOST_AUTO_TEST_CASE(shrinks_to_nothing_while_spinning_is_in_vain)
{
  poll_budget budget;
  answers(budget, microseconds(1000), 6);
  BOOST_TEST((budget.share_of(cap) == none));
  BOOST_TEST((answers(budget, microseconds(1000), 1000) == none));
}

BOOST_AUTO_TEST_CASE(one_long_wait_after_many_short_ones_changes_nothing)
{
  poll_budget budget;
  for (int i = 0; i < 20; ++i)
  {
    answers(budget, microseconds(1), 10);
    answers(budget, microseconds(5000), 1);
    BOOST_TEST(budget.level() == poll_budget::full);
  }
}

BOOST_AUTO_TEST_CASE(grows_when_sleeps_turn_out_short)
{
  poll_budget budget;
  answers(budget, microseconds(1000), 10);
  BOOST_TEST_REQUIRE((budget.share_of(cap) == none));
  answers(budget, microseconds(1), 300);
  BOOST_TEST(budget.level() == poll_budget::full);
}

// Short sleeps that no spin of the cap would have ended: the doubt grows with each attempt.
BOOST_AUTO_TEST_CASE(attempts_become_rare_while_they_fail)
{
  poll_budget budget;
  answers(budget, microseconds(100), 2000);
  BOOST_TEST((answers(budget, microseconds(100), 2000) < microseconds(100) * 2000 / 100));
}

BOOST_AUTO_TEST_CASE(answers_that_come_late_in_the_spin_do_not_pay)
{
  poll_budget budget;
  answers(budget, microseconds(40), 2000);
  BOOST_TEST((answers(budget, microseconds(40), 2000) < microseconds(40) * 2000 / 50));
}

BOOST_AUTO_TEST_CASE(a_longer_limit_waits_for_later_answers)
{
  poll_budget budget;
  answers(budget, microseconds(200), 1000, microseconds(1000));
  BOOST_TEST(budget.level() == poll_budget::full);
  answers(budget, microseconds(200), 1000);
  BOOST_TEST(budget.level() == 0u);
}

// The first success after a long time in doubt makes the next attempts cheap again.
BOOST_AUTO_TEST_CASE(success_forgives)
{
  poll_budget budget;
  answers(budget, microseconds(100), 5000);
  answers(budget, microseconds(1), 1000);
  BOOST_TEST_REQUIRE(budget.level() == poll_budget::full);
  answers(budget, microseconds(1000), 8);
  int sleeps = 0;
  for (; budget.level() == 0 && sleeps < 1000; ++sleeps)
    budget.sleep_ended(microseconds(30), cap);
  BOOST_TEST(sleeps <= 64);
}

BOOST_AUTO_TEST_SUITE_END()
