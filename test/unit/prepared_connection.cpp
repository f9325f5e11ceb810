// SPDX-License-Identifier: BSL-1.0
// The spare set of memory and doorbells: made for who connects often, used once, never shared with a forked child.
#include "child_process.hpp"
#include "prepared_connection.hpp"

#include <boost/test/unit_test.hpp>

#include <sys/stat.h>
#include <vector>

using namespace shm::detail;
using shm::test::channel;
using shm::test::child_process;

namespace {

constexpr connection_geometry small = {{4096, 2}, {4096, 2}};
constexpr connection_geometry other = {{8192, 2}, {4096, 2}};

prepared_connection taken(spare_connection& spare, const connection_geometry& geometry = small,
    doorbell_kind kind = doorbell_kind::eventfd)
{
  boost::system::error_code ec;
  prepared_connection result = spare.take(geometry, kind, ec);
  BOOST_TEST_REQUIRE(!ec);
  BOOST_TEST((result.memory.geometry() == geometry));
  BOOST_TEST(result.acceptor_eventfd.valid() == (kind == doorbell_kind::eventfd));
  return result;
}

ino_t inode_of(const prepared_connection& set)
{
  struct stat st = {};
  BOOST_TEST_REQUIRE(::fstat(set.memory_descriptor.native_handle(), &st) == 0);
  return st.st_ino;
}

} // namespace

BOOST_AUTO_TEST_SUITE(spare_connection_)

BOOST_AUTO_TEST_CASE(one_connect_wants_no_spare)
{
  spare_connection spare;
  taken(spare);
  BOOST_TEST(!spare.wanted());
}

BOOST_AUTO_TEST_CASE(set_is_handed_out_once)
{
  spare_connection spare;
  std::vector<prepared_connection> sets;
  for (int i = 0; i != 4; ++i)
  {
    sets.push_back(taken(spare));
    spare.refill();
  }
  for (const prepared_connection& a : sets)
    for (const prepared_connection& b : sets)
      BOOST_TEST((&a == &b || inode_of(a) != inode_of(b)));
}

BOOST_AUTO_TEST_CASE(spare_of_another_kind_is_not_used)
{
  spare_connection spare;
  taken(spare);
  taken(spare);
  spare.refill();
  taken(spare, other);
  taken(spare);
  spare.refill();
  taken(spare, small, doorbell_kind::socket);
}

BOOST_AUTO_TEST_CASE(child_does_not_use_the_set_of_its_parent)
{
  spare_connection spare;
  taken(spare);
  taken(spare);
  spare.refill();
  child_process child(
      [&](channel& parent)
      {
        parent.send(inode_of(taken(spare)));
        return 0;
      });
  const ino_t in_child = child.peer().receive<ino_t>();
  BOOST_TEST(inode_of(taken(spare)) != in_child);
  BOOST_TEST(child.wait() == 0);
}

BOOST_AUTO_TEST_SUITE_END()
