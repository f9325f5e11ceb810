// SPDX-License-Identifier: BSL-1.0
// Tests of the acceptor's side of the handshake: which clients become connections, and when.
#define BOOST_TEST_MODULE listener
#include "listener_fixture.hpp"

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include <unistd.h>

using namespace shm::detail;
using boost::system::error_code;
using client = shm::test::listener_client;
using shm::test::open_descriptors;

namespace {

bool same(const socket_address& a, const socket_address& b)
{
  return a.size == b.size && std::memcmp(a.data, b.data, a.size) == 0;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(listener_suite, shm::test::listener_fixture)

BOOST_AUTO_TEST_CASE(a_client_that_says_hello_is_accepted)
{
  BOOST_TEST((next() == nullptr));
  const client one(path);
  one.say_hello();
  const auto end = next();
  BOOST_TEST_REQUIRE((end != nullptr));
  BOOST_TEST((end->side == connection_side::acceptor));
  BOOST_TEST(one.memory.attached());
  BOOST_TEST(same(end->local, one.message.acceptor));
  BOOST_TEST(same(end->remote, one.message.connector));
  BOOST_TEST((end->bell.kind() == doorbell_kind::eventfd));
  end->bell.ring(end->rendezvous.get()); // the third descriptor is the connector's own
  std::uint64_t rung = 0;
  BOOST_TEST(::read(one.bells[1].get(), &rung, sizeof(rung)) == static_cast<ssize_t>(sizeof(rung)));
  BOOST_TEST((next() == nullptr));
  BOOST_TEST(tested.take_new_clients().empty());
  BOOST_TEST(forgotten.empty());
}

BOOST_AUTO_TEST_CASE(a_client_with_socket_doorbells_is_accepted)
{
  client one(path);
  one.message.doorbell = doorbell_kind::socket;
  one.descriptors.resize(1);
  one.say_hello();
  const auto end = next();
  BOOST_TEST_REQUIRE((end != nullptr));
  BOOST_TEST((end->bell.kind() == doorbell_kind::socket));
}

BOOST_AUTO_TEST_CASE(clients_are_taken_in_the_order_of_the_backlog)
{
  const client first(path), second(path);
  second.say_hello();
  first.say_hello();
  BOOST_TEST((next() != nullptr));
  BOOST_TEST(first.memory.attached());
  BOOST_TEST(!second.memory.attached());
  BOOST_TEST((next() != nullptr));
  BOOST_TEST(second.memory.attached());
}

BOOST_AUTO_TEST_CASE(a_silent_client_is_put_aside_and_taken_when_it_speaks)
{
  const client silent(path), good(path);
  good.say_hello();
  BOOST_TEST((next() != nullptr));
  BOOST_TEST(good.memory.attached());
  const std::vector<int> aside = tested.take_new_clients();
  BOOST_TEST(aside.size() == 1u);
  BOOST_TEST(tested.take_new_clients().empty());
  std::vector<int> all;
  tested.clients(all);
  BOOST_TEST(all == aside, boost::test_tools::per_element());

  // In two pieces, the second of them late.
  const hello_bytes bytes = encode(silent.message);
  silent.say(bytes.data(), 100, true);
  BOOST_TEST((next() == nullptr));
  silent.say(bytes.data() + 100, bytes.size() - 100, false);
  BOOST_TEST(forgotten.empty());
  BOOST_TEST((next() != nullptr));
  BOOST_TEST(silent.memory.attached());
  BOOST_TEST(forgotten == aside, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_client_that_goes_silently_is_forgotten)
{
  auto gone = std::make_unique<client>(path);
  BOOST_TEST((next() == nullptr));
  gone.reset();
  BOOST_TEST((next() == nullptr));
  BOOST_TEST(forgotten.size() == 1u);
  BOOST_TEST(tested.take_new_clients().empty()); // it must not be watched any more
}

BOOST_AUTO_TEST_CASE(silent_clients_are_bounded_and_the_oldest_goes_first)
{
  std::vector<std::unique_ptr<client>> silent;
  for (int i = 0; i < 70; ++i)
    silent.push_back(std::make_unique<client>(path));
  const std::size_t open = open_descriptors().size();
  do
    BOOST_TEST((next() == nullptr));
  while (tested.more());
  std::vector<int> all;
  tested.clients(all);
  BOOST_TEST(all.size() == 64u);
  BOOST_TEST(open_descriptors().size() == open + 64);
  BOOST_TEST(forgotten.size() == 6u);
  BOOST_TEST(tested.take_new_clients().size() == 64u);
  for (std::size_t i = 0; i < silent.size(); ++i)
    BOOST_TEST(silent[i]->dropped() == (i < 6));
  const client good(path);
  good.say_hello();
  BOOST_TEST((next() != nullptr));
  tested.clear();
  BOOST_TEST(forgotten.size() == 70u);
}

BOOST_AUTO_TEST_CASE(clients_who_come_and_go_are_taken_a_bounded_number_at_a_time)
{
  for (int i = 0; i < 40; ++i)
    const client gone(path);
  const client good(path);
  good.say_hello();
  BOOST_TEST((next() == nullptr));
  BOOST_TEST(tested.more());
  BOOST_TEST(!good.memory.attached());
  int calls = 1;
  while (!next() && tested.more())
    ++calls;
  BOOST_TEST(good.memory.attached());
  BOOST_TEST(calls == 2); // 16, 16, and the last 8 with the good one
  BOOST_TEST(!tested.more());
}

BOOST_AUTO_TEST_CASE(ready_keeps_the_connection_for_next)
{
  error_code ec;
  BOOST_TEST(!tested.ready(socket.get(), ec));
  const client one(path), two(path);
  one.say_hello();
  two.say_hello();
  BOOST_TEST(tested.ready(socket.get(), ec));
  BOOST_TEST(tested.ready(socket.get(), ec));
  BOOST_TEST(!ec);
  BOOST_TEST(one.memory.attached());
  BOOST_TEST(!two.memory.attached());
  const auto end = next();
  BOOST_TEST_REQUIRE((end != nullptr));
  end->memory.acceptor_data()[0] = 42;
  BOOST_TEST(one.memory.acceptor_data()[0] == 42);
  BOOST_TEST((next() != nullptr));
  BOOST_TEST(!tested.ready(socket.get(), ec));
}

BOOST_AUTO_TEST_CASE(a_socket_that_cannot_accept_is_an_error)
{
  error_code ec;
  BOOST_TEST((tested.next(-1, ec) == nullptr));
  BOOST_TEST(ec.failed());
  BOOST_TEST(tested.ready(-1, ec));
  BOOST_TEST(ec.failed());
}

BOOST_AUTO_TEST_SUITE_END()
