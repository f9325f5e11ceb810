// SPDX-License-Identifier: BSL-1.0
// Asynchronous operations of a socket: trying, queueing, polling, arming, waking, cancelling.
#include <shm/detail/socket_core.hpp>

#include "socket_state.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <new>
#include <utility>

namespace shm {
namespace detail {

namespace asio_error = boost::asio::error;

namespace {

// On one CPU with the peer: enough for an end of the connection that this very thread serves too, and no more.
constexpr reactor_core::clock::duration shared_cpu_budget = std::chrono::microseconds(2);

// How often an acceptor looks at clients that the epoll instance had no room for.
constexpr std::chrono::milliseconds unwatched_pause{10};

// So often a socket is looked at before it goes to sleep, whatever the clock says.
constexpr unsigned fewest_visits = 64;

operation_queue* queue_of(operation_queue* queues, operation_kind kind) noexcept
{
  return &queues[static_cast<std::size_t>(kind)];
}

} // namespace

bool socket_core::pending() const noexcept
{
  return std::any_of(std::begin(queues_), std::end(queues_), [](const operation_queue& q) { return !q.empty(); });
}

// Returns whether there was one to finish.
bool socket_core::perform_all(operation_queue& done)
{
  bool completed = false;
  for (operation_queue& queue : queues_)
    while (!queue.empty() && queue.front()->perform(*this))
    {
      done.push(*queue.pop());
      completed = true;
    }
  progress_ = progress_ || completed;
  return completed;
}

// Sleeps for what is pending, and looks once more. Returns whether there was progress after all.
bool socket_core::look_again_armed(operation_queue& done)
{
  progress_ = false;
  state_->end->arm(
      !queue_of(queues_, operation_kind::receive)->empty(), !queue_of(queues_, operation_kind::send)->empty());
  perform_all(done);
  if (!std::exchange(progress_, false))
    return false;
  end_sleep();
  return true;
}

// Something is pending that could not be done now.
void socket_core::wait_for_progress(operation_queue& done)
{
  if (!state_->end)
    return; // an acceptor is watched by epoll, a connector has its timer
  if (hot_ || (reactor_.may_spin() && busy_poll() != reactor_core::clock::duration::zero()))
    wake();
  else
    while (pending() && look_again_armed(done))
      ;
}

// Ends every sleep of this side. A thread that sleeps in a blocking operation is told, so that it arms again.
void socket_core::end_sleep()
{
  state_->end->disarm();
  nudge_sleeper();
}

// Ends every sleep and has the poll task look at what is pending.
void socket_core::wake()
{
  end_sleep();
  progress_ = true;
  if (hot_ || !pending())
    return;
  reactor_.add_hot(*this);
  hot_ = true;
}

bool socket_core::start(operation_kind kind, operation& op)
{
  // Once it is queued, another thread may complete it, and its handler destroy this socket.
  reactor_core& reactor = reactor_;
  operation_queue done;
  {
    const lock_type lock(mutex_);
    operation_queue& queue = *queue_of(queues_, kind);
    if (closed_)
    {
      op.ec_ = asio_error::bad_descriptor;
      return true;
    }
    if (queue.empty() && op.perform(*this))
      return true;
    reactor.sink().work_started();
    queue.push(op);
    wait_for_progress(done);
  }
  reactor.push_ready(done);
  return false;
}

// The longest time to look at memory without progress.
reactor_core::clock::duration socket_core::busy_poll() const
{
  const std::optional<int>& own = state_->options.busy_poll();
  return own ? std::chrono::microseconds(*own) : reactor_.busy_poll();
}

reactor_core::clock::duration socket_core::limit_on_shared_cpu(reactor_core::clock::duration share)
{
  return share > shared_cpu_budget && state_->end->shares_cpu_with_peer() ? shared_cpu_budget : share;
}

reactor_core::heat socket_core::poll_hot(operation_queue& done, const reactor_core::clock::time_point* now)
{
  using heat = reactor_core::heat;
  const lock_type lock(mutex_);
  if (closed_)
    return heat::idle;
  if (!state_->end && !now)
    return heat::waiting; // an acceptor looks by system calls
  const bool completed = perform_all(done);
  ++vain_visits_;
  if (progress_)
  {
    vain_visits_ = 0;
    // And it stays for one more visit: a handler is about to start the next operation.
    if (now)
    {
      progress_ = false;
      last_progress_ = *now;
    }
    return completed ? heat::progress : heat::started;
  }
  if (!now)
    return heat::waiting;
  if (!state_->end)
  {
    // An acceptor: for as long as a HELLO is due.
    if (pending() && state_->acceptor && state_->acceptor->expects_few()
        && *now - last_progress_ < reactor_.spin_share(busy_poll()))
      return heat::waiting;
    if (state_->acceptor && state_->acceptor->expects_hello())
      state_->acceptor->looked_in_vain();
    hot_ = false;
    return heat::idle;
  }
  if (pending())
  {
    const auto waited = *now - last_progress_;
    const auto share = reactor_.spin_share(busy_poll());
    if (waited < share && waited < limit_on_shared_cpu(busy_poll()))
      return heat::waiting;
    // A context that is busy with others comes by seldom; looking here now and then costs less than a doorbell.
    if (share != reactor_core::clock::duration::zero() && vain_visits_ < fewest_visits)
      return heat::waiting;
    if (look_again_armed(done))
    {
      last_progress_ = *now;
      return heat::progress;
    }
    hot_ = false;
    return heat::cold;
  }
  hot_ = false;
  return heat::idle;
}

void socket_core::on_event(reactor_core::source from, bool hang_up)
{
  operation_queue done;
  {
    const lock_type lock(mutex_);
    if (closed_)
      return;
    // An eventfd is not drained here: each ring is an edge of its own, and after a fork the ring may be for the other
    // process.
    if (state_->end && from == reactor_core::source::doorbell)
      wake();
    else if (state_->end && from == reactor_core::source::rendezvous)
    {
      state_->end->on_rendezvous(hang_up);
      wake();
    }
    else if (state_->acceptor)
      perform_all(done);
    else if (state_->connects_later())
      perform_connect(done); // the partition daemon has answered
  }
  reactor_.push_ready(done);
}

void socket_core::take_all(operation_queue& ops, const error_code& ec)
{
  for (operation_queue& queue : queues_)
    while (operation* op = queue.pop())
    {
      op->ec_ = ec;
      op->bytes_transferred_ = 0;
      ops.push(*op);
    }
  if (state_->connects_later())
    end_connecting(false);
}

void socket_core::cancel()
{
  operation_queue ops;
  {
    const lock_type lock(mutex_);
    if (closed_)
      return;
    take_all(ops, asio_error::operation_aborted);
    if (state_->end)
      end_sleep();
  }
  reactor_.push_ready(ops);
}

void socket_core::cancel_by_key(operation_kind kind, void* key)
{
  operation_queue cancelled;
  {
    const lock_type lock(mutex_);
    if (closed_)
      return;
    operation_queue& queue = *queue_of(queues_, kind);
    operation_queue others;
    const bool connect = state_->connecting && !queue.empty() && queue.front()->cancellation_key_ == key
        && kind == operation_kind::send;
    while (operation* op = queue.pop())
    {
      if (op->cancellation_key_ == key)
      {
        op->ec_ = asio_error::operation_aborted;
        cancelled.push(*op);
      }
      else
        others.push(*op);
    }
    queue.push(others);
    if (connect)
    {
      end_connecting(false);
      perform_all(cancelled); // what waited for its outcome
    }
    if (state_->end && !pending())
      end_sleep();
  }
  reactor_.push_ready(cancelled);
}

// Whether it is worth trying: there is data, or a reason why there will be none.
bool socket_core::may_receive()
{
  return state_->end ? state_->end->readable() : !state_->connects_later();
}

bool socket_core::try_receive(const mutable_view* views, std::size_t count, bool peek, operation& op)
{
  if (state_->end)
    return state_->end->try_receive(views, count, peek, op.bytes_transferred_, op.ec_);
  if (state_->connects_later())
    return false;
  op.ec_ = asio_error::not_connected;
  return true;
}

bool socket_core::try_send(const const_view* views, std::size_t count, operation& op)
{
  if (state_->end)
    return state_->end->try_send(views, count, op.bytes_transferred_, op.ec_);
  op.ec_ = state_->acceptor ? asio_error::not_connected : asio_error::broken_pipe;
  return true;
}

bool socket_core::try_wait(operation_kind kind, operation& op)
{
  op.ec_.clear();
  if (state_->end)
    return kind == operation_kind::receive ? state_->end->readable()
        : kind == operation_kind::send     ? state_->end->writable()
                                           : state_->end->failed();
  if (!state_->acceptor)
    return !state_->connects_later(); // as poll(2) has it for an unconnected socket
  if (kind != operation_kind::receive)
    return false;
  try
  {
    error_code ignored; // accept will report it
    const bool ready = state_->acceptor->ready(state_->socket.get(), ignored);
    return !watch_new_clients() || ready;
  }
  catch (const std::bad_alloc&)
  {
    return true;
  }
}

bool socket_core::try_accept(accepted_connection& accepted, operation& op)
try
{
  if (!state_->acceptor)
  {
    op.ec_ = asio_error::invalid_argument;
    return true;
  }
  std::unique_ptr<established> client = state_->acceptor->next(state_->socket.get(), op.ec_);
  if (client)
    client->options = state_->options; // as TCP does
  accepted = accepted_connection(std::move(client));
  if (!watch_new_clients() && !accepted.valid() && !op.ec_)
    op.ec_ = asio_error::no_memory;
  return accepted.valid() || op.ec_;
}
catch (const std::bad_alloc&)
{
  op.ec_ = asio_error::no_memory;
  return true;
}

// Returns whether somebody will look for the rest of the clients: false if the next accept has to.
bool socket_core::watch_new_clients()
{
  bool arrived = false;
  bool unwatched = false;
  for (const int fd : state_->acceptor->take_new_clients())
  {
    error_code failed;
    watch(reactor_core::source::listener, fd, failed);
    unwatched = unwatched || failed;
    nudge_sleeper();
    arrived = true;
  }
  // The HELLO follows so soon that going to sleep would take longer.
  if (arrived && reactor_.may_spin() && busy_poll() != reactor_core::clock::duration::zero()
      && state_->acceptor->worth_looking())
  {
    progress_ = true;
    if (!std::exchange(hot_, true))
      reactor_.add_hot(*this);
  }
  // What no event tells of is looked at now and then.
  state_->unwatched = state_->acceptor->expects_hello() && (unwatched || state_->unwatched);
  // The backlog has told of its clients once: whoever leaves some there comes back for them.
  if (state_->acceptor->more())
    return call_later(reactor_core::clock::now());
  return !state_->unwatched || call_later(reactor_core::clock::now() + unwatched_pause);
}

void socket_core::shutdown(shutdown_direction what, error_code& ec)
{
  const lock_type lock(mutex_);
  if (closed_)
    ec = asio_error::bad_descriptor;
  else if (!state_->end)
    ec = asio_error::not_connected;
  else
  {
    ec.clear();
    if (what != shutdown_direction::send)
      state_->end->shutdown_receive();
    if (what != shutdown_direction::receive)
      state_->end->shutdown_send();
    wake();
  }
}

std::size_t socket_core::available(error_code& ec) const
{
  const lock_type lock(mutex_);
  ec.clear();
  if (closed_)
    ec = asio_error::bad_descriptor;
  else if (state_->acceptor)
    ec = asio_error::invalid_argument; // as the kernel answers to FIONREAD
  return state_->end ? state_->end->available(ec) : 0;
}

} // namespace detail
} // namespace shm
