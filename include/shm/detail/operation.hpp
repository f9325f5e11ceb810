// SPDX-License-Identifier: BSL-1.0
// A pending operation as the compiled part of the library sees it, and queues of them.
#ifndef ASIO_SHM_DETAIL_OPERATION_HPP
#define ASIO_SHM_DETAIL_OPERATION_HPP

#include <boost/system/error_code.hpp>

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

} // namespace detail
} // namespace shm

#endif
