// SPDX-License-Identifier: BSL-1.0
// Blocking operations of a socket: spin a little, then sleep on its own descriptors, with or without a reactor.
#include <shm/detail/socket_core.hpp>

#include "full_fence.hpp"
#include "shared_eventfd.hpp"
#include "socket_state.hpp"
#include "spinning_threads.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <chrono>
#include <new>
#include <poll.h>
#include <time.h>
#include <utility>
#include <vector>

namespace shm {
namespace detail {

namespace asio_error = boost::asio::error;

namespace {

// Never queued: lets blocking operations use what asynchronous ones use.
class blocking_operation : public operation
{
public:
  blocking_operation() noexcept
    : operation([](operation&, socket_core&) { return false; })
  {
  }
};

// Then it is soon enough for another look at the clock; and no sum of times overflows.
constexpr std::chrono::hours longest_sleep{24};

timespec time_until(reactor_core::clock::time_point deadline) noexcept
{
  const auto now = reactor_core::clock::now();
  const auto left = deadline <= now ? reactor_core::clock::duration::zero()
                                    : std::min<reactor_core::clock::duration>(deadline - now, longest_sleep);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  timespec result = {};
  result.tv_sec = static_cast<decltype(result.tv_sec)>(seconds.count());
  result.tv_nsec = static_cast<decltype(result.tv_nsec)>(std::chrono::nanoseconds(left - seconds).count());
  return result;
}

} // namespace

void socket_core::nudge_sleeper() noexcept
{
  if (state_->sleeper)
    ring_eventfd(state_->nudge.get());
}

// Waits until something may have changed, or the deadline is past. Spurious returns are possible.
void socket_core::sleep(lock_type& lock, operation_kind kind, const deadline& until, error_code& ec)
try
{
  socket_state& state = *state_;
  if (state.sleeper)
  {
    // The one who sleeps on the descriptors tells.
    if (until)
      state.followers.wait_until(lock, std::min(*until, reactor_core::clock::now() + longest_sleep));
    else
      state.followers.wait(lock);
    return;
  }
  // Not the doorbell itself: the reactor watches that one too, and either may drain it before the other has seen it.
  if (!state.nudge.valid())
    state.nudge = open_eventfd(ec);
  if (ec)
    return;
  const std::shared_ptr<connection> end = state.end; // keeps the descriptors open if the socket is closed meanwhile
  std::vector<int> fds = {state.nudge.get()};
  if (end)
    fds.push_back(end->rendezvous());
  if (end && end->own_doorbell() >= 0)
    fds.push_back(end->own_doorbell());
  // Nothing else tells of what the other waits are for: clients end no wait for an error, and a socket that is not
  // connected always looks hung up.
  if (state.acceptor && kind == operation_kind::receive)
  {
    fds.push_back(state.socket.get());
    state.acceptor->clients(fds);
  }
  std::vector<pollfd> polled;
  for (const int fd : fds)
    polled.push_back({fd, POLLIN | POLLRDHUP, 0});

  state.sleeper = true;
  lock.unlock();
  const timespec left = until ? time_until(*until) : timespec();
  ::ppoll(polled.data(), polled.size(), until ? &left : nullptr, nullptr); // a signal is a spurious return
  lock.lock();
  state.sleeper = false;
  state.followers.notify_all();
  if (polled[0].revents != 0)
    drain_eventfd(polled[0].fd);
  if (closed_ || !end)
    return;
  if (polled.size() > 2 && polled[2].revents != 0)
    end->drain_doorbell();
  if (polled[1].revents != 0)
    end->on_rendezvous((polled[1].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0);
  wake(); // asynchronous operations sleep on the same doorbell
}
catch (const std::bad_alloc&)
{
  ec = asio_error::no_memory; // for the list of descriptors
}

// Looks at the memory for as long as that promises something. Returns whether the operation is finished.
template <typename Attempt>
bool socket_core::spin(lock_type& lock, const deadline& limit, Attempt finished)
{
  const auto share = limit_on_shared_cpu(state_->spinning.share_of(busy_poll()));
  spinning_thread place;
  if (share == reactor_core::clock::duration::zero() || !place.enter(reactor_.cpus()))
    return false;
  const auto start = reactor_core::clock::now();
  const auto end = limit ? std::min(start + share, *limit) : start + share;
  auto now = start;
  do
  {
    lock.unlock();
    spin_pause();
    lock.lock();
    now = reactor_core::clock::now();
    if (finished())
    {
      state_->spinning.spin_ended(now - start, busy_poll());
      return true;
    }
  } while (now < end);
  state_->spinning.spin_failed();
  return false;
}

template <typename Attempt>
void socket_core::block(lock_type& lock, operation_kind kind, const deadline& until, error_code& ec, Attempt attempt)
{
  const auto finished = [&] {
    if (closed_)
      ec = asio_error::bad_descriptor;
    return closed_ || attempt();
  };
  if (finished())
    return;
  const deadline limit = !until && state_->non_blocking ? at_once() : until;
  const auto too_late = [&] { return limit && *limit <= reactor_core::clock::now(); };
  if (too_late())
  {
    if (state_->end)
      state_->end->look_for_hang_up(true);
    if (!finished())
      ec = asio_error::would_block;
    return;
  }
  if (state_->end && reactor_.may_spin() && spin(lock, limit, finished))
    return;
  for (;;)
  {
    if (state_->end)
    {
      // To wait for the end is to sleep for data too: rings that are due are only taken by who sleeps.
      state_->end->arm(kind != operation_kind::send, kind == operation_kind::send);
      if (finished())
      {
        if (!closed_)
          wake();
        return;
      }
    }
    else if (finished())
      return;
    const auto asleep_since = reactor_core::clock::now();
    sleep(lock, kind, limit, ec);
    if (!closed_ && state_->end)
      state_->spinning.sleep_ended(reactor_core::clock::now() - asleep_since, busy_poll());
    if (ec || finished())
      return;
    if (too_late())
    {
      ec = asio_error::would_block;
      return;
    }
  }
}

std::size_t socket_core::receive(
    const mutable_view* views, std::size_t count, bool peek, const deadline& until, error_code& ec)
{
  const pointer self(this);
  lock_type lock(mutex_);
  blocking_operation op;
  ec.clear();
  block(lock, operation_kind::receive, until, ec, [&] {
    const bool done = try_receive(views, count, peek, op);
    if (done)
      ec = op.ec_;
    return done;
  });
  return op.bytes_transferred_;
}

std::size_t socket_core::send(const const_view* views, std::size_t count, const deadline& until, error_code& ec)
{
  const pointer self(this);
  lock_type lock(mutex_);
  blocking_operation op;
  ec.clear();
  if (!closed_ && state_->end)
    state_->end->look_for_hang_up(false);
  block(lock, operation_kind::send, until, ec, [&] {
    const bool done = try_send(views, count, op);
    if (done)
      ec = op.ec_;
    return done;
  });
  return op.bytes_transferred_;
}

void socket_core::wait(operation_kind kind, error_code& ec)
{
  const pointer self(this);
  lock_type lock(mutex_);
  blocking_operation op;
  ec.clear();
  block(lock, kind, deadline(), ec, [&] { return try_wait(kind, op); });
}

accepted_connection socket_core::accept(error_code& ec)
{
  const pointer self(this);
  lock_type lock(mutex_);
  blocking_operation op;
  accepted_connection result;
  ec.clear();
  block(lock, operation_kind::receive, deadline(), ec, [&] {
    const bool done = try_accept(result, op);
    if (done)
      ec = op.ec_;
    return done;
  });
  return result;
}

} // namespace detail
} // namespace shm
