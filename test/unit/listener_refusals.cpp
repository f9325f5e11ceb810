// SPDX-License-Identifier: BSL-1.0
// Tests of clients that a listener drops: each with its reason, and the good client behind it is taken.
#define BOOST_TEST_MODULE listener_refusals
#include "listener_fixture.hpp"

#include <shm/error.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace shm::detail;
using boost::system::error_code;
using client = shm::test::listener_client;
using shm::test::ip;

namespace {

bool same(const socket_address& a, const socket_address& b)
{
  return a.size == b.size && std::memcmp(a.data, b.data, a.size) == 0;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(listener_refusals, shm::test::listener_fixture)

BOOST_AUTO_TEST_CASE(garbage)
{
  const client bad(path);
  const std::string text(hello_size, 'x');
  bad.say(text.data(), text.size(), false);
  BOOST_TEST((next() == nullptr));
  BOOST_TEST(bad.refusal() == shm::error::protocol_error);
  BOOST_TEST(bad.dropped());
}

BOOST_AUTO_TEST_CASE(garbage_with_descriptors)
{
  const client bad(path);
  const std::string text(hello_size, 'x');
  bad.say(text.data(), text.size(), true);
  BOOST_TEST((next() == nullptr));
  BOOST_TEST(bad.refusal() == shm::error::protocol_error);
}

BOOST_AUTO_TEST_CASE(another_version)
{
  const client bad(path);
  hello_bytes bytes = encode(bad.message);
  bytes[8] = 2;
  bad.say(bytes.data(), bytes.size(), true);
  BOOST_TEST((next() == nullptr));
  BOOST_TEST(bad.refusal() == shm::error::version_mismatch);
  BOOST_TEST(bad.dropped());
}

BOOST_AUTO_TEST_CASE(a_geometry_beyond_the_limits)
{
  expect_refused(shm::error::geometry_refused, [](client& bad) { bad.message.geometry.connector.segment_count = 3; });
}

BOOST_AUTO_TEST_CASE(another_geometry_than_in_the_memory)
{
  expect_refused(shm::error::protocol_error, [](client& bad) { bad.message.geometry.connector = {64, 4}; });
}

BOOST_AUTO_TEST_CASE(memory_without_seals)
{
  descriptor unsealed;
  expect_refused(shm::error::unsealed_memory, [&](client& bad) {
    unsealed.reset(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    BOOST_TEST(::ftruncate(unsealed.get(), static_cast<off_t>(bad.message.geometry.size())) == 0);
    bad.descriptors[0] = unsealed.get();
  });
}

BOOST_AUTO_TEST_CASE(memory_that_is_too_short)
{
  memfd file;
  connection_memory small;
  expect_refused(shm::error::protocol_error, [&](client& bad) {
    error_code ec;
    small = connection_memory::create({{64, 2}, {64, 2}}, file, ec);
    bad.descriptors[0] = file.native_handle();
    bad.message.geometry = {{4096, 2}, {4096, 2}};
  });
}

BOOST_AUTO_TEST_CASE(an_eventfd_in_place_of_the_memory)
{
  expect_refused(shm::error::unsealed_memory, [](client& bad) { bad.descriptors[0] = bad.descriptors[1]; });
}

BOOST_AUTO_TEST_CASE(another_port_than_the_listeners)
{
  expect_refused(shm::error::protocol_error, [](client& bad) { bad.message.acceptor = ip("127.0.0.1", 8081); });
}

BOOST_AUTO_TEST_CASE(another_address_than_the_listeners)
{
  expect_refused(shm::error::protocol_error, [](client& bad) { bad.message.acceptor = ip("127.0.0.2", 8080); });
}

// A program that takes its IPv4 peer's address for an IPv4 address must not be wrong.
BOOST_AUTO_TEST_CASE(an_ipv6_endpoint_at_an_ipv4_listener)
{
  expect_refused(shm::error::protocol_error, [](client& bad) { bad.message.connector = ip("::1", 50000); });
  expect_refused(shm::error::protocol_error, [](client& bad) { bad.message.acceptor = ip("::1", 8080); });
}

BOOST_AUTO_TEST_CASE(an_ipv4_mapped_endpoint_is_an_ipv4_endpoint_there)
{
  client good(path);
  good.message.connector = ip("::ffff:127.0.0.1", 50000);
  good.message.acceptor = ip("::ffff:127.0.0.1", 8080);
  good.say_hello();
  const auto end = next();
  BOOST_TEST_REQUIRE((end != nullptr));
  BOOST_TEST(same(end->remote, ip("127.0.0.1", 50000)));
  BOOST_TEST(same(end->local, ip("127.0.0.1", 8080)));
}

BOOST_AUTO_TEST_CASE(no_endpoint_at_a_listener_that_has_one)
{
  expect_refused(shm::error::protocol_error, [](client& bad) { bad.message.acceptor.size = 0; });
  expect_refused(shm::error::protocol_error, [](client& bad) { bad.message.connector.size = 0; });
}

BOOST_AUTO_TEST_CASE(an_endpoint_at_a_listener_that_has_a_path)
{
  listener named{shm::test::local(path)};
  client bad(path);
  bad.say_hello();
  error_code ec;
  BOOST_TEST((named.next(socket.get(), ec) == nullptr));
  BOOST_TEST(bad.refusal() == shm::error::protocol_error);
  client good(path);
  good.message.connector.size = good.message.acceptor.size = 0;
  good.say_hello();
  BOOST_TEST((named.next(socket.get(), ec) != nullptr));
}

BOOST_AUTO_TEST_CASE(a_wrong_number_of_descriptors)
{
  for (const std::size_t count : {0u, 1u, 2u, 4u})
    expect_refused(shm::error::protocol_error, [count](client& bad) {
      bad.descriptors.resize(count, bad.socket.get());
    });
  for (const std::size_t count : {0u, 2u, 3u})
    expect_refused(shm::error::protocol_error, [count](client& bad) {
      bad.message.doorbell = doorbell_kind::socket;
      bad.descriptors.resize(count);
    });
}

BOOST_AUTO_TEST_CASE(doorbells_that_are_no_eventfds_or_could_block)
{
  const descriptor blocking(::eventfd(0, EFD_CLOEXEC));
  for (const std::size_t which : {1u, 2u})
  {
    expect_refused(shm::error::protocol_error, [&](client& bad) { bad.descriptors[which] = blocking.get(); });
    expect_refused(shm::error::protocol_error, [&](client& bad) { bad.descriptors[which] = bad.socket.get(); });
    expect_refused(shm::error::protocol_error, [&](client& bad) { bad.descriptors[which] = bad.descriptors[0]; });
  }
}

BOOST_AUTO_TEST_CASE(a_client_that_was_put_aside_first)
{
  client bad(path);
  BOOST_TEST((next() == nullptr));
  bad.message.acceptor = ip("127.0.0.1", 1);
  bad.say_hello();
  BOOST_TEST((next() == nullptr));
  BOOST_TEST(bad.refusal() == shm::error::protocol_error);
  BOOST_TEST(bad.dropped());
  BOOST_TEST(forgotten.size() == 1u);
}

BOOST_AUTO_TEST_CASE(all_kinds_in_one_backlog_before_a_good_one)
{
  client garbage(path), silent(path), half(path), good(path);
  const std::string text(hello_size, '\0');
  garbage.say(text.data(), text.size(), true);
  half.say(text.data(), 1, true);
  {
    const client gone(path);
  }
  good.say_hello();
  BOOST_TEST((next() != nullptr));
  BOOST_TEST(good.memory.attached());
  BOOST_TEST(garbage.dropped());
  BOOST_TEST(!silent.dropped());
  BOOST_TEST(!half.dropped());
}

// The memory of a file is taken away by whoever makes the file shorter: only the partition daemon may do that.
BOOST_AUTO_TEST_CASE(slice_of_what_can_shrink)
{
  for (const bool sealed : {false, true})
  {
    shm::test::listener_client client(path);
    const std::uint64_t size = client.message.geometry.size();
    const descriptor file(::memfd_create("slice", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    BOOST_TEST_REQUIRE(::ftruncate(file.get(), static_cast<off_t>(size)) == 0);
    if (sealed)
      BOOST_TEST(::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    void* const base = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    BOOST_TEST_REQUIRE(base != MAP_FAILED);
    connection_memory::initialise(base, client.message.geometry);
    ::munmap(base, size);
    client.descriptors[0] = file.get();
    client.message.memory = memory_kind::slice;
    client.say_hello();
    const auto end = next();
    BOOST_TEST((end != nullptr) == sealed);
    if (!sealed)
      BOOST_TEST(client.refusal() == shm::error::untrusted_peer);
  }
}

BOOST_AUTO_TEST_SUITE_END()
