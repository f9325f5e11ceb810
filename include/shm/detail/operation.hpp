// SPDX-License-Identifier: BSL-1.0
// A pending operation as the compiled part of the library sees it, and queues of them.
#ifndef ASIO_SHM_DETAIL_OPERATION_HPP
#define ASIO_SHM_DETAIL_OPERATION_HPP

#include <boost/system/error_code.hpp>

#include <atomic>
#include <cstddef>

namespace shm {
namespace detail {

class socket_core;

/// Base of every operation that waits on a socket. It shares nothing with Asio's operations, whose layout depends on
/// the user's macros: a header joins the two in one object.
class operation
{
public:
  /// Tries to finish the operation; called with the socket's mutex held. @returns whether it is finished.
  using perform_function = bool (*)(operation&, socket_core&);

  operation(const operation&) = delete;
  operation& operator=(const operation&) = delete;

  bool perform(socket_core& socket) { return perform_(*this, socket); }

  boost::system::error_code ec_;
  std::size_t bytes_transferred_ = 0;
  void* cancellation_key_ = nullptr;

protected:
  explicit operation(perform_function function) noexcept : perform_(function) {}
  ~operation() = default;

private:
  friend class operation_queue;
  friend class operation_inbox;
  operation* next_ = nullptr;
  perform_function perform_;
};

/// An intrusive first-in, first-out queue. Owns nothing.
class operation_queue
{
public:
  operation_queue() = default;
  operation_queue(const operation_queue&) = delete;
  operation_queue& operator=(const operation_queue&) = delete;

  bool empty() const noexcept { return front_ == nullptr; }
  operation* front() const noexcept { return front_; }

  void push(operation& op) noexcept
  {
    op.next_ = nullptr;
    if (back_)
      back_->next_ = &op;
    else
      front_ = &op;
    back_ = &op;
  }

  /// Moves all of the other queue's operations behind these.
  void push(operation_queue& other) noexcept
  {
    if (other.empty())
      return;
    if (back_)
      back_->next_ = other.front_;
    else
      front_ = other.front_;
    back_ = other.back_;
    other.front_ = other.back_ = nullptr;
  }

  /// Removes the first operation. @returns it, or nullptr.
  operation* pop() noexcept
  {
    operation* op = front_;
    if (op)
    {
      front_ = op->next_;
      if (!front_)
        back_ = nullptr;
      op->next_ = nullptr;
    }
    return op;
  }

private:
  operation* front_ = nullptr;
  operation* back_ = nullptr;
};

/// A queue that any thread fills and any thread empties, without a lock. Owns nothing.
class operation_inbox
{
public:
  operation_inbox() = default;
  operation_inbox(const operation_inbox&) = delete;
  operation_inbox& operator=(const operation_inbox&) = delete;

  bool empty() const noexcept { return newest_.load(std::memory_order_seq_cst) == nullptr; }

  /// Sequentially consistent, as empty() is: who pushes and then looks whether somebody will empty the inbox, and who
  /// stops emptying it and then looks whether it is empty, cannot miss each other.
  void push(operation& op) noexcept
  {
    operation* newest = newest_.load(std::memory_order_relaxed);
    do
      op.next_ = newest;
    while (!newest_.compare_exchange_weak(newest, &op, std::memory_order_seq_cst, std::memory_order_relaxed));
  }

  /// Moves everything behind what the queue holds, in the order of the pushes.
  void take_all(operation_queue& queue) noexcept
  {
    if (!newest_.load(std::memory_order_relaxed))
      return;
    operation* newest = newest_.exchange(nullptr, std::memory_order_acquire);
    operation* oldest = nullptr;
    while (newest)
    {
      operation* const next = newest->next_;
      newest->next_ = oldest;
      oldest = newest;
      newest = next;
    }
    while (oldest)
    {
      operation* const next = oldest->next_;
      queue.push(*oldest);
      oldest = next;
    }
  }

private:
  std::atomic<operation*> newest_{nullptr};
};

} // namespace detail
} // namespace shm

#endif
