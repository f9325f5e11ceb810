// SPDX-License-Identifier: BSL-1.0
// Turns a test that would hang into a test that fails.

#ifndef ASIO_SHM_TEST_SUPPORT_DEADLINE_HPP
#define ASIO_SHM_TEST_SUPPORT_DEADLINE_HPP

#include "thread_team.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

namespace shm::test {

inline constexpr std::chrono::seconds patience{20};

/// Undoes a stop(): the context is stopped if it has no work left, and only then.
inline void resume(boost::asio::io_context& context)
{
  context.restart();
  // The end of this work stops the context again if there is no other.
  const auto work = boost::asio::make_work_guard(context);
}

/// Calls the function, which runs the context, in all threads of the test's team. An exception in one of them ends the
/// round and comes out of this call.
inline void run_round(boost::asio::io_context& context, const std::function<void()>& work)
{
  try
  {
    thread_team::round(
        [&]
        {
          try
          {
            work();
          }
          catch (...)
          {
            context.stop();
            throw;
          }
        });
  }
  catch (...)
  {
    resume(context);
    throw;
  }
}

/// Runs the context until a handler has run, and with it whatever else is ready.
inline void run_some_until(boost::asio::io_context& context, std::chrono::steady_clock::time_point end)
{
  if (thread_team::size() == 1)
  {
    context.run_one_until(end);
    return;
  }
  run_round(context,
      [&]
      {
        if (context.run_one_until(end) != 0)
          for (int i = 0; i != 64 && context.poll_one() != 0; ++i)
            std::this_thread::yield(); // to those who were woken for what is ready
        // The others come to rest as soon as their handlers have returned.
        context.stop();
      });
  resume(context);
}

/// Runs the context until the predicate holds; fails the test when it does not within the limit, or when the context
/// has no work left that could make it hold. With several threads (see thread_team) the predicate is looked at only
/// while no handler runs.
template <class Predicate>
void run_until(boost::asio::io_context& context, Predicate done, std::chrono::seconds limit = patience)
{
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!done())
  {
    if (context.stopped())
      context.restart();
    run_some_until(context, end);
    if (done())
      return;
    if (std::chrono::steady_clock::now() >= end)
      BOOST_FAIL("the deadline passed before the condition held");
    if (context.stopped())
      BOOST_FAIL("the context ran out of work before the condition held");
  }
}

/// Runs the context until it has no work left.
inline void run_out(boost::asio::io_context& context, std::chrono::seconds limit = patience)
{
  const auto end = std::chrono::steady_clock::now() + limit;
  context.restart();
  if (thread_team::size() == 1)
    context.run_until(end);
  else
    run_round(context, [&] { context.run_until(end); });
  if (!context.stopped())
    BOOST_FAIL("the context still had work when the deadline passed");
}

/// Runs whatever is ready, several times over, so that a completion that must not
/// come has had its chance to come.
inline void run_ready(boost::asio::io_context& context)
{
  if (thread_team::size() != 1)
  {
    context.restart();
    run_round(context,
        [&]
        {
          for (int i = 0; i != 20; ++i)
            context.poll();
        });
    return;
  }
  for (int i = 0; i != 20; ++i)
  {
    context.restart();
    context.poll();
  }
}

/// Runs the context to its end in that many threads, the calling one among them.
inline void run_with_threads(boost::asio::io_context& context, int count)
{
  std::vector<std::thread> threads;
  for (int i = 1; i < count; ++i)
    threads.emplace_back([&] { context.run(); });
  context.run();
  for (auto& thread : threads)
    thread.join();
}

/// Waits for a condition that another thread or process makes true.
template <class Predicate>
void wait_until(Predicate done, std::chrono::seconds limit = patience)
{
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!done())
  {
    if (std::chrono::steady_clock::now() >= end)
      BOOST_FAIL("the deadline passed before the condition held");
    std::this_thread::yield();
  }
}

/// Suite fixture: ends the program with a message when one case takes too long.
/// A signal and not a thread, so that cases may fork.
class watchdog
{
public:
  watchdog()
  {
    const std::string text =
        "watchdog: " + boost::unit_test::framework::current_test_case().full_name() + " hangs in a blocking call\n";
    std::strncpy(message_, text.c_str(), sizeof message_ - 1);
    previous_ = std::signal(SIGALRM, &watchdog::expired);
    ::alarm(limit_);
  }

  ~watchdog()
  {
    ::alarm(0);
    std::signal(SIGALRM, previous_);
  }

  watchdog(const watchdog&) = delete;
  watchdog& operator=(const watchdog&) = delete;

private:
  static void expired(int)
  {
    // Only what a signal handler may call.
    if (::write(STDERR_FILENO, message_, ::strlen(message_)) < 0)
      ::_exit(4);
    ::_exit(3);
  }

  static constexpr unsigned limit_ = 120;
  static inline char message_[512] = {};
  void (*previous_)(int);
};

} // namespace shm::test

#endif
