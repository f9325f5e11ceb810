// SPDX-License-Identifier: BSL-1.0
// Joins an operation of Asio's scheduler with one of ours, and invokes completion handlers as Asio does.
#ifndef ASIO_SHM_DETAIL_SOCKET_OPERATION_HPP
#define ASIO_SHM_DETAIL_SOCKET_OPERATION_HPP

#include <shm/detail/immediate_executor.hpp>
#include <shm/detail/operation.hpp>

#include <boost/asio/detail/fenced_block.hpp>
#include <boost/asio/detail/handler_tracking.hpp>
#include <boost/asio/detail/op_queue.hpp>
#include <boost/asio/detail/operation.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <memory>
#include <utility>

namespace shm {
namespace detail {

using asio_operation = boost::asio::detail::operation;

/// Base of all asynchronous operations on sockets.
class socket_operation : public asio_operation, public operation
{
public:
  /// The socket's executor while the operation completes inside its initiating function; else null.
  const void* immediate_io_executor_ = nullptr;

protected:
  socket_operation(operation::perform_function perform_func, asio_operation::func_type complete_func)
    : asio_operation(complete_func), operation(perform_func)
  {
  }
  ~socket_operation() = default;
};

/// The operation as the scheduler knows it.
inline asio_operation* to_asio(operation* op) noexcept
{
  return static_cast<socket_operation*>(op);
}

/// Ends an operation: takes the handler out, gives the operation's memory back, then calls the handler if there is an
/// owner (a scheduler; none when the operation is destroyed unfinished).
///
/// The handler is taken out first because it may own the memory, or start an operation that reuses it.
template <bool HasSize, typename Operation, typename Bind>
void finish_operation(void* owner, Operation* op, Bind bind)
{
  typename Operation::ptr p = {std::addressof(op->handler_), op, op};
  BOOST_ASIO_HANDLER_COMPLETION((*op));
  auto work(std::move(op->work_));
  const boost::system::error_code ec = op->ec_;
  const std::size_t size = op->bytes_transferred_;
  const void* const immediate_io_ex = op->immediate_io_executor_;
  static_cast<void>(ec);
  static_cast<void>(size);
  auto bound = bind(*op);
  p.h = std::addressof(bound.handler_);
  p.reset();
  if (!owner)
    return;
  boost::asio::detail::fenced_block fence(boost::asio::detail::fenced_block::half);
  if constexpr (HasSize)
    BOOST_ASIO_HANDLER_INVOCATION_BEGIN((ec, size));
  else
    BOOST_ASIO_HANDLER_INVOCATION_BEGIN((ec));
  if (!complete_immediately(immediate_io_ex, work, bound))
    work.complete(bound, bound.handler_);
  BOOST_ASIO_HANDLER_INVOCATION_END;
}

} // namespace detail
} // namespace shm

#endif
