// SPDX-License-Identifier: BSL-1.0
// What a cancellation slot holds for a pending operation.
#ifndef ASIO_SHM_DETAIL_OPERATION_CANCELLATION_HPP
#define ASIO_SHM_DETAIL_OPERATION_CANCELLATION_HPP

#include <shm/detail/socket_core.hpp>

#include <boost/asio/cancellation_type.hpp>

#include <utility>

namespace shm {
namespace detail {

/// Cancels the operation that carries its address as cancellation key. Every operation transfers all or nothing of what
/// its completion reports, so all three types of cancellation are the same.
class operation_cancellation
{
public:
  operation_cancellation(socket_core::pointer socket, operation_kind kind) noexcept
    : socket_(std::move(socket)), kind_(kind)
  {
  }

  void operator()(boost::asio::cancellation_type_t type)
  {
    using boost::asio::cancellation_type;
    if (!!(type & (cancellation_type::terminal | cancellation_type::partial | cancellation_type::total)))
      socket_->cancel_by_key(kind_, this);
  }

private:
  socket_core::pointer socket_; // outlives the socket that it belonged to
  operation_kind kind_;
};

} // namespace detail
} // namespace shm

#endif
