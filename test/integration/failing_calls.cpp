// SPDX-License-Identifier: BSL-1.0
// Every system call fails once, for every reason that it can fail for: the program is told or nothing has happened,
// nothing leaks, and the next client is served.
#define BOOST_TEST_MODULE failing_calls
#include "socket_test.hpp"

#include "failing_calls.hpp"
#include "life_of_a_listener.hpp"
#include "open_resources.hpp"
#include "raw_client.hpp"

#include <shm/busy_poll.hpp>
#include <shm/connect_pair.hpp>

#include <atomic>
#include <iostream>
#include <map>
#include <string>
#include <thread>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

// Calls of one scenario; that many would be an endless loop.
constexpr int too_many = 5000;

/// What was tried, to be printed.
struct tally
{
  int failed = 0;
  int told = 0;
  std::map<std::string, int> calls;

  void print(const char* scenario) const
  {
    std::cout << "failing_calls: " << scenario << ": " << failed << " failed calls, " << told
              << " of them reported to the program;";
    for (const auto& [name, count] : calls)
      std::cout << ' ' << name << ' ' << count;
    std::cout << std::endl;
  }
};

/// Calls `scenario(failing_call&)` again and again, until one run has fewer calls than would have to fail. The scenario
/// gives the error that the program was told, and disarms.
template <class Scenario>
tally fail_every_call(Scenario scenario)
{
  tally result;
  for (int nth = 1; nth != too_many; ++nth)
    for (int reason = 0, reasons = 1; reason < reasons; ++reason)
    {
      failing_call call(nth, reason);
      const error_code told = scenario(call);
      call.disarm();
      if (!call.failed())
      {
        BOOST_TEST(!told, "nothing failed, yet: " << told.message());
        return result;
      }
      reasons = call.reasons();
      ++result.failed;
      ++result.calls[call.name()];
      result.told += told ? 1 : 0;
    }
  BOOST_ERROR("there is no end of calls");
  return result;
}

void check_life(const tcp::endpoint& at, const char* scenario)
{
  life_of_a_listener(at).recover(); // what is made once in a process is there
  const open_resources before = open_resources::now();
  const tally result = fail_every_call(
      [&](failing_call& call)
      {
        error_code told;
        {
          life_of_a_listener life(at);
          life.live();
          call.disarm();
          told = life.failure();
          BOOST_TEST_INFO_SCOPE((call.failed() ? call.what() : std::string("no call failed")) << "; " << told.message());
          life.settle();
          life.recover();
        }
        BOOST_TEST_INFO_SCOPE((call.failed() ? call.what() : std::string("no call failed")) << "; " << told.message());
        BOOST_TEST(open_resources::now() == before);
        return told;
      });
  result.print(scenario);
  BOOST_TEST(result.failed > 100);
  BOOST_TEST(result.told > 50);
}

/// Serves one client after the other in a thread of its own, in which no call fails.
class serving_thread
{
public:
  serving_thread() : acceptor_(context_, loopback<tcp>()), thread_([this] { serve(); }) {}

  ~serving_thread()
  {
    asio::io_context context;
    tcp::socket last(context);
    last.connect(endpoint());
    asio::write(last, asio::buffer("q", 1));
    thread_.join();
  }

  tcp::endpoint endpoint() const { return acceptor_.local_endpoint(); }

private:
  void serve()
  {
    for (;;)
    {
      error_code ec;
      tcp::socket client = acceptor_.accept();
      char question = 0;
      asio::read(client, asio::buffer(&question, 1), ec);
      if (question == 'q')
        return;
      if (!ec)
        asio::write(client, asio::buffer(carried_text), ec);
    }
  }

  asio::io_context context_;
  tcp::acceptor acceptor_;
  std::thread thread_;
};

/// Asks and closes; gives the first error.
error_code ask(asio::io_context& context, const tcp::endpoint& server)
{
  tcp::socket socket(context);
  error_code ec;
  std::string got(carried_text.size(), '\0');
  if (!ec)
    socket.open(tcp::v4(), ec);
  if (!ec)
    socket.connect(server, ec);
  if (!ec)
    asio::write(socket, asio::buffer("a", 1), ec);
  if (!ec)
    asio::read(socket, asio::buffer(got), ec);
  if (!ec && got != carried_text)
    ec = error::fault;
  error_code closed;
  socket.close(closed);
  return ec ? ec : closed;
}

/// Asks one question after the other in a thread of its own, whatever becomes of them.
class asking_thread
{
public:
  explicit asking_thread(const tcp::endpoint& server)
    : thread_(
          [this, server]
          {
            asio::io_context context;
            while (!over_)
              ask(context, server);
          })
  {
  }

  /// To be called when the listener is closed or about to be.
  void stop() { over_ = true; }
  void join() { thread_.join(); }

private:
  std::atomic<bool> over_{false};
  std::thread thread_;
};

/// Serves one client; gives the first error.
error_code serve_one(tcp::acceptor& acceptor, asio::io_context& context)
{
  tcp::socket client(context);
  error_code ec;
  char question = 0;
  acceptor.accept(client, ec);
  if (!ec)
    asio::read(client, asio::buffer(&question, 1), ec);
  if (!ec)
    asio::write(client, asio::buffer(carried_text), ec);
  return ec;
}

error_code guarded(error_code (*function)(tcp::acceptor&, asio::io_context&), tcp::acceptor& acceptor,
    asio::io_context& context)
try
{
  return function(acceptor, context);
}
catch (const system_error& e)
{
  return e.code();
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(failing_calls, watchdog)

BOOST_AUTO_TEST_CASE(life_at_an_address)
{
  check_life(loopback<tcp>(4246), "asynchronous, at an address");
}

BOOST_AUTO_TEST_CASE(life_at_a_short_name)
{
  check_life(tcp::endpoint("failing"), "asynchronous, at a short name");
}

BOOST_AUTO_TEST_CASE(life_at_a_path)
{
  check_life(tcp::endpoint(unused_path()), "asynchronous, at a path");
}

BOOST_AUTO_TEST_CASE(blocking_client)
{
  serving_thread server;
  const tcp::endpoint at = server.endpoint();
  const auto client = [&]() -> error_code
  {
    try
    {
      asio::io_context context;
      shm::set_busy_poll(context, shm::busy_poll(0)); // a read that has to wait goes to sleep
      return ask(context, at);
    }
    catch (const system_error& e)
    {
      return e.code();
    }
  };
  BOOST_TEST(!client());
  const tally result = fail_every_call(
      [&](failing_call& call)
      {
        const error_code told = client();
        call.disarm();
        BOOST_TEST_INFO_SCOPE((call.failed() ? call.what() : std::string("no call failed")));
        BOOST_TEST(!client());
        return told;
      });
  result.print("blocking client");
  BOOST_TEST(result.told > 20);
}

BOOST_AUTO_TEST_CASE(blocking_server)
{
  asio::io_context context;
  shm::set_busy_poll(context, shm::busy_poll(0));
  tcp::acceptor acceptor(context, loopback<tcp>());
  asking_thread clients(acceptor.local_endpoint());
  const tally result = fail_every_call(
      [&](failing_call& call)
      {
        const error_code told = guarded(&serve_one, acceptor, context);
        call.disarm();
        BOOST_TEST_INFO_SCOPE((call.failed() ? call.what() : std::string("no call failed")));
        // The client that had the bad luck may be gone; the acceptor is not.
        error_code ec;
        do
          ec = serve_one(acceptor, context);
        while (is_end(ec) || is_broken(ec));
        BOOST_TEST(!ec);
        return told;
      });
  clients.stop();
  acceptor.close();
  clients.join();
  result.print("blocking server");
  BOOST_TEST(result.told > 5);
}

// A client that has connected, whose HELLO is still to come, and for whom the epoll instance has no room.
BOOST_AUTO_TEST_CASE(client_that_cannot_be_watched_is_served)
{
  constexpr unsigned short port = 4247;
  asio::io_context context;
  shm::set_busy_poll(context, shm::busy_poll(0)); // nobody looks for its HELLO in between
  {
    tcp::acceptor makes_the_directory(context, loopback<tcp>(port));
  }
  raw_message hello;
  asio::io_context connecting;
  tcp::socket client(connecting);
  {
    raw_listener impostor(socket_file(port));
    client.connect(loopback<tcp>(port));
    hello = impostor.hear();
  }
  tcp::acceptor acceptor(context, loopback<tcp>(port));
  int unwatched = 0;
  for (int nth = 1;; ++nth)
  {
    raw_client slow(socket_file(port));
    tcp::socket server(context);
    completion accepted;
    failing_call call(nth, 0);
    acceptor.async_accept(server, accepted.handler());
    run_ready(context);
    call.disarm();
    if (!call.failed())
      break;
    BOOST_TEST_INFO_SCOPE(call.what());
    const bool other_call = call.name() != std::string("epoll_ctl");
    unwatched += other_call ? 0 : 1;
    slow.send(hello);
    if (other_call)
      raw_client(socket_file(port)).send(hello); // in place of one that was dropped
    run_until(context, [&] { return accepted.done(); });
    BOOST_TEST((!accepted.ec || other_call));
    acceptor.non_blocking(true);
    for (error_code ec; !ec;)
      acceptor.accept(ec); // none is left for the next round
  }
  BOOST_TEST(unwatched == 1);
}

BOOST_AUTO_TEST_CASE(connected_pairs)
{
  const auto pair = []() -> error_code
  {
    try
    {
      asio::io_context context;
      tcp::socket a(context);
      tcp::socket b(context);
      error_code ec;
      shm::connect_pair(a, b, ec);
      if (!ec)
        check_carries_data(a, b);
      return ec;
    }
    catch (const system_error& e)
    {
      return e.code();
    }
  };
  BOOST_TEST(!pair());
  const open_resources before = open_resources::now();
  const tally result = fail_every_call(
      [&](failing_call& call)
      {
        const error_code told = pair();
        call.disarm();
        BOOST_TEST_INFO_SCOPE((call.failed() ? call.what() : std::string("no call failed")));
        BOOST_TEST(open_resources::now() == before);
        return told;
      });
  result.print("connected pairs");
  BOOST_TEST(result.told > 20);
}

BOOST_AUTO_TEST_SUITE_END()
