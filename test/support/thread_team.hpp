// SPDX-License-Identifier: BSL-1.0
// Threads that work in rounds: between two rounds all are at rest, and the test may look at what they did.

#ifndef ASIO_SHM_TEST_SUPPORT_THREAD_TEAM_HPP
#define ASIO_SHM_TEST_SUPPORT_THREAD_TEAM_HPP

#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>

namespace shm::test {

/// The threads that run a test's contexts. They are there from the first round on; a fork sends them home before, so
/// that it always copies a process of one thread, and the next round brings new ones.
class thread_team
{
public:
  /// From ASIO_SHM_TEST_THREADS, with the test's own thread; 1 without it.
  static int size()
  {
    static const int result = []
    {
      const char* const text = std::getenv("ASIO_SHM_TEST_THREADS");
      const int wanted = text ? std::atoi(text) : 1;
      return wanted < 1 ? 1 : wanted;
    }();
    return result;
  }

  /// Calls the function in size() threads at once, the calling one among them, and blocks until all have returned.
  /// @throws what the first of them has thrown. Not to be called from within a round.
  static void round(const std::function<void()>& work) { instance().play(work); }

  thread_team(const thread_team&) = delete;
  thread_team& operator=(const thread_team&) = delete;

private:
  thread_team()
  {
    ::pthread_atfork([] { instance().dismiss(); }, nullptr, nullptr);
  }

  ~thread_team() { dismiss(); }

  static thread_team& instance()
  {
    static thread_team result;
    return result;
  }

  void play(const std::function<void()>& work)
  {
    std::unique_lock<std::mutex> lock(mutex_);
    while (static_cast<int>(threads_.size()) < size() - 1)
      threads_.emplace_back([this, seen = round_] { serve(seen); });
    work_ = &work;
    absent_ = busy_ = size();
    ++round_;
    lock.unlock();
    begun_.notify_all();
    take_part();
    lock.lock();
    ended_.wait(lock, [this] { return busy_ == 0; });
    if (error_)
      std::rethrow_exception(std::exchange(error_, nullptr));
  }

  void serve(unsigned seen)
  {
    for (;;)
    {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        begun_.wait(lock, [&] { return dismissed_ || round_ != seen; });
        if (dismissed_)
          return;
        seen = round_;
      }
      take_part();
    }
  }

  void take_part()
  {
    {
      // Nobody begins alone: the first one would have done the work before the others are awake.
      std::unique_lock<std::mutex> lock(mutex_);
      if (--absent_ == 0)
        complete_.notify_all();
      complete_.wait(lock, [this] { return absent_ == 0; });
    }
    std::exception_ptr error;
    try
    {
      (*work_)();
    }
    catch (...)
    {
      error = std::current_exception();
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!error_)
      error_ = error;
    if (--busy_ == 0)
      ended_.notify_one();
  }

  void dismiss()
  {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      dismissed_ = true;
    }
    begun_.notify_all();
    for (std::thread& thread : threads_)
      thread.join();
    threads_.clear();
    dismissed_ = false;
  }

  std::mutex mutex_;
  std::condition_variable begun_;
  std::condition_variable complete_;
  std::condition_variable ended_;
  std::vector<std::thread> threads_;
  const std::function<void()>* work_ = nullptr;
  std::exception_ptr error_;
  unsigned round_ = 0;
  int absent_ = 0;
  int busy_ = 0;
  bool dismissed_ = false;
};

} // namespace shm::test

#endif
