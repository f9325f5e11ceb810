// SPDX-License-Identifier: BSL-1.0
// What Asio's socket classes ask of their service, in terms of socket_core and its operations.
#ifndef ASIO_SHM_DETAIL_SOCKET_SERVICE_HPP
#define ASIO_SHM_DETAIL_SOCKET_SERVICE_HPP

#include <shm/detail/accept_operations.hpp>
#include <shm/detail/adopt_connection.hpp>
#include <shm/detail/buffer_views.hpp>
#include <shm/detail/connect_operation.hpp>
#include <shm/detail/immediate_executor.hpp>
#include <shm/detail/io_operations.hpp>
#include <shm/detail/null_buffers.hpp>
#include <shm/detail/operation_cancellation.hpp>
#include <shm/detail/reactor_service.hpp>
#include <shm/detail/set_eof.hpp>
#include <shm/detail/socket_service_base.hpp>
#include <shm/detail/wait_operation.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/socket_base.hpp>

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

namespace shm {
namespace detail {

/// Everything of the service that is a template on the caller's handlers and buffers. The rest is in the base.
template <typename Protocol>
class socket_service : public socket_service_base<Protocol>
{
  using base = socket_service_base<Protocol>;
  using base::bad_descriptor;
  using base::kind_of;

public:
  using typename base::endpoint_type;
  using typename base::implementation_type;
  using error_code = boost::system::error_code;
  using message_flags = boost::asio::socket_base::message_flags;

  explicit socket_service(boost::asio::execution_context& context) : base(context) {}

  // --- send and receive ---

  template <typename ConstBufferSequence>
  std::size_t send(implementation_type& impl, const ConstBufferSequence& buffers, message_flags flags, error_code& ec)
  {
    if constexpr (is_null_buffers<ConstBufferSequence>)
    {
      this->wait(impl, boost::asio::socket_base::wait_write, ec);
      return 0;
    }
    else
    {
      const const_views views(buffers);
      if (!this->check_transfer(impl, flags, ec) || views.size() == 0)
        return 0;
      return impl.core_->send(views.data(), views.size(), this->until(flags), ec);
    }
  }

  template <typename ConstBufferSequence, typename Handler, typename IoExecutor>
  void async_send(implementation_type& impl, const ConstBufferSequence& buffers, message_flags flags, Handler& handler,
      const IoExecutor& io_ex)
  {
    if constexpr (is_null_buffers<ConstBufferSequence>)
    {
      using op = wait_operation<true, Handler, IoExecutor>;
      start<op>(impl, operation_kind::send, 0, false, "async_send(null_buffers)", handler, io_ex, operation_kind::send);
    }
    else
    {
      using op = send_operation<ConstBufferSequence, Handler, IoExecutor>;
      const bool nothing = all_empty<boost::asio::const_buffer>(buffers);
      start<op>(impl, operation_kind::send, flags, nothing, "async_send", handler, io_ex, buffers);
    }
  }

  template <typename MutableBufferSequence>
  std::size_t receive(
      implementation_type& impl, const MutableBufferSequence& buffers, message_flags flags, error_code& ec)
  {
    if constexpr (is_null_buffers<MutableBufferSequence>)
    {
      this->wait(impl, boost::asio::socket_base::wait_read, ec);
      return 0;
    }
    else
    {
      const mutable_views views(buffers);
      if (!this->check_transfer(impl, flags, ec) || views.size() == 0)
        return 0;
      const std::size_t size =
          impl.core_->receive(views.data(), views.size(), this->peek(flags), this->until(flags), ec);
      set_eof(size, ec);
      return size;
    }
  }

  template <typename MutableBufferSequence, typename Handler, typename IoExecutor>
  void async_receive(implementation_type& impl, const MutableBufferSequence& buffers, message_flags flags,
      Handler& handler, const IoExecutor& io_ex)
  {
    if constexpr (is_null_buffers<MutableBufferSequence>)
    {
      using op = wait_operation<true, Handler, IoExecutor>;
      start<op>(impl, operation_kind::receive, 0, false, "async_receive(null_buffers)", handler, io_ex,
          operation_kind::receive);
    }
    else
    {
      using op = receive_operation<MutableBufferSequence, Handler, IoExecutor>;
      const bool nothing = all_empty<boost::asio::mutable_buffer>(buffers);
      start<op>(impl, operation_kind::receive, flags, nothing, "async_receive", handler, io_ex, buffers,
          this->peek(flags));
    }
  }

  template <typename Handler, typename IoExecutor>
  void async_wait(
      implementation_type& impl, boost::asio::socket_base::wait_type w, Handler& handler, const IoExecutor& io_ex)
  {
    using op = wait_operation<false, Handler, IoExecutor>;
    start<op>(impl, kind_of(w), 0, false, "async_wait", handler, io_ex, kind_of(w));
  }

  // --- accept ---

  template <typename Peer>
  error_code accept(implementation_type& impl, Peer& peer, endpoint_type* peer_endpoint, error_code& ec)
  {
    if (peer.is_open())
      ec = boost::asio::error::already_open;
    else if (!impl.core_)
      ec = bad_descriptor();
    else
    {
      accepted_connection accepted = impl.core_->accept(ec);
      if (!ec)
        adopt_into(peer, impl.protocol_, std::move(accepted), peer_endpoint, ec);
    }
    return ec;
  }

  template <typename Peer, typename Handler, typename IoExecutor>
  void async_accept(implementation_type& impl, Peer& peer, endpoint_type* peer_endpoint, Handler& handler,
      const IoExecutor& io_ex)
  {
    using op = accept_operation<Peer, Protocol, Handler, IoExecutor>;
    const error_code refused = peer.is_open() ? error_code(boost::asio::error::already_open) : error_code();
    start_checked<op>(impl, operation_kind::receive, refused, false, "async_accept", handler, io_ex, peer,
        impl.protocol_, peer_endpoint);
  }

  template <typename PeerIoExecutor, typename Handler, typename IoExecutor>
  void async_move_accept(implementation_type& impl, const PeerIoExecutor& peer_io_ex, endpoint_type* peer_endpoint,
      Handler& handler, const IoExecutor& io_ex)
  {
    using op = move_accept_operation<Protocol, PeerIoExecutor, Handler, IoExecutor>;
    start_checked<op>(impl, operation_kind::receive, error_code(), false, "async_accept", handler, io_ex, peer_io_ex,
        impl.protocol_, peer_endpoint);
  }

  // --- connect ---

  template <typename Handler, typename IoExecutor>
  void async_connect(
      implementation_type& impl, const endpoint_type& peer, Handler& handler, const IoExecutor& io_ex)
  {
    using op = connect_operation<Handler, IoExecutor>;
    start_checked<op>(
        impl, operation_kind::send, error_code(), false, "async_connect", handler, io_ex, to_address(peer));
  }

private:
  template <typename Operation, typename Handler, typename IoExecutor, typename... Args>
  void start(implementation_type& impl, operation_kind kind, message_flags flags, bool nothing, const char* name,
      Handler& handler, const IoExecutor& io_ex, Args&&... args)
  {
    error_code refused;
    this->check_flags(flags, refused);
    start_checked<Operation>(impl, kind, refused, nothing, name, handler, io_ex, std::forward<Args>(args)...);
  }

  // nothing: there is nothing to transfer, so the operation completes at once. refused: it completes with this error.
  template <typename Operation, typename Handler, typename IoExecutor, typename... Args>
  void start_checked(implementation_type& impl, operation_kind kind, const error_code& refused, bool nothing,
      const char* name, Handler& handler, const IoExecutor& io_ex, Args&&... args)
  {
    auto slot = boost::asio::get_associated_cancellation_slot(handler);

    typename Operation::ptr p = {std::addressof(handler), Operation::ptr::allocate(handler), nullptr};
    p.p = new (p.v) Operation(std::forward<Args>(args)..., handler, io_ex);
    Operation& op = *p.p;
    if (slot.is_connected() && impl.core_)
      op.cancellation_key_ = &slot.template emplace<operation_cancellation>(impl.core_, kind);
    BOOST_ASIO_HANDLER_CREATION((this->reactor().context(), op, "socket", &impl,
        static_cast<unsigned long long>(impl.core_ ? impl.core_->native_handle() : -1), name));
    static_cast<void>(name);
    p.v = p.p = nullptr;

    if (refused || !impl.core_)
      op.ec_ = refused ? refused : error_code(bad_descriptor());
    else if (!nothing && !impl.core_->start(kind, op))
      return;

    if constexpr (has_immediate_executor<Handler, IoExecutor>)
    {
      op.immediate_io_executor_ = &io_ex;
      Operation::do_complete(&this->reactor(), &op, error_code(), 0);
    }
    else
      this->reactor().post_immediate(op);
  }
};

} // namespace detail
} // namespace shm

#endif
