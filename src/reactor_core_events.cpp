// SPDX-License-Identifier: BSL-1.0
// The epoll instance: doorbells, rendezvous sockets, listeners, and the timer.
#include "reactor_state.hpp"

#include "descriptor.hpp"
#include "prepared_connection.hpp"

#include <algorithm>
#include <array>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <utility>

namespace shm {
namespace detail {
namespace {

// Events that are taken at a time, and how often in a row.
constexpr int max_events = 64;
constexpr int max_rounds = 16;

// Timers that are taken at a time: what is due must not depend on memory that may be used up.
constexpr std::size_t max_due = 16;

std::uint64_t event_data(reactor_core::socket_id id, reactor_core::source from) noexcept
{
  return (id << source_bits) | static_cast<std::uint64_t>(from);
}

} // namespace

void reactor_core::epoll_readable()
{
  bool post = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    epoll_readable_ = true;
    note_news();
    post = claim_post();
  }
  if (post)
    sink_.post_poll_task(true);
}

int reactor_core::add_descriptor(socket_id id, source from, int fd) noexcept
{
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
  event.data.u64 = event_data(id, from);
  return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
}

void reactor_core::remove_descriptor(int fd) noexcept
{
  // In a forked child that has not called notify_fork the instance is still the parent's: hands off.
  if (fd >= 0 && ::getpid() == epoll_owner_)
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
}

boost::intrusive_ptr<socket_core> reactor_core::find(std::uint64_t data)
{
  const std::uint64_t id = data >> source_bits;
  const std::size_t index = static_cast<std::size_t>(id & ((1u << slot_bits) - 1));
  std::lock_guard<std::mutex> lock(mutex_);
  const std::uint64_t mask = (std::uint64_t{1} << (64 - slot_bits - source_bits)) - 1;
  if (index >= slots_.size() || (slots_[index].generation & mask) != (id >> slot_bits))
    return nullptr;
  return slots_[index].socket;
}

void reactor_core::drain_epoll()
{
  // The outer edge comes once, so everything is taken, or asked for again.
  epoll_event events[max_events];
  for (int rounds = 0;; ++rounds)
  {
    if (rounds == max_rounds)
    {
      // Peers ring faster than we can look: the rest of the context has its turn first.
      const std::lock_guard<std::mutex> lock(mutex_);
      epoll_readable_ = true;
      return;
    }
    const int n = ::epoll_wait(epoll_, events, max_events, 0);
    for (int i = 0; i < n; ++i)
    {
      if (events[i].data.u64 == timer_data)
      {
        run_timers();
        continue;
      }
      const auto from = static_cast<source>(events[i].data.u64 & ((1u << source_bits) - 1));
      if (from != source::listener)
        woken();
      if (const auto socket = find(events[i].data.u64))
        socket->on_event(from, (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
    }
    if (n < max_events)
      return;
  }
}

// Sets the timer to what comes next. To be called with the mutex held.
void reactor_core::set_next_timer() noexcept
{
  clock::time_point when = spare_end_;
  for (const timer& t : timers_)
    when = std::min(when, t.when);
  if (quiet_ && !hot_.empty()) // nobody has the role, so nobody changes the list
    when = std::min(when, break_end_);
  if (when >= timer_set_)
    return; // it will look again when it expires
  timer_set_ = when;
  const auto ns = std::max<std::chrono::nanoseconds::rep>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(when.time_since_epoch()).count(), 1);
  itimerspec spec{};
  spec.it_value.tv_sec = ns / 1000000000;
  spec.it_value.tv_nsec = ns % 1000000000;
  ::timerfd_settime(timerfd_, TFD_TIMER_ABSTIME, &spec, nullptr); // steady_clock is CLOCK_MONOTONIC
}

void reactor_core::add_timer(socket_core& socket, clock::time_point when)
{
  std::lock_guard<std::mutex> lock(mutex_);
  if (shut_down_)
    return;
  timers_.push_back({when, &socket});
  set_next_timer();
}

// The program connects often: another set is made, and given up if it stays unused.
void reactor_core::keep_spare() noexcept
{
  spare_->refill();
  const std::lock_guard<std::mutex> lock(mutex_);
  if (spare_end_ != never)
    return;
  spare_end_ = clock::now() + spare_connection::idle_time;
  set_next_timer();
}

void reactor_core::run_timers()
{
  std::uint64_t expirations;
  const ssize_t n = ::read(timerfd_, &expirations, sizeof(expirations));
  static_cast<void>(n);
  const clock::time_point now = clock::now();
  for (;;)
  {
    std::array<boost::intrusive_ptr<socket_core>, max_due> due;
    std::size_t count = 0;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      timer_set_ = never;
      if (spare_end_ <= now)
        spare_end_ = spare_->expire(now) ? never : now + spare_connection::idle_time;
      const auto late = std::partition(timers_.begin(), timers_.end(), [now](const timer& t) { return t.when > now; });
      const auto kept = static_cast<std::size_t>(late - timers_.begin());
      for (; timers_.size() != kept && count != max_due; timers_.pop_back())
        due[count++] = std::move(timers_.back().socket);
      if (count != max_due)
        set_next_timer();
    }
    for (std::size_t i = 0; i != count; ++i)
      due[i]->on_timer();
    if (count != max_due)
      return;
  }
}

} // namespace detail
} // namespace shm
