// SPDX-License-Identifier: BSL-1.0
// The epoll instance, the hot list and the poll role.
#include <shm/detail/reactor_core.hpp>
#include <shm/detail/socket_core.hpp>

#include "descriptor.hpp"
#include "full_fence.hpp"
#include "poll_budget.hpp"
#include "prepared_connection.hpp"
#include "spinning_threads.hpp"

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <array>
#include <iterator>
#include <new>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>
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

// Closed connections that wait to be freed.
constexpr std::size_t max_retired = 8;

// Sockets for which there is room from the first on.
constexpr std::size_t min_room = 8;

// Events that are taken at a time, and how often in a row.
constexpr int max_events = 64;
constexpr int max_rounds = 16;

// Timers that are taken at a time: what is due must not depend on memory that may be used up.
constexpr std::size_t max_due = 16;
constexpr std::uint64_t timer_data = ~std::uint64_t{0};

constexpr auto never = reactor_core::clock::time_point::max();

// Event data: generation, slot, source.
constexpr unsigned source_bits = 2;
constexpr unsigned slot_bits = 30;

std::uint64_t event_data(reactor_core::socket_id id, reactor_core::source from) noexcept
{
  return (id << source_bits) | static_cast<std::uint64_t>(from);
}

descriptor create_epoll()
{
  descriptor fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!fd.valid())
    throw boost::system::system_error(last_error(), "epoll");
  return fd;
}

// A timer in that epoll instance.
descriptor create_timer(int epoll)
{
  descriptor fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = timer_data;
  if (!fd.valid() || ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd.get(), &event) != 0)
    throw boost::system::system_error(last_error(), "timerfd");
  return fd;
}

} // namespace

struct reactor_core::slot
{
  boost::intrusive_ptr<socket_core> socket;
  std::uint32_t generation = 0;
};

struct reactor_core::timer
{
  clock::time_point when;
  boost::intrusive_ptr<socket_core> socket;
};

// What spinning has brought. Guarded by the poll role.
struct reactor_core::spin_state
{
  poll_budget budget;
  spinning_thread place; // while sockets are hot
  clock::duration cap = poll_budget::default_cap;        // the longest time that a hot socket may spend
  clock::duration cap_of_pass = clock::duration::zero(); // the same of those seen in this pass
  unsigned passes = 0;
  bool progress = false; // since the clock was read last
  bool waited = false;   // the clock was read since the last progress
  bool asleep = false;   // the last hot socket went to sleep
  clock::time_point last_progress{};
  clock::time_point now{};
  clock::time_point slice_start{};
};

reactor_core::reactor_core(completion_sink& sink)
  : sink_(sink),
    epoll_owner_(::getpid()),
    cpus_(usable_cpus()),
    busy_poll_(clock::duration(poll_budget::default_cap).count()),
    spin_level_(poll_budget::full),
    spare_end_(never),
    timer_set_(never),
    spin_(std::make_unique<spin_state>()),
    spare_(std::make_unique<spare_connection>())
{
  retired_.reserve(max_retired);
  hot_.reserve(min_room); // one at least: see move_to_hot()
  descriptor epoll = create_epoll();
  timerfd_ = create_timer(epoll.get()).release();
  epoll_ = epoll.release();
}

reactor_core::~reactor_core()
{
  ::close(epoll_);
  ::close(timerfd_);
}

void reactor_core::shutdown(operation_queue& abandoned)
{
  std::vector<boost::intrusive_ptr<socket_core>> sockets;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    shut_down_ = true;
    for (slot& s : slots_)
      if (s.socket)
        sockets.push_back(s.socket);
    abandoned.push(ready_);
    active_.store(false, std::memory_order_seq_cst); // see push_ready()
    inbox_.take_all(abandoned);
    incoming_.clear();
    timers_.clear();
  }
  hot_.clear(); // no thread runs the context any more
  spin_->place.leave();
  spare_->clear();
  free_retired();
  for (const auto& socket : sockets)
    socket->abandon(abandoned);
}

void reactor_core::prepare_fork() noexcept
{
  spare_->clear(); // of one set, both processes would make a connection
}

void reactor_core::recreate_epoll()
{
  spin_->place.after_fork();
  std::vector<boost::intrusive_ptr<socket_core>> sockets;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    descriptor epoll = create_epoll();
    descriptor new_timer = create_timer(epoll.get());
    ::close(epoll_);
    ::close(timerfd_);
    epoll_ = epoll.release();
    timerfd_ = new_timer.release();
    epoll_owner_ = ::getpid();
    for (slot& s : slots_)
      if (s.socket)
        sockets.push_back(s.socket);
    timer_set_ = never;
    set_next_timer();
  }
  for (const auto& socket : sockets)
    socket->register_again();
}

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

void reactor_core::account_spin(bool progress, bool started, const clock::time_point* now)
{
  spin_state& spin = *spin_;
  if (progress && spin.waited)
  {
    spin.waited = false;
    spin.budget.spin_ended(spin.now - spin.last_progress, spin.cap);
  }
  spin.progress = spin.progress || progress || started;
  if (!now)
    return;
  spin.now = *now;
  if (spin.cap_of_pass != clock::duration::zero())
    spin.cap = std::max<clock::duration>(spin.cap_of_pass, poll_budget::default_cap);
  if (std::exchange(spin.progress, false))
    spin.last_progress = *now;
  else
  {
    if (spare_->wanted())
      keep_spare(); // the peers of new connections have more to do than this takes
    if (has_retired_.load(std::memory_order_relaxed))
      free_retired();
    spin.waited = spin.place.enter(cpus_);
    // Too many spin already: that says nothing about the peers.
    spin_level_.store(spin.waited ? spin.budget.level() : 0, std::memory_order_relaxed);
  }
}

// No socket is hot any more. In vain: after a whole spin of the last one.
void reactor_core::fell_asleep(bool in_vain)
{
  spin_state& spin = *spin_;
  spin.place.leave();
  if (in_vain && spin.waited && spin.budget.level() > 0)
    spin.budget.spin_failed();
  spin.waited = false;
  spin.asleep = in_vain;
  spin_level_.store(spin.budget.level(), std::memory_order_relaxed);
}

// A doorbell has rung, or a peer is gone.
void reactor_core::woken()
{
  spin_state& spin = *spin_;
  if (!std::exchange(spin.asleep, false))
    return;
  spin.budget.sleep_ended(clock::now() - spin.last_progress, spin.cap);
  spin_level_.store(spin.budget.level(), std::memory_order_relaxed);
}

void reactor_core::busy_poll(clock::duration longest) noexcept
{
  busy_poll_.store(longest.count(), std::memory_order_relaxed);
}

reactor_core::clock::duration reactor_core::spin_share(clock::duration longest) noexcept
{
  spin_->cap_of_pass = std::max(spin_->cap_of_pass, longest);
  return may_spin() ? poll_budget::share_of(longest, spin_level_.load(std::memory_order_relaxed))
                    : clock::duration::zero();
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

void reactor_core::retire(std::shared_ptr<connection>&& closed) noexcept
{
  const std::shared_ptr<connection> full = std::move(closed); // freed without the lock
  const std::lock_guard<std::mutex> lock(mutex_);
  // What does not count as work may stay in the queue for long.
  if ((polling_ || (posted_ && counted_)) && retired_.size() != max_retired)
  {
    retired_.push_back(full);
    has_retired_.store(true, std::memory_order_relaxed);
  }
}

void reactor_core::free_retired() noexcept
{
  for (;;)
  {
    std::shared_ptr<connection> last; // freed without the lock
    const std::lock_guard<std::mutex> lock(mutex_);
    has_retired_.store(retired_.size() > 1, std::memory_order_relaxed);
    if (retired_.empty())
      return;
    last = std::move(retired_.back());
    retired_.pop_back();
  }
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

reactor_core::socket_id reactor_core::add_socket(socket_core& socket)
{
  std::lock_guard<std::mutex> lock(mutex_);
  std::uint32_t index;
  if (free_slots_.empty())
  {
    index = static_cast<std::uint32_t>(slots_.size());
    if (slots_.size() == slots_.capacity())
    {
      // So that nothing is allocated, and nothing can fail, when a socket is removed or becomes hot.
      const std::size_t room = std::max(min_room, 2 * slots_.size());
      free_slots_.reserve(room);
      incoming_.reserve(room);
      slots_.reserve(room);
    }
    slots_.emplace_back();
  }
  else
  {
    index = free_slots_.back();
    free_slots_.pop_back();
  }
  slots_[index].socket = &socket;
  return (std::uint64_t{slots_[index].generation} << slot_bits) | index;
}

void reactor_core::remove_socket(socket_id id) noexcept
{
  boost::intrusive_ptr<socket_core> gone; // outlives the lock
  std::lock_guard<std::mutex> lock(mutex_);
  const std::uint32_t index = static_cast<std::uint32_t>(id & ((1u << slot_bits) - 1));
  gone.swap(slots_[index].socket);
  incoming_.erase(std::remove(incoming_.begin(), incoming_.end(), gone), incoming_.end());
  ++slots_[index].generation;
  free_slots_.push_back(index);
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
