// SPDX-License-Identifier: BSL-1.0
// Tests of a server with very many hostile clients at once, or some that never let it rest.
#define BOOST_TEST_MODULE hostile_crowds
#include "socket_test.hpp"

#include "attacked_server.hpp"
#include "limits.hpp"
#include "sanitizers.hpp"

#include <shm/busy_poll.hpp>
#include <shm/error.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sys/socket.h>

using shm::test::attacked_server;
using shm::test::hostile_client;
using shm::test::hostile_geometry;
using shm::test::raw_descriptor;

namespace {

/// A client that has connected, said the first byte of its HELLO or nothing, and stays.
class half_open_client
{
public:
  explicit half_open_client(unsigned short port, bool speaks)
    : socket_(raw_descriptor::checked(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"))
  {
    const auto address = shm::test::raw_address(shm::test::socket_file(port));
    connected_ = ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    if (connected_ && speaks)
      connected_ = ::send(socket_.get(), "A", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
  }

  bool connected() const { return connected_; }

  bool dropped() const
  {
    pollfd p = {socket_.get(), POLLRDHUP, 0};
    return ::poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLRDHUP)) != 0;
  }

private:
  raw_descriptor socket_;
  bool connected_ = false;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(hostile_crowds, shm::test::watchdog)

BOOST_AUTO_TEST_CASE(thousands_of_half_open_clients)
{
  constexpr int count = shm::test::sanitized ? 1000 : 5000;
  constexpr std::ptrdiff_t kept = 64; // by the acceptor
  attacked_server server;
  {
    std::deque<half_open_client> clients;
    long most = 0;
    const long before = shm::test::open_resources::now().descriptors;
    for (int i = 0; i < count; ++i)
    {
      clients.emplace_back(server.port(), i % 2 == 0);
      BOOST_TEST_REQUIRE(clients.back().connected());
      if (i % 50 == 0)
      {
        server.poll();
        const long now = shm::test::open_resources::now().descriptors;
        most = std::max(most, now - before - static_cast<long>(clients.size()));
      }
      if (i % 500 == 0)
        server.serve_a_good_client(100);
      if (clients.size() == 200) // the limit of descriptors is this process's, too
        clients.pop_front();
    }
    server.poll();
    BOOST_TEST(most <= kept + 1);
    BOOST_TEST(std::count_if(clients.begin(), clients.end(), [](const auto& c) { return !c.dropped(); }) <= kept);
    BOOST_TEST_MESSAGE("at most " << most << " descriptors for half-open clients");
  }
  server.check_unharmed();
}

// How long a good client waits is a matter of steps, each of which takes 16 clients that came before it; a poll of the
// context takes all steps that are due.
BOOST_AUTO_TEST_CASE(a_backlog_of_bad_clients_before_a_good_one)
{
  attacked_server server;
  for (const int ahead : {0, 16, 160, 400})
  {
    {
      std::deque<half_open_client> clients;
      for (int i = 0; i < ahead; ++i)
      {
        clients.emplace_back(server.port(), i % 2 == 0);
        BOOST_TEST_REQUIRE(clients.back().connected());
      }
      const int polls = server.serve_a_good_client(100);
      BOOST_TEST_MESSAGE(ahead << " ahead: " << polls << " polls");
      BOOST_TEST(polls <= ahead / 16 + 20);
    }
    server.check_unharmed();
  }
}

BOOST_AUTO_TEST_CASE(clients_that_come_and_go_all_the_time)
{
  attacked_server server;
  const unsigned short port = server.port();
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> came{0};
  std::thread crowd([&] {
    while (!stop)
    {
      const half_open_client client(port, came % 3 != 0);
      if (client.connected())
        ++came;
    }
  });
  for (int i = 0; i < 20; ++i)
    server.serve_a_good_client(1000);
  stop = true;
  crowd.join();
  BOOST_TEST(came != 0u);
  BOOST_TEST_MESSAGE(came << " came and went");
  server.check_unharmed();
}

// Whoever rings without end costs the time of each wake-up, and nobody else's service. More of them than the reactor
// takes events at a time.
BOOST_AUTO_TEST_CASE(clients_that_ring_without_end)
{
  attacked_server server;
  {
    std::vector<std::unique_ptr<hostile_client>> clients;
    for (int i = 0; i < 100; ++i)
    {
      clients.push_back(std::make_unique<hostile_client>(server.port()));
      BOOST_TEST(clients.back()->connect());
      clients.back()->say_hello();
      server.run([&] { return clients.back()->is_attached(); });
    }
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> rings{0};
    std::vector<std::thread> ringers;
    for (std::size_t half = 0; half < 2; ++half)
      ringers.emplace_back([&, half] {
        while (!stop)
          for (std::size_t i = half; i < clients.size(); i += 2)
          {
            clients[i]->ring();
            clients[i]->send("\1", 1);
            ++rings;
          }
      });
    for (int i = 0; i < 5; ++i)
      server.serve_a_good_client(1000);
    bool timer_rang = false;
    asio::steady_timer timer(server.context(), std::chrono::milliseconds(1));
    timer.async_wait([&](error_code) { timer_rang = true; });
    server.run([&] { return timer_rang; });
    stop = true;
    for (std::thread& ringer : ringers)
      ringer.join();
    BOOST_TEST(server.sessions() == clients.size());
    BOOST_TEST_MESSAGE(rings << " rings");
  }
  server.check_unharmed();
}

// The ring that it does not read is all that the server spends on it.
BOOST_AUTO_TEST_CASE(a_client_that_never_reads)
{
  attacked_server server;
  {
    hostile_client client(server.port());
    BOOST_TEST(client.connect());
    client.say_hello();
    server.run([&] { return client.is_attached() && server.sessions() == 1; });
    const std::uint64_t size = client.geometry.segment_size;
    // More is sent than what the server can echo.
    std::uint64_t end = 0, number = 0;
    for (int i = 0; i < 200; ++i)
    {
      server.poll();
      if (number - client.forth(hostile_client::oldest).load() + 1 >= client.geometry.segment_count)
        continue;
      end += size;
      client.forth(hostile_client::end + 8 * (number % client.geometry.segment_count)).store(end);
      client.forth(hostile_client::newest).store(number++);
      client.ring();
    }
    BOOST_TEST(server.sessions() == 1u);
    BOOST_TEST(client.back(hostile_client::newest).load() == client.geometry.segment_count - 1);
    const std::uint64_t written = client.back(hostile_client::end + 8 * (client.geometry.segment_count - 1)).load();
    BOOST_TEST(written == client.geometry.capacity());
    server.serve_a_good_client(100000);
    BOOST_TEST(server.sessions() == 1u);
  }
  server.check_unharmed();
}

BOOST_AUTO_TEST_SUITE_END()
