// SPDX-License-Identifier: BSL-1.0
// What the sessions of one process have in common.

#ifndef ASIO_SHM_TEST_SOAK_SURROUNDINGS_HPP
#define ASIO_SHM_TEST_SOAK_SURROUNDINGS_HPP

#include "board.hpp"
#include "options.hpp"

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/syscall.h>
#include <unistd.h>

namespace shm::test::soak {

class session;

inline long thread_id()
{
  return ::syscall(SYS_gettid);
}

/// The context, the threads, the sessions. Shared by all threads of the process.
class surroundings
{
public:
  surroundings(board& shared, const options& wanted, std::uint32_t life, int io_threads, bool calm)
    : shared_(shared), wanted_(wanted), life_(life), calm_(calm), context_(io_threads), io_threads_(io_threads)
  {
  }

  board& shared() { return shared_; }
  counters& count() { return shared_.count; }
  const options& wanted() const { return wanted_; }
  std::uint32_t life() const { return life_; }
  boost::asio::io_context& context() { return context_; }
  int io_threads() const { return io_threads_; }

  /// Whether no timer and nothing else of this process wakes the context: nothing but a doorbell does.
  bool calm() const { return calm_; }

  bool stopping() const { return shared_.stop.load(); }

  void add(std::shared_ptr<session> s)
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    sessions_.push_back(std::move(s));
  }

  void remove(const session* s)
  {
    std::shared_ptr<session> last; // goes without the lock
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found
        = std::find_if(sessions_.begin(), sessions_.end(), [s](const auto& other) { return other.get() == s; });
    if (found == sessions_.end())
      return;
    last = std::move(*found);
    sessions_.erase(found);
  }

  std::vector<std::shared_ptr<session>> sessions()
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    return sessions_;
  }

  /// A thread of a session's own, for calls that block.
  void spawn(std::function<void()> work)
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    helper& made = helpers_.emplace_back();
    made.thread = std::thread(
        [&made, work = std::move(work)]() mutable
        {
          work();
          work = nullptr; // and with it the session
          made.done = true;
        });
  }

  /// Joins those that have ended. @returns how many have not.
  std::size_t collect_threads()
  {
    std::list<helper> ended;
    std::size_t left = 0;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      for (auto i = helpers_.begin(); i != helpers_.end();)
      {
        const auto next = std::next(i);
        if (i->done)
          ended.splice(ended.end(), helpers_, i);
        i = next;
      }
      left = helpers_.size();
    }
    for (helper& h : ended)
      h.thread.join();
    return left;
  }

  void add_io_thread()
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    io_thread_ids_.push_back(thread_id());
  }

  std::vector<long> io_thread_ids()
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    return io_thread_ids_;
  }

  void report(const std::string& text)
  {
    std::fprintf(stderr, "soak: process %d: %s\n", static_cast<int>(::getpid()), text.c_str());
  }

private:
  struct helper
  {
    std::thread thread;
    std::atomic<bool> done{false};
  };

  board& shared_;
  const options& wanted_;
  const std::uint32_t life_;
  const bool calm_;
  boost::asio::io_context context_;
  const int io_threads_;

  std::mutex mutex_; // guards what follows
  std::vector<std::shared_ptr<session>> sessions_;
  std::list<helper> helpers_;
  std::vector<long> io_thread_ids_;
};

} // namespace shm::test::soak

#endif
