// SPDX-License-Identifier: BSL-1.0
// The ways to run a context keep their meaning while a peer answers so fast that its connection never sleeps.
#define BOOST_TEST_MODULE running_while_hot
#include "socket_test.hpp"

#include <shm/busy_poll.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

/// A ping-pong that does not end before this object does: a thread of its own answers.
class endless_game
{
public:
  explicit endless_game(asio::io_context& context) : pair_(context, peers_)
  {
    pair_.client.set_option(shm::busy_poll(1000000)); // no answer is too late, whatever else runs on this machine
    pair_.server.set_option(shm::busy_poll(1000000));
    answer();
    thread_ = std::thread([this] { peers_.run(); });
    serve();
  }
  ~endless_game()
  {
    pair_.client.close();
    thread_.join();
  }

  /// Round trips so far.
  long rounds() const { return rounds_; }

private:
  void serve()
  {
    asio::async_write(pair_.client, asio::buffer(&ball_, 1), [](error_code, std::size_t) {});
    asio::async_read(pair_.client, asio::buffer(&ball_, 1),
        [this](error_code ec, std::size_t)
        {
          ++rounds_;
          if (!ec)
            serve();
        });
  }

  void answer()
  {
    pair_.server.async_read_some(asio::buffer(&far_ball_, 1),
        [this](error_code ec, std::size_t)
        {
          if (!ec)
            asio::async_write(pair_.server, asio::buffer(&far_ball_, 1),
                [this](error_code failed, std::size_t)
                {
                  if (!failed)
                    answer();
                });
        });
  }

  asio::io_context peers_;
  connected_pair<tcp> pair_;
  std::thread thread_;
  char ball_ = 'x';
  char far_ball_ = 0;
  std::atomic<long> rounds_{0};
};

} // namespace

// If one of these does not return, the watchdog says so.
BOOST_FIXTURE_TEST_SUITE(running_while_hot, watchdog)

BOOST_AUTO_TEST_CASE(poll_returns)
{
  asio::io_context context;
  endless_game game(context);
  // One call handles what comes between two breaks of the poll task: some 30,000 rounds, if the game is hot at all.
  long most = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  while (game.rounds() < 300000 && std::chrono::steady_clock::now() < end)
  {
    const long before = game.rounds();
    context.poll();
    most = std::max(most, game.rounds() - before);
  }
  BOOST_TEST(most < 300000);
}

BOOST_AUTO_TEST_CASE(poll_one_and_run_one_return)
{
  asio::io_context context;
  endless_game game(context);
  for (int i = 0; i != 50; ++i)
  {
    context.poll_one();
    context.run_one();
  }
}

BOOST_AUTO_TEST_CASE(run_for_ends)
{
  asio::io_context context;
  endless_game game(context);
  context.run_for(std::chrono::milliseconds(30));
  context.run_one_for(std::chrono::milliseconds(1));
}

BOOST_AUTO_TEST_CASE(stop_ends_run_from_a_handler_and_from_a_thread)
{
  asio::io_context context;
  endless_game game(context);
  asio::post(context, [&] { context.stop(); });
  context.run();
  BOOST_TEST(context.stopped());
  context.restart();
  std::thread stops([&] { context.stop(); });
  context.run();
  stops.join();
  BOOST_TEST(context.stopped());
}

BOOST_AUTO_TEST_CASE(timers_and_posted_work_have_their_turn)
{
  asio::io_context context;
  endless_game game(context);
  int fired = 0;
  asio::steady_timer timer(context);
  std::function<void(error_code)> again = [&](error_code)
  {
    if (++fired == 20)
      asio::post(context, [&] { context.stop(); });
    timer.expires_after(std::chrono::microseconds(100));
    timer.async_wait(again);
  };
  again(error_code());
  context.run();
  BOOST_TEST(fired >= 20);
}

BOOST_AUTO_TEST_CASE(game_goes_on_for_as_long_as_run_does)
{
  asio::io_context context;
  endless_game game(context);
  while (game.rounds() < 20000)
    context.run_for(std::chrono::milliseconds(50)); // several breaks of the poll task
}

BOOST_AUTO_TEST_SUITE_END()
