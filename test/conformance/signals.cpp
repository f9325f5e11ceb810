// SPDX-License-Identifier: BSL-1.0
// Servers that a signal ends: signal_set beside open connections.

#define BOOST_TEST_MODULE signals
#include "socket_test.hpp"

#include "echo_session.hpp"
#include "server_process.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

using namespace shm::test;

namespace {

/// Accepts until it is told to stop, and reports each client and each signal to its parent.
template <class Protocol>
class draining_server
{
public:
  draining_server(asio::io_context& context, const typename Protocol::endpoint& endpoint, channel& parent)
    : acceptor_(context, endpoint), signals_(context, SIGINT, SIGTERM), parent_(parent)
  {
    signals_.async_wait(
        [this](error_code ec, int number)
        {
          if (ec)
            return;
          acceptor_.close();
          parent_.send(number);
        });
    accept();
    send_endpoint(parent_, acceptor_.local_endpoint());
  }

private:
  void accept()
  {
    acceptor_.async_accept(
        [this](error_code ec, typename Protocol::socket socket)
        {
          if (ec)
            return;
          std::make_shared<echo_session<typename Protocol::socket>>(std::move(socket))->start();
          parent_.send('c');
          accept();
        });
  }

  typename Protocol::acceptor acceptor_;
  asio::signal_set signals_;
  channel& parent_;
};

template <class Socket>
void check_echo(Socket& socket, const std::string& text)
{
  asio::write(socket, asio::buffer(text));
  std::string got(text.size(), '\0');
  asio::read(socket, asio::buffer(got));
  BOOST_TEST(got == text);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(signals, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(signal_closes_the_acceptor_and_the_connections_drain, Protocol, transports)
{
  for (const int number : {SIGTERM, SIGINT})
  {
    child_process server(
        [listens_to = loopback<Protocol>()](channel& parent)
        {
          asio::io_context context;
          const draining_server<Protocol> serving(context, listens_to, parent);
          context.run(); // until the last connection has ended
          return 0;
        });
    const auto endpoint = receive_endpoint<Protocol>(server.peer());
    asio::io_context context;
    std::vector<typename Protocol::socket> clients;
    for (int i = 0; i != 4; ++i)
    {
      clients.emplace_back(context).connect(endpoint);
      BOOST_TEST(server.peer().template receive<char>() == 'c');
      check_echo(clients.back(), "before");
    }
    ::kill(server.id(), number);
    BOOST_TEST(server.peer().template receive<int>() == number);
    typename Protocol::socket late(context);
    error_code ec;
    late.connect(endpoint, ec);
    BOOST_TEST(ec == error::connection_refused);
    // Those that are connected are served to their end, also with much in flight.
    for (auto& client : clients)
      check_echo(client, std::string(50'000, 'a'));
    for (auto& client : clients)
    {
      client.shutdown(asio::socket_base::shutdown_send);
      std::string nothing(1, '\0');
      reports(error::eof, [&](auto&... result) { asio::read(client, asio::buffer(nothing), result...); });
    }
    BOOST_TEST(server.wait() == 0);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(signals_reach_a_run_that_sleeps_with_idle_connections, Protocol, transports)
{
  constexpr int rounds = 50;
  child_process sleeper(
      [](channel& parent)
      {
        asio::io_context context;
        connected_pair<Protocol> pair(context);
        char unused = 0;
        std::atomic<int> aborted{0};
        for (auto* socket : {&pair.client, &pair.server})
          socket->async_read_some(
              asio::buffer(&unused, 1), [&](error_code ec, std::size_t) { aborted += ec == error::operation_aborted; });
        asio::signal_set signals(context, SIGUSR1);
        for (int i = 0; i != rounds; ++i)
        {
          int got = 0;
          signals.async_wait([&](error_code, int number) { got = number; });
          // Every other time the connections are asleep already: then nothing is awake to see the signal by chance.
          if (i % 2 == 0)
            context.run_for(std::chrono::milliseconds(1));
          parent.send(i);
          while (got == 0)
            context.run_one();
          if (got != SIGUSR1 || aborted != 0)
            return 1;
        }
        pair.client.cancel();
        pair.server.cancel();
        context.run();
        return aborted == 2 ? 0 : 2;
      });
  for (int i = 0; i != rounds; ++i)
  {
    BOOST_TEST(sleeper.peer().template receive<int>() == i);
    ::kill(sleeper.id(), SIGUSR1);
  }
  BOOST_TEST(sleeper.wait() == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(signals_come_between_the_bytes_of_busy_connections, Protocol, transports)
{
  // Whoever runs the context: the connections and the signals are served side by side.
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  asio::signal_set signals(context, SIGUSR2);
  constexpr int wanted = 100;
  int got = 0, sent = 0, passed = 0;
  char ping = 'p', pong = 0;
  bool intact = true;
  std::function<void()> play = [&]
  {
    asio::async_write(pair.client, asio::buffer(&ping, 1),
        [&](error_code ec, std::size_t)
        {
          intact = intact && !ec;
          asio::async_read(pair.server, asio::buffer(&pong, 1),
              [&](error_code result, std::size_t)
              {
                intact = intact && !result && pong == 'p';
                ++passed;
                if (got != wanted)
                  play();
              });
        });
  };
  std::function<void()> listen = [&]
  {
    signals.async_wait(
        [&](error_code ec, int number)
        {
          intact = intact && !ec && number == SIGUSR2;
          if (++got != wanted)
            listen();
        });
    if (sent++ != wanted)
      std::raise(SIGUSR2);
  };
  listen();
  play();
  context.run();
  BOOST_TEST(got == wanted);
  BOOST_TEST(intact);
  BOOST_TEST(passed > 0);
}

BOOST_AUTO_TEST_SUITE_END()
