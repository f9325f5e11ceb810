// SPDX-License-Identifier: BSL-1.0
// No descriptors, no address space, too many of both in flight: the program is told, and all goes on afterwards.
#define BOOST_TEST_MODULE exhaustion
#include "socket_test.hpp"

#include "child_process.hpp"
#include "life_of_a_listener.hpp"
#include "limits.hpp"
#include "open_resources.hpp"
#include "server_process.hpp"

#include <shm/error.hpp>

#include <chrono>
#include <iostream>
#include <optional>
#include <string>

#include <poll.h>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

/// A process that connects whenever it is told to, says hello, and tells the error of its first read.
int client_process(channel& test)
{
  const auto endpoint = receive_endpoint<tcp>(test);
  asio::io_context context;
  for (;;)
  {
    test.receive<char>();
    tcp::socket socket(context);
    error_code ec;
    socket.connect(endpoint, ec);
    if (!ec)
      asio::write(socket, asio::buffer(carried_text), ec);
    test.send(ec.value());
    std::string got(carried_text.size(), '\0');
    if (!ec)
      asio::read(socket, asio::buffer(got), ec);
    test.send(ec.category() == shm::error::get_category());
    test.send(ec.value());
  }
}

template <class Protocol>
int kernel_like_client(channel& test)
{
  const auto endpoint = receive_endpoint<Protocol>(test);
  asio::io_context context;
  typename Protocol::socket socket(context);
  socket.connect(endpoint);
  test.send('c');
  check_carries_data(socket, socket);
  return 0;
}

void echo_once(tcp::socket& socket)
{
  std::string got(carried_text.size(), '\0');
  asio::read(socket, asio::buffer(got));
  BOOST_TEST(got == carried_text);
  asio::write(socket, asio::buffer(got));
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(exhaustion, watchdog)

// In one process, so that each step of both sides has its turn to be the one for which nothing is left.
BOOST_AUTO_TEST_CASE(descriptors_run_out_at_every_step)
{
  life_of_a_listener(loopback<tcp>()).recover();
  // UndefinedBehaviorSanitizer needs a pipe to look at an object of a type that is new to it.
  const auto is_it = [](const system_error& e) { return e.code() == error::no_descriptors; };
  BOOST_CHECK_EXCEPTION(throw system_error(error::no_descriptors), system_error, is_it);
  BOOST_CHECK_EXCEPTION(asio::detail::throw_error(error::no_descriptors, ""), system_error, is_it);
  const open_resources before = open_resources::now();
  int failed = 0;
  for (std::size_t left = 0;; ++left)
  {
    error_code told;
    {
      std::optional<life_of_a_listener> life;
      {
        few_descriptors limit(left);
        life.emplace(loopback<tcp>());
        life->live();
      }
      told = life->failure();
      BOOST_TEST_INFO_SCOPE(left << " descriptors left: " << told.message());
      BOOST_TEST((!told || told == error::no_descriptors || told == shm::error::no_descriptors || is_end(told)));
      life->settle();
      life->recover();
    }
    BOOST_TEST(open_resources::now() == before);
    if (!told)
      break;
    ++failed;
    BOOST_TEST_REQUIRE(left < 100);
  }
  std::cout << "exhaustion: descriptors ran out at " << failed << " places" << std::endl;
  BOOST_TEST(failed > 8);
}

// As over TCP: the program hears of it once for each accept, and the client keeps its place.
BOOST_AUTO_TEST_CASE_TEMPLATE(acceptor_without_descriptors_reports_and_rests, Protocol, ip_transports)
{
  child_process child(kernel_like_client<Protocol>);
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  typename Protocol::socket server(context);
  completion accepted;
  {
    send_endpoint(child.peer(), acceptor.local_endpoint());
    BOOST_TEST(child.peer().template receive<char>() == 'c');
    few_descriptors limit(0);
    acceptor.async_accept(server, accepted.handler());
    for (int i = 0; i != 3; ++i)
    {
      run_until(context, [&] { return accepted.done(); });
      BOOST_TEST(accepted.ec == error::no_descriptors);
      BOOST_TEST(!server.is_open());
      // Nothing is left to do: no thread is kept busy by the client that waits.
      context.restart();
      BOOST_TEST(context.run_for(std::chrono::milliseconds(20)) < 5u);
      accepted = {};
      acceptor.async_accept(server, accepted.handler());
    }
    run_until(context, [&] { return accepted.done(); });
    BOOST_TEST(accepted.ec == error::no_descriptors);
    error_code ec;
    acceptor.accept(server, ec);
    BOOST_TEST(ec == error::no_descriptors);
  }
  accepted = {};
  acceptor.async_accept(server, accepted.handler());
  run_until(context, [&] { return accepted.done(); });
  BOOST_TEST_REQUIRE(!accepted.ec);
  std::string got(carried_text.size(), '\0');
  asio::read(server, asio::buffer(got));
  asio::write(server, asio::buffer(got));
  BOOST_TEST(child.wait() == 0);
}

BOOST_AUTO_TEST_CASE(client_whose_descriptors_find_no_room_is_told)
{
  child_process child(client_process);
  asio::io_context context;
  tcp::acceptor acceptor(context, loopback<tcp>());
  send_endpoint(child.peer(), acceptor.local_endpoint());
  // The connection takes one, then HELLO brings three.
  for (const std::size_t left : {1u, 2u, 3u})
  {
    tcp::socket server(context);
    completion accepted;
    acceptor.async_accept(server, accepted.handler());
    run_ready(context); // what the connection before has held is given back
    {
      few_descriptors limit(left);
      child.peer().send('c');
      BOOST_TEST(child.peer().receive<int>() == 0);
      // The client reads; what it is told comes through the channel.
      wait_until(
          [&]
          {
            // The connection itself may have taken the last one: then accept reports that, as over TCP.
            if (accepted.done())
            {
              BOOST_TEST(accepted.ec == error::no_descriptors);
              accepted = {};
              acceptor.async_accept(server, accepted.handler());
              context.restart();
            }
            context.poll();
            pollfd answer = {child.peer().descriptor(), POLLIN, 0};
            return ::poll(&answer, 1, 0) == 1;
          });
      BOOST_TEST(child.peer().receive<bool>());
      BOOST_TEST(child.peer().receive<int>() == static_cast<int>(shm::error::no_descriptors));
      BOOST_TEST(!accepted.done());
    }
    // The same accept serves the next.
    child.peer().send('c');
    BOOST_TEST(child.peer().receive<int>() == 0);
    run_until(context, [&] { return accepted.done(); });
    BOOST_TEST_REQUIRE(!accepted.ec);
    echo_once(server);
    child.peer().receive<bool>();
    BOOST_TEST(child.peer().receive<int>() == 0);
  }
}

BOOST_AUTO_TEST_SUITE_END()
