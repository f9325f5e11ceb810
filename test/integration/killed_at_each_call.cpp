// SPDX-License-Identifier: BSL-1.0
// Clients and servers are killed before and after every system call that they make, from their first to their last.
#define BOOST_TEST_MODULE killed_at_each_call
#include "socket_test.hpp"

#include "distribution.hpp"
#include "executioner.hpp"
#include "open_resources.hpp"
#include "sanitizers.hpp"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

// Of all stops under a sanitizer; no multiple of two, so that both sides of calls are met.
constexpr long stride = sanitized ? 7 : 1;

// More than a ring holds, so that who sends it has to wait for who reads.
constexpr int ring_size = 65'536;
constexpr std::size_t long_text = 150'000;
constexpr std::size_t short_text = 100;
const pattern questions(1);
const pattern answers(2);

// In a runtime directory of the test's own: it is free, if the one before has left nothing behind.
tcp::endpoint here()
{
  return loopback<tcp>(4242);
}

void small_rings(tcp::socket& socket)
{
  socket.open(tcp::v4());
  socket.set_option(tcp::socket::send_buffer_size(ring_size));
  socket.set_option(tcp::socket::receive_buffer_size(ring_size));
}

void expect(error_code ec)
{
  if (ec)
    throw system_error(ec);
}

int blocking_server(notice_board& board)
{
  asio::io_context context;
  tcp::acceptor acceptor(context, here());
  board.stage = 1;
  tcp::socket socket = acceptor.accept();
  std::vector<char> question(short_text);
  asio::read(socket, asio::buffer(question));
  asio::write(socket, asio::buffer(answers.bytes(long_text)));
  socket.shutdown(tcp::socket::shutdown_send);
  socket.close();
  acceptor.close();
  return 0;
}

int asynchronous_server(notice_board& board)
{
  asio::io_context context;
  tcp::acceptor acceptor(context, here());
  board.stage = 1;
  tcp::socket socket(context);
  std::vector<char> question(short_text);
  const auto answer = answers.bytes(long_text);
  acceptor.async_accept(socket,
      [&](error_code accepted)
      {
        expect(accepted);
        asio::async_read(socket, asio::buffer(question),
            [&](error_code read, std::size_t)
            {
              expect(read);
              asio::async_write(socket, asio::buffer(answer), [](error_code ec, std::size_t) { expect(ec); });
            });
      });
  context.run();
  return 0;
}

int blocking_client(notice_board&)
{
  asio::io_context context;
  tcp::socket socket(context);
  small_rings(socket);
  socket.connect(here());
  asio::write(socket, asio::buffer(questions.bytes(long_text)));
  std::vector<char> answer(short_text);
  asio::read(socket, asio::buffer(answer));
  socket.close();
  return 0;
}

int asynchronous_client(notice_board&)
{
  asio::io_context context;
  tcp::socket socket(context);
  small_rings(socket);
  const auto question = questions.bytes(long_text);
  std::vector<char> answer(short_text);
  socket.async_connect(here(),
      [&](error_code connected)
      {
        expect(connected);
        asio::async_write(socket, asio::buffer(question), [](error_code ec, std::size_t) { expect(ec); });
        asio::async_read(socket, asio::buffer(answer), [](error_code ec, std::size_t) { expect(ec); });
      });
  context.run();
  return 0;
}

void report(const char* victims, long kills, const distribution& times)
{
  std::cout << "killed_at_each_call: " << victims << ": " << kills << " kills; from the kill to the last completion: "
            << times << std::endl;
  BOOST_TEST(kills > 10);
}

/// Asks a server that may die; all of its operations complete.
void outlive_server(notice_board& board, distribution& times)
{
  asio::io_context context;
  wait_until([&] { return board.stage != 0 || board.dead; });
  tcp::socket client(context);
  small_rings(client);
  completion connected;
  completion written;
  completion read;
  const auto question = questions.bytes(short_text);
  std::vector<unsigned char> got(long_text + 1);
  client.async_connect(here(),
      [&](error_code ec)
      {
        connected.handler()(ec);
        if (ec)
          return;
        asio::async_write(client, asio::buffer(question), written.handler());
        asio::async_read(client, asio::buffer(got), read.handler());
      });
  run_until(context, [&] { return connected.done() && (connected.ec || (written.done() && read.done())); });
  const std::int64_t completed = steady_now();
  wait_until([&] { return board.dead.load(); });
  if (!board.survived && completed > board.died_at)
    times.add(completed - board.died_at);

  if (connected.ec)
    BOOST_TEST((connected.ec == error::connection_refused && !board.survived));
  else
  {
    BOOST_TEST((!written.ec || is_broken(written.ec)));
    BOOST_TEST(is_end(read.ec));
    BOOST_TEST(answers.matches(got.data(), read.bytes));
    if (board.survived)
      BOOST_TEST(read.bytes == long_text);
  }

  // The endpoint is free at once.
  client.close();
  tcp::acceptor again(context, here());
  client.connect(here());
  tcp::socket server = again.accept();
  check_carries_data(server, client);
}

void kill_servers(const char* name, int (*body)(notice_board&))
{
  if (!executioner::may_trace())
  {
    std::cout << "killed_at_each_call: skipped, processes may not be traced here" << std::endl;
    return;
  }
  executioner victims(body);
  distribution times;
  long kills = 0;
  open_resources before;
  for (long n = 1;; n += stride)
  {
    BOOST_TEST_INFO_SCOPE("killed at stop " << n);
    victims.start({sentence::kind::at_call, n});
    outlive_server(victims.board(), times);
    const open_resources now = open_resources::now();
    if (n == 1)
      before = now;
    BOOST_TEST(now == before);
    BOOST_TEST(now.files == 0);
    if (victims.board().survived)
      break;
    ++kills;
  }
  report(name, kills, times);
}

/// A server that goes on whatever its clients do. Each session takes a question to its end and answers at once.
class surviving_server
{
public:
  surviving_server() : acceptor_(context_, here()) { accept(); }

  asio::io_context& context() { return context_; }
  bool idle() const { return open_ == 0; }
  int sessions() const { return sessions_; }
  std::int64_t last_end() const { return last_end_; }
  std::size_t longest() const { return longest_; }
  int short_ones() const { return short_ones_; }

private:
  struct session
  {
    explicit session(tcp::socket s) : socket(std::move(s)) {}
    tcp::socket socket;
    std::vector<unsigned char> question = std::vector<unsigned char>(long_text + 1);
    std::vector<unsigned char> answer = answers.bytes(short_text);
    int pending = 2;
  };

  void accept()
  {
    acceptor_.async_accept(
        [this](error_code ec, tcp::socket socket)
        {
          BOOST_TEST(!ec);
          if (!ec)
            serve(std::make_shared<session>(std::move(socket)));
          accept();
        });
  }

  void serve(const std::shared_ptr<session>& s)
  {
    ++open_;
    ++sessions_;
    asio::async_write(s->socket, asio::buffer(s->answer),
        [this, s](error_code ec, std::size_t)
        {
          BOOST_TEST((!ec || is_broken(ec)));
          end(*s);
        });
    asio::async_read(s->socket, asio::buffer(s->question),
        [this, s](error_code ec, std::size_t size)
        {
          BOOST_TEST(is_end(ec));
          BOOST_TEST(questions.matches(s->question.data(), size));
          longest_ = std::max(longest_, size);
          short_ones_ += size == short_text ? 1 : 0;
          end(*s);
        });
  }

  void end(session& s)
  {
    if (--s.pending != 0)
      return;
    last_end_ = steady_now();
    --open_;
  }

  asio::io_context context_;
  tcp::acceptor acceptor_;
  int open_ = 0;
  int sessions_ = 0;
  std::int64_t last_end_ = 0;
  std::size_t longest_ = 0;
  int short_ones_ = 0;
};

void kill_clients(const char* name, int (*body)(notice_board&))
{
  if (!executioner::may_trace())
  {
    std::cout << "killed_at_each_call: skipped, processes may not be traced here" << std::endl;
    return;
  }
  executioner victims(body);
  notice_board& board = victims.board();
  surviving_server server;
  distribution times;
  long kills = 0;
  open_resources before;
  for (long n = 1;; n += stride)
  {
    BOOST_TEST_INFO_SCOPE("killed at stop " << n);
    const int sessions = server.sessions();
    victims.start({sentence::kind::at_call, n});
    // No event of the context tells of the death of a client that has not come to connect.
    wait_until(
        [&]
        {
          server.context().run_one_for(std::chrono::milliseconds(1));
          return board.dead && server.idle() && (!board.survived || server.sessions() != sessions);
        });
    if (server.sessions() != sessions && !board.survived && server.last_end() > board.died_at)
      times.add(server.last_end() - board.died_at);
    if (board.survived)
      BOOST_TEST(server.longest() == long_text);

    // The same acceptor serves the next. By then every client before it has had its turn.
    {
      const int served = server.short_ones();
      asio::io_context context; // one of its own, so that no spare memory is kept for its next connect
      tcp::socket client(context);
      client.connect(here());
      asio::write(client, asio::buffer(questions.bytes(short_text)));
      client.shutdown(tcp::socket::shutdown_send);
      run_until(server.context(),
          [&] { return server.idle() && server.short_ones() > served; });
      std::vector<unsigned char> answer(short_text);
      asio::read(client, asio::buffer(answer));
      BOOST_TEST(answers.matches(answer));
    }
    const auto rest = [&] { server.context().poll(); };
    if (n == 1)
    {
      rest();
      before = open_resources::now();
    }
    BOOST_TEST(after_growth(before, rest) <= before);
    if (board.survived)
      break;
    ++kills;
  }
  report(name, kills, times);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(killed_at_each_call, watchdog)

BOOST_AUTO_TEST_CASE(servers_that_block)
{
  kill_servers("blocking servers", &blocking_server);
}

BOOST_AUTO_TEST_CASE(servers_that_run_a_context)
{
  kill_servers("asynchronous servers", &asynchronous_server);
}

BOOST_AUTO_TEST_CASE(clients_that_block)
{
  kill_clients("blocking clients", &blocking_client);
}

BOOST_AUTO_TEST_CASE(clients_that_run_a_context)
{
  kill_clients("asynchronous clients", &asynchronous_client);
}

BOOST_AUTO_TEST_SUITE_END()
