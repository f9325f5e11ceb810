// SPDX-License-Identifier: BSL-1.0
// Clients that connect to a listener's socket and do not behave: silent, slow, malformed,
// killed. They are dropped or wait, and the well-behaved client behind them is accepted.

#define BOOST_TEST_MODULE processes_shm
#include "socket_test.hpp"

#include "raw_client.hpp"
#include "server_process.hpp"

#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>

using namespace shm::test;

namespace {

using tcp = shm::stream_protocol;

/// A listener with its socket file, and the check that it still does its work.
struct target
{
  asio::io_context context;
  tcp::acceptor acceptor{context, loopback<tcp>()};
  std::string path = socket_file(acceptor.local_endpoint().port());

  void expect_next(tcp::socket& client, tcp::socket& server)
  {
    BOOST_TEST(server.remote_endpoint() == client.local_endpoint());
    const std::string sent = "well-behaved";
    asio::write(client, asio::buffer(sent));
    std::string got(sent.size(), '\0');
    asio::read(server, asio::buffer(got));
    BOOST_TEST(got == sent);
  }

  /// The next connection that the application gets is that of a client that comes now.
  void check_next_client_is_served()
  {
    tcp::socket client(context);
    client.connect(acceptor.local_endpoint());
    auto server = acceptor.accept();
    expect_next(client, server);

    tcp::socket later(context);
    completion accepted;
    tcp::socket async_server(context);
    acceptor.async_accept(async_server, accepted.handler());
    later.connect(acceptor.local_endpoint());
    run_until(context, [&] { return accepted.done(); });
    BOOST_TEST_REQUIRE(!accepted.ec);
    expect_next(later, async_server);
  }

  void check_nobody_else_is_there()
  {
    acceptor.non_blocking(true);
    for (int i = 0; i != 20; ++i)
      reports(error::would_block, [&](auto&... ec) { acceptor.accept(ec...); });
    acceptor.non_blocking(false);
  }

  /// What a client of the library sends to this listener.
  raw_message genuine_hello()
  {
    const std::string aside = path + ".aside";
    BOOST_TEST_REQUIRE(std::rename(path.c_str(), aside.c_str()) == 0);
    raw_message result;
    {
      raw_listener listener(path);
      tcp::socket client(context);
      client.connect(acceptor.local_endpoint());
      result = listener.hear();
    }
    BOOST_TEST_REQUIRE(std::rename(aside.c_str(), path.c_str()) == 0);
    BOOST_TEST_REQUIRE(!result.bytes.empty());
    BOOST_TEST_REQUIRE(!result.descriptors.empty());
    return result;
  }
};

std::vector<unsigned char> garbage(std::size_t size)
{
  return pattern(4711).bytes(size);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(processes_shm, watchdog)

BOOST_AUTO_TEST_CASE(silent_process_does_not_stop_the_next_client)
{
  child_process silent(
      [](channel& parent) -> int
      {
        const auto path = socket_file(parent.receive<unsigned short>());
        std::vector<raw_client> clients;
        for (int i = 0; i != 20; ++i)
          clients.emplace_back(path);
        parent.send('c');
        sleep_until_killed();
      });
  target listening;
  silent.peer().send(listening.acceptor.local_endpoint().port());
  BOOST_TEST(silent.peer().receive<char>() == 'c');
  listening.check_next_client_is_served();
  silent.kill();
  listening.check_nobody_else_is_there();
  listening.check_next_client_is_served();
}

BOOST_AUTO_TEST_CASE(silent_client_is_passed_by_a_pending_accept)
{
  target listening;
  completion accepted;
  tcp::socket server(listening.context);
  listening.acceptor.async_accept(server, accepted.handler());
  raw_client silent(listening.path);
  run_ready(listening.context);
  BOOST_TEST(accepted.calls == 0);
  tcp::socket client(listening.context);
  client.connect(listening.acceptor.local_endpoint());
  run_until(listening.context, [&] { return accepted.done(); });
  BOOST_TEST_REQUIRE(!accepted.ec);
  listening.expect_next(client, server);
}

BOOST_AUTO_TEST_CASE(process_killed_in_the_middle_of_its_hello)
{
  child_process dying(
      [](channel& parent) -> int
      {
        target own;
        const auto hello = own.genuine_hello();
        raw_client client(socket_file(parent.receive<unsigned short>()));
        client.send(hello.bytes.data(), hello.bytes.size() / 2, hello.numbers());
        parent.send('h');
        sleep_until_killed();
      });
  target listening;
  dying.peer().send(listening.acceptor.local_endpoint().port());
  BOOST_TEST(dying.peer().receive<char>() == 'h');
  listening.check_next_client_is_served();
  dying.kill();
  listening.check_nobody_else_is_there();
  listening.check_next_client_is_served();
}

BOOST_AUTO_TEST_CASE(genuine_hello_is_accepted_when_replayed)
{
  // The control of the cases below: what they alter is what makes the difference.
  target listening;
  const auto hello = listening.genuine_hello();
  raw_client client(listening.path);
  client.send(hello);
  auto server = listening.acceptor.accept();
  BOOST_TEST(server.is_open());
  listening.check_next_client_is_served();
}

BOOST_AUTO_TEST_CASE(slow_hello_is_accepted_when_it_is_complete)
{
  target listening;
  const auto hello = listening.genuine_hello();
  raw_client slow(listening.path);
  slow.send(hello.bytes.data(), 1, hello.numbers());
  for (std::size_t i = 1; i + 1 < hello.bytes.size(); ++i)
  {
    slow.send(hello.bytes.data() + i, 1);
    if (i % 40 == 0)
      listening.check_next_client_is_served();
  }
  listening.check_next_client_is_served();
  slow.send(hello.bytes.data() + hello.bytes.size() - 1, 1);
  auto server = listening.acceptor.accept();
  BOOST_TEST(server.is_open());
}

BOOST_AUTO_TEST_CASE(garbage_of_any_size_is_dropped)
{
  for (const std::size_t size : {1u, 7u, 127u, 128u, 129u, 4'096u, 150'000u})
  {
    target listening;
    const auto bytes = garbage(size);
    {
      raw_client gone(listening.path);
      gone.send(bytes.data(), bytes.size());
    }
    raw_client stays(listening.path);
    stays.send(bytes.data(), bytes.size());
    listening.check_next_client_is_served();
    listening.check_nobody_else_is_there();
  }
}

BOOST_AUTO_TEST_CASE(truncated_hello_is_dropped)
{
  target listening;
  const auto hello = listening.genuine_hello();
  for (std::size_t size = 1; size < hello.bytes.size(); size += 7)
  {
    raw_client client(listening.path);
    client.send(hello.bytes.data(), size, hello.numbers());
  }
  listening.check_next_client_is_served();
  listening.check_nobody_else_is_there();
}

BOOST_AUTO_TEST_CASE(hello_with_the_wrong_descriptors_is_dropped)
{
  target listening;
  const auto hello = listening.genuine_hello();
  const auto right = hello.numbers();
  const auto null = raw_descriptor::checked(::open("/dev/null", O_RDWR | O_CLOEXEC), "open");
  const auto unsealed = raw_descriptor::checked(::memfd_create("unsealed", MFD_CLOEXEC), "memfd");
  BOOST_TEST_REQUIRE(::ftruncate(unsealed.get(), 64 << 20) == 0);
  const auto empty = raw_descriptor::checked(::memfd_create("empty", MFD_CLOEXEC | MFD_ALLOW_SEALING), "memfd");
  BOOST_TEST_REQUIRE(::fcntl(empty.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);

  std::vector<std::vector<int>> wrong{{}, std::vector<int>(right.size(), null.get()), std::vector<int>(10, null.get())};
  for (const int memory : {null.get(), unsealed.get(), empty.get()})
  {
    wrong.push_back(right);
    wrong.back().front() = memory;
  }
  if (right.size() > 1)
  {
    wrong.push_back({right.front()});
    wrong.emplace_back(right.rbegin(), right.rend());
    wrong.push_back(std::vector<int>(right.size(), right.front()));
  }
  wrong.push_back(right);
  wrong.back().push_back(null.get());

  std::vector<raw_client> clients;
  for (const auto& descriptors : wrong)
  {
    clients.emplace_back(listening.path).send(hello.bytes.data(), hello.bytes.size(), descriptors);
    listening.check_next_client_is_served();
  }
  listening.check_nobody_else_is_there();
}

BOOST_AUTO_TEST_CASE(altered_hello_does_no_harm)
{
  // Some bytes are free, as those of the client's port: such a connection may come, but
  // neither it nor the others may take the listener or its next clients with them.
  target listening;
  const auto hello = listening.genuine_hello();
  for (std::size_t i = 0; i != hello.bytes.size(); ++i)
  {
    for (const int mask : {0x01, 0x80, 0xff})
    {
      auto bytes = hello.bytes;
      bytes[i] = static_cast<unsigned char>(bytes[i] ^ mask);
      raw_client client(listening.path);
      client.send(bytes.data(), bytes.size(), hello.numbers());

      // At an address that no altered byte of the client's gives.
      tcp::socket good(listening.context, tcp::endpoint(asio::ip::make_address("127.0.0.2"), 0));
      good.connect(listening.acceptor.local_endpoint());
      auto server = listening.acceptor.accept();
      if (!(server.remote_endpoint() == good.local_endpoint()))
        server = listening.acceptor.accept();
      listening.expect_next(good, server);
    }
  }
  listening.check_nobody_else_is_there();
}

BOOST_AUTO_TEST_SUITE_END()
