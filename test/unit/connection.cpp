// SPDX-License-Identifier: BSL-1.0
// Tests of one end of a connection against the other: transfer, sleeping and waking, and every way in which it ends.
#define BOOST_TEST_MODULE connection
#include "connection_fixture.hpp"

#include <shm/error.hpp>

#include <boost/asio/error.hpp>
#include <boost/mpl/list.hpp>
#include <boost/test/unit_test.hpp>

#include <initializer_list>
#include <type_traits>

using namespace shm::detail;
namespace asio_error = boost::asio::error;
using shm::test::connection_end;
using shm::test::connection_ends;
using shm::test::connection_fixture;

using eventfd_kind = std::integral_constant<doorbell_kind, doorbell_kind::eventfd>;
using socket_kind = std::integral_constant<doorbell_kind, doorbell_kind::socket>;
using kinds = boost::mpl::list<eventfd_kind, socket_kind>;

BOOST_AUTO_TEST_SUITE(transfer)

BOOST_AUTO_TEST_CASE_TEMPLATE(data_passes_both_ways, Kind, kinds)
{
  connection_fixture pair(Kind::value);
  BOOST_TEST(pair.connector->send_capacity() == 128u);
  BOOST_TEST(pair.connector->receive_capacity() == 256u);
  BOOST_TEST(pair.acceptor->send_capacity() == 256u);
  BOOST_TEST(pair.acceptor->receive_capacity() == 128u);
  for (int i = 0; i < 20; ++i)
  {
    BOOST_TEST(pair.connector.send(50) == 50u);
    BOOST_TEST(pair.acceptor.send(190) == 190u);
    BOOST_TEST(pair.acceptor.receive(20, true) == 20u);
    BOOST_TEST(pair.acceptor.receive(100) == 50u);
    BOOST_TEST(pair.connector.receive(300) == 190u);
  }
}

BOOST_AUTO_TEST_CASE(nothing_to_read_and_no_room_are_told_from_errors)
{
  connection_fixture pair;
  BOOST_TEST(!pair.acceptor->readable());
  BOOST_TEST(pair.acceptor.receive(1) == 0u);
  BOOST_TEST(!pair.acceptor.ready);
  BOOST_TEST(pair.connector->writable());
  BOOST_TEST(pair.connector.send(200) == 128u);
  BOOST_TEST(!pair.connector->writable());
  BOOST_TEST(pair.connector.send(1) == 0u);
  BOOST_TEST(!pair.connector.ready);
  BOOST_TEST(pair.acceptor->readable());
  boost::system::error_code ec;
  BOOST_TEST(pair.acceptor->available(ec) == 128u);
  BOOST_TEST(!ec);
  BOOST_TEST(!pair.connector->failed());
}

BOOST_AUTO_TEST_SUITE_END()

// The words: reader_wait and writer_wait of the direction from the connector to the acceptor.
BOOST_AUTO_TEST_SUITE(sleeping)

BOOST_AUTO_TEST_CASE(each_sleep_is_a_new_odd_value_and_each_wake_makes_it_even)
{
  connection_fixture pair;
  BOOST_TEST(pair.forth().reader_wait.load() == 0u);
  std::uint64_t last = 0;
  for (int i = 0; i < 5; ++i)
  {
    pair.acceptor->arm(true, false);
    BOOST_TEST(pair.forth().reader_wait.load() % 2 == 1u);
    BOOST_TEST(pair.forth().reader_wait.load() > last);
    last = pair.forth().reader_wait.load();
    pair.acceptor->arm(true, false); // a sleep after a sleep
    BOOST_TEST(pair.forth().reader_wait.load() == last + 2);
    pair.acceptor->disarm();
    last = pair.forth().reader_wait.load();
    BOOST_TEST(last % 2 == 0u);
    pair.acceptor->disarm();
    BOOST_TEST(pair.forth().reader_wait.load() == last);
  }
  BOOST_TEST(pair.back().writer_wait.load() == 0u);
  pair.acceptor->arm(false, true);
  BOOST_TEST(pair.back().writer_wait.load() % 2 == 1u);
  BOOST_TEST(pair.forth().reader_wait.load() == last);
  pair.acceptor->arm(true, true);
  BOOST_TEST(pair.forth().reader_wait.load() % 2 == 1u);
  pair.acceptor->disarm();
  BOOST_TEST(pair.forth().reader_wait.load() % 2 == 0u);
  BOOST_TEST(pair.back().writer_wait.load() % 2 == 0u);
  BOOST_TEST(pair.forth().writer_wait.load() == 0u);
  BOOST_TEST(pair.back().reader_wait.load() == 0u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_publication_rings_a_sleep_once, Kind, kinds)
{
  connection_fixture pair(Kind::value);
  pair.connector.send(1);
  BOOST_TEST(pair.acceptor.rings() == 0u); // awake
  for (int i = 0; i < 3; ++i)
  {
    pair.acceptor->arm(true, false);
    pair.connector.send(1);
    BOOST_TEST(pair.acceptor.rings() == 1u);
    pair.connector.send(1);
    BOOST_TEST(pair.acceptor.rings() == 0u); // the same sleep
    pair.acceptor->disarm();
    pair.connector.send(1);
    BOOST_TEST(pair.acceptor.rings() == 0u);
  }
  pair.acceptor->arm(true, false);
  pair.connector.send(1);
  pair.acceptor->arm(true, false); // not woken, but another sleep
  pair.connector.send(1);
  BOOST_TEST(pair.acceptor.rings() == 2u);
  BOOST_TEST(pair.connector.rings() == 0u);
}

BOOST_AUTO_TEST_CASE(a_sleep_for_one_direction_is_not_rung_for_the_other)
{
  connection_fixture pair;
  pair.acceptor->arm(false, true);
  pair.connector.send(10);
  BOOST_TEST(pair.acceptor.rings() == 0u);
  pair.acceptor->disarm();
  pair.acceptor->arm(true, false);
  pair.acceptor.send(10);
  pair.connector.receive(10);
  BOOST_TEST(pair.acceptor.rings() == 0u);
}

// | O[0,64) | N[..128) | the writer sleeps
BOOST_AUTO_TEST_CASE_TEMPLATE(a_sleeping_writer_is_rung_only_when_a_segment_is_freed, Kind, kinds)
{
  connection_fixture pair(Kind::value);
  for (int i = 0; i < 3; ++i)
  {
    while (pair.connector->writable())
      pair.connector.send(200);
    pair.connector->arm(false, true);
    const std::size_t rest = static_cast<std::size_t>(64 - pair.acceptor.received % 64);
    BOOST_TEST(pair.acceptor.receive(rest - 1) == rest - 1);
    BOOST_TEST(pair.acceptor.receive(1, true) == 1u);
    BOOST_TEST(pair.connector.rings() == 0u);
    BOOST_TEST(pair.acceptor.receive(1) == 1u);
    BOOST_TEST(pair.connector.rings() == 1u);
    BOOST_TEST(pair.acceptor.receive(10) == 10u);
    BOOST_TEST(pair.connector.rings() == 0u);
    pair.connector->disarm();
  }
}

// | O[64,64) | N[..128) | all of the first segment is read, but not left yet: whoever finds newest beyond it frees it
BOOST_AUTO_TEST_CASE(a_segment_that_is_freed_by_only_looking_rings_as_well)
{
  const auto look = [](connection_end& end, int way) {
    boost::system::error_code ec;
    return way == 0 ? end.receive(1, true) : way == 1 ? end->available(ec) : end->readable() ? 1u : 0u;
  };
  for (int way = 0; way < 3; ++way)
  {
    connection_fixture pair;
    pair.connector.send(64);
    BOOST_TEST(pair.acceptor.receive(64) == 64u);
    BOOST_TEST(pair.connector.send(200) == 64u);
    pair.connector->arm(false, true);
    BOOST_TEST(!pair.connector->writable());
    BOOST_TEST(look(pair.acceptor, way) > 0u);
    BOOST_TEST(pair.connector->writable());
    BOOST_TEST(pair.connector.rings() == 1u, "no ring after way " << way << " of looking");
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_shutdown_rings_the_sleeping_reader_once, Kind, kinds)
{
  connection_fixture pair(Kind::value);
  pair.acceptor->arm(true, false);
  pair.connector->shutdown_send();
  pair.connector->shutdown_send();
  BOOST_TEST(pair.acceptor.rings() == 1u);
}

BOOST_AUTO_TEST_CASE(the_own_doorbell_is_drained)
{
  connection_fixture pair;
  pair.acceptor->arm(true, false);
  pair.connector.send(1);
  pair.acceptor->drain_doorbell();
  BOOST_TEST(pair.acceptor.rings() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

// What a peer may write into shared memory, and that it ends this connection at both ends.
BOOST_AUTO_TEST_SUITE(corruption)

template <typename Plant, typename Use>
void ends_with_corrupted(Plant plant, Use use)
{
  connection_fixture pair;
  pair.connector.send(64);
  pair.acceptor.receive(64);
  plant(pair);
  use(pair.acceptor);
  BOOST_TEST(pair.acceptor->failed());
  pair.acceptor.receive(1);
  BOOST_TEST(pair.acceptor.ready);
  BOOST_TEST(pair.acceptor.ec == shm::error::corrupted);
  pair.acceptor.send(1);
  BOOST_TEST(pair.acceptor.ready);
  BOOST_TEST(pair.acceptor.ec == shm::error::corrupted);
  boost::system::error_code ec;
  BOOST_TEST(pair.acceptor->available(ec) == 0u);
  BOOST_TEST(ec == shm::error::corrupted);
  BOOST_TEST(pair.acceptor->readable());
  BOOST_TEST(pair.acceptor->writable());

  BOOST_TEST(!pair.connector->hung_up());
  pair.connector->look_for_hang_up(true);
  BOOST_TEST(pair.connector->hung_up());
}

BOOST_AUTO_TEST_CASE(a_wrong_word_of_the_writer_is_found_by_every_way_of_looking)
{
  const auto newest = [](connection_fixture& pair) { pair.forth().newest.store(7); };
  const auto end = [](connection_fixture& pair) { pair.forth().end[0].store(65); };
  const auto receive = [](connection_end& side) {
    BOOST_TEST(side.receive(1) == 0u);
    BOOST_TEST(side.ready);
    BOOST_TEST(side.ec == shm::error::corrupted);
  };
  const auto peek = [](connection_end& side) {
    BOOST_TEST(side.receive(1, true) == 0u);
    BOOST_TEST(side.ec == shm::error::corrupted);
  };
  const auto readable = [](connection_end& side) { BOOST_TEST(side->readable()); };
  const auto available = [](connection_end& side) {
    boost::system::error_code ec;
    BOOST_TEST(side->available(ec) == 0u);
    BOOST_TEST(ec == shm::error::corrupted);
  };
  ends_with_corrupted(newest, receive);
  ends_with_corrupted(newest, peek);
  ends_with_corrupted(newest, readable);
  ends_with_corrupted(newest, available);
  ends_with_corrupted(end, receive);
  ends_with_corrupted(end, peek);
  ends_with_corrupted(end, readable);
  ends_with_corrupted(end, available);
}

BOOST_AUTO_TEST_CASE(a_wrong_word_of_the_reader_is_found_by_writing_and_by_asking)
{
  const auto oldest = [](connection_fixture& pair) {
    while (pair.acceptor->writable())
      pair.acceptor.send(1000);
    pair.back().oldest.store(99);
  };
  ends_with_corrupted(oldest, [](connection_end& side) {
    BOOST_TEST(side.send(1) == 0u);
    BOOST_TEST(side.ready);
    BOOST_TEST(side.ec == shm::error::corrupted);
  });
  ends_with_corrupted(oldest, [](connection_end& side) { BOOST_TEST(side->writable()); });
}

BOOST_AUTO_TEST_CASE(a_wait_word_with_any_value_only_costs_rings)
{
  connection_fixture pair;
  for (const std::uint64_t word : {std::uint64_t{0}, std::uint64_t{2}, ~std::uint64_t{0} - 1})
  {
    pair.forth().reader_wait.store(word);
    BOOST_TEST(pair.connector.send(1) == 1u);
    BOOST_TEST(pair.acceptor.rings() == 0u);
  }
  for (const std::uint64_t word : {~std::uint64_t{0}, std::uint64_t{1} << 63 | 1, std::uint64_t{1}})
  {
    pair.forth().reader_wait.store(word);
    BOOST_TEST(pair.connector.send(1) == 1u);
    BOOST_TEST(pair.acceptor.rings() == 1u);
  }
}

BOOST_AUTO_TEST_SUITE_END()
