// SPDX-License-Identifier: BSL-1.0
// Clients and servers are killed at any time while they move data both ways. ASIO_SHM_TEST_KILLS says how many.
#define BOOST_TEST_MODULE killed_at_random
#include "socket_test.hpp"

#include "distribution.hpp"
#include "executioner.hpp"
#include "open_resources.hpp"
#include "sanitizers.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <random>
#include <vector>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

long wanted_kills()
{
  const char* const text = std::getenv("ASIO_SHM_TEST_KILLS");
  return text ? std::max(2L, std::atol(text)) : sanitized ? 100 : 600;
}

// Long enough for a victim to be in the midst of its data when it dies, mostly.
constexpr long longest_life_us = sanitized ? 40'000 : 4'000;

/// Moves a pattern both ways until the connection ends. What comes is checked byte by byte.
class flow
{
public:
  explicit flow(tcp::socket& socket) : socket_(socket) {}

  void start(std::function<void()> over)
  {
    over_ = std::move(over);
    pending_ = 2;
    read();
    write();
  }

  std::uint64_t received() const { return received_; }
  bool right() const { return right_; }

private:
  void read()
  {
    socket_.async_read_some(asio::buffer(in_),
        [this](error_code ec, std::size_t n)
        {
          right_ = right_ && (!ec || is_end(ec)) && bytes_.matches(in_.data(), n, received_);
          received_ += n;
          ec ? end() : read();
        });
  }

  void write()
  {
    const std::size_t size = 1 + (sent_ * 7919) % out_.size();
    bytes_.fill(out_.data(), size, sent_);
    asio::async_write(socket_, asio::buffer(out_.data(), size),
        [this](error_code ec, std::size_t n)
        {
          right_ = right_ && (!ec || is_broken(ec));
          sent_ += n;
          ec ? end() : write();
        });
  }

  void end()
  {
    if (--pending_ == 0)
      over_();
  }

  tcp::socket& socket_;
  const pattern bytes_{4};
  std::array<unsigned char, 20'000> in_{};
  std::array<unsigned char, 20'000> out_{};
  std::uint64_t received_ = 0;
  std::uint64_t sent_ = 0;
  bool right_ = true;
  int pending_ = 0;
  std::function<void()> over_;
};

int client_victim(const tcp::endpoint& server)
{
  asio::io_context context;
  tcp::socket socket(context);
  socket.connect(server);
  flow data(socket);
  data.start([] {});
  context.run();
  return 1; // nobody else ends the connection
}

int server_victim(notice_board& board, const tcp::endpoint& here)
{
  asio::io_context context;
  tcp::acceptor acceptor(context, here);
  board.stage = 1;
  tcp::socket socket = acceptor.accept();
  flow data(socket);
  data.start([] {});
  context.run();
  return 1;
}

struct outcome
{
  long kills = 0;
  long connections = 0;
  std::uint64_t bytes = 0;
  distribution times;

  void print(const char* name) const
  {
    std::cout << "killed_at_random: " << name << ": " << kills << " kills, " << connections << " of them connected, "
              << bytes << " bytes checked; from the kill to the last completion: " << times << std::endl;
  }
};

std::mt19937 dice(20261123); // the same lives in every run, as far as the scheduler lets them

sentence some_time()
{
  return {sentence::kind::in_time, std::uniform_int_distribution<long>(0, longest_life_us)(dice)};
}

void note(outcome& result, const notice_board& board, const flow& data, std::int64_t ended)
{
  ++result.connections;
  result.bytes += data.received();
  BOOST_TEST(data.right());
  result.times.add(std::max<std::int64_t>(ended - board.died_at, 0));
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(killed_at_random, watchdog)

BOOST_AUTO_TEST_CASE(clients)
{
  const tcp::endpoint here = loopback<tcp>(4244);
  executioner victims([here](notice_board&) { return client_victim(here); });
  outcome result;
  asio::io_context context;
  tcp::acceptor acceptor(context, here);
  open_resources before;
  for (; result.kills != wanted_kills() / 2; ++result.kills)
  {
    tcp::socket server(context);
    completion accepted;
    flow data(server);
    std::int64_t ended = 0;
    acceptor.async_accept(server,
        [&](error_code ec)
        {
          accepted.handler()(ec);
          if (!ec)
            data.start([&] { ended = steady_now(); });
        });
    victims.start(some_time());
    wait_until(
        [&]
        {
          context.run_one_for(std::chrono::milliseconds(1));
          return victims.board().dead && (!accepted.done() || ended != 0);
        });
    BOOST_TEST(!victims.board().survived);
    // The same acceptor serves the next, behind a victim that died in between.
    asio::io_context one; // context of its own, so that no spare memory is kept for its next connect
    tcp::socket client(one);
    client.connect(here);
    run_until(context, [&] { return accepted.done(); });
    BOOST_TEST(!accepted.ec);
    const tcp::endpoint victim_or_client = server.remote_endpoint();
    if (victim_or_client == client.local_endpoint())
    {
      // The victim has not come to its HELLO.
      client.close();
      run_until(context, [&] { return ended != 0; });
    }
    else
    {
      run_until(context, [&] { return ended != 0; });
      note(result, victims.board(), data, ended);
      tcp::socket next = acceptor.accept();
      check_carries_data(client, next);
    }
    server.close();
    client.close();
    const auto rest = [&]
    {
      // A context without work does nothing, not even free what it has put off.
      const auto work = asio::make_work_guard(context);
      const auto more_work = asio::make_work_guard(one);
      run_ready(context);
      run_ready(one);
    };
    if (result.kills == 0)
    {
      rest();
      before = open_resources::now();
    }
    BOOST_TEST(after_growth(before, rest) <= before);
  }
  result.print("clients");
  BOOST_TEST(result.connections > 0);
}

BOOST_AUTO_TEST_CASE(servers)
{
  const tcp::endpoint here = loopback<tcp>(4245);
  executioner victims([here](notice_board& board) { return server_victim(board, here); });
  outcome result;
  const open_resources before = open_resources::now();
  for (; result.kills != wanted_kills() / 2; ++result.kills)
  {
    // Each binds the endpoint that the one before has died with.
    asio::io_context context;
    notice_board& board = victims.board();
    victims.start(some_time());
    wait_until([&] { return board.stage != 0 || board.dead; });
    tcp::socket client(context);
    completion connected;
    flow data(client);
    std::int64_t ended = 0;
    client.async_connect(here,
        [&](error_code ec)
        {
          connected.handler()(ec);
          if (!ec)
            data.start([&] { ended = steady_now(); });
        });
    run_until(context, [&] { return connected.done() && (connected.ec || ended != 0); });
    wait_until([&] { return board.dead.load(); });
    BOOST_TEST(!board.survived);
    BOOST_TEST((!connected.ec || connected.ec == error::connection_refused));
    if (!connected.ec)
      note(result, board, data, ended);
    BOOST_TEST(open_resources::now().files <= 2); // of this one: a socket and its lock
  }
  {
    asio::io_context context;
    tcp::acceptor last(context, here);
  }
  BOOST_TEST(open_resources::now() == before);
  result.print("servers");
  BOOST_TEST(result.connections > 0);
}

BOOST_AUTO_TEST_SUITE_END()
