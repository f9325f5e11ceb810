// SPDX-License-Identifier: BSL-1.0
// Orders of events in which an operation once got lost: each case is one of them.
#define BOOST_TEST_MODULE interleavings
#include "socket_test.hpp"

#include <shm/connect_pair.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

/// Passes when another thread sleeps in a blocking call, as its state in /proc shows.
class sleeping_thread
{
public:
  template <class Function>
  explicit sleeping_thread(Function function)
    : thread_(
        [this, function]
        {
          id_ = static_cast<int>(::gettid());
          function();
        })
  {}

  void wait_until_asleep()
  {
    wait_until([&] { return id_ != 0 && state() == 'S'; });
  }

  void join() { thread_.join(); }

private:
  char state() const
  {
    const std::string path = "/proc/self/task/" + std::to_string(id_) + "/stat";
    char state = 0;
    if (FILE* file = std::fopen(path.c_str(), "r"))
    {
      if (std::fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 0;
      std::fclose(file);
    }
    return state;
  }

  std::atomic<int> id_{0};
  std::thread thread_;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(interleavings, watchdog)

BOOST_AUTO_TEST_CASE(close_in_another_thread_ends_a_blocking_read)
{
  for (int i = 0; i < 10; ++i)
  {
    asio::io_context context;
    tcp::socket a(context);
    tcp::socket b(context);
    shm::connect_pair(a, b);
    error_code ec;
    sleeping_thread reads(
        [&]
        {
          char got;
          a.read_some(asio::buffer(&got, 1), ec);
        });
    reads.wait_until_asleep();
    a.close();
    reads.join();
    BOOST_TEST(ec == error::bad_descriptor);
  }
}

BOOST_AUTO_TEST_CASE(close_in_another_thread_ends_a_blocking_accept)
{
  asio::io_context context;
  tcp::acceptor acceptor(context, loopback<tcp>());
  error_code ec;
  sleeping_thread accepts(
      [&]
      {
        tcp::socket peer(context);
        acceptor.accept(peer, ec);
      });
  accepts.wait_until_asleep();
  acceptor.close();
  accepts.join();
  BOOST_TEST(ec == error::bad_descriptor);
}

// The handler runs in the poll task of one thread, the other thread has gone to sleep; what the handler waits for must
// wake it.
BOOST_AUTO_TEST_CASE_TEMPLATE(handler_that_waits_for_a_completion_gets_it_from_another_thread, Protocol, ip_transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  std::atomic<bool> ready{false};
  char got = 0;
  pair.client.async_read_some(asio::buffer(&got, 1),
      [&](error_code, std::size_t)
      {
        // Long enough for the other thread to take the poll task, find nothing, and sleep.
        const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(10);
        wait_until([&] { return std::chrono::steady_clock::now() > end; });
        auto written = pair.client.async_write_some(asio::buffer("x", 1), asio::use_future);
        ready = written.wait_for(patience) == std::future_status::ready;
      });
  std::thread writes([&] { asio::write(pair.server, asio::buffer("y", 1)); });
  run_with_threads(context, 2);
  writes.join();
  BOOST_TEST(ready);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(nested_run_one_makes_progress, Protocol, ip_transports)
{
  for (const int hint : {1, BOOST_ASIO_CONCURRENCY_HINT_DEFAULT})
  {
    asio::io_context context(hint);
    connected_pair<Protocol> pair(context);
    char outer = 0;
    char inner = 0;
    bool outer_done = false;
    bool inner_done = false;
    pair.client.async_read_some(asio::buffer(&outer, 1),
        [&](error_code, std::size_t)
        {
          pair.server.async_read_some(asio::buffer(&inner, 1), [&](error_code, std::size_t) { inner_done = true; });
          asio::write(pair.client, asio::buffer("z", 1));
          const auto end = std::chrono::steady_clock::now() + patience;
          while (!inner_done && std::chrono::steady_clock::now() < end)
            context.run_one_until(end);
          outer_done = inner_done;
        });
    asio::write(pair.server, asio::buffer("y", 1));
    context.run();
    BOOST_TEST(outer_done);
    BOOST_TEST(inner == 'z');
  }
}

// Every read of the busy connection completes at once, so there is always something ready; still others are looked at.
BOOST_AUTO_TEST_CASE_TEMPLATE(busy_connection_does_not_starve_another, Protocol, ip_transports)
{
  asio::io_context context;
  asio::io_context peers;
  connected_pair<Protocol> busy(context, peers);
  connected_pair<Protocol> quiet(context, peers);
  std::atomic<bool> stop{false};
  std::thread writes(
      [&]
      {
        const std::vector<char> data(65536);
        error_code ec;
        while (!stop && !ec)
          busy.server.write_some(asio::buffer(data), ec);
      });
  char chunk[256];
  long reads = 0;
  std::function<void(error_code)> read = [&](error_code ec)
  {
    if (ec || stop)
      return;
    if (++reads == 1000)
      asio::write(quiet.server, asio::buffer("q", 1));
    // Slower than the writer, so that its data never runs out.
    for (const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(5);
         std::chrono::steady_clock::now() < end;)
      ;
    busy.client.async_read_some(asio::buffer(chunk), [&](error_code e, std::size_t) { read(e); });
  };
  char got = 0;
  quiet.client.async_read_some(asio::buffer(&got, 1), [&](error_code, std::size_t) { stop = true; });
  read({});
  context.run_for(patience);
  BOOST_TEST(got == 'q');
  stop = true;
  busy.client.close();
  writes.join();
}

BOOST_AUTO_TEST_SUITE_END()
