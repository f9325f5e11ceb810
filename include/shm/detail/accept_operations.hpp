// SPDX-License-Identifier: BSL-1.0
// The operations behind async_accept: into a socket that the caller has, and into a new one.
#ifndef ASIO_SHM_DETAIL_ACCEPT_OPERATIONS_HPP
#define ASIO_SHM_DETAIL_ACCEPT_OPERATIONS_HPP

#include <shm/detail/adopt_connection.hpp>
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

/// What both accept operations have in common: a connection to be had, and what it is for.
template <typename Protocol>
class accept_operation_base : public socket_operation
{
protected:
  using endpoint_type = typename Protocol::endpoint;

  accept_operation_base(const Protocol& protocol, endpoint_type* peer_endpoint, asio_operation::func_type complete_func)
    : socket_operation(&accept_operation_base::do_perform, complete_func), protocol_(protocol), peer_endpoint_(peer_endpoint)
  {
  }
  ~accept_operation_base() = default;

  template <typename Peer>
  void hand_over(Peer& peer)
  {
    if (accepted_.valid())
      adopt_into(peer, protocol_, std::move(accepted_), peer_endpoint_, this->ec_);
  }

private:
  static bool do_perform(operation& base, socket_core& socket)
  {
    auto& op = static_cast<accept_operation_base&>(base);
    return socket.try_accept(op.accepted_, op);
  }

  Protocol protocol_;
  endpoint_type* peer_endpoint_;
  accepted_connection accepted_;
};

/// Accepts into a given socket.
template <typename Peer, typename Protocol, typename Handler, typename IoExecutor>
class accept_operation : public accept_operation_base<Protocol>
{
public:
  BOOST_ASIO_DEFINE_HANDLER_PTR(accept_operation);

  accept_operation(Peer& peer, const Protocol& protocol, typename Protocol::endpoint* peer_endpoint, Handler& handler,
      const IoExecutor& io_ex)
    : accept_operation_base<Protocol>(protocol, peer_endpoint, &accept_operation::do_complete),
      peer_(peer),
      handler_(std::move(handler)),
      work_(handler_, io_ex)
  {
  }

  static void do_complete(void* owner, asio_operation* base, const boost::system::error_code&, std::size_t)
  {
    auto* op = static_cast<accept_operation*>(base);
    if (owner)
      op->hand_over(op->peer_);
    finish_operation<false>(owner, op, [](accept_operation& o) {
      return boost::asio::detail::binder1<Handler, boost::system::error_code>(o.handler_, o.ec_);
    });
  }

  Peer& peer_;
  Handler handler_;
  boost::asio::detail::handler_work<Handler, IoExecutor> work_;
};

/// Accepts into a socket of its own, which the handler gets.
template <typename Protocol, typename PeerIoExecutor, typename Handler, typename IoExecutor>
class move_accept_operation : public accept_operation_base<Protocol>
{
public:
  using peer_type = typename Protocol::socket::template rebind_executor<PeerIoExecutor>::other;

  BOOST_ASIO_DEFINE_HANDLER_PTR(move_accept_operation);

  move_accept_operation(const PeerIoExecutor& peer_io_ex, const Protocol& protocol,
      typename Protocol::endpoint* peer_endpoint, Handler& handler, const IoExecutor& io_ex)
    : accept_operation_base<Protocol>(protocol, peer_endpoint, &move_accept_operation::do_complete),
      peer_(peer_io_ex),
      handler_(std::move(handler)),
      work_(handler_, io_ex)
  {
  }

  static void do_complete(void* owner, asio_operation* base, const boost::system::error_code&, std::size_t)
  {
    auto* op = static_cast<move_accept_operation*>(base);
    if (owner)
      op->hand_over(op->peer_);
    finish_operation<false>(owner, op, [](move_accept_operation& o) {
      return boost::asio::detail::move_binder2<Handler, boost::system::error_code, peer_type>(
          0, std::move(o.handler_), o.ec_, std::move(o.peer_));
    });
  }

  peer_type peer_;
  Handler handler_;
  boost::asio::detail::handler_work<Handler, IoExecutor> work_;
};

} // namespace detail
} // namespace shm

#endif
