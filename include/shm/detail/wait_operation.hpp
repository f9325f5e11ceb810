// SPDX-License-Identifier: BSL-1.0
// The operation behind async_wait, and behind receives and sends of null_buffers.
#ifndef ASIO_SHM_DETAIL_WAIT_OPERATION_HPP
#define ASIO_SHM_DETAIL_WAIT_OPERATION_HPP

#include <shm/detail/socket_core.hpp>
#include <shm/detail/socket_operation.hpp>

#include <boost/asio/detail/bind_handler.hpp>
#include <boost/asio/detail/handler_alloc_helpers.hpp>
#include <boost/asio/detail/handler_work.hpp>

#include <cstddef>
#include <memory>
#include <utility>

namespace shm {
namespace detail {

/// Waits for readiness and transfers nothing. @c HasSize: the handler takes a number of bytes, which is 0.
template <bool HasSize, typename Handler, typename IoExecutor>
class wait_operation : public socket_operation
{
public:
  BOOST_ASIO_DEFINE_HANDLER_PTR(wait_operation);

  wait_operation(operation_kind kind, Handler& handler, const IoExecutor& io_ex)
    : socket_operation(&wait_operation::do_perform, &wait_operation::do_complete),
      kind_(kind),
      handler_(std::move(handler)),
      work_(handler_, io_ex)
  {
  }

  static bool do_perform(operation& base, socket_core& socket)
  {
    auto& op = static_cast<wait_operation&>(base);
    return socket.try_wait(op.kind_, op);
  }

  static void do_complete(void* owner, asio_operation* base, const boost::system::error_code&, std::size_t)
  {
    finish_operation<HasSize>(owner, static_cast<wait_operation*>(base), [](wait_operation& op) {
      if constexpr (HasSize)
        return boost::asio::detail::binder2<Handler, boost::system::error_code, std::size_t>(
            op.handler_, op.ec_, op.bytes_transferred_);
      else
        return boost::asio::detail::binder1<Handler, boost::system::error_code>(op.handler_, op.ec_);
    });
  }

  operation_kind kind_;
  Handler handler_;
  boost::asio::detail::handler_work<Handler, IoExecutor> work_;
};

} // namespace detail
} // namespace shm

#endif
