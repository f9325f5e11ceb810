// SPDX-License-Identifier: BSL-1.0
// The reactor of an execution context: the bond between reactor_core and Asio's scheduler. In headers only, because
// the layout of Asio's classes depends on the user's macros.
#ifndef ASIO_SHM_DETAIL_REACTOR_SERVICE_HPP
#define ASIO_SHM_DETAIL_REACTOR_SERVICE_HPP

#include <shm/detail/epoll_watch.hpp>
#include <shm/detail/reactor_core.hpp>
#include <shm/detail/socket_operation.hpp>

#include <boost/asio/detail/scheduler.hpp>
#include <boost/asio/detail/thread_context.hpp>
#include <boost/asio/detail/thread_info_base.hpp>
#include <boost/asio/execution_context.hpp>

#include <chrono>
#include <cstddef>

namespace shm {
namespace detail {

/// The poll task is an operation in the scheduler's queue. It runs completions itself, one
/// after the other, for at most a slice of time; so a chain of ready operations costs no trip through the scheduler.
class reactor_service : public boost::asio::detail::execution_context_service_base<reactor_service>,
                        private completion_sink
{
public:
  explicit reactor_service(boost::asio::execution_context& context)
    : boost::asio::detail::execution_context_service_base<reactor_service>(context),
      scheduler_(boost::asio::use_service<boost::asio::detail::scheduler>(context)),
      core_(*this),
      watch_(context, core_),
      poll_task_(*this)
  {
    watch_.start();
  }

  /// Destroys all pending operations without calling their handlers. Asio may call it twice.
  void shutdown() override
  {
    boost::asio::detail::op_queue<asio_operation> abandoned;
    operation_queue ops;
    core_.shutdown(ops);
    while (operation* op = ops.pop())
      abandoned.push(to_asio(op));
  }

  void notify_fork(boost::asio::execution_context::fork_event event) override
  {
    using boost::asio::execution_context;
    if (event == execution_context::fork_prepare)
    {
      watch_.stop();
      core_.prepare_fork();
    }
    if (event == execution_context::fork_child)
      core_.recreate_epoll();
    if (event != execution_context::fork_prepare)
      watch_.start();
  }

  reactor_core& core() noexcept { return core_; }

  /// Completes an operation that never became pending, not inside the function that started it.
  void post_immediate(socket_operation& op)
  {
    scheduler_.work_started();
    core_.push_ready(op);
  }

private:
  // Long enough for a score of messages, short enough for timers and other handlers not to notice.
  static constexpr std::chrono::microseconds slice{10};

  // Reading the clock takes about as long as a short handler.
  static constexpr unsigned handlers_per_clock = 8;

  class poll_task : public asio_operation
  {
  public:
    explicit poll_task(reactor_service& service) : asio_operation(&poll_task::do_complete), service_(service) {}

  private:
    static void do_complete(void* owner, asio_operation* base, const boost::system::error_code&, std::size_t)
    {
      if (owner) // else the scheduler shuts down; the task is a member of the service
        static_cast<poll_task*>(base)->service_.run_poll_task(owner);
    }

    reactor_service& service_;
  };

  // Leaves the poll task in order, whichever way a handler ends.
  class poll_guard
  {
  public:
    poll_guard(reactor_service& service, bool counted) noexcept : service_(service), counted_(counted) {}

    ~poll_guard()
    {
      // The scheduler takes one off its count of work when the task returns: for the task itself if that counted,
      // else for one completion. The others are taken off by the next run of the task: not here, where work that the
      // handlers started may not be counted yet.
      if (!counted_ && completed_ == 0)
        service_.scheduler_.compensating_work_started();
      service_.core_.end_polling(holding_, completed_ - (!counted_ && completed_ != 0 ? 1 : 0));
    }

    reactor_service& service_;
    const bool counted_;
    std::size_t completed_ = 0;
    bool holding_ = true;
  };

  void run_poll_task(void* owner)
  {
    std::size_t debt = 0;
    bool counted = false;
    const auto start = reactor_core::clock::now();
    const bool holding = core_.begin_polling(start, debt, counted);
    for (; debt > 0; --debt)
      scheduler_.work_finished();
    if (!holding)
    {
      if (!counted)
        scheduler_.compensating_work_started();
      return;
    }
    poll_guard guard(*this, counted);
    auto* const this_thread = boost::asio::detail::thread_context::top_of_thread_call_stack();
    const auto deadline = start + slice;
    while (operation* op = core_.poll(deadline))
    {
      core_.pause_polling(); // another thread may poll while handlers run
      guard.holding_ = false;
      for (unsigned handlers = 1; op; op = core_.take_ready(), ++handlers)
      {
        ++guard.completed_;
        to_asio(op)->complete(owner, boost::system::error_code(), 0);
        this_thread->rethrow_pending_exception(); // of a handler with an executor of its own
        if (scheduler_.stopped() || (handlers % handlers_per_clock == 0 && reactor_core::clock::now() >= deadline))
          return;
      }
      if (!core_.resume_polling())
        return;
      guard.holding_ = true;
    }
  }

  void work_started() noexcept override { scheduler_.work_started(); }

  void post(operation_queue& done) override
  {
    boost::asio::detail::op_queue<asio_operation> ops;
    while (operation* op = done.pop())
      ops.push(to_asio(op));
    scheduler_.post_deferred_completions(ops);
  }

  void post_poll_task(bool counted) override
  {
    if (counted)
      scheduler_.do_dispatch(&poll_task_);
    else
      scheduler_.post_deferred_completion(&poll_task_);
  }

  boost::asio::detail::scheduler& scheduler_;
  reactor_core core_;
  epoll_watch watch_;
  poll_task poll_task_;
};

} // namespace detail
} // namespace shm

#endif
