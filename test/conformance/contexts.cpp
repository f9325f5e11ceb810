// SPDX-License-Identifier: BSL-1.0
// Many connections over contexts run by one thread and by several.

#define BOOST_TEST_MODULE contexts
#include "socket_test.hpp"

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

using namespace shm::test;

namespace {

constexpr int connections = 16;
constexpr int messages = 2000;

/// One end of a ping-pong: sends message `i`, expects message `i` back, and so on. The
/// messages have sizes that change and contents that depend on connection and number.
template <class Socket>
class player : public std::enable_shared_from_this<player<Socket>>
{
public:
  player(Socket socket, int connection, bool begins, std::atomic<int>& finished, std::atomic<int>& wrong)
    : socket_(std::move(socket)),
      bytes_(static_cast<unsigned>(connection)),
      begins_(begins),
      finished_(finished),
      wrong_(wrong)
  {}

  void start() { begins_ ? write() : read(); }

private:
  std::size_t size() const { return 1 + static_cast<std::size_t>(turn_ * 37 % 509); }
  std::uint64_t position() const { return static_cast<std::uint64_t>(turn_) * 1000; }

  void write()
  {
    bytes_.fill(data_.data(), size(), position());
    asio::async_write(socket_, asio::buffer(data_, size()),
        [self = this->shared_from_this()](error_code ec, std::size_t n)
        {
          self->check(!ec && n == self->size());
          self->begins_ ? self->read() : self->next();
        });
  }

  void read()
  {
    data_.fill(0);
    asio::async_read(socket_, asio::buffer(data_, size()),
        [self = this->shared_from_this()](error_code ec, std::size_t n)
        {
          self->check(!ec && n == self->size() && self->bytes_.matches(self->data_.data(), n, self->position()));
          self->begins_ ? self->next() : self->write();
        });
  }

  void next()
  {
    if (++turn_ == messages)
      ++finished_;
    else
      start();
  }

  // Boost.Test's checks are for one thread; the case looks at the count at the end.
  void check(bool right)
  {
    if (!right)
      ++wrong_;
  }

  Socket socket_;
  pattern bytes_;
  bool begins_;
  std::atomic<int>& finished_;
  std::atomic<int>& wrong_;
  int turn_ = 0;
  std::array<unsigned char, 512> data_{};
};

template <class Socket>
void play(Socket socket, int connection, bool begins, std::atomic<int>& finished, std::atomic<int>& wrong)
{
  std::make_shared<player<Socket>>(std::move(socket), connection, begins, finished, wrong)->start();
}

struct score
{
  std::atomic<int> finished{0};
  std::atomic<int> wrong{0};

  void check() const
  {
    BOOST_TEST(finished.load() == 2 * connections);
    BOOST_TEST(wrong.load() == 0);
  }
};

template <class Protocol, class Context1, class Context2>
void start_all(Context1& clients, Context2& servers, score& result)
{
  for (int i = 0; i != connections; ++i)
  {
    connected_pair<Protocol> pair(clients, servers);
    play(std::move(pair.server), i, false, result.finished, result.wrong);
    play(std::move(pair.client), i, true, result.finished, result.wrong);
  }
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(contexts, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(io_context_with_one_thread, Protocol, transports)
{
  asio::io_context context;
  score result;
  start_all<Protocol>(context, context, result);
  run_with_threads(context, 1);
  result.check();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(io_context_with_concurrency_hint_one, Protocol, transports)
{
  asio::io_context context(1);
  score result;
  start_all<Protocol>(context, context, result);
  run_with_threads(context, 1);
  result.check();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(io_context_with_four_threads, Protocol, transports)
{
  asio::io_context context;
  score result;
  start_all<Protocol>(context, context, result);
  run_with_threads(context, 4);
  result.check();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(two_contexts_with_a_thread_each, Protocol, transports)
{
  asio::io_context clients(1);
  asio::io_context servers(1);
  score result;
  start_all<Protocol>(clients, servers, result);
  std::thread thread([&] { servers.run(); });
  clients.run();
  thread.join();
  result.check();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(context_without_locking, Protocol, transports)
{
  asio::io_context context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO);
  score result;
  start_all<Protocol>(context, context, result);
  context.run();
  result.check();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(thread_pool_with_four_threads, Protocol, transports)
{
  score result;
  asio::thread_pool pool(4);
  start_all<Protocol>(pool, pool, result);
  pool.join();
  result.check();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(io_context_with_a_strand_per_socket, Protocol, transports)
{
  asio::io_context context;
  score result;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  for (int i = 0; i != connections; ++i)
  {
    typename Protocol::socket client(asio::make_strand(context));
    client.connect(acceptor.local_endpoint());
    auto server = acceptor.accept(asio::make_strand(context));
    play(std::move(server), i, false, result.finished, result.wrong);
    play(std::move(client), i, true, result.finished, result.wrong);
  }
  run_with_threads(context, 4);
  result.check();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(sockets_of_the_plain_executor, Protocol, transports)
{
  using socket_type = asio::basic_stream_socket<Protocol, asio::io_context::executor_type>;
  asio::io_context context;
  score result;
  asio::basic_socket_acceptor<Protocol, asio::io_context::executor_type> acceptor(context, loopback<Protocol>());
  for (int i = 0; i != connections; ++i)
  {
    socket_type client(context);
    client.connect(acceptor.local_endpoint());
    socket_type server(context);
    acceptor.accept(server);
    play(std::move(server), i, false, result.finished, result.wrong);
    play(std::move(client), i, true, result.finished, result.wrong);
  }
  run_with_threads(context, 2);
  result.check();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(timers_fire_while_connections_are_busy, Protocol, transports)
{
  for (const int threads : {1, 4})
  {
    asio::io_context context;
    score result;
    start_all<Protocol>(context, context, result);
    // The timer goes on for as long as messages do, and some fire before the end.
    asio::steady_timer timer(context);
    std::atomic<int> fired{0};
    std::atomic<int> fired_while_busy{0};
    std::function<void()> arm = [&]
    {
      timer.expires_after(std::chrono::microseconds(100));
      timer.async_wait(
          [&](error_code ec)
          {
            if (ec)
              return;
            ++fired;
            if (result.finished != 2 * connections)
            {
              ++fired_while_busy;
              arm();
            }
          });
    };
    arm();
    run_with_threads(context, threads);
    result.check();
    BOOST_TEST(fired > 0);
    BOOST_TEST(fired_while_busy > 0);
  }
}

BOOST_AUTO_TEST_SUITE_END()
