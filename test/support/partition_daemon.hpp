// SPDX-License-Identifier: BSL-1.0
// Processes of shm_partitiond, each with a runtime directory of its own, so that one machine is several partitions.

#ifndef ASIO_SHM_TEST_SUPPORT_PARTITION_DAEMON_HPP
#define ASIO_SHM_TEST_SUPPORT_PARTITION_DAEMON_HPP

#include "temp_runtime_directory.hpp"

#include <boost/test/results_collector.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace shm::test {

inline std::string text_of(const std::string& path)
{
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// Waits for what other processes do, and leaves them the processor meanwhile.
template <class Predicate>
bool comes_true(Predicate done, std::chrono::seconds limit = std::chrono::seconds(30))
{
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!done())
  {
    if (std::chrono::steady_clock::now() >= end)
      return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

/// A running program, killed with its owner. What it prints goes to a file.
class program
{
public:
  program(std::vector<std::string> words, std::string output) : output_(std::move(output))
  {
    std::vector<char*> arguments;
    for (auto& word : words)
      arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ < 0)
      throw std::system_error(errno, std::generic_category(), "fork");
    if (pid_ != 0)
      return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    const int file = ::open(output_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ::dup2(file, STDOUT_FILENO);
    ::dup2(file, STDERR_FILENO);
    ::execv(arguments[0], arguments.data());
    std::perror(arguments[0]);
    ::_exit(127);
  }

  ~program() { kill(); }
  program(const program&) = delete;
  program& operator=(const program&) = delete;

  /// As a crash would.
  void kill()
  {
    signal(SIGKILL);
    if (pid_ > 0)
      wait();
  }

  void signal(int number)
  {
    if (pid_ > 0)
      ::kill(pid_, number);
  }

  /// Waits for its end. @returns its exit code, or -1 when a signal ended it.
  int wait()
  {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR)
    {}
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  std::string output() const { return text_of(output_); }

  /// How many it has open.
  std::size_t descriptors() const
  {
    namespace fs = std::filesystem;
    const auto all = fs::directory_iterator("/proc/" + std::to_string(pid_) + "/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
  }

private:
  std::string output_;
  pid_t pid_ = -1;
};

/// How the daemons reach their region.
enum class region_by
{
  server,     ///< The first one serves it, the others attach to it.
  containers, ///< The same, each in network, process, mount, IPC and host name namespaces of its own.
  file        ///< A file that the first one makes; nobody can ring anybody.
};

/// Partitions 0 to count - 1.
class partitions
{
public:
  /// @param of_first Options of the first daemon.
  explicit partitions(std::size_t count, std::vector<std::string> of_first = {}, region_by kind = region_by::server)
    : of_first_(std::move(of_first)), kind_(kind)
  {
    daemons_.resize(count);
    for (std::size_t i = 0; i != count; ++i)
    {
      ::mkdir(directory(i).c_str(), 0700);
      start(i);
    }
    BOOST_REQUIRE_MESSAGE(
        comes_true([this] { return all_there(); }), "the partitions do not find each other: " << logs());
  }

  ~partitions()
  {
    namespace framework = boost::unit_test::framework;
    if (!boost::unit_test::results_collector.results(framework::current_test_case().p_id).passed())
      std::fputs(logs().c_str(), stderr);
  }

  /// Partition 0 is there before the others ask, so that it gets the number 0.
  void start(std::size_t i)
  {
    std::vector<std::string> words;
    if (kind_ == region_by::containers)
      words = {"/usr/bin/unshare", "--net", "--pid", "--fork", "--kill-child", "--mount", "--ipc", "--uts"};
    if (kind_ == region_by::containers && ::geteuid() != 0)
      words.insert(words.end(), {"--user", "--map-root-user"});
    words.insert(
        words.end(), {SHM_PARTITIOND, "--runtime-directory", directory(i), "--name", name(i), "--address", address(i)});
    if (kind_ == region_by::file)
      words.insert(words.end(), {"--region", root_.path() + "/region", "--id", std::to_string(i)});
    else
      words.insert(words.end(), {i == 0 ? "--serve" : "--attach", root_.path() + "/server"});
    if (kind_ == region_by::file && i == 0)
      words.push_back("--create");
    if (i == 0)
      words.insert(words.end(), of_first_.begin(), of_first_.end());
    daemons_[i] = std::make_unique<program>(words, log_file(i));
    BOOST_REQUIRE_MESSAGE(comes_true([&] { return daemons_[i]->output().find("ready") != std::string::npos; }),
        "the daemon does not become ready: " << daemons_[i]->output());
  }

  program& daemon(std::size_t i) { return *daemons_[i]; }
  std::string directory(std::size_t i) const { return root_.path() + "/" + name(i); }
  static std::string name(std::size_t i) { return std::string(1, static_cast<char>('a' + i)); }
  static std::string address(std::size_t i) { return "10.9.8." + std::to_string(i + 1); }
  const std::string& root() const { return root_.path(); }
  std::string log_file(std::size_t i) const { return root_.path() + "/log." + name(i); }

  /// How many partitions a program there sees.
  std::size_t seen_by(std::size_t i) const
  {
    const std::string text = text_of(directory(i) + "/partition/hosts");
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }

  bool all_there() const
  {
    for (std::size_t i = 0; i != daemons_.size(); ++i)
      if (seen_by(i) != daemons_.size())
        return false;
    return true;
  }

  std::string logs() const
  {
    std::string result;
    for (std::size_t i = 0; i != daemons_.size(); ++i)
      result += name(i) + ":\n" + text_of(log_file(i)) + text_of(directory(i) + "/partition/hosts");
    return result;
  }

private:
  temp_directory root_;
  std::vector<std::string> of_first_;
  region_by kind_;
  std::vector<std::unique_ptr<program>> daemons_;
};

} // namespace shm::test

#endif
