// SPDX-License-Identifier: BSL-1.0
// What a forked child inherits, what it may do with it, and what it cannot do to its parent.
#define BOOST_TEST_MODULE forked_contexts
#include "socket_test.hpp"

#include "child_process.hpp"
#include "open_resources.hpp"
#include "sanitizers.hpp"

#include <shm/busy_poll.hpp>
#include <shm/doorbell.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

// Longer than any test: a connection that stays hot. Or none: one that sleeps at once.
constexpr int hot = 1'000'000;
constexpr int cold = 0;

/// Forks as Asio's documentation demands it.
template <class Body>
std::unique_ptr<child_process> fork_with(asio::io_context& context, Body body)
{
  context.notify_fork(asio::execution_context::fork_prepare);
  auto child = std::make_unique<child_process>(
      [&context, body](channel& parent)
      {
        context.notify_fork(asio::execution_context::fork_child);
        return body(parent) ? 0 : 1;
      });
  context.notify_fork(asio::execution_context::fork_parent);
  return child;
}

/// Runs the context in a child process, where nothing may be checked.
template <class Predicate>
bool runs_until(asio::io_context& context, Predicate done)
{
  const auto end = std::chrono::steady_clock::now() + patience;
  context.restart();
  while (!done() && std::chrono::steady_clock::now() < end)
    if (context.run_one_until(end) == 0)
      break;
  return done();
}

/// Operations of every kind, pending in one context; the other ends of them are in another one.
struct pending_operations
{
  pending_operations(asio::io_context& context, asio::io_context& others, int busy_poll, bool socket_doorbell)
    : reading(context),
      waiting(context),
      writing(context),
      acceptor(context, loopback<tcp>()),
      accepted_socket(context),
      reader_peer(others),
      waiter_peer(others),
      writer_peer(others)
  {
    shm::set_busy_poll(context, shm::busy_poll(busy_poll));
    tcp::acceptor made(others, loopback<tcp>());
    for (auto [mine, peer] : {std::make_pair(&reading, &reader_peer), std::make_pair(&waiting, &waiter_peer),
             std::make_pair(&writing, &writer_peer)})
    {
      mine->open(tcp::v4());
      mine->set_option(shm::socket_doorbell(socket_doorbell));
      mine->set_option(tcp::socket::send_buffer_size(1 << 16));
      mine->connect(made.local_endpoint());
      made.accept(*peer);
    }
    asio::async_read(reading, asio::buffer(got), read.handler());
    waiting.async_wait(tcp::socket::wait_read, waited.handler());
    asio::async_write(writing, asio::buffer(much), written.handler());
    acceptor.async_accept(accepted_socket, accepted.handler());
    context.run_for(std::chrono::milliseconds(5));
  }

  int done() const { return read.calls + waited.calls + written.calls + accepted.calls; }
  bool right() const
  {
    return got == "hello" && !read.ec && !waited.ec && !written.ec && !accepted.ec && written.bytes == much.size();
  }
  bool aborted() const
  {
    const error_code expected = error::operation_aborted;
    return read.ec == expected && waited.ec == expected && written.ec == expected && accepted.ec == expected;
  }

  void close()
  {
    reading.close();
    waiting.close();
    writing.close();
    acceptor.close();
  }

  /// What the other ends have to do, from a process that has them.
  void feed()
  {
    asio::write(reader_peer, asio::buffer("hello", 5));
    asio::write(waiter_peer, asio::buffer("x", 1));
    std::vector<unsigned char> bytes(much.size());
    asio::read(writer_peer, asio::buffer(bytes));
    BOOST_TEST((bytes == much));
    tcp::socket next(reader_peer.get_executor());
    next.connect(acceptor_endpoint);
  }

  const std::vector<unsigned char> much = pattern(8).bytes(300'000);
  tcp::socket reading, waiting, writing;
  tcp::acceptor acceptor;
  const tcp::endpoint acceptor_endpoint = acceptor.local_endpoint();
  tcp::socket accepted_socket;
  tcp::socket reader_peer, waiter_peer, writer_peer;
  std::string got = std::string(5, '\0');
  completion read, waited, written, accepted;
};

template <class Test>
void for_each_temperature(Test test)
{
  for (const int busy_poll : {cold, hot})
    for (const bool socket_doorbell : {false, true})
      BOOST_TEST_CONTEXT((busy_poll == hot ? "hot" : "cold") << (socket_doorbell ? ", socket" : ", eventfd"))
      test(busy_poll, socket_doorbell);
}

/// Where the descriptors of a process lead to.
std::multiset<std::string> open_files()
{
  std::multiset<std::string> result;
  std::error_code ec;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
  {
    const std::string target = std::filesystem::read_symlink(entry.path(), ec).string();
    if (!ec)
      result.insert(target);
  }
  return result;
}

/// The inodes of the connections' regions that are mapped.
std::set<std::string> mapped_regions()
{
  std::set<std::string> result;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    if (line.find("/memfd:asio-shm") != std::string::npos)
    {
      std::istringstream words(line);
      std::string word;
      for (int i = 0; i != 5; ++i)
        words >> word;
      result.insert(word);
    }
  return result;
}

/// Starts /bin/ls on its own descriptors. Only what may be done between fork and exec of a process with threads.
std::string files_after_exec()
{
  int pipe[2];
  BOOST_TEST_REQUIRE(::pipe2(pipe, O_CLOEXEC) == 0);
  const pid_t child = ::fork();
  if (child == 0)
  {
    ::dup2(pipe[1], STDOUT_FILENO);
    char* const arguments[] = {const_cast<char*>("ls"), const_cast<char*>("-l"), const_cast<char*>("/proc/self/fd"), nullptr};
    ::execv("/bin/ls", arguments);
    ::_exit(127);
  }
  ::close(pipe[1]);
  std::string result;
  std::array<char, 4096> part{};
  for (ssize_t n; (n = ::read(pipe[0], part.data(), part.size())) > 0;)
    result.append(part.data(), static_cast<std::size_t>(n));
  ::close(pipe[0]);
  int status = -1;
  BOOST_TEST(::waitpid(child, &status, 0) == child);
  BOOST_TEST(status == 0);
  return result;
}

/// Echoes to any number of clients until it is killed.
int echo_server(channel& parent)
{
  asio::io_context context;
  tcp::acceptor acceptor(context, loopback<tcp>());
  parent.send(acceptor.local_endpoint().port());
  struct session : std::enable_shared_from_this<session>
  {
    explicit session(tcp::socket&& s) : socket(std::move(s)) {}
    void start()
    {
      socket.async_read_some(asio::buffer(data),
          [self = shared_from_this()](error_code ec, std::size_t n)
          {
            if (!ec)
              asio::async_write(self->socket, asio::buffer(self->data, n),
                  [self](error_code failure, std::size_t)
                  {
                    if (!failure)
                      self->start();
                  });
          });
    }
    tcp::socket socket;
    std::array<char, 4096> data{};
  };
  std::function<void()> accept = [&]
  {
    acceptor.async_accept(
        [&](error_code ec, tcp::socket socket)
        {
          if (!ec)
            std::make_shared<session>(std::move(socket))->start();
          accept();
        });
  };
  accept();
  context.run();
  return 1;
}

/// Plays with an echo server, asynchronously: a sleep before each answer if the context does not poll.
class player
{
public:
  player(asio::io_context& context, unsigned short port, int rounds) : socket_(context), rounds_(rounds)
  {
    socket_.connect({asio::ip::address_v4::loopback(), port});
  }

  void start()
  {
    const auto ball = static_cast<char>(rounds_);
    asio::write(socket_, asio::buffer(&ball, 1));
    asio::async_read(socket_, asio::buffer(&got_, 1),
        [this, ball](error_code ec, std::size_t)
        {
          wrong_ = wrong_ || ec || got_ != ball;
          if (!wrong_ && --rounds_ != 0 && socket_.is_open()) // closed after the read was done
            start();
        });
  }

  tcp::socket& socket() { return socket_; }
  bool over() const { return wrong_ || rounds_ == 0; }
  bool won() const { return !wrong_ && rounds_ == 0; }

private:
  tcp::socket socket_;
  int rounds_;
  char got_ = 0;
  bool wrong_ = false;
};

constexpr int rounds = sanitized ? 200 : 1000;

} // namespace

BOOST_FIXTURE_TEST_SUITE(forked_contexts, watchdog)

BOOST_AUTO_TEST_CASE(pending_operations_complete_in_the_parent_when_the_child_closes_its_copies)
{
  for_each_temperature(
      [](int busy_poll, bool socket_doorbell)
      {
        asio::io_context context, others;
        pending_operations ops(context, others, busy_poll, socket_doorbell);
        BOOST_TEST(ops.done() == 0);
        const auto child = fork_with(context,
            [&](channel&)
            {
              ops.close();
              return runs_until(context, [&] { return ops.done() == 4; }) && ops.aborted();
            });
        BOOST_TEST(child->wait() == 0);
        BOOST_TEST(ops.done() == 0);
        std::thread feeding([&] { ops.feed(); });
        run_until(context, [&] { return ops.done() == 4; });
        feeding.join();
        BOOST_TEST(ops.right());
      });
}

BOOST_AUTO_TEST_CASE(pending_operations_complete_in_the_child_when_the_parent_closes_its_copies)
{
  for_each_temperature(
      [](int busy_poll, bool socket_doorbell)
      {
        asio::io_context context, others;
        pending_operations ops(context, others, busy_poll, socket_doorbell);
        const auto child = fork_with(context,
            [&](channel& parent)
            {
              parent.receive<char>(); // the copies of the parent are closed
              return runs_until(context, [&] { return ops.done() == 4; }) && ops.right();
            });
        ops.close();
        run_until(context, [&] { return ops.done() == 4; });
        BOOST_TEST(ops.aborted());
        child->peer().send('c');
        ops.feed();
        BOOST_TEST(child->wait() == 0);
      });
}

// Nor does it matter how the child goes: it calls no notify_fork.
BOOST_AUTO_TEST_CASE(a_child_that_goes_takes_nothing_from_its_parent)
{
  enum way { leaves, is_killed, closes, destroys_the_context };
  for (const way how : {leaves, is_killed, closes, destroys_the_context})
    for_each_temperature(
        [how](int busy_poll, bool socket_doorbell)
        {
          BOOST_TEST_CONTEXT("way " << how)
          {
            asio::io_context others;
            auto context = std::make_unique<asio::io_context>();
            auto ops = std::make_unique<pending_operations>(*context, others, busy_poll, socket_doorbell);
            child_process child(
                [&](channel&)
                {
                  if (how == is_killed)
                    ::raise(SIGKILL);
                  if (how == closes || how == destroys_the_context)
                    ops->close();
                  if (how == destroys_the_context)
                  {
                    ops.reset();
                    context.reset();
                  }
                  return 0;
                });
            BOOST_TEST(child.wait() == (how == is_killed ? -1 : 0));
            std::thread feeding([&] { ops->feed(); });
            run_until(*context, [&] { return ops->done() == 4; });
            feeding.join();
            BOOST_TEST(ops->right());
          }
        });
}

// A child with a context of its own goes on beside its parent, whose doorbells it has too: each ring wakes the one that
// it is for.
BOOST_AUTO_TEST_CASE(parent_and_child_play_at_the_same_time)
{
  for (const int busy_poll : {cold, 50})
  {
    child_process server(&echo_server);
    const auto port = server.peer().receive<unsigned short>();
    asio::io_context context;
    shm::set_busy_poll(context, shm::busy_poll(busy_poll));
    player first(context, port, rounds), second(context, port, rounds);
    first.start();
    second.start();
    context.run_for(std::chrono::milliseconds(1)); // in the midst of it
    child_process stranger(
        [&](channel&)
        {
          asio::io_context own;
          shm::set_busy_poll(own, shm::busy_poll(busy_poll));
          player third(own, port, rounds);
          third.start();
          return runs_until(own, [&] { return third.over(); }) && third.won() ? 0 : 1;
        });
    // The context is one for both from here on; each has its own connections.
    const auto heir = fork_with(context,
        [&](channel&)
        {
          first.socket().close();
          player third(context, port, rounds);
          third.start();
          return runs_until(context, [&] { return second.over() && third.over(); }) && second.won() && third.won();
        });
    second.socket().close();
    run_until(context, [&] { return first.over(); });
    BOOST_TEST(first.won());
    BOOST_TEST(stranger.wait() == 0);
    BOOST_TEST(heir->wait() == 0);
  }
}

BOOST_AUTO_TEST_CASE(neither_uses_memory_that_was_prepared_before_the_fork)
{
  child_process server(&echo_server);
  const auto port = server.peer().receive<unsigned short>();
  asio::io_context context;
  std::vector<std::unique_ptr<player>> before;
  // As often as it takes to have a spare set: two connects within 10 ms, and time to wait.
  wait_until(
      [&]
      {
        for (int i = 0; i != 2; ++i)
        {
          before.push_back(std::make_unique<player>(context, port, 1));
          before.back()->start();
        }
        run_until(context, [&] { return before.back()->over() && (*(before.end() - 2))->over(); });
        return mapped_regions().size() > before.size();
      });
  const std::set<std::string> shared = mapped_regions();
  const auto connect = [&]() -> std::string
  {
    player next(context, port, 3);
    next.start();
    if (!runs_until(context, [&] { return next.over(); }) || !next.won())
      return "failed";
    for (const std::string& inode : mapped_regions())
      if (shared.count(inode) == 0)
        return inode;
    return "none"; // it used one of those that both processes have
  };
  const auto child = fork_with(context,
      [&](channel& parent)
      {
        const std::string inode = connect();
        parent.send(std::strtoull(inode.c_str(), nullptr, 10));
        parent.receive<char>();
        return inode != "none" && inode != "failed";
      });
  const std::string inode = connect();
  BOOST_TEST(inode != "none");
  BOOST_TEST(inode != "failed");
  BOOST_TEST(child->peer().receive<unsigned long long>() != std::strtoull(inode.c_str(), nullptr, 10));
  child->peer().send('e');
  BOOST_TEST(child->wait() == 0);
}

// The mapping of a connection is the right to write into it. A child has it as long as it has the sockets; no descriptor
// stays open from which it could be made again.
BOOST_AUTO_TEST_CASE(memory_goes_with_the_sockets)
{
  asio::io_context context;
  connected_pair<tcp> pair(context);
  check_carries_data(pair.client, pair.server);
  for (const std::string& file : open_files())
    BOOST_TEST(file.find("memfd") == std::string::npos);
  const auto child = fork_with(context,
      [&](channel&)
      {
        const bool had_it = !mapped_regions().empty();
        pair.client.close();
        pair.server.close();
        // Closed memory is freed when there is time.
        const auto work = asio::make_work_guard(context);
        return had_it && runs_until(context,
            [&]
            {
              asio::post(context, [] {});
              return mapped_regions().empty();
            });
      });
  BOOST_TEST(child->wait() == 0);
  check_carries_data(pair.server, pair.client);
}

BOOST_AUTO_TEST_CASE(the_peer_sees_the_end_with_the_last_copy)
{
  asio::io_context context, others;
  for (const bool parent_first : {false, true})
  {
    connected_pair<tcp> pair(context, others);
    const auto child = fork_with(context,
        [&](channel& parent)
        {
          pair.server.close(); // the peer's end, which is the parent's alone
          if (parent_first)
          {
            parent.receive<char>();
            asio::write(pair.client, asio::buffer("last", 4));
          }
          pair.client.close();
          return true;
        });
    if (parent_first)
    {
      pair.client.close();
      child->peer().send('c');
    }
    else
    {
      BOOST_TEST(child->wait() == 0);
      asio::write(pair.client, asio::buffer("last", 4));
    }
    std::string got(4, '\0');
    asio::read(pair.server, asio::buffer(got));
    BOOST_TEST(got == "last");
    if (parent_first)
      BOOST_TEST(child->wait() == 0);
    else
      pair.client.close();
    reports(error::eof, [&](auto&... ec) { asio::read(pair.server, asio::buffer(got), ec...); });
  }
}

// A process with threads may do nothing but exec after fork. What it starts has none of our descriptors.
BOOST_AUTO_TEST_CASE(a_program_started_while_a_thread_runs_the_context_inherits_nothing)
{
  const std::multiset<std::string> before = open_files();
  child_process server(&echo_server);
  const auto port = server.peer().receive<unsigned short>();
  asio::io_context context;
  tcp::acceptor acceptor(context, loopback<tcp>());
  tcp::acceptor on_path(context, tcp::endpoint(unused_path()));
  std::array<std::unique_ptr<player>, 2> players;
  for (auto& p : players)
  {
    p = std::make_unique<player>(context, port, 20 * rounds);
    asio::post(context, [&p] { p->start(); });
  }
  tcp::socket unaccepted(context);
  unaccepted.connect(acceptor.local_endpoint());
  connected_pair<tcp> pair(context);
  char nothing = 0;
  std::atomic<bool> read{false};
  pair.client.async_read_some(asio::buffer(&nothing, 1), [&](error_code, std::size_t) { read = true; });
  std::thread running([&] { context.run(); });
  std::set<std::string> ours;
  for (const std::string& file : open_files())
    if (before.count(file) == 0)
      ours.insert(file);
  BOOST_TEST(ours.size() > 5u);
  for (int i = 0; i != 10; ++i)
  {
    std::istringstream lines(files_after_exec());
    int seen = 0;
    for (std::string line; std::getline(lines, line);)
    {
      const std::size_t arrow = line.find(" -> ");
      if (arrow == std::string::npos)
        continue;
      ++seen;
      BOOST_TEST(ours.count(line.substr(arrow + 4)) == 0, line);
    }
    BOOST_TEST(seen >= 3);
  }
  BOOST_TEST(!read);
  asio::write(pair.server, asio::buffer("x", 1));
  running.join();
  BOOST_TEST(read);
  for (const auto& p : players)
    BOOST_TEST(p->won());
}

BOOST_AUTO_TEST_SUITE_END()
