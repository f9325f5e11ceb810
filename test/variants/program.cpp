// SPDX-License-Identifier: BSL-1.0
// A small server and its clients in every style, to be compiled with one set of macros and options after the other.

#include "program.hpp"

#include "temp_runtime_directory.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/write.hpp>

#if defined(BOOST_ASIO_HAS_CO_AWAIT)
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#endif

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#if !defined(BOOST_ASIO_DISABLE_THREADS)
#include <thread>
#endif

namespace {

using namespace variants;

const tcp::endpoint any_port(asio::ip::address_v4::loopback(), 0);

/// Sends back what comes until the client has shut down.
class session : public std::enable_shared_from_this<session>
{
public:
  explicit session(tcp::socket socket) : socket_(std::move(socket)) {}

  void start()
  {
    auto self = shared_from_this();
    socket_.async_read_some(asio::buffer(data_),
        [self](error_code ec, std::size_t n)
        {
          if (!ec)
            self->write(n);
          else
            CHECK(ec == error::eof);
        });
  }

private:
  void write(std::size_t n)
  {
    auto self = shared_from_this();
    asio::async_write(socket_, asio::buffer(data_.data(), n),
        [self](error_code ec, std::size_t)
        {
          CHECK(!ec);
          if (!ec)
            self->start();
        });
  }

  tcp::socket socket_;
  std::array<char, 5000> data_{};
};

/// Accepts three clients, each in another way.
class server
{
public:
  explicit server(asio::io_context& context) : acceptor_(context, any_port), socket_(context) { accept_into(); }

  tcp::endpoint endpoint() const { return acceptor_.local_endpoint(); }

private:
  void accept_into()
  {
    acceptor_.async_accept(socket_,
        [this](error_code ec)
        {
          CHECK(!ec);
          std::make_shared<session>(std::move(socket_))->start();
          accept_new();
        });
  }

  void accept_new()
  {
    acceptor_.async_accept(
        [this](error_code ec, tcp::socket socket)
        {
          CHECK(!ec);
          std::make_shared<session>(std::move(socket))->start();
          accept_with_endpoint();
        });
  }

  void accept_with_endpoint()
  {
    acceptor_.async_accept(peer_,
        [this](error_code ec, tcp::socket socket)
        {
          CHECK(!ec);
          CHECK(peer_ == socket.remote_endpoint());
          std::make_shared<session>(std::move(socket))->start();
          error_code ignored;
          acceptor_.close(ignored);
        });
  }

  tcp::acceptor acceptor_;
  tcp::socket socket_;
  tcp::endpoint peer_;
};

/// Writes much, reads it back, shuts down.
class client
{
public:
  client(asio::io_context& context, const tcp::endpoint& server) : socket_(context), sent_(300'007, 'x'), got_(300'007)
  {
    sent_.back() = 'y';
    socket_.async_connect(server,
        [this](error_code ec)
        {
          CHECK(!ec);
          asio::async_write(socket_, asio::buffer(sent_), [](error_code e, std::size_t) { CHECK(!e); });
          asio::async_read(socket_, asio::buffer(got_), [this](error_code e, std::size_t) { finish(e); });
        });
  }

  bool done() const { return done_; }

private:
  void finish(error_code ec)
  {
    CHECK(!ec);
    done_ = std::equal(got_.begin(), got_.end(), sent_.begin());
    socket_.shutdown(tcp::socket::shutdown_send, ec);
    CHECK(!ec);
  }

  tcp::socket socket_;
  std::string sent_;
  std::vector<char> got_;
  bool done_ = false;
};

void asynchronous_echo()
{
  asio::io_context context;
  server listening(context);
  client first(context, listening.endpoint()), second(context, listening.endpoint()),
      third(context, listening.endpoint());
  context.run();
  CHECK(first.done() && second.done() && third.done());
}

void two_contexts()
{
  asio::io_context server_context, client_context;
  server listening(server_context);
  client first(client_context, listening.endpoint()), second(client_context, listening.endpoint()),
      third(client_context, listening.endpoint());
#if defined(BOOST_ASIO_DISABLE_THREADS)
  while (!server_context.stopped() || !client_context.stopped())
  {
    server_context.poll();
    client_context.poll();
  }
#else
  std::thread other([&] { server_context.run(); });
  client_context.run();
  other.join();
#endif
  CHECK(first.done() && second.done() && third.done());
}

/// A connection made by one thread, blocking.
struct pair
{
  explicit pair(asio::io_context& context) : client(context), server(context)
  {
    tcp::acceptor acceptor(context, any_port);
    client.connect(acceptor.local_endpoint());
    acceptor.accept(server);
  }

  tcp::socket client;
  tcp::socket server;
};

void blocking_calls()
{
  asio::io_context context;
  pair connection(context);
  std::string text(5, '\0');
  CHECK(asio::write(connection.client, asio::buffer("hello", 5)) == 5);
  connection.server.wait(tcp::socket::wait_read);
  CHECK(connection.server.available() == 5);
  CHECK(asio::read(connection.server, asio::buffer(text)) == 5 && text == "hello");
  connection.server.set_option(tcp::no_delay(true));
  tcp::no_delay option;
  connection.server.get_option(option);
  CHECK(option.value());
  error_code ec;
  connection.server.non_blocking(true);
  connection.server.read_some(asio::buffer(text), ec);
  CHECK(ec == error::would_block);
  connection.server.non_blocking(false);
  connection.client.shutdown(tcp::socket::shutdown_send);
  connection.server.read_some(asio::buffer(text), ec);
  CHECK(ec == error::eof);
  CHECK(throws(error::eof, [&] { connection.server.read_some(asio::buffer(text)); }));
  tcp::socket refused(context);
  tcp::endpoint nobody = any_port;
  {
    tcp::acceptor gone(context, any_port);
    nobody = gone.local_endpoint();
  }
  CHECK(throws(error::connection_refused, [&] { refused.connect(nobody); }));
}

void waiting_and_cancelling()
{
  asio::io_context context;
  pair connection(context);
  std::array<char, 4> data{};
  error_code wait_result, read_result, slot_result, timer_result = error::fault, closed_result;
  connection.server.async_wait(tcp::socket::wait_read, [&](error_code ec) { wait_result = ec; });
  connection.client.async_read_some(asio::buffer(data), [&](error_code ec, std::size_t) { read_result = ec; });
  asio::steady_timer timer(context, std::chrono::milliseconds(2)), never(context, std::chrono::hours(1));
  never.async_wait([&](error_code ec) { CHECK(ec == error::operation_aborted); });
  timer.async_wait(
      [&](error_code ec)
      {
        timer_result = ec;
        connection.client.cancel();
        connection.server.cancel();
        never.cancel();
      });
  context.run();
  CHECK(!timer_result);
  CHECK(wait_result == error::operation_aborted);
  CHECK(read_result == error::operation_aborted);

  asio::cancellation_signal signal;
  connection.client.async_read_some(asio::buffer(data),
      asio::bind_cancellation_slot(signal.slot(), [&](error_code ec, std::size_t) { slot_result = ec; }));
  connection.server.async_read_some(asio::buffer(data), [&](error_code ec, std::size_t) { closed_result = ec; });
  asio::post(context, [&] { signal.emit(asio::cancellation_type::all); });
  asio::post(context, [&] { connection.server.close(); });
  context.restart();
  context.run();
  CHECK(slot_result == error::operation_aborted);
  CHECK(closed_result == error::operation_aborted);
  CHECK(throws(error::eof, [&] { connection.client.read_some(asio::buffer(data)); }));
}

// A read that waits for longer than a connection is looked at: the doorbell has to wake the context.
void sleeping_reads()
{
  asio::io_context context;
  pair connection(context);
  std::array<char, 1> data{};
  int calls = 0;
  for (int i = 0; i != 3; ++i)
  {
    connection.server.async_read_some(asio::buffer(data),
        asio::bind_executor(asio::make_strand(context), [&](error_code ec, std::size_t n) { calls += !ec && n == 1; }));
    context.restart();
    context.run_for(std::chrono::milliseconds(2));
    CHECK(calls == i);
    asio::write(connection.client, asio::buffer("x", 1));
    context.run();
    CHECK(calls == i + 1);
  }
}

void resolving()
{
  asio::io_context context;
  tcp::acceptor acceptor(context, any_port);
  const std::string port = std::to_string(acceptor.local_endpoint().port());
  tcp::resolver resolver(context);
  tcp::socket client(context);
  CHECK(asio::connect(client, resolver.resolve("127.0.0.1", port)) == acceptor.local_endpoint());
  tcp::socket server = acceptor.accept();
  CHECK(server.remote_endpoint() == client.local_endpoint());
#if !defined(BOOST_ASIO_DISABLE_THREADS)
  tcp::socket other(context);
  bool connected = false;
  resolver.async_resolve("127.0.0.1", port,
      [&](error_code ec, tcp::resolver::results_type results)
      {
        CHECK(!ec);
        asio::async_connect(other, results, [&](error_code e, const tcp::endpoint&) { connected = !e; });
      });
  context.run();
  CHECK(connected);
#endif
}

// Handlers that are never called are destroyed with their context.
void abandoned()
{
  const auto alive = std::make_shared<int>();
  std::array<char, 4> data{};
  {
    asio::io_context context;
    pair connection(context);
    tcp::acceptor acceptor(context, any_port);
    connection.client.async_read_some(asio::buffer(data), [alive](error_code, std::size_t) { CHECK(false); });
    connection.server.async_wait(tcp::socket::wait_error, [alive](error_code) { CHECK(false); });
    acceptor.async_accept([alive](error_code, tcp::socket) { CHECK(false); });
    context.poll();
    CHECK(alive.use_count() == 4);
  }
  CHECK(alive.use_count() == 1);
}

// The reactor, whichever it is, is made anew in a child process; the parent's is left as it was.
void forked()
{
  asio::io_context context;
  pair connection(context);
  std::array<char, 1> data{};
  int calls = 0;
  connection.server.async_read_some(asio::buffer(data), [&](error_code ec, std::size_t) { calls += !ec; });
  context.poll();
  context.notify_fork(asio::io_context::fork_prepare);
  const pid_t child = ::fork();
  if (child == 0)
  {
    // Lines of handler tracking would mix with the parent's; the exit code says it all.
    if (!std::freopen("/dev/null", "w", stderr))
      ::_exit(2);
    context.notify_fork(asio::io_context::fork_child);
    connection.client.close();
    context.restart();
    context.run();
    asio::write(connection.server, asio::buffer(data));
    ::_exit(calls == 1 ? 0 : 1);
  }
  context.notify_fork(asio::io_context::fork_parent);
  connection.server.close();
  context.restart();
  context.run();
  CHECK(calls == 0);
  asio::write(connection.client, asio::buffer("x", 1));
  char answer = 0;
  asio::async_read(connection.client, asio::buffer(&answer, 1), [&](error_code ec, std::size_t) { calls += !ec; });
  context.restart();
  context.run();
  CHECK(calls == 1 && answer == 'x');
  int status = -1;
  CHECK(::waitpid(child, &status, 0) == child && status == 0);
}

#if defined(BOOST_ASIO_HAS_CO_AWAIT)
asio::awaitable<void> echo_once(tcp::acceptor& acceptor)
{
  tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
  std::array<char, 100> data{};
  const std::size_t n = co_await socket.async_read_some(asio::buffer(data), asio::use_awaitable);
  co_await asio::async_write(socket, asio::buffer(data, n), asio::use_awaitable);
}

asio::awaitable<void> ask(const tcp::endpoint& server, std::string& answer)
{
  tcp::socket socket(co_await asio::this_coro::executor);
  co_await socket.async_connect(server, asio::use_awaitable);
  co_await asio::async_write(socket, asio::buffer("question", 8), asio::use_awaitable);
  answer.resize(8);
  co_await asio::async_read(socket, asio::buffer(answer), asio::use_awaitable);
}

void coroutines()
{
  asio::io_context context;
  tcp::acceptor acceptor(context, any_port);
  std::string answer;
  int ended = 0;
  const auto count = [&](const std::exception_ptr& failure) { ended += !failure; };
  asio::co_spawn(context, echo_once(acceptor), count);
  asio::co_spawn(context, ask(acceptor.local_endpoint(), answer), count);
  context.run();
  CHECK(ended == 2);
  CHECK(answer == "question");
}
#endif

} // namespace

int main()
{
  if (const int status = variants::cannot_run())
    return status;
  // Set for the whole program, before there are threads.
  const shm::test::temp_runtime_directory directory;
  try
  {
    asynchronous_echo();
    two_contexts();
    blocking_calls();
    waiting_and_cancelling();
    sleeping_reads();
    resolving();
    abandoned();
    forked();
#if defined(BOOST_ASIO_HAS_CO_AWAIT)
    coroutines();
#endif
  }
  catch (const std::exception& e)
  {
    check(false, e.what(), __FILE__, __LINE__);
  }
  return variants::result();
}
