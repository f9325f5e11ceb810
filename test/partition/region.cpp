// SPDX-License-Identifier: BSL-1.0
// Tests of making, checking and mapping a region, and of telling who is there.
#define BOOST_TEST_MODULE region
#include "area.hpp"
#include "partition_region.hpp"

#include <shm/error.hpp>

#include <boost/asio/error.hpp>
#include <boost/test/unit_test.hpp>

#include <cstring>
#include <functional>

using namespace shm::partitiond;
using boost::system::error_code;
using shm::test::partition_region;

BOOST_AUTO_TEST_SUITE(region_of_partitions)

BOOST_AUTO_TEST_CASE(areas_lie_one_behind_the_other)
{
  const partition_region memory(8 << 20, 4, 2);
  const region here = memory.open();
  BOOST_TEST(here.geometry().partitions == 4u);
  BOOST_TEST(here.geometry().vectors == 2u);
  BOOST_TEST(here.geometry().region_id == 0x1234u);
  for (std::uint32_t i = 0; i != 4; ++i)
  {
    BOOST_TEST(here.area(i) == here.base() + header_size + i * here.geometry().area_size);
    BOOST_TEST((here.area(i) - here.base()) % static_cast<long>(page_size) == 0);
    BOOST_TEST(reinterpret_cast<unsigned char*>(&here.block(i, 3)) + sizeof(link_block)
        == here.area(i) + slices_offset(4));
  }
  BOOST_TEST(here.area(3) + here.geometry().area_size <= here.base() + (8 << 20));
}

BOOST_AUTO_TEST_CASE(sizes_and_numbers_have_limits)
{
  std::vector<unsigned char> memory(1 << 20);
  const auto error = [&](std::uint64_t size, std::uint32_t partitions)
  {
    error_code ec;
    create_header(memory.data(), size, partitions, 1, 1, ec);
    return ec;
  };
  BOOST_TEST(!error(1 << 20, 2));
  const error_code invalid = boost::asio::error::invalid_argument;
  for (const std::uint32_t partitions : {0u, 1u, 65u, ~0u})
    BOOST_TEST(error(1 << 20, partitions) == invalid);
  BOOST_TEST(error(1 << 20, 4) == invalid);
  BOOST_TEST(error(0, 2) == invalid);
  BOOST_TEST(error(4096, 2) == invalid);
}

BOOST_AUTO_TEST_CASE(every_damaged_field_is_seen)
{
  const auto error = [](std::function<void(region_header&)> damage)
  {
    const partition_region memory;
    damage(memory.header());
    error_code ec;
    region::open(memory.place(), ec);
    return ec;
  };
  BOOST_TEST(!error([](region_header&) {}));
  BOOST_TEST(error([](region_header& h) { h.magic[7] = 0; }) == shm::error::protocol_error);
  BOOST_TEST(error([](region_header& h) { h.version = 2; }) == shm::error::version_mismatch);
  const error_code refused = shm::error::geometry_refused;
  for (const std::uint32_t partitions : {0u, 1u, 3u, 5u, 65u, ~0u})
    BOOST_TEST(error([=](region_header& h) { h.partitions = partitions; }) == refused);
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{4096}, std::uint64_t{8} << 20 << 1, ~std::uint64_t{0}})
    BOOST_TEST(error([=](region_header& h) { h.size = size; }) == refused);
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{4095}})
    BOOST_TEST(error([=](region_header& h) { h.area_size = size; }) == refused);
  error_code ec;
  const partition_region memory;
  region::open({memory.place().descriptor, 0, 100}, ec);
  BOOST_TEST(ec == refused);
  region::open({-1, 0, 8 << 20}, ec);
  BOOST_TEST(ec);
}

BOOST_AUTO_TEST_CASE(who_beats_is_alive)
{
  const partition_region memory;
  const region here = memory.open(), there = memory.open();
  const std::chrono::milliseconds dead_after(1000);
  own_area own(there, 2);
  other_area other(here, 2, dead_after);
  other_area::clock::time_point now{};
  partition_identity identity{};
  identity.family = 4;
  identity.name_size = 3;
  std::memcpy(identity.name, "two", 3);

  BOOST_TEST(!other.alive(now));
  own.join(identity);
  own.beat();
  BOOST_TEST(!other.alive(now)); // the server has not seen it
  memory.header().present[2].store(99);
  BOOST_TEST(other.alive(now));
  BOOST_TEST(std::string(other.identity().name) == "two");
  BOOST_TEST(other.alive(now + dead_after - std::chrono::milliseconds(1)));
  BOOST_TEST(!other.alive(now + dead_after));
  own.beat();
  BOOST_TEST(other.alive(now += dead_after));
  own.leave();
  BOOST_TEST(!other.alive(now));
  own.join(identity);
  BOOST_TEST(other.alive(now));
  memory.header().present[2].store(0); // killed, and the server knows
  BOOST_TEST(!other.alive(now));
}

// A heart that stopped long ago looks like one that has just beaten, until it does not beat again.
BOOST_AUTO_TEST_CASE(nobody_is_alive_at_the_first_look)
{
  const partition_region memory;
  const region here = memory.open();
  own_area own(here, 1);
  own.join(partition_identity{});
  own.beat();
  memory.header().present[1].store(1);
  other_area other(here, 1, std::chrono::milliseconds(1000));
  BOOST_TEST(!other.alive());
  BOOST_TEST(!other.alive());
  own.beat();
  BOOST_TEST(other.alive());
}

BOOST_AUTO_TEST_CASE(listeners_are_listed)
{
  const partition_region memory;
  const region here = memory.open();
  own_area own(here, 1);
  own.set_listeners({80, 443});
  const listener_table& table = here.listeners_of(1);
  BOOST_TEST(table.count.load() == 2u);
  BOOST_TEST(table.ports[1].load() == 443u);
  own.set_listeners(std::vector<std::uint16_t>(1000, 1));
  BOOST_TEST(table.count.load() == 1000u);
}

BOOST_AUTO_TEST_SUITE_END()
