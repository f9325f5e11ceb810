// SPDX-License-Identifier: BSL-1.0
// The operations behind async_receive and async_send.
#ifndef ASIO_SHM_DETAIL_IO_OPERATIONS_HPP
#define ASIO_SHM_DETAIL_IO_OPERATIONS_HPP

#include <shm/detail/buffer_views.hpp>
#include <shm/detail/set_eof.hpp>
#include <shm/detail/socket_core.hpp>
#include <shm/detail/socket_operation.hpp>

#include <boost/asio/detail/bind_handler.hpp>
#include <boost/asio/detail/buffer_sequence_adapter.hpp>
#include <boost/asio/detail/handler_alloc_helpers.hpp>
#include <boost/asio/detail/handler_work.hpp>

#include <cstddef>
#include <memory>
#include <utility>

namespace shm {
namespace detail {

/// Receives into a sequence of buffers; @c Peek leaves the data.
template <typename MutableBufferSequence, typename Handler, typename IoExecutor>
class receive_operation : public socket_operation
{
public:
  BOOST_ASIO_DEFINE_HANDLER_PTR(receive_operation);

  receive_operation(const MutableBufferSequence& buffers, bool peek, Handler& handler, const IoExecutor& io_ex)
    : socket_operation(&receive_operation::do_perform, &receive_operation::do_complete),
      buffers_(buffers),
      peek_(peek),
      handler_(std::move(handler)),
      work_(handler_, io_ex)
  {
  }

  static bool do_perform(operation& base, socket_core& socket)
  {
    auto& op = static_cast<receive_operation&>(base);
    if constexpr (!boost::asio::detail::buffer_sequence_adapter<boost::asio::mutable_buffer,
                      MutableBufferSequence>::is_single_buffer)
      if (!socket.may_receive())
        return false; // so that each look at the memory does not walk through the buffers
    const mutable_views views(op.buffers_);
    const bool done = socket.try_receive(views.data(), views.size(), op.peek_, op);
    if (done)
      set_eof(op.bytes_transferred_, op.ec_);
    return done;
  }

  static void do_complete(void* owner, asio_operation* base, const boost::system::error_code&, std::size_t)
  {
    using binder = boost::asio::detail::binder2<Handler, boost::system::error_code, std::size_t>;
    finish_operation<true>(owner, static_cast<receive_operation*>(base), [](receive_operation& op) {
      return binder(op.handler_, op.ec_, op.bytes_transferred_);
    });
  }

  MutableBufferSequence buffers_;
  bool peek_;
  Handler handler_;
  boost::asio::detail::handler_work<Handler, IoExecutor> work_;
};

/// Sends from a sequence of buffers.
template <typename ConstBufferSequence, typename Handler, typename IoExecutor>
class send_operation : public socket_operation
{
public:
  BOOST_ASIO_DEFINE_HANDLER_PTR(send_operation);

  send_operation(const ConstBufferSequence& buffers, Handler& handler, const IoExecutor& io_ex)
    : socket_operation(&send_operation::do_perform, &send_operation::do_complete),
      buffers_(buffers),
      handler_(std::move(handler)),
      work_(handler_, io_ex)
  {
  }

  static bool do_perform(operation& base, socket_core& socket)
  {
    auto& op = static_cast<send_operation&>(base);
    const const_views views(op.buffers_);
    return socket.try_send(views.data(), views.size(), op);
  }

  static void do_complete(void* owner, asio_operation* base, const boost::system::error_code&, std::size_t)
  {
    using binder = boost::asio::detail::binder2<Handler, boost::system::error_code, std::size_t>;
    finish_operation<true>(owner, static_cast<send_operation*>(base), [](send_operation& op) {
      return binder(op.handler_, op.ec_, op.bytes_transferred_);
    });
  }

  ConstBufferSequence buffers_;
  Handler handler_;
  boost::asio::detail::handler_work<Handler, IoExecutor> work_;
};

} // namespace detail
} // namespace shm

#endif
