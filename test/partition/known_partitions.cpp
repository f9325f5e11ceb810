// SPDX-License-Identifier: BSL-1.0
// Addresses and names of partitions, from what they say of themselves.
#define BOOST_TEST_MODULE known_partitions
#include <boost/test/unit_test.hpp>

#include "known_partitions.hpp"

#include <algorithm>
#include <cstring>
#include <string>

using namespace shm::partitiond;

namespace {

shm::detail::ip_name address(const std::string& text)
{
  shm::detail::ip_name result;
  BOOST_REQUIRE(parse_address(text, result));
  return result;
}

partition_identity identity(const std::string& text, const std::string& name)
{
  return to_identity({address(text), name});
}

struct three
{
  known_partitions known{1, {address("10.0.0.1"), "one"}};
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(partitions, three)

BOOST_AUTO_TEST_CASE(hosts_are_listed_with_oneself_marked)
{
  known.add(0, identity("10.0.0.7", "zero"));
  known.add(2, identity("2001:db8::2", "two"));
  BOOST_TEST(known.hosts() == "10.0.0.7 zero 0\n10.0.0.1 one 1 self\n2001:db8::2 two 2\n");
  BOOST_TEST((known.find(address("2001:db8::2")) == 2U));
  known.remove(2);
  BOOST_TEST(!known.find(address("2001:db8::2")));
}

BOOST_AUTO_TEST_CASE(nobody_takes_an_address_or_a_name_that_somebody_has)
{
  known.add(0, identity("10.0.0.1", "one"));
  BOOST_TEST(known.get(0)->name == "partition-0");
  BOOST_TEST(known.get(0)->address.is_wildcard());
  BOOST_TEST(!known.find(address("10.0.0.1")));
  BOOST_TEST(known.hosts() == "10.0.0.1 one 1 self\n");
  known.add(0, identity("10.0.0.7", "One"));
  BOOST_TEST(known.get(0)->name == "partition-0");
  BOOST_TEST(known.hosts() == "10.0.0.7 partition-0 0\n10.0.0.1 one 1 self\n");
}

BOOST_AUTO_TEST_CASE(one_partition_may_say_the_same_again)
{
  known.add(0, identity("10.0.0.7", "zero"));
  known.add(0, identity("10.0.0.7", "zero"));
  BOOST_TEST((known.find(address("10.0.0.7")) == 0U));
}

BOOST_AUTO_TEST_CASE(addresses_with_a_meaning_of_their_own_are_nobodys)
{
  for (const char* wrong : {"127.0.0.1", "0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255", "::1", "::", "ff02::1",
           "fe80::1", "::ffff:10.0.0.9"})
  {
    known.add(0, identity(wrong, "zero"));
    BOOST_TEST(known.get(0)->address.is_wildcard(), wrong);
    BOOST_TEST(known.hosts() == "10.0.0.1 one 1 self\n", wrong);
  }
}

BOOST_AUTO_TEST_CASE(names_that_could_break_the_list_are_replaced)
{
  for (const std::string& wrong : {std::string(), std::string("two words"), std::string("line\n10.0.0.9 x 3"),
           std::string("nul\0", 4), std::string("-option"), std::string(".hidden"), std::string("\xff"), std::string("www.example.org"), std::string("localhost"),
           std::string("LocalHost"), std::string("10"), std::string("99999999999"), std::string("0x7f000001")})
  {
    known.add(0, identity("10.0.0.7", wrong));
    BOOST_TEST(known.get(0)->name == "partition-0");
  }
}

BOOST_AUTO_TEST_CASE(any_bytes_are_survived)
{
  partition_identity wrong;
  std::memset(&wrong, 0xff, sizeof(wrong));
  known.add(0, wrong);
  BOOST_TEST(known.get(0)->address.is_wildcard());
  wrong.family = 4;
  std::fill(std::begin(wrong.name), std::end(wrong.name), 'a');
  known.add(0, wrong);
  BOOST_TEST(known.get(0)->name == std::string(64, 'a'));
}

BOOST_AUTO_TEST_CASE(default_addresses_differ_by_partition_and_mean_nothing_in_the_internet)
{
  for (std::uint32_t id = 0; id != max_partitions; ++id)
  {
    const std::string text = to_string(default_address(0x1234567890abcdefU, id));
    BOOST_TEST((text.rfind("198.18.", 0) == 0 || text.rfind("198.19.", 0) == 0), text);
    BOOST_TEST((id == 0 || text != to_string(default_address(0x1234567890abcdefU, id - 1))));
  }
}

BOOST_AUTO_TEST_SUITE_END()
