// SPDX-License-Identifier: BSL-1.0
// When the daemon rings an application, and how large the rings are that it gives out.
#define BOOST_TEST_MODULE relay
#include <boost/test/unit_test.hpp>

#include "relay.hpp"

#include <cstdint>
#include <cstdlib>
#include <memory>

using shm::detail::connection_geometry;
using shm::detail::connection_memory;
using shm::detail::control_segment;
using shm::partitiond::reduced;
using shm::partitiond::relay;

namespace {

struct connection_in_memory
{
  connection_in_memory()
  {
    connection_memory::initialise(base.get(), geometry);
    reads.store(1);
    writes.store(0);
  }

  control_segment& control(bool of_connector)
  {
    const std::uint64_t offset =
        shm::detail::page_size + (of_connector ? 0 : connection_geometry::ring_size(geometry.connector));
    return *reinterpret_cast<control_segment*>(static_cast<unsigned char*>(base.get()) + offset);
  }

  const connection_geometry geometry{{4096, 4}, {8192, 8}};
  std::unique_ptr<void, void (*)(void*)> base{std::aligned_alloc(shm::detail::page_size, geometry.size()), &std::free};
  // The application is the connector.
  control_segment& received = control(false);
  control_segment& sent = control(true);
  std::atomic<std::uint64_t>& reads = received.reader_wait;
  std::atomic<std::uint64_t>& writes = sent.writer_wait;
  relay application{base.get(), geometry, true};
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(relays, connection_in_memory)

BOOST_AUTO_TEST_CASE(nothing_published_rings_nobody)
{
  BOOST_TEST(!application.due());
  reads.store(3);
  BOOST_TEST(!application.due());
}

BOOST_AUTO_TEST_CASE(one_sleep_is_rung_once)
{
  received.end[0].store(10);
  BOOST_TEST(application.due());
  BOOST_TEST(!application.due());
  received.end[0].store(20);
  BOOST_TEST(!application.due());
}

BOOST_AUTO_TEST_CASE(a_sleep_that_began_after_the_last_ring_waits_for_something_new)
{
  received.end[0].store(10);
  BOOST_TEST(application.due());
  reads.store(3);
  BOOST_TEST(!application.due());
  received.end[0].store(20);
  BOOST_TEST(application.due());
}

BOOST_AUTO_TEST_CASE(who_is_awake_is_not_rung)
{
  reads.store(2);
  received.end[0].store(10);
  BOOST_TEST(!application.due());
  reads.store(3);
  BOOST_TEST(application.due());
}

BOOST_AUTO_TEST_CASE(a_new_segment_and_the_shutdown_flag_are_news)
{
  received.newest.store(1);
  BOOST_TEST(application.due());
  reads.store(3);
  received.shut_down.store(1);
  BOOST_TEST(application.due());
}

BOOST_AUTO_TEST_CASE(a_segment_given_back_rings_a_writer)
{
  reads.store(0);
  writes.store(1);
  sent.begin[0].store(100); // read, but the segment is not left
  BOOST_TEST(!application.due());
  sent.oldest.store(1);
  BOOST_TEST(application.due());
  BOOST_TEST(!application.due());
}

BOOST_AUTO_TEST_CASE(both_sleeps_are_rung_by_one_ring_and_none_is_lost)
{
  writes.store(1);
  received.end[0].store(1);
  sent.oldest.store(1);
  BOOST_TEST(application.due());
  BOOST_TEST(!application.due());
}

BOOST_AUTO_TEST_CASE(any_value_in_the_memory_is_survived)
{
  for (const std::uint64_t value : {~std::uint64_t{0}, std::uint64_t{1} << 63, std::uint64_t{64}, std::uint64_t{12345}})
  {
    reads.store(reads.load() + 2);
    received.newest.store(value);
    BOOST_TEST(application.due());
  }
}

BOOST_AUTO_TEST_CASE(the_acceptor_reads_the_other_ring)
{
  relay acceptor(base.get(), geometry, false);
  sent.reader_wait.store(1);
  sent.end[0].store(1);
  BOOST_TEST(acceptor.due());
  received.writer_wait.store(1);
  received.oldest.store(1);
  BOOST_TEST(acceptor.due());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(granted_geometry)

BOOST_AUTO_TEST_CASE(what_fits_is_given_as_it_was_wanted)
{
  const connection_geometry wanted = {{192, 2}, {131072, 16}};
  BOOST_TEST((reduced(wanted, wanted.size()) == wanted));
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_becomes_smaller_and_stays_valid)
{
  const connection_geometry wanted = {{131072, 16}, {100'032, 64}};
  for (std::uint64_t limit = wanted.size() - 1; limit > 100'000; limit = limit * 9 / 10)
  {
    const connection_geometry given = reduced(wanted, limit);
    BOOST_TEST(given.valid());
    BOOST_TEST(given.size() <= limit);
    BOOST_TEST(given.connector.capacity() <= wanted.connector.capacity());
    BOOST_TEST(given.acceptor.capacity() <= wanted.acceptor.capacity());
  }
}

BOOST_AUTO_TEST_CASE(nothing_is_smaller_than_16_kib_but_what_was_wanted_so)
{
  const connection_geometry given = reduced({{131072, 16}, {64, 2}}, 0);
  BOOST_TEST(given.connector.capacity() == 16384U);
  BOOST_TEST((given.acceptor == shm::detail::ring_geometry{64, 2}));
}

BOOST_AUTO_TEST_SUITE_END()
