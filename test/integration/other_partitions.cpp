// SPDX-License-Identifier: BSL-1.0
// Sockets that connect to an address of another partition: they ask the partition daemon, and what it answers counts.
#define BOOST_TEST_MODULE other_partitions
#include "socket_test.hpp"

#include "fake_partition_daemon.hpp"
#include "open_resources.hpp"

#include <shm/error.hpp>

#include <atomic>
#include <string>
#include <thread>

using namespace shm::test;
using namespace shm::detail;
using tcp = shm::stream_protocol;

namespace {

// Two partitions, both of which are this process: addresses tell which one is meant.
const std::string hosts = "10.7.7.1 here 0 self\n10.7.7.2 there 1\nfd00::7:2 there6 2\nbroken line\n";

void introduce(int client, const hello& wanted)
{
  fake_partition_daemon::introduce(client, wanted, "127.0.0.1");
}

error_code connect_error(const tcp::endpoint& peer)
{
  asio::io_context context;
  tcp::socket blocking(context), waiting(context);
  error_code ec;
  blocking.connect(peer, ec);
  completion done;
  waiting.async_connect(peer, done.handler());
  run_until(context, [&] { return done.calls == 1; });
  BOOST_TEST(done.ec == ec);
  return ec;
}

tcp::endpoint there(unsigned short port)
{
  return {asio::ip::make_address("10.7.7.2"), port};
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(other_partitions, watchdog)

BOOST_AUTO_TEST_CASE(data_goes_both_ways_through_a_slice)
{
  fake_partition_daemon daemon(hosts, introduce);
  asio::io_context context;
  tcp::acceptor acceptor(context, {tcp::v4(), 0});
  tcp::socket client(context), server(context);
  completion connected, accepted;
  acceptor.async_accept(server, accepted.handler());
  client.async_connect(there(acceptor.local_endpoint().port()), connected.handler());
  run_until(context, [&] { return connected.calls + accepted.calls == 2; });
  BOOST_TEST(!connected.ec);
  BOOST_TEST(!accepted.ec);
  check_carries_data(client, server);
  check_carries_data(server, client);
  BOOST_TEST(client.remote_endpoint() == there(acceptor.local_endpoint().port()));
  BOOST_TEST(client.local_endpoint().address().to_string() == "10.7.7.1");
  BOOST_TEST(server.remote_endpoint() == client.local_endpoint());
  client.shutdown(tcp::socket::shutdown_send);
  char byte = 0;
  error_code ec;
  asio::read(server, asio::buffer(&byte, 1), ec);
  BOOST_TEST(ec == error::eof);
  server.close();
  asio::read(client, asio::buffer(&byte, 1), ec);
  BOOST_TEST(ec == error::eof);
}

BOOST_AUTO_TEST_CASE(blocking_connect_and_bound_sockets)
{
  fake_partition_daemon daemon(hosts, introduce);
  asio::io_context context;
  tcp::acceptor acceptor(context, {tcp::v4(), 0});
  tcp::socket client(context, tcp::v4());
  client.bind({asio::ip::make_address("10.7.7.1"), 0});
  const tcp::endpoint bound = client.local_endpoint();
  client.connect(there(acceptor.local_endpoint().port()));
  tcp::socket server = acceptor.accept();
  BOOST_TEST(server.remote_endpoint() == bound);
  check_carries_data(client, server);
  check_carries_data(server, client);
}

BOOST_AUTO_TEST_CASE(names_are_resolved)
{
  fake_partition_daemon daemon(hosts, introduce);
  asio::io_context context;
  tcp::resolver resolver(context);
  const tcp::resolver::results_type found = resolver.resolve("there", "4711");
  BOOST_TEST_REQUIRE(found.size() == 1u);
  BOOST_TEST(found.begin()->endpoint() == there(4711));
  BOOST_TEST(found.begin()->host_name() == "there");
  BOOST_TEST(resolver.resolve(tcp::v4(), "there", "http").begin()->endpoint() == there(80));
  BOOST_TEST(resolver.resolve("THERE", "80").begin()->endpoint() == there(80)); // as names of hosts
  BOOST_TEST(resolver.resolve("there", "80", tcp::resolver::canonical_name).begin()->host_name() == "there");
  BOOST_TEST(resolver.resolve("there6", "1").begin()->endpoint().address().to_string() == "fd00::7:2");
  completion done;
  tcp::resolver::results_type later;
  resolver.async_resolve("here", "2",
      [&](error_code ec, tcp::resolver::results_type results)
      {
        done.ec = ec;
        later = std::move(results);
        ++done.calls;
      });
  run_until(context, [&] { return done.calls == 1; });
  BOOST_TEST(!done.ec);
  BOOST_TEST_REQUIRE(later.size() == 1u);
  BOOST_TEST(later.begin()->endpoint().address().to_string() == "10.7.7.1");
  error_code ec;
  resolver.resolve("nowhere", "1", ec);
  BOOST_TEST(ec);
  resolver.resolve("there", "1", tcp::resolver::numeric_host, ec);
  BOOST_TEST(ec == error::host_not_found);
  BOOST_TEST(resolver.resolve("10.7.7.2", "4711", tcp::resolver::numeric_host).begin()->endpoint() == there(4711));
}

BOOST_AUTO_TEST_CASE(what_listens_here_comes_first)
{
  std::atomic<int> asked{0};
  fake_partition_daemon daemon(hosts,
      [&](int client, const hello& wanted)
      {
        ++asked;
        introduce(client, wanted);
      });
  asio::io_context context;
  // The address of this partition is that of its wildcard listeners, and any address can be bound.
  tcp::acceptor everywhere(context, {tcp::v4(), 0}), exact(context, there(0));
  tcp::socket a(context), b(context);
  a.connect({asio::ip::make_address("10.7.7.1"), everywhere.local_endpoint().port()});
  b.connect(exact.local_endpoint());
  everywhere.accept();
  exact.accept();
  BOOST_TEST(asked == 0);
}

BOOST_AUTO_TEST_CASE(refusals_are_reported)
{
  error_code reason;
  fake_partition_daemon daemon(hosts, [&](int client, const hello&) { send_refused(client, reason); });
  for (const error_code wanted : {error_code(error::connection_refused), error_code(error::host_unreachable),
           error_code(error::timed_out), error_code(shm::error::no_memory)})
  {
    reason = wanted;
    BOOST_TEST(connect_error(there(1)) == wanted);
  }
  reason = error::would_block; // would be tried again for ever
  BOOST_TEST(connect_error(there(1)) == shm::error::protocol_error);
}

BOOST_AUTO_TEST_CASE(a_daemon_may_refuse_before_it_has_read)
{
  fake_partition_daemon daemon(hosts, [](int client) { send_refused(client, error::access_denied); });
  for (int i = 0; i != 500; ++i) // now and then it is gone before anything was sent
    BOOST_TEST_REQUIRE(connect_error(there(1)) == error::access_denied);
}

BOOST_AUTO_TEST_CASE(a_daemon_that_is_gone_or_goes)
{
  {
    fake_partition_daemon daemon(hosts, [](int client, const hello&) { ::shutdown(client, SHUT_RDWR); });
    BOOST_TEST(connect_error(there(1)) == error::host_unreachable);
    // Nobody knows that address.
    BOOST_TEST(connect_error({asio::ip::make_address("10.7.7.3"), 1}) == error::connection_refused);
    ::unlink((std::string(std::getenv("ASIO_SHM_DIR")) + "/partition/daemon").c_str());
    BOOST_TEST(connect_error(there(1)) == error::host_unreachable);
  }
  BOOST_TEST(connect_error(there(1)) == error::connection_refused);
}

BOOST_AUTO_TEST_CASE(a_silent_daemon_can_be_cancelled)
{
  std::atomic<bool> asked{false};
  fake_partition_daemon daemon(hosts,
      [&](int client, const hello&)
      {
        asked = true;
        pollfd polled = {client, POLLIN | POLLRDHUP, 0};
        ::poll(&polled, 1, 30'000);
      });
  asio::io_context context;
  tcp::socket socket(context);
  completion done;
  socket.async_connect(there(1), done.handler());
  run_until(context, [&] { return asked.load(); });
  BOOST_TEST(done.calls == 0);
  socket.cancel();
  run_until(context, [&] { return done.calls == 1; });
  BOOST_TEST(done.ec == error::operation_aborted);
  // In non-blocking mode connect waits too, as over TCP to a slow host.
  asked = false;
  tcp::socket other(context, tcp::v4());
  other.non_blocking(true);
  std::thread closes(
      [&]
      {
        wait_until([&] { return asked.load(); });
        other.close();
      });
  error_code ec;
  other.connect(there(1), ec);
  closes.join();
  BOOST_TEST(ec == error::operation_aborted);
}

BOOST_AUTO_TEST_CASE(wrong_answers_end_the_connect)
{
  std::function<void(int, granted_slice&)> spoil;
  fake_partition_daemon daemon(hosts,
      [&](int client, const hello& wanted)
      {
        granted_slice slice = granted_slice::make(wanted);
        spoil(client, slice);
      });
  const open_resources before = open_resources::now();
  const auto result = [&](std::function<void(int, granted_slice&)> how)
  {
    spoil = std::move(how);
    return connect_error(there(1));
  };
  BOOST_TEST(result([](int client, granted_slice&) { ::send(client, "nonsense", 8, MSG_NOSIGNAL); })
      == error::host_unreachable);
  BOOST_TEST(result(
                 [](int client, granted_slice& slice)
                 {
                   slice.message.memory = memory_kind::own;
                   slice.message.offset = 0;
                   slice.send(client);
                 })
      == shm::error::protocol_error);
  BOOST_TEST(result(
                 [](int client, granted_slice& slice)
                 {
                   slice.message.offset += page_size; // where no connection was made
                   slice.send(client);
                 })
      == shm::error::protocol_error);
  BOOST_TEST(result(
                 [](int client, granted_slice& slice)
                 {
                   slice.message.offset += 4 * page_size; // beyond the end
                   slice.send(client);
                 })
      == shm::error::protocol_error);
  BOOST_TEST(result(
                 [](int client, granted_slice& slice)
                 {
                   slice.acceptor_bell.reset(::open("/dev/null", O_RDWR | O_CLOEXEC));
                   slice.send(client);
                 })
      == shm::error::protocol_error);
  BOOST_TEST(result(
                 [](int client, granted_slice& slice)
                 {
                   slice.memory = memfd(descriptor(::memfd_create("not sealed", MFD_CLOEXEC)));
                   fake_daemon_needs(::ftruncate(slice.memory.native_handle(), 64 << 20) == 0, "memory");
                   slice.send(client);
                 })
      == shm::error::unsealed_memory);
  BOOST_TEST(result(
                 [](int client, granted_slice& slice)
                 {
                   slice.message.geometry.connector.segment_count = 3;
                   slice.send(client);
                 })
      == shm::error::geometry_refused);
  wait_until([&] { return open_resources::now().descriptors <= before.descriptors; });
  BOOST_TEST(open_resources::now().regions == before.regions);
}

BOOST_AUTO_TEST_SUITE_END()
