// SPDX-License-Identifier: BSL-1.0
// Memory and descriptors that forked children and programs that are started have, or have not.
#define BOOST_TEST_MODULE forked_memory
#include "forked_context.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
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

} // namespace

BOOST_FIXTURE_TEST_SUITE(forked_memory, watchdog)

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
    p = std::make_unique<player>(context, port, 20 * many_rounds);
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
