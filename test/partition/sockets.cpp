// SPDX-License-Identifier: BSL-1.0
// The library's sockets between partitions of one machine: each has a daemon and a runtime directory of its own.
#define BOOST_TEST_MODULE sockets
#include "socket_test.hpp"

#include "child_process.hpp"
#include "completion.hpp"
#include "partition_daemon.hpp"

#include <shm.hpp>

#include <cstdint>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include <sched.h>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

using socket_type = tcp::socket;
constexpr unsigned short port = 7;

/// How sleeping applications are woken.
struct way
{
  const char* name;
  std::vector<std::string> of_first;
  region_by kind;
};

const way ways[] = {{"by single doorbells", {"--vectors", "8"}, region_by::server},
    {"by the daemons", {"--vectors", "1"}, region_by::server}, {"by looking", {}, region_by::file},
    {"in containers", {"--vectors", "2"}, region_by::containers}};

/// Leaves the namespaces that containers have of their own, as far as this user may.
void enter_container()
{
  if (::geteuid() == 0)
    BOOST_REQUIRE(::unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS) == 0);
}

/// A process in a partition that listens, says so, and does something with each of its connections.
child_process server_in(const std::string& directory, const std::string& address,
    std::function<void(socket_type&, channel&)> serve, bool contained = false)
{
  return child_process(
      [=](channel& parent)
      {
        ::setenv("ASIO_SHM_DIR", directory.c_str(), 1);
        if (contained)
          enter_container();
        asio::io_context context;
        tcp::acceptor acceptor(context, {asio::ip::make_address(address), port});
        parent.send(true);
        for (;;)
        {
          socket_type socket = acceptor.accept();
          serve(socket, parent);
        }
        return 0;
      });
}

void echo(socket_type& socket, channel&)
{
  std::vector<char> buffer(64 * 1024);
  error_code ec;
  while (!ec)
  {
    const std::size_t n = socket.read_some(asio::buffer(buffer), ec);
    if (!ec)
      asio::write(socket, asio::buffer(buffer, n), ec);
  }
}

tcp::endpoint endpoint_of(std::size_t partition)
{
  return {asio::ip::make_address(partitions::address(partition)), port};
}

std::vector<unsigned char> bytes(std::size_t size)
{
  std::vector<unsigned char> result(size);
  std::uint32_t state = 1;
  for (unsigned char& byte : result)
  {
    state = state * 1664525 + 1013904223;
    byte = static_cast<unsigned char>(state >> 24);
  }
  return result;
}

/// This process is in partition 0, the server in partition 1.
struct here
{
  explicit here(const partitions& all) : environment("ASIO_SHM_DIR", all.directory(0).c_str()) {}
  scoped_environment environment;
  asio::io_context context;
  socket_type socket{context};
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(sockets, watchdog)

BOOST_AUTO_TEST_CASE(messages_come_back_however_sleepers_are_woken)
{
  for (const way& each : ways)
  {
    BOOST_TEST_CONTEXT(each.name)
    {
      const partitions all(2, each.of_first, each.kind);
      child_process server = server_in(all.directory(1), "0.0.0.0", echo, each.kind == region_by::containers);
      server.peer().receive<bool>();
      here client(all);
      client.socket.connect(endpoint_of(1));
      for (std::size_t size = 1; size <= 200'000; size = 3 * size + 1)
      {
        const std::vector<unsigned char> sent = bytes(size);
        std::vector<unsigned char> received(size);
        asio::async_write(
            client.socket, asio::buffer(sent), [](const error_code& ec, std::size_t) { BOOST_TEST(!ec); });
        bool done = false;
        asio::async_read(client.socket, asio::buffer(received),
            [&](const error_code& ec, std::size_t)
            {
              BOOST_TEST(!ec);
              done = true;
            });
        run_until(client.context, [&] { return done; });
        BOOST_TEST((sent == received));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(many_megabytes_arrive_as_they_were_sent)
{
  for (const way& each : ways)
  {
    BOOST_TEST_CONTEXT(each.name)
    {
      const partitions all(2, each.of_first, each.kind);
      // The server sends back the sum of what it has received up to the end of file.
      child_process server = server_in(all.directory(1), "0.0.0.0",
          [](socket_type& socket, channel&)
          {
            std::vector<unsigned char> buffer(256 * 1024);
            std::uint64_t sum = 0, position = 0;
            error_code ec;
            for (;;)
            {
              const std::size_t n = socket.read_some(asio::buffer(buffer), ec);
              if (ec)
                break;
              for (std::size_t i = 0; i != n; ++i)
                sum = sum * 31 + buffer[i] + ++position;
            }
            asio::write(socket, asio::buffer(&sum, sizeof(sum)));
          });
      server.peer().receive<bool>();
      here client(all);
      client.socket.connect(endpoint_of(1));
      const std::vector<unsigned char> piece = bytes(1 << 20);
      std::uint64_t sum = 0, position = 0, told = 0;
      for (int i = 0; i != 24; ++i)
      {
        asio::write(client.socket, asio::buffer(piece));
        for (const unsigned char byte : piece)
          sum = sum * 31 + byte + ++position;
      }
      client.socket.shutdown(socket_type::shutdown_send);
      asio::read(client.socket, asio::buffer(&told, sizeof(told)));
      BOOST_TEST(told == sum);
      char more;
      error_code ec;
      client.socket.read_some(asio::buffer(&more, 1), ec);
      BOOST_TEST(ec == error::eof);
    }
  }
}

BOOST_AUTO_TEST_CASE(endpoints_are_those_of_the_partitions)
{
  const partitions all(2);
  child_process server = server_in(all.directory(1), "0.0.0.0",
      [](socket_type& socket, channel& parent)
      {
        parent.send(socket.remote_endpoint().address().to_v4().to_uint());
        parent.send(socket.local_endpoint().address().to_v4().to_uint());
        parent.send(socket.remote_endpoint().port());
      });
  server.peer().receive<bool>();
  here client(all);
  client.socket.connect(endpoint_of(1));
  BOOST_TEST(client.socket.remote_endpoint() == endpoint_of(1));
  BOOST_TEST(client.socket.local_endpoint().address() == asio::ip::make_address(all.address(0)));
  BOOST_TEST(server.peer().receive<std::uint32_t>() == asio::ip::make_address_v4(all.address(0)).to_uint());
  BOOST_TEST(server.peer().receive<std::uint32_t>() == asio::ip::make_address_v4(all.address(1)).to_uint());
  BOOST_TEST(server.peer().receive<unsigned short>() == client.socket.local_endpoint().port());
}

BOOST_AUTO_TEST_CASE(listeners_on_the_wildcard_or_the_partitions_address_are_reachable_others_are_not)
{
  const partitions all(2);
  for (const char* address : {"0.0.0.0", "10.9.8.2", "::", "127.0.0.1", "10.9.8.7"})
  {
    child_process server = server_in(all.directory(1), address, echo);
    server.peer().receive<bool>();
    here client(all);
    error_code ec;
    client.socket.connect(endpoint_of(1), ec);
    const bool reachable = address != std::string("127.0.0.1") && address != std::string("10.9.8.7");
    BOOST_TEST(
        ec == (reachable ? error_code() : error_code(error::connection_refused)), address << ": " << ec.message());
  }
}

BOOST_AUTO_TEST_CASE(an_address_without_partition_is_refused_as_on_one_machine)
{
  const partitions all(2);
  here client(all);
  error_code ec;
  client.socket.connect(tcp::endpoint(asio::ip::make_address("10.9.8.99"), port), ec);
  BOOST_TEST(ec == error::connection_refused);
}

BOOST_AUTO_TEST_CASE(a_partition_that_has_gone_is_refused_or_unreachable)
{
  partitions all(2);
  all.daemon(1).kill();
  here client(all);
  error_code ec;
  client.socket.connect(endpoint_of(1), ec);
  BOOST_TEST((ec == error::host_unreachable || ec == error::connection_refused), ec.message());
}

BOOST_AUTO_TEST_CASE(what_was_published_is_read_after_the_peer_was_killed)
{
  for (const way& each : ways)
  {
    BOOST_TEST_CONTEXT(each.name)
    {
      const partitions all(2, each.of_first, each.kind);
      child_process server = server_in(all.directory(1), "0.0.0.0",
          [](socket_type& socket, channel& parent)
          {
            asio::write(socket, asio::buffer("last words", 10));
            parent.send(true);
            char byte;
            error_code ignored;
            socket.read_some(asio::buffer(&byte, 1), ignored);
          });
      server.peer().receive<bool>();
      here client(all);
      client.socket.connect(endpoint_of(1));
      server.peer().receive<bool>();
      server.kill();
      std::string text(10, ' ');
      asio::read(client.socket, asio::buffer(text));
      BOOST_TEST(text == "last words");
      char more;
      error_code ec;
      client.socket.read_some(asio::buffer(&more, 1), ec);
      BOOST_TEST((ec == error::eof || ec == error::connection_reset), ec.message());
    }
  }
}

BOOST_AUTO_TEST_CASE(a_killed_daemon_ends_connections_and_a_new_one_takes_new_ones)
{
  for (const std::size_t victim : {1U, 2U})
  {
    // Partition 0 only serves the region; this process is in partition 2.
    partitions all(3);
    child_process server = server_in(all.directory(1), "0.0.0.0", echo);
    server.peer().receive<bool>();
    const scoped_environment environment("ASIO_SHM_DIR", all.directory(2).c_str());
    asio::io_context context;
    socket_type socket(context);
    socket.connect(endpoint_of(1));
    asio::write(socket, asio::buffer("a", 1));
    char byte = ' ';
    asio::read(socket, asio::buffer(&byte, 1));
    BOOST_TEST(byte == 'a');
    all.daemon(victim).kill();
    error_code ec;
    socket.read_some(asio::buffer(&byte, 1), ec);
    BOOST_TEST((ec == error::eof || ec == error::connection_reset), ec.message());
    socket.close();
    all.start(victim);
    BOOST_REQUIRE(comes_true([&] { return all.all_there(); }));
    BOOST_TEST(comes_true(
        [&]
        {
          socket.close();
          socket.connect(endpoint_of(1), ec);
          return !ec;
        }));
    asio::write(socket, asio::buffer("b", 1));
    asio::read(socket, asio::buffer(&byte, 1));
    BOOST_TEST(byte == 'b');
  }
}

BOOST_AUTO_TEST_CASE(connect_waits_for_the_other_partition_in_non_blocking_mode_too)
{
  const partitions all(2);
  child_process server = server_in(all.directory(1), "0.0.0.0", echo);
  server.peer().receive<bool>();
  here client(all);
  client.socket.open(tcp::v4());
  client.socket.non_blocking(true);
  client.socket.connect(endpoint_of(1));
  BOOST_TEST(client.socket.remote_endpoint() == endpoint_of(1));
}

BOOST_AUTO_TEST_CASE(reads_and_writes_that_were_started_while_it_connects_wait_for_it)
{
  const partitions all(2);
  child_process server = server_in(all.directory(1), "0.0.0.0", echo);
  server.peer().receive<bool>();
  here client(all);
  completion connected, waited, read, written;
  char got = 0;
  client.socket.async_connect(endpoint_of(1), connected.handler());
  client.socket.async_read_some(asio::buffer(&got, 1), read.handler());
  client.socket.async_wait(tcp::socket::wait_write, waited.handler());
  client.socket.async_write_some(asio::buffer("x", 1), written.handler());
  run_until(client.context, [&] { return read.done() && written.done(); });
  BOOST_TEST(!connected.ec);
  BOOST_TEST(!waited.ec);
  BOOST_TEST(!read.ec);
  BOOST_TEST(!written.ec);
  BOOST_TEST(got == 'x');
}

BOOST_AUTO_TEST_CASE(a_full_backlog_takes_its_time)
{
  const partitions all(2);
  child_process server(
      [directory = all.directory(1)](channel& parent)
      {
        ::setenv("ASIO_SHM_DIR", directory.c_str(), 1);
        asio::io_context context;
        tcp::acceptor acceptor(context);
        acceptor.open(tcp::v4());
        acceptor.bind({tcp::v4(), port});
        acceptor.listen(1);
        parent.send(true);
        parent.receive<bool>();
        for (int i = 0; i != 8; ++i)
          acceptor.accept();
        return 0;
      });
  server.peer().receive<bool>();
  here client(all);
  std::vector<socket_type> sockets;
  int connected = 0;
  for (int i = 0; i != 8; ++i)
    sockets.emplace_back(client.context);
  for (socket_type& socket : sockets)
    socket.async_connect(endpoint_of(1),
        [&](const error_code& ec)
        {
          BOOST_TEST(!ec);
          ++connected;
        });
  run_until(client.context, [&] { return connected >= 2; });
  server.peer().send(true);
  run_until(client.context, [&] { return connected == 8; });
}

BOOST_AUTO_TEST_CASE(one_client_and_both_directions_at_once)
{
  for (const way& each : ways)
  {
    BOOST_TEST_CONTEXT(each.name)
    {
      const partitions all(2, each.of_first, each.kind);
      child_process server = server_in(all.directory(1), "0.0.0.0", echo);
      server.peer().receive<bool>();
      here client(all);
      client.socket.connect(endpoint_of(1));
      const std::vector<unsigned char> sent = bytes(8 << 20);
      std::vector<unsigned char> received(sent.size());
      bool done = false;
      asio::async_write(client.socket, asio::buffer(sent), [](const error_code& ec, std::size_t) { BOOST_TEST(!ec); });
      asio::async_read(client.socket, asio::buffer(received),
          [&](const error_code& ec, std::size_t)
          {
            BOOST_TEST(!ec);
            done = true;
          });
      run_until(
          client.context, [&] { return done; }, std::chrono::seconds(100));
      BOOST_TEST((sent == received));
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
