// SPDX-License-Identifier: BSL-1.0
// The poll task: its role, the hot list, what is ready.
#include "reactor_state.hpp"

#include "full_fence.hpp"

#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

namespace shm {
namespace detail {
namespace {

// Reading the clock takes longer than looking at a socket; but sockets that are many are looked at for long.
constexpr unsigned passes_per_clock = 8;
constexpr std::size_t few_sockets = 4;

// How long io_context::poll() may go on while peers keep answering; and how soon the task comes back after it has left
// the scheduler's queue for that: late enough that poll() does not see it.
constexpr std::chrono::milliseconds longest_spell{10};
constexpr std::chrono::microseconds length_of_break{20};

} // namespace

bool reactor_core::needs_task() const noexcept
{
  return !shut_down_
      && (epoll_readable_ || debt_ != 0 || !ready_.empty() || !incoming_.empty() || !hot_.empty() || !inbox_.empty());
}

// Whether the task is to be posted now, as work. To be called with the mutex held.
bool reactor_core::claim_post() noexcept
{
  if (polling_ || posted_ || shut_down_)
    return false;
  posted_ = counted_ = true;
  active_.store(true, std::memory_order_seq_cst);
  return true;
}

// io_context::poll() returns when the scheduler's queue is empty, which it is not as long as the task puts itself there
// again. So the task leaves the queue now and then, without arming the hot sockets, and comes back by the timer.
bool reactor_core::takes_a_break(clock::time_point now) noexcept
{
  if (std::exchange(quiet_, false))
    busy_since_ = now;
  if (now - busy_since_ < longest_spell || hot_.empty() || debt_ != 0 || epoll_readable_ || !ready_.empty()
      || !incoming_.empty() || !inbox_.empty())
    return false;
  active_.store(false, std::memory_order_seq_cst);
  if (!inbox_.empty())
  {
    active_.store(true, std::memory_order_seq_cst);
    return false;
  }
  quiet_ = true;
  break_end_ = now + length_of_break;
  set_next_timer();
  return true;
}

bool reactor_core::begin_polling(clock::time_point now, std::size_t& debt, bool& counted)
{
  std::lock_guard<std::mutex> lock(mutex_);
  counted = counted_;
  posted_ = counted_ = false;
  debt = std::exchange(debt_, 0);
  if (polling_ || shut_down_ || takes_a_break(now))
    return false;
  polling_ = true;
  look_ = true;
  spin_->slice_start = now;
  return true;
}

// Without memory for a longer list, some wait until others have left it. To be called with the mutex held.
void reactor_core::move_to_hot() noexcept
{
  const std::size_t wanted = hot_.size() + incoming_.size();
  try
  {
    if (wanted > hot_.capacity())
      hot_.reserve(std::max(wanted, 2 * hot_.capacity()));
  }
  catch (const std::bad_alloc&)
  {
  }
  const auto room = static_cast<std::ptrdiff_t>(std::min(incoming_.size(), hot_.capacity() - hot_.size()));
  std::move(incoming_.begin(), incoming_.begin() + room, std::back_inserter(hot_));
  incoming_.erase(incoming_.begin(), incoming_.begin() + room);
}

// What has happened since the last look, but for the hot sockets themselves.
void reactor_core::take_news()
{
  std::unique_lock<std::mutex> lock(mutex_);
  if (std::exchange(epoll_readable_, false))
  {
    lock.unlock();
    drain_epoll(); // wakes sockets, which are to be looked at in this run of the task
    lock.lock();
  }
  move_to_hot();
  news_.store(!ready_.empty() || !incoming_.empty() || epoll_readable_, std::memory_order_relaxed);
}

operation* reactor_core::take_ready()
{
  operation_queue done;
  inbox_.take_all(done);
  const bool older = news_.load(std::memory_order_acquire); // ready_ may hold some that came earlier
  operation* first = older ? nullptr : done.pop();
  if (done.empty() && !older)
    return first;
  // What is left over must not stay with this thread while a handler runs: the task may have gone past it already.
  bool post = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ready_.push(done);
    if (!first)
      first = ready_.pop();
    if (!ready_.empty())
    {
      note_news();
      post = claim_post();
    }
  }
  if (post)
    sink_.post_poll_task(true);
  return first;
}

operation* reactor_core::poll(clock::time_point deadline)
{
  for (;;)
  {
    if (news_.load(std::memory_order_acquire))
      take_news();
    const bool first = std::exchange(look_, false);
    if (!first)
      if (operation* op = take_ready())
        return op;
    if (hot_.empty())
      return take_ready();
    // The first look of a slice always comes with the time: however slow looking is, it must not keep sockets from
    // going to sleep.
    clock::time_point now = spin_->slice_start;
    const bool look_at_clock = first || spin_->passes++ % passes_per_clock == 0 || hot_.size() > few_sockets;
    if (look_at_clock && !first)
    {
      now = clock::now();
      if (now >= deadline)
        return nullptr;
    }
    if (operation* op = visit_hot(look_at_clock ? &now : nullptr))
      return op;
    spin_pause();
  }
}

// Looks at every hot socket once. Returns an operation that is done, or nullptr; more of them go to ready_.
operation* reactor_core::visit_hot(const clock::time_point* now)
{
  operation_queue done;
  bool progress = false;
  bool started = false;
  bool cold = false;
  spin_->cap_of_pass = clock::duration::zero();
  for (std::size_t i = 0; i < hot_.size();)
  {
    const heat found = hot_[i]->poll_hot(done, now);
    progress = progress || found == heat::progress;
    started = started || found == heat::started;
    cold = cold || found == heat::cold;
    if (found < heat::cold)
    {
      ++i;
      continue;
    }
    std::swap(hot_[i], hot_.back());
    hot_.pop_back();
  }
  account_spin(progress, started, now);
  if (hot_.empty())
    fell_asleep(cold);
  if (done.empty())
    return nullptr;
  // Those that were done before come first, for they may be of the same socket.
  const bool older = !inbox_.empty() || news_.load(std::memory_order_acquire);
  operation* first = older ? nullptr : done.pop();
  if (!older && done.empty())
    return first;
  const std::lock_guard<std::mutex> lock(mutex_);
  inbox_.take_all(ready_);
  ready_.push(done);
  if (!first)
    first = ready_.pop();
  if (!ready_.empty())
    note_news();
  return first;
}

void reactor_core::pause_polling()
{
  bool post = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    polling_ = false;
    post = claim_post();
  }
  if (post)
    sink_.post_poll_task(true);
}

bool reactor_core::resume_polling()
{
  std::lock_guard<std::mutex> lock(mutex_);
  if (polling_ || shut_down_)
    return false;
  polling_ = true;
  return true;
}

void reactor_core::end_polling(bool holding, std::size_t debt)
{
  bool post = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    debt_ += debt;
    if (holding)
      polling_ = false;
    if (!polling_)
      spin_->place.leave(); // nobody may come back: the program may have stopped the context
    active_.store(polling_ || posted_, std::memory_order_seq_cst);
    // Who holds the role looks at the hot list; a debt must reach the scheduler even if another thread polls. The
    // inbox is looked at after active_ is told: see operation_inbox.
    if (holding)
      post = !posted_ && needs_task();
    else
      post = !posted_ && !shut_down_
          && (debt_ != 0 || (!polling_ && (!ready_.empty() || !incoming_.empty() || !inbox_.empty())));
    quiet_ = !polling_ && !posted_ && !post;
    if (post)
    {
      posted_ = true;
      active_.store(true, std::memory_order_seq_cst);
    }
  }
  if (post)
    sink_.post_poll_task(false); // the thread is on its way back to the scheduler
  if (has_retired_.load(std::memory_order_relaxed))
    free_retired();
}

void reactor_core::add_hot(socket_core& socket)
{
  bool post = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (shut_down_)
      return;
    incoming_.emplace_back(&socket); // never allocates: a socket is here once at most, and has a slot
    note_news();
    post = claim_post();
  }
  if (post)
    sink_.post_poll_task(true);
}

void reactor_core::push_ready(operation& op)
{
  inbox_.push(op);
  look_at_inbox();
}

void reactor_core::push_ready(operation_queue& done)
{
  if (done.empty())
    return;
  while (operation* op = done.pop())
    inbox_.push(*op);
  look_at_inbox();
}

void reactor_core::look_at_inbox()
{
  if (active_.load(std::memory_order_seq_cst))
    return;
  bool post = false;
  operation_queue late;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    post = claim_post();
    if (shut_down_)
      inbox_.take_all(late);
  }
  if (post)
    sink_.post_poll_task(true);
  if (!late.empty())
    sink_.post(late); // the scheduler destroys them: started while the context is destroyed
}

} // namespace detail
} // namespace shm
