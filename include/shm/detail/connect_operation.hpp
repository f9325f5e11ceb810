// SPDX-License-Identifier: BSL-1.0
// The operation behind async_connect.
#ifndef ASIO_SHM_DETAIL_CONNECT_OPERATION_HPP
#define ASIO_SHM_DETAIL_CONNECT_OPERATION_HPP

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

/// Connects; pending only while the listener's backlog is full.
template <typename Handler, typename IoExecutor>
class connect_operation : public socket_operation
{
public:
  BOOST_ASIO_DEFINE_HANDLER_PTR(connect_operation);

  connect_operation(const socket_address& peer, Handler& handler, const IoExecutor& io_ex)
    : socket_operation(&connect_operation::do_perform, &connect_operation::do_complete),
      peer_(peer),
      handler_(std::move(handler)),
      work_(handler_, io_ex)
  {
  }

  static bool do_perform(operation& base, socket_core& socket)
  {
    auto& op = static_cast<connect_operation&>(base);
    return socket.try_connect(op.peer_, op);
  }

  static void do_complete(void* owner, asio_operation* base, const boost::system::error_code&, std::size_t)
  {
    finish_operation<false>(owner, static_cast<connect_operation*>(base), [](connect_operation& op) {
      return boost::asio::detail::binder1<Handler, boost::system::error_code>(op.handler_, op.ec_);
    });
  }

  socket_address peer_;
  Handler handler_;
  boost::asio::detail::handler_work<Handler, IoExecutor> work_;
};

} // namespace detail
} // namespace shm

#endif
