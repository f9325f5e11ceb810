// SPDX-License-Identifier: BSL-1.0
// Tests of the link between two partitions, step by step.
#define BOOST_TEST_MODULE link
#include "deadline.hpp"
#include "link.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <vector>

namespace partitiond = shm::partitiond;
using partitiond::link_block;
using partitiond::mail_bytes;
using partitiond::mailbox_slots;
using change = partitiond::link::change;

namespace {

/// Both blocks, and a side that can be restarted.
struct two_sides
{
  struct side
  {
    side(link_block& own, link_block& other, std::uint64_t first) : mine(own), theirs(other), next(first)
    {
      restart();
    }

    void restart() { channel.emplace(mine, theirs, next++); }
    change look(bool alive = true) { return channel->update(alive, next++); }
    bool up() const { return channel->is_up(); }

    link_block& mine;
    link_block& theirs;
    std::uint64_t next;
    std::optional<partitiond::link> channel;
  };

  std::unique_ptr<link_block> a_block = std::make_unique<link_block>(), b_block = std::make_unique<link_block>();
  side a{*a_block, *b_block, 1000}, b{*b_block, *a_block, 2000};

  void bring_up()
  {
    for (int i = 0; i != 4 && !(a.up() && b.up()); ++i)
    {
      a.look();
      b.look();
    }
    BOOST_TEST_REQUIRE(a.up());
    BOOST_TEST_REQUIRE(b.up());
  }
};

mail_bytes text(unsigned number)
{
  mail_bytes result{};
  for (std::size_t i = 0; i != result.size(); ++i)
    result[i] = static_cast<unsigned char>(number + i);
  return result;
}

bool receives(partitiond::link& from, unsigned number)
{
  mail_bytes got{};
  bool wrong = true;
  return from.receive(got, wrong) && !wrong && got == text(number);
}

bool sends(partitiond::link& to, unsigned number)
{
  bool wrong = true;
  return to.send(text(number), wrong) && !wrong;
}

bool nothing_comes(partitiond::link& from)
{
  mail_bytes got{};
  bool wrong = true;
  return !from.receive(got, wrong) && !wrong;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(link_between_partitions, shm::test::watchdog)

//   a: sees b           up                   b:         sees a        up
BOOST_AUTO_TEST_CASE(comes_up_when_each_has_seen_the_other)
{
  two_sides sides;
  BOOST_TEST((sides.a.look() == change::seen));
  BOOST_TEST((sides.b.look() == change::seen));
  BOOST_TEST((sides.a.look() == change::up));
  BOOST_TEST((sides.b.look() == change::up));
  BOOST_TEST((sides.a.look() == change::none));
  BOOST_TEST(sends(*sides.a.channel, 1));
  BOOST_TEST(receives(*sides.b.channel, 1));
}

BOOST_AUTO_TEST_CASE(is_down_without_the_other)
{
  two_sides sides;
  BOOST_TEST((sides.a.look(false) == change::none));
  BOOST_TEST((sides.a.look(false) == change::none));
  BOOST_TEST(!sides.a.up());
  BOOST_TEST(!sends(*sides.a.channel, 1));
  BOOST_TEST(nothing_comes(*sides.a.channel));
  sides.bring_up();
  // The other's heart has stopped.
  BOOST_TEST((sides.a.look(false) == change::down));
  // It goes on, and finds out.
  BOOST_TEST((sides.b.look() == change::down));
  sides.bring_up();
}

BOOST_AUTO_TEST_CASE(messages_keep_their_order_and_end_with_the_epoch)
{
  two_sides sides;
  sides.bring_up();
  for (unsigned i = 0; i != 100; ++i)
  {
    BOOST_TEST(sends(*sides.a.channel, i));
    BOOST_TEST(receives(*sides.b.channel, i));
  }
  BOOST_TEST(sends(*sides.a.channel, 1));
  BOOST_TEST(sends(*sides.b.channel, 2));
  sides.a.channel->drop(sides.a.next++);
  BOOST_TEST((sides.b.look() == change::down));
  sides.bring_up();
  BOOST_TEST(nothing_comes(*sides.a.channel));
  BOOST_TEST(nothing_comes(*sides.b.channel));
  BOOST_TEST(sends(*sides.a.channel, 3));
  BOOST_TEST(receives(*sides.b.channel, 3));
}

BOOST_AUTO_TEST_CASE(a_full_mailbox_takes_no_more_until_it_is_read)
{
  two_sides sides;
  sides.bring_up();
  unsigned sent = 0;
  while (sends(*sides.a.channel, sent))
    ++sent;
  BOOST_TEST(sent == mailbox_slots);
  BOOST_TEST(!sides.b.channel->take_freed());
  for (unsigned i = 0; i != sent; ++i)
  {
    BOOST_TEST(receives(*sides.b.channel, i));
    BOOST_TEST(sends(*sides.a.channel, sent + i));
  }
  BOOST_TEST(sides.b.channel->take_freed());
  BOOST_TEST(!sides.b.channel->take_freed());
}

// Whatever either does in whatever order, and however often it restarts, three looks of each bring the link up, and no
// message comes from before.
BOOST_AUTO_TEST_CASE(every_order_of_steps_leads_to_a_link)
{
  constexpr unsigned steps = 7, kinds = 6;
  unsigned cases = 1;
  for (unsigned i = 0; i != steps; ++i)
    cases *= kinds;
  for (unsigned number = 0; number != cases; ++number)
  {
    two_sides sides;
    unsigned rest = number, message = 0;
    std::vector<unsigned> to_a, to_b;
    for (unsigned i = 0; i != steps; ++i, rest /= kinds)
    {
      auto& one = rest % 2 == 0 ? sides.a : sides.b;
      switch (rest % kinds / 2)
      {
      case 0: one.look(); break;
      case 1: one.restart(); break;
      default: sends(*one.channel, ++message); break;
      }
    }
    for (int i = 0; i != 3; ++i)
    {
      sides.a.look();
      sides.b.look();
    }
    if (!sides.a.up() || !sides.b.up())
      BOOST_TEST_REQUIRE(false, "not up after the order " << number);
    mail_bytes got{};
    bool wrong = false;
    // What was sent with both epochs as they are may still come; nothing else may.
    for (auto* one : {&sides.a, &sides.b})
      while (one->channel->receive(got, wrong))
        if (got[0] == 0 || got[0] > message)
          BOOST_TEST_REQUIRE(false, "a message from nowhere in the order " << number);
    BOOST_TEST_REQUIRE(!wrong);
    sends(*sides.a.channel, 77);
    if (!receives(*sides.b.channel, 77))
      BOOST_TEST_REQUIRE(false, "lost after the order " << number);
  }
}

BOOST_AUTO_TEST_CASE(wrong_numbers_are_seen)
{
  for (const std::uint64_t value : {mailbox_slots + 1, std::uint64_t{0} - 1, std::uint64_t{1} << 63})
  {
    two_sides sides;
    sides.bring_up();
    mail_bytes got{};
    bool wrong = false;
    sides.a_block->sent.store(value);
    BOOST_TEST(!sides.b.channel->receive(got, wrong));
    BOOST_TEST(wrong);
  }
  {
    two_sides sides; // runs backwards
    sides.bring_up();
    mail_bytes got{};
    bool wrong = false;
    sends(*sides.a.channel, 1);
    sends(*sides.a.channel, 2);
    BOOST_TEST(receives(*sides.b.channel, 1));
    sides.a_block->sent.store(0);
    BOOST_TEST(!sides.b.channel->receive(got, wrong));
    BOOST_TEST(wrong);
  }
  for (const std::uint64_t value : {mailbox_slots + 1, std::uint64_t{0} - 1})
  {
    two_sides sides; // has taken more than there was
    sides.bring_up();
    for (unsigned i = 0; i != mailbox_slots; ++i)
      sends(*sides.a.channel, i);
    sides.b_block->received.store(value);
    bool wrong = false;
    BOOST_TEST(!sides.a.channel->send(text(1), wrong));
    BOOST_TEST(wrong);
  }
}

BOOST_AUTO_TEST_CASE(an_epoch_that_changes_all_the_time_costs_a_step_each_time)
{
  two_sides sides;
  sides.bring_up();
  std::mt19937_64 random(1);
  for (int i = 0; i != 10'000; ++i)
  {
    sides.b_block->epoch.store(random());
    sides.b_block->seen.store(i % 2 == 0 ? random() : sides.a_block->epoch.load());
    sides.a.look();
    mail_bytes got{};
    bool wrong = false;
    while (sides.a.channel->receive(got, wrong))
      ;
  }
  sides.b.restart();
  sides.bring_up();
}

// Two threads that send, receive and drop the link now and then: within an epoch all messages come, once, in order.
BOOST_AUTO_TEST_CASE(two_threads_keep_order_in_every_epoch)
{
  two_sides sides;
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> ups{0}, messages{0}, failures{0};
  const auto play = [&](two_sides::side& own, unsigned seed)
  {
    std::mt19937 random(seed);
    unsigned next = 0, expected = 0;
    while (!stop)
    {
      const change seen = own.look();
      if (seen == change::up || seen == change::down)
        next = expected = 0;
      ups += seen == change::up ? 1 : 0;
      bool wrong = false;
      mail_bytes bytes{};
      while (own.channel->receive(bytes, wrong))
      {
        if (bytes != text(expected++))
          ++failures;
        ++messages;
      }
      while (random() % 4 != 0 && own.channel->send(text(next), wrong))
        ++next;
      failures += wrong ? 1 : 0;
      if (random() % 2000 == 0)
        own.channel->drop(own.next++);
      if (!own.up())
        next = expected = 0;
    }
  };
  std::thread other([&] { play(sides.b, 2); });
  std::thread ending([&] { shm::test::wait_until([&] { return ups > 40 && messages > 20'000; }); stop = true; });
  play(sides.a, 1);
  other.join();
  ending.join();
  BOOST_TEST(failures == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
