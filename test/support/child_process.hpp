// SPDX-License-Identifier: BSL-1.0
// A forked process that runs a function, with a channel to it; killed with its owner.

#ifndef ASIO_SHM_TEST_SUPPORT_CHILD_PROCESS_HPP
#define ASIO_SHM_TEST_SUPPORT_CHILD_PROCESS_HPP

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace shm::test {

/// One end of the pipe between a test and its child: values of plain types, in order.
class channel
{
public:
  explicit channel(int descriptor) : descriptor_(descriptor) {}
  ~channel() { ::close(descriptor_); }
  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;

  template <class T>
  void send(const T& value)
  {
    if (::send(descriptor_, &value, sizeof value, MSG_NOSIGNAL) != static_cast<ssize_t>(sizeof value))
      throw std::runtime_error("the process at the other end is gone");
  }

  /// Waits for the next value. A test's watchdog limits the wait.
  template <class T>
  T receive()
  {
    T value{};
    ssize_t n;
    do
    {
      n = ::recv(descriptor_, &value, sizeof value, MSG_WAITALL);
    } while (n < 0 && errno == EINTR);
    if (n != static_cast<ssize_t>(sizeof value))
      throw std::runtime_error("the process at the other end is gone");
    return value;
  }

  int descriptor() const { return descriptor_; }

private:
  int descriptor_;
};

/// Forks, so it has to be made while the test has no context and no second thread.
class child_process
{
public:
  /// The child runs `body(channel&)` and ends with what it returns.
  template <class Body>
  explicit child_process(Body body) : child_process(make_pair(), std::move(body))
  {}

  ~child_process()
  {
    if (pid_ > 0)
      kill();
  }

  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;

  channel& peer() { return peer_; }
  pid_t id() const { return pid_; }

  /// Ends the process as a crash would and waits until it is gone.
  void kill()
  {
    ::kill(pid_, SIGKILL);
    collect();
  }

  /// Waits for its own end; gives its exit code, or -1 when a signal ended it.
  int wait()
  {
    const int status = collect();
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

private:
  static std::array<int, 2> make_pair()
  {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
      throw std::system_error(errno, std::generic_category(), "socketpair");
    return ends;
  }

  template <class Body>
  child_process(std::array<int, 2> ends, Body body) : peer_(ends[0])
  {
    std::fflush(nullptr);
    pid_ = ::fork();
    if (pid_ < 0)
      throw std::system_error(errno, std::generic_category(), "fork");
    if (pid_ == 0)
    {
      ::close(ends[0]);
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      // Boost.Test's handlers would jump back into the parent's list of cases.
      for (const int crash : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGTERM})
        ::signal(crash, SIG_DFL);
      ::_exit(run(ends[1], body));
    }
    ::close(ends[1]);
  }

  template <class Body>
  static int run(int descriptor, Body& body)
  {
    try
    {
      channel parent(descriptor);
      return body(parent);
    }
    catch (const std::exception& e)
    {
      std::fprintf(stderr, "child process: %s\n", e.what());
    }
    catch (...)
    {
      // A failed requirement of Boost.Test is no std::exception.
      std::fputs("child process: a requirement failed\n", stderr);
    }
    return 99;
  }

  int collect()
  {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR)
    {}
    pid_ = -1;
    return status;
  }

  channel peer_;
  pid_t pid_ = -1;
};

} // namespace shm::test

#endif
