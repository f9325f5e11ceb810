// SPDX-License-Identifier: BSL-1.0
// stop(), restart() and destruction of a context that several threads run, while its connections are busy.

#define BOOST_TEST_MODULE stop_and_destroy
#include "socket_test.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

using namespace shm::test;

namespace {

/// Threads that run a context until they are joined.
class runners
{
public:
  runners(asio::io_context& context, int count)
  {
    for (int i = 0; i != count; ++i)
      threads_.emplace_back([&context] { context.run(); });
  }

  ~runners() { join(); }

  void join()
  {
    for (std::thread& thread : threads_)
      thread.join();
    threads_.clear();
  }

private:
  std::vector<std::thread> threads_;
};

/// A number that goes back and forth, one more each time; whoever sees a wrong one says so. Owned by its operations.
template <class Protocol>
class player : public std::enable_shared_from_this<player<Protocol>>
{
public:
  static inline std::atomic<int> alive{0};
  static inline std::atomic<int> wrong{0};
  static inline std::atomic<long> played{0};
  static inline std::atomic<bool> over{false};

  explicit player(typename Protocol::socket socket) : socket_(std::move(socket)) { ++alive; }
  ~player() { --alive; }
  player(const player&) = delete;
  player& operator=(const player&) = delete;

  static void reset()
  {
    alive = wrong = 0;
    played = 0;
    over = false;
  }

  void serve(std::uint64_t first)
  {
    expected_ = first;
    send();
  }

  void receive()
  {
    asio::async_read(socket_, asio::buffer(&got_, sizeof got_),
        [self = this->shared_from_this()](error_code ec, std::size_t) { self->received(ec); });
  }

private:
  void send()
  {
    asio::async_write(socket_, asio::buffer(&expected_, sizeof expected_),
        [self = this->shared_from_this()](error_code ec, std::size_t)
        {
          if (ec)
            self->ended(ec);
          else
            self->receive();
        });
  }

  void received(error_code ec)
  {
    if (ec)
      return ended(ec);
    // The first one to come is whatever the server began with.
    wrong += expected_ != 0 && got_ != expected_ + 1;
    ++played;
    expected_ = got_ + 1;
    if (over)
      socket_.close();
    else
      send();
  }

  void ended(error_code ec) { wrong += !is_end(ec) && !is_broken(ec); }

  typename Protocol::socket socket_;
  std::uint64_t expected_ = 0;
  std::uint64_t got_ = 0;
};

template <class Protocol>
void start_games(asio::io_context& a, asio::io_context& b, int count)
{
  for (int i = 0; i != count; ++i)
  {
    connected_pair<Protocol> pair(a, b);
    std::make_shared<player<Protocol>>(std::move(pair.client))->receive();
    std::make_shared<player<Protocol>>(std::move(pair.server))->serve(static_cast<std::uint64_t>(i) * 1'000'000 + 1);
  }
}

template <class Protocol>
void wait_for_progress(long more)
{
  const long before = player<Protocol>::played;
  wait_until([&] { return player<Protocol>::played >= before + more; });
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(stop_and_destroy, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(stopped_in_four_threads_and_restarted_again_and_again, Protocol, transports)
{
  using game = player<Protocol>;
  game::reset();
  asio::io_context context;
  start_games<Protocol>(context, context, 6);
  for (int round = 0; round != 20; ++round)
  {
    runners threads(context, 4);
    wait_for_progress<Protocol>(200);
    context.stop();
    threads.join();
    BOOST_TEST(context.stopped());
    // At rest: nothing is called, nothing is lost.
    const long before = game::played;
    BOOST_TEST(context.poll() == 0u);
    BOOST_TEST(game::played == before);
    BOOST_TEST(game::alive == 12);
    context.restart();
  }
  game::over = true;
  runners(context, 4).join();
  BOOST_TEST(game::alive == 0);
  BOOST_TEST(game::wrong == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(every_kind_of_pending_operation_survives_stop, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context), idle(context);
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  typename Protocol::socket client(context), server(context);
  std::array<char, 4> data{};
  completion read, wait, error_wait, accept;
  pair.client.async_read_some(asio::buffer(data), read.handler());
  pair.server.async_wait(asio::socket_base::wait_read, wait.handler());
  idle.server.async_wait(asio::socket_base::wait_error, error_wait.handler());
  acceptor.async_accept(server, accept.handler());
  for (int round = 0; round != 3; ++round)
  {
    std::atomic<bool> running{false};
    asio::post(context, [&] { running = true; });
    runners threads(context, 4);
    wait_until([&] { return running.load(); });
    context.stop();
    threads.join();
    context.restart();
  }
  BOOST_TEST(!read.done());
  BOOST_TEST(!wait.done());
  BOOST_TEST(!accept.done());
  // What comes while nobody runs the context is there when it runs again.
  context.stop();
  asio::write(pair.server, asio::buffer("a", 1));
  asio::write(pair.client, asio::buffer("b", 1));
  client.connect(acceptor.local_endpoint());
  idle.client.close();
  context.restart();
  run_until(context, [&] { return read.done() && wait.done() && accept.done(); });
  BOOST_TEST(!read.ec);
  BOOST_TEST(data[0] == 'a');
  BOOST_TEST(!wait.ec);
  BOOST_TEST(!accept.ec);
  idle.server.close();
  run_until(context, [&] { return error_wait.done(); });
  BOOST_TEST(error_wait.calls == 1);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(context_dies_while_four_threads_were_busy, Protocol, transports)
{
  using game = player<Protocol>;
  for (int round = 0; round != 10; ++round)
  {
    game::reset();
    {
      asio::io_context context;
      start_games<Protocol>(context, context, 6);
      runners threads(context, 4);
      wait_for_progress<Protocol>(200);
      context.stop();
    }
    BOOST_TEST(game::alive == 0);
    BOOST_TEST(game::wrong == 0);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(peers_in_another_context_see_the_end, Protocol, transports)
{
  using game = player<Protocol>;
  for (int round = 0; round != 10; ++round)
  {
    game::reset();
    asio::io_context survivor;
    auto work = asio::make_work_guard(survivor);
    runners of_survivor(survivor, 2);
    {
      asio::io_context dying;
      start_games<Protocol>(dying, survivor, 6);
      runners threads(dying, 2);
      wait_for_progress<Protocol>(200);
      dying.stop();
    }
    work.reset();
    of_survivor.join(); // ends because every connection has ended
    BOOST_TEST(game::alive == 0);
    BOOST_TEST(game::wrong == 0);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(pool_is_stopped_while_it_is_busy, Protocol, transports)
{
  using game = player<Protocol>;
  for (int round = 0; round != 10; ++round)
  {
    game::reset();
    {
      asio::thread_pool pool(4);
      for (int i = 0; i != 6; ++i)
      {
        connected_pair<Protocol> pair(pool);
        std::make_shared<game>(std::move(pair.client))->receive();
        std::make_shared<game>(std::move(pair.server))->serve(1);
      }
      wait_for_progress<Protocol>(200);
      pool.stop();
      pool.join();
    }
    BOOST_TEST(game::alive == 0);
    BOOST_TEST(game::wrong == 0);
  }
}

BOOST_AUTO_TEST_SUITE_END()
