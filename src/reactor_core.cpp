// SPDX-License-Identifier: BSL-1.0
// A reactor's life: sockets, fork, shutdown, closed connections that are still to be freed.
#include "reactor_state.hpp"

#include "descriptor.hpp"
#include "prepared_connection.hpp"

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <utility>

namespace shm {
namespace detail {
namespace {

// Closed connections that wait to be freed.
constexpr std::size_t max_retired = 8;

// Sockets for which there is room from the first on.
constexpr std::size_t min_room = 8;

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

} // namespace detail
} // namespace shm
