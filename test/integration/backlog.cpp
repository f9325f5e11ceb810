// SPDX-License-Identifier: BSL-1.0
// A full backlog: connecting waits, asynchronously or blocking, and can be cancelled.
#define BOOST_TEST_MODULE backlog
#include "socket_test.hpp"

#include <deque>
#include <string>
#include <thread>
#include <vector>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

/// An acceptor whose backlog is full; nobody waits for room yet.
struct full_backlog
{
  explicit full_backlog(asio::io_context& context) : acceptor(context)
  {
    acceptor.open(tcp::v4());
    acceptor.bind(loopback<tcp>());
    acceptor.listen(1);
    endpoint = acceptor.local_endpoint();
    for (error_code ec; ec != error::try_again;)
    {
      tcp::socket& next = waiting.emplace_back(context, tcp::v4());
      next.non_blocking(true);
      next.connect(endpoint, ec);
      BOOST_TEST_REQUIRE((!ec || ec == error::try_again));
    }
    waiting.pop_back();
  }

  tcp::acceptor acceptor;
  tcp::endpoint endpoint;
  std::deque<tcp::socket> waiting;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(backlog, watchdog)

BOOST_AUTO_TEST_CASE(async_connect_completes_when_there_is_room)
{
  asio::io_context context;
  full_backlog listener(context);
  tcp::socket client(context);
  completion connected;
  client.async_connect(listener.endpoint, connected.handler());
  context.run_for(std::chrono::milliseconds(20));
  BOOST_TEST(!connected.done());

  tcp::socket server = listener.acceptor.accept();
  run_until(context, [&] { return connected.done(); });
  BOOST_TEST(!connected.ec);
  BOOST_TEST(client.remote_endpoint() == listener.endpoint);
}

BOOST_AUTO_TEST_CASE(async_connect_can_be_cancelled_and_repeated)
{
  asio::io_context context;
  full_backlog listener(context);
  tcp::socket client(context);
  completion connected;
  client.async_connect(listener.endpoint, connected.handler());
  context.run_for(std::chrono::milliseconds(5));
  client.cancel();
  run_until(context, [&] { return connected.done(); });
  BOOST_TEST(connected.ec == error::operation_aborted);

  asio::cancellation_signal signal;
  connected = {};
  client.async_connect(listener.endpoint, asio::bind_cancellation_slot(signal.slot(), connected.handler()));
  context.restart();
  context.run_for(std::chrono::milliseconds(5));
  signal.emit(asio::cancellation_type::total);
  run_until(context, [&] { return connected.done(); });
  BOOST_TEST(connected.ec == error::operation_aborted);

  connected = {};
  client.async_connect(listener.endpoint, connected.handler());
  tcp::socket server = listener.acceptor.accept();
  run_until(context, [&] { return connected.done(); });
  BOOST_TEST(!connected.ec);
}

BOOST_AUTO_TEST_CASE(reads_that_were_started_while_it_connects_wait_for_it)
{
  asio::io_context context;
  full_backlog listener(context);
  tcp::socket client(context);
  completion connected, waited, read;
  std::string got(5, '\0');
  client.async_connect(listener.endpoint, connected.handler());
  client.async_read_some(asio::buffer(got), read.handler());
  client.async_wait(tcp::socket::wait_write, waited.handler());
  context.run_for(std::chrono::milliseconds(5));
  BOOST_TEST(!connected.done());
  BOOST_TEST(!waited.done());
  BOOST_TEST(!read.done());
  std::vector<tcp::socket> servers;
  for (std::size_t i = 0; i != listener.waiting.size() + 1; ++i)
  {
    listener.acceptor.async_accept(
        [&](error_code ec, tcp::socket server)
        {
          BOOST_TEST(!ec);
          asio::write(server, asio::buffer("hello", 5));
          servers.push_back(std::move(server));
        });
  }
  run_until(context, [&] { return read.done(); });
  BOOST_TEST(!connected.ec);
  BOOST_TEST(!waited.ec);
  BOOST_TEST(!read.ec);
  BOOST_TEST(got == "hello");
}

BOOST_AUTO_TEST_CASE(reads_behind_a_connect_that_fails_or_is_cancelled_complete)
{
  for (const bool cancelled : {false, true})
  {
    asio::io_context context;
    asio::io_context other;
    full_backlog listener(other);
    tcp::socket client(context, tcp::v4());
    asio::cancellation_signal signal;
    completion connected, read;
    char got = 0;
    client.async_connect(listener.endpoint, asio::bind_cancellation_slot(signal.slot(), connected.handler()));
    client.async_read_some(asio::buffer(&got, 1), read.handler());
    context.run_for(std::chrono::milliseconds(5));
    BOOST_TEST(!read.done());
    if (cancelled)
      signal.emit(asio::cancellation_type::total);
    else
      listener.acceptor.close();
    run_out(context);
    BOOST_TEST(connected.ec == (cancelled ? error::operation_aborted : error::connection_refused));
    BOOST_TEST(read.ec == error::not_connected);
  }
}

BOOST_AUTO_TEST_CASE(waits_behind_a_connect_that_fails_complete)
{
  asio::io_context context;
  asio::io_context other;
  full_backlog listener(other);
  tcp::socket client(context, tcp::v4());
  completion connected;
  completion waited[3];
  client.async_connect(listener.endpoint, connected.handler());
  client.async_wait(tcp::socket::wait_read, waited[0].handler());
  client.async_wait(tcp::socket::wait_write, waited[1].handler());
  client.async_wait(tcp::socket::wait_error, waited[2].handler());
  context.run_for(std::chrono::milliseconds(5));
  BOOST_TEST(!connected.done());
  listener.acceptor.close();
  run_out(context);
  BOOST_TEST(connected.ec == error::connection_refused);
  for (const completion& one : waited)
    BOOST_TEST(one.done());
}

BOOST_AUTO_TEST_CASE(blocking_connect_waits_for_room)
{
  asio::io_context context;
  full_backlog listener(context);
  std::thread accepts([&] { tcp::socket server = listener.acceptor.accept(); });
  tcp::socket client(context);
  error_code ec;
  client.connect(listener.endpoint, ec);
  accepts.join();
  BOOST_TEST(!ec);
}

BOOST_AUTO_TEST_CASE(connection_that_nobody_accepted_is_reset)
{
  asio::io_context context;
  tcp::socket client(context);
  {
    tcp::acceptor acceptor(context, loopback<tcp>());
    client.connect(acceptor.local_endpoint());
    asio::write(client, asio::buffer("into the void", 13));
  }
  char got = 0;
  error_code ec;
  client.read_some(asio::buffer(&got, 1), ec);
  BOOST_TEST(ec == error::connection_reset);
  client.read_some(asio::buffer(&got, 1), ec);
  BOOST_TEST(ec == error::eof);
  client.write_some(asio::buffer("x", 1), ec);
  BOOST_TEST(ec == error::broken_pipe);
}

// Over TCP, Asio 1.81's stream takes a connect that was given up for one that succeeded.
BOOST_AUTO_TEST_CASE(an_iostream_gives_up_at_its_expiry_time)
{
  asio::io_context context;
  full_backlog listener(context);
  tcp::iostream stream;
  stream.expires_after(std::chrono::milliseconds(20));
  stream.connect(listener.endpoint);
  BOOST_TEST(stream.fail());
  BOOST_TEST(stream.error() == error::timed_out);

  listener.acceptor.accept();
  stream.clear();
  stream.expires_after(patience);
  stream.connect(listener.endpoint);
  BOOST_TEST(stream.good());
}

BOOST_AUTO_TEST_SUITE_END()
