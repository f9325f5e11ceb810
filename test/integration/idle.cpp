// SPDX-License-Identifier: BSL-1.0
// A program that waits uses no CPU: it makes no context switch while nothing happens.
#define BOOST_TEST_MODULE idle
#include "raw_client.hpp"
#include "socket_test.hpp"

#include <thread>
#include <vector>

#include <sys/resource.h>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

long voluntary_switches_of_this_thread()
{
  rusage usage{};
  BOOST_TEST_REQUIRE(::getrusage(RUSAGE_THREAD, &usage) == 0);
  return usage.ru_nvcsw;
}

std::chrono::microseconds cpu_time_of_this_thread()
{
  rusage usage{};
  BOOST_TEST_REQUIRE(::getrusage(RUSAGE_THREAD, &usage) == 0);
  return std::chrono::seconds(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
      + std::chrono::microseconds(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(idle, watchdog)

BOOST_AUTO_TEST_CASE(pending_operations_sleep_until_they_are_woken)
{
  asio::io_context context;
  asio::io_context peers;
  tcp::acceptor acceptor(peers, loopback<tcp>());
  std::vector<tcp::socket> clients;
  std::vector<tcp::socket> servers;
  char got[20];
  int reads = 0;
  for (char& c : got)
  {
    clients.emplace_back(context).connect(acceptor.local_endpoint());
    servers.push_back(acceptor.accept());
    clients.back().async_read_some(asio::buffer(&c, 1), [&](error_code, std::size_t) { ++reads; });
  }
  // Everything goes cold; from here on the thread is in one sleep.
  context.run_for(std::chrono::milliseconds(20));
  const long before = voluntary_switches_of_this_thread();
  context.run_for(std::chrono::milliseconds(500));
  const long switches = voluntary_switches_of_this_thread() - before;
  // The timer of run_for itself needs one; polling at any interval of less than 100 ms would show.
  BOOST_TEST(switches <= 4);
  BOOST_TEST(reads == 0);

  for (tcp::socket& server : servers)
    asio::write(server, asio::buffer("x", 1));
  run_until(context, [&] { return reads == 20; });
}

// Nothing that the other waits are for comes: neither a client nor a full backlog may keep the thread busy.
BOOST_AUTO_TEST_CASE(blocking_waits_of_an_acceptor_sleep)
{
  for (const auto what : {tcp::acceptor::wait_write, tcp::acceptor::wait_error})
  {
    asio::io_context context;
    tcp::acceptor acceptor(context, loopback<tcp>());
    tcp::socket client(context);
    client.connect(acceptor.local_endpoint());
    rusage used{};
    std::thread waits(
        [&]
        {
          error_code ec;
          acceptor.wait(what, ec);
          ::getrusage(RUSAGE_THREAD, &used);
        });
    asio::steady_timer timer(context, std::chrono::milliseconds(200));
    timer.async_wait([&](error_code) { acceptor.close(); });
    run_out(context);
    waits.join();
    BOOST_TEST(used.ru_utime.tv_usec + used.ru_stime.tv_usec < 100000);
  }
}

BOOST_AUTO_TEST_CASE(pending_accept_sleeps)
{
  asio::io_context context;
  tcp::acceptor acceptor(context, loopback<tcp>());
  completion accepted;
  tcp::socket server(context);
  acceptor.async_accept(server, accepted.handler());
  context.run_for(std::chrono::milliseconds(5));
  const long before = voluntary_switches_of_this_thread();
  context.run_for(std::chrono::milliseconds(300));
  BOOST_TEST(voluntary_switches_of_this_thread() - before <= 3);
  BOOST_TEST(!accepted.done());
}

// A client that connects and says nothing is waited for by looking for a moment, and then asleep.
BOOST_AUTO_TEST_CASE(accept_sleeps_while_a_client_is_silent)
{
  asio::io_context context;
  const std::string path = unused_path();
  tcp::acceptor acceptor(context, tcp::endpoint(path));
  completion accepted;
  tcp::socket server(context);
  acceptor.async_accept(server, accepted.handler());
  context.run_for(std::chrono::milliseconds(5));
  const raw_client silent(path);
  context.run_for(std::chrono::milliseconds(20));
  const auto before = cpu_time_of_this_thread();
  context.run_for(std::chrono::milliseconds(300));
  BOOST_TEST((cpu_time_of_this_thread() - before < std::chrono::milliseconds(100)));
  BOOST_TEST(!accepted.done());
}

BOOST_AUTO_TEST_SUITE_END()
