// SPDX-License-Identifier: BSL-1.0
// Destroying sockets and contexts while operations are pending.

#define BOOST_TEST_MODULE destruction
#include "socket_test.hpp"

#include <array>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

using namespace shm::test;

namespace {

// Counts its living copies and its calls, so that a test can see that a handler
// was destroyed without having been called.
struct witness
{
  std::shared_ptr<int> alive;
  int* calls;

  template <class... Args>
  void operator()(error_code, Args&&...) const
  {
    ++*calls;
  }
};

struct observer
{
  std::shared_ptr<int> token = std::make_shared<int>();
  int calls = 0;

  witness handler() { return {token, &calls}; }
  long pending() const { return token.use_count() - 1; }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(destruction, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(destroyed_socket_aborts_its_operations, Protocol, transports)
{
  asio::io_context context;
  std::array<char, 8> data{};
  std::array<completion, 3> results;
  completion accept_result;
  {
    connected_pair<Protocol> pair(context);
    typename Protocol::acceptor acceptor(context, loopback<Protocol>());
    pair.client.async_read_some(asio::buffer(data), results[0].handler());
    pair.client.async_wait(asio::socket_base::wait_read, results[1].handler());
    pair.client.async_wait(asio::socket_base::wait_error, results[2].handler());
    acceptor.async_accept([&](error_code ec, typename Protocol::socket) { accept_result.handler()(ec); });
    context.poll();
  }
  for (const auto& result : results)
    BOOST_TEST(result.calls == 0);
  run_out(context);
  for (const auto& result : results)
  {
    BOOST_TEST(result.calls == 1);
    BOOST_TEST(result.ec == error::operation_aborted);
  }
  BOOST_TEST(accept_result.calls == 1);
  BOOST_TEST(accept_result.ec == error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(destroyed_context_destroys_handlers_uncalled, Protocol, transports)
{
  observer seen;
  std::array<char, 8> data{};
  const std::vector<char> much(1 << 20);
  {
    asio::io_context context;
    // Small buffers, and much more to write than they hold.
    connected_pair<Protocol> pair(context, 16 * 1024);
    typename Protocol::acceptor acceptor(context, loopback<Protocol>());
    pair.client.async_read_some(asio::buffer(data), seen.handler());
    pair.server.async_wait(asio::socket_base::wait_error, seen.handler());
    acceptor.async_accept(seen.handler());
    asio::async_write(pair.client, std::vector<asio::const_buffer>(64, asio::buffer(much)), seen.handler());
    context.poll();
    BOOST_TEST(seen.pending() >= 4);
  }
  BOOST_TEST(seen.pending() == 0);
  BOOST_TEST(seen.calls == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(context_dies_before_any_run, Protocol, transports)
{
  observer seen;
  std::array<char, 8> data{};
  {
    asio::io_context context;
    connected_pair<Protocol> pair(context);
    typename Protocol::socket other(context);
    typename Protocol::acceptor acceptor(context, loopback<Protocol>());
    pair.client.async_read_some(asio::buffer(data), seen.handler());
    other.async_connect(acceptor.local_endpoint(), seen.handler());
    acceptor.async_accept(seen.handler());
  }
  BOOST_TEST(seen.pending() == 0);
  BOOST_TEST(seen.calls == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(completions_that_are_ready_die_with_the_context, Protocol, transports)
{
  observer seen;
  std::array<char, 8> data{};
  {
    asio::io_context context;
    connected_pair<Protocol> pair(context);
    pair.client.async_read_some(asio::buffer(data), seen.handler());
    pair.client.cancel();
    asio::write(pair.client, asio::buffer("ready", 5));
    pair.server.async_read_some(asio::buffer(data), seen.handler());
    pair.server.async_write_some(asio::buffer("x", 1), seen.handler());
  }
  BOOST_TEST(seen.pending() == 0);
  BOOST_TEST(seen.calls == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(operations_started_by_dying_handlers_are_destroyed_too, Protocol, transports)
{
  struct farewell
  {
    farewell(asio::io_context& context, std::shared_ptr<int> token) : socket(context, loopback<Protocol>().protocol()), alive(token) {}
    ~farewell()
    {
      socket.async_write_some(asio::buffer("bye", 3), [token = alive](error_code, std::size_t) {});
    }
    typename Protocol::socket socket;
    std::shared_ptr<int> alive;
  };
  const auto token = std::make_shared<int>();
  {
    asio::io_context context;
    typename Protocol::acceptor acceptor(context, loopback<Protocol>());
    acceptor.async_accept(
        [last = std::make_shared<farewell>(context, token)](error_code, typename Protocol::socket) {});
  }
  BOOST_TEST(token.use_count() == 1);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handlers_may_own_their_sockets, Protocol, transports)
{
  // As a server's sessions do: nothing but the pending handler owns the socket.
  struct session : std::enable_shared_from_this<session>
  {
    explicit session(typename Protocol::socket s, observer& o) : socket(std::move(s)), seen(o) {}
    void start()
    {
      socket.async_read_some(asio::buffer(data),
          [self = this->shared_from_this(), w = seen.handler()](error_code ec, std::size_t n) { w(ec, n); });
    }
    typename Protocol::socket socket;
    observer& seen;
    std::array<char, 8> data{};
  };

  observer seen;
  {
    asio::io_context context;
    for (int i = 0; i != 10; ++i)
    {
      connected_pair<Protocol> pair(context);
      // Both ends, so that each end's death is also an event at the other.
      std::make_shared<session>(std::move(pair.client), seen)->start();
      std::make_shared<session>(std::move(pair.server), seen)->start();
    }
    context.poll();
    BOOST_TEST(seen.pending() == 20);
  }
  BOOST_TEST(seen.pending() == 0);
  BOOST_TEST(seen.calls == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(thread_pool_dies_with_operations_pending, Protocol, transports)
{
  std::shared_ptr<int> token = std::make_shared<int>();
  std::array<char, 8> data{};
  int calls = 0;
  {
    asio::thread_pool pool(2);
    connected_pair<Protocol> pair(pool);
    pair.client.async_read_some(asio::buffer(data), witness{token, &calls});
    pair.server.async_wait(asio::socket_base::wait_read, witness{token, &calls});
    // The pool is stopped first: then the sockets may go, uncalled handlers and all.
    pool.stop();
    pool.join();
  }
  BOOST_TEST(token.use_count() == 1);
  BOOST_TEST(calls == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(socket_dies_inside_its_own_handler, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  auto owned = std::make_unique<typename Protocol::socket>(std::move(pair.client));
  std::array<char, 8> data{};
  completion aborted;
  int calls = 0;
  owned->async_read_some(asio::buffer(data),
      [&](error_code ec, std::size_t n)
      {
        BOOST_TEST(!ec);
        BOOST_TEST(n == 3u);
        ++calls;
        owned.reset();
      });
  owned->async_wait(asio::socket_base::wait_error, aborted.handler());
  asio::write(pair.server, asio::buffer("end", 3));
  run_out(context);
  BOOST_TEST(calls == 1);
  BOOST_TEST(aborted.calls == 1);
  BOOST_TEST(aborted.ec == error::operation_aborted);
  char byte;
  reports(error::eof, [&](auto&... ec) { asio::read(pair.server, asio::buffer(&byte, 1), ec...); });
}

// In another thread than the one that starts the operation, which may not have returned from that yet.
BOOST_AUTO_TEST_CASE_TEMPLATE(socket_dies_while_its_operation_is_started, Protocol, transports)
{
  asio::io_context context, others;
  const auto work = asio::make_work_guard(context);
  std::thread runs([&] { context.run(); });
  for (int round = 0; round != 300; ++round)
  {
    connected_pair<Protocol> pair(context, others);
    auto dying = std::make_unique<typename Protocol::socket>(std::move(pair.client));
    char got = 0;
    std::promise<error_code> dead;
    std::thread writes([&] { asio::write(pair.server, asio::buffer("x", 1)); });
    typename Protocol::socket& reading = *dying;
    reading.async_read_some(asio::buffer(&got, 1),
        [&](error_code ec, std::size_t)
        {
          dying.reset();
          dead.set_value(ec);
        });
    BOOST_TEST(!dead.get_future().get());
    writes.join();
  }
  context.stop();
  runs.join();
}

BOOST_AUTO_TEST_SUITE_END()
