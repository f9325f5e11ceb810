// SPDX-License-Identifier: BSL-1.0
// The part of the socket service that knows neither handlers nor buffers: lifetime, names, options, modes.
#ifndef ASIO_SHM_DETAIL_SOCKET_SERVICE_BASE_HPP
#define ASIO_SHM_DETAIL_SOCKET_SERVICE_BASE_HPP

#include <shm/detail/adopt_connection.hpp>
#include <shm/detail/reactor_service.hpp>
#include <shm/detail/set_eof.hpp>
#include <shm/detail/socket_core.hpp>
#include <shm/detail/timed_operations.hpp>
#include <shm/detail/zero_copy_operations.hpp>

#include <boost/asio/detail/socket_option.hpp>
#include <boost/asio/detail/socket_types.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/socket_base.hpp>

#include <cstddef>
#include <utility>

namespace shm {
namespace detail {

/// A closed socket has no core; an open one has one that never moves, whatever happens to the socket object.
template <typename Protocol>
class socket_service_base
{
public:
  using protocol_type = Protocol;
  using endpoint_type = typename Protocol::endpoint;
  using native_handle_type = boost::asio::detail::socket_type;
  using error_code = boost::system::error_code;

  struct implementation_type
  {
    socket_core::pointer core_;
    protocol_type protocol_ = Protocol::v4();
    bool enable_connection_aborted_ = false; // Asio's own option; here no accept is ever interrupted by an aborted one
  };

  explicit socket_service_base(boost::asio::execution_context& context)
    : reactor_(boost::asio::use_service<reactor_service>(context))
  {
  }

  // --- lifetime ---

  void construct(implementation_type&) {}

  void move_construct(implementation_type& impl, implementation_type& other) noexcept
  {
    impl = std::exchange(other, implementation_type());
  }

  void move_assign(implementation_type& impl, socket_service_base&, implementation_type& other)
  {
    destroy(impl);
    move_construct(impl, other);
  }

  void destroy(implementation_type& impl)
  {
    error_code ignored;
    close(impl, ignored);
  }

  bool is_open(const implementation_type& impl) const { return impl.core_ != nullptr; }

  error_code open(implementation_type& impl, const protocol_type& protocol, error_code& ec)
  {
    if (is_open(impl))
      return ec = boost::asio::error::already_open;
    return opened(impl, protocol, socket_core::open(reactor_.core(), protocol.family(), ec), ec);
  }

  error_code assign(
      implementation_type& impl, const protocol_type& protocol, native_handle_type native_socket, error_code& ec)
  {
    if (is_open(impl))
      return ec = boost::asio::error::already_open;
    return opened(
        impl, protocol, socket_core::assign(reactor_.core(), protocol.family(), native_socket, ec), ec);
  }

  error_code close(implementation_type& impl, error_code& ec)
  {
    ec.clear();
    impl.enable_connection_aborted_ = false;
    if (impl.core_)
      impl.core_->close(ec); // first: its mutex orders what follows behind a thread that blocks on the socket
    impl.core_.reset();
    return ec;
  }

  native_handle_type release(implementation_type& impl, error_code& ec)
  {
    if (!check(impl, ec))
      return -1;
    const native_handle_type fd = impl.core_->release(ec);
    if (!ec)
      impl.core_.reset();
    return fd;
  }

  native_handle_type native_handle(implementation_type& impl)
  {
    return is_open(impl) ? impl.core_->native_handle() : boost::asio::detail::invalid_socket;
  }

  error_code cancel(implementation_type& impl, error_code& ec)
  {
    if (check(impl, ec))
      impl.core_->cancel();
    return ec;
  }

  // --- names ---

  error_code bind(implementation_type& impl, const endpoint_type& endpoint, error_code& ec)
  {
    if (check(impl, ec))
      impl.core_->bind(to_address(endpoint), ec);
    return ec;
  }

  error_code listen(implementation_type& impl, int backlog, error_code& ec)
  {
    if (check(impl, ec))
      impl.core_->listen(backlog, ec);
    return ec;
  }

  error_code connect(implementation_type& impl, const endpoint_type& peer, error_code& ec)
  {
    if (check(impl, ec))
      impl.core_->connect(to_address(peer), socket_core::deadline(), ec);
    return ec;
  }

  endpoint_type local_endpoint(const implementation_type& impl, error_code& ec) const
  {
    if (!check(impl, ec))
      return endpoint_type();
    const socket_address address = impl.core_->local_address(ec);
    return ec ? endpoint_type() : to_endpoint<endpoint_type>(address);
  }

  endpoint_type remote_endpoint(const implementation_type& impl, error_code& ec) const
  {
    if (!check(impl, ec))
      return endpoint_type();
    const socket_address address = impl.core_->remote_address(ec);
    return ec ? endpoint_type() : to_endpoint<endpoint_type>(address);
  }

  // --- state ---

  error_code shutdown(implementation_type& impl, boost::asio::socket_base::shutdown_type what, error_code& ec)
  {
    if (check(impl, ec))
      impl.core_->shutdown(static_cast<shutdown_direction>(what), ec);
    return ec;
  }

  error_code wait(implementation_type& impl, boost::asio::socket_base::wait_type w, error_code& ec)
  {
    if (check(impl, ec))
      impl.core_->wait(kind_of(w), ec);
    return ec;
  }

  bool at_mark(const implementation_type& impl, error_code& ec) const
  {
    check(impl, ec);
    return false; // there is no out-of-band data
  }

  std::size_t available(const implementation_type& impl, error_code& ec) const
  {
    return check(impl, ec) ? impl.core_->available(ec) : 0;
  }

  template <typename Option>
  error_code set_option(implementation_type& impl, const Option& option, error_code& ec)
  {
    const protocol_type& p = impl.protocol_;
    if (!check(impl, ec))
      return ec;
    if (option.level(p) == boost::asio::detail::custom_socket_option_level)
      return set_asio_option(impl, option.name(p), option.data(p), option.size(p), ec);
    impl.core_->set_option(option.level(p), option.name(p), option.data(p), option.size(p), ec);
    return ec;
  }

  template <typename Option>
  error_code get_option(const implementation_type& impl, Option& option, error_code& ec) const
  {
    const protocol_type& p = impl.protocol_;
    if (!check(impl, ec))
      return ec;
    std::size_t size = option.size(p);
    if (option.level(p) == boost::asio::detail::custom_socket_option_level)
      get_asio_option(impl, option.name(p), option.data(p), size, ec);
    else
      impl.core_->get_option(option.level(p), option.name(p), option.data(p), size, ec);
    if (!ec)
      option.resize(p, size);
    return ec;
  }

  error_code io_control(implementation_type& impl, adopt_connection<Protocol>& command, error_code& ec)
  {
    if (is_open(impl))
      return ec = boost::asio::error::already_open;
    return opened(impl, command.protocol,
        socket_core::adopt(reactor_.core(), command.protocol.family(), std::move(command.connection), ec), ec);
  }

  error_code io_control(implementation_type& impl, timed_receive& command, error_code& ec)
  {
    const mutable_view view = {command.buffer.data(), command.buffer.size()};
    if (check(impl, ec))
    {
      command.bytes_transferred = impl.core_->receive(&view, 1, false, command.until, ec);
      set_eof(command.bytes_transferred, ec);
    }
    return ec;
  }

  error_code io_control(implementation_type& impl, timed_send& command, error_code& ec)
  {
    const const_view view = {command.buffer.data(), command.buffer.size()};
    if (check(impl, ec))
      command.bytes_transferred = impl.core_->send(&view, 1, command.until, ec);
    return ec;
  }

  error_code io_control(implementation_type& impl, timed_connect<endpoint_type>& command, error_code& ec)
  {
    if (check(impl, ec))
      impl.core_->connect(to_address(command.peer), command.until, ec);
    return ec;
  }

  error_code io_control(implementation_type& impl, prepare_space& command, error_code& ec)
  {
    command.space = boost::asio::mutable_buffer();
    if (check(impl, ec))
    {
      const mutable_view view = impl.core_->prepare(command.size, ec);
      command.space = boost::asio::mutable_buffer(view.data, view.size);
    }
    return ec;
  }

  error_code io_control(implementation_type& impl, commit_space& command, error_code& ec)
  {
    if (check(impl, ec))
      impl.core_->commit(command.size, ec);
    return ec;
  }

  error_code io_control(implementation_type& impl, look_at_data& command, error_code& ec)
  {
    command.data = boost::asio::const_buffer();
    if (check(impl, ec))
    {
      const const_view view = impl.core_->look(ec);
      command.data = boost::asio::const_buffer(view.data, view.size);
      set_eof(view.size, ec);
    }
    return ec;
  }

  error_code io_control(implementation_type& impl, consume_data& command, error_code& ec)
  {
    if (check(impl, ec))
      impl.core_->consume(command.size, ec);
    return ec;
  }

  template <typename IoControlCommand>
  error_code io_control(implementation_type& impl, IoControlCommand& command, error_code& ec)
  {
    if (!check(impl, ec))
      return ec;
    if (command.name() != static_cast<int>(FIONREAD))
      return ec = boost::asio::error::operation_not_supported;
    const std::size_t readable = impl.core_->available(ec);
    if (!ec)
      *static_cast<int*>(command.data()) = static_cast<int>(readable);
    return ec;
  }

  bool non_blocking(const implementation_type& impl) const { return is_open(impl) && impl.core_->non_blocking(); }

  error_code non_blocking(implementation_type& impl, bool mode, error_code& ec)
  {
    if (check(impl, ec))
      impl.core_->non_blocking(mode);
    return ec;
  }

  bool native_non_blocking(const implementation_type& impl) const
  {
    return is_open(impl) && impl.core_->native_non_blocking();
  }

  error_code native_non_blocking(implementation_type& impl, bool mode, error_code& ec)
  {
    if (check(impl, ec))
      impl.core_->native_non_blocking(mode, ec);
    return ec;
  }

protected:
  reactor_service& reactor() noexcept { return reactor_; }

  static boost::asio::error::basic_errors bad_descriptor() noexcept { return boost::asio::error::bad_descriptor; }

  static operation_kind kind_of(boost::asio::socket_base::wait_type w) noexcept
  {
    return w == boost::asio::socket_base::wait_read ? operation_kind::receive
        : w == boost::asio::socket_base::wait_write ? operation_kind::send
                                                    : operation_kind::error;
  }

  static bool check(const implementation_type& impl, error_code& ec)
  {
    if (impl.core_)
      ec.clear();
    else
      ec = bad_descriptor();
    return impl.core_ != nullptr;
  }

  // Out-of-band data and everything unknown is refused; the rest has no meaning here.
  static bool check_flags(boost::asio::socket_base::message_flags flags, error_code& ec)
  {
    constexpr int accepted = MSG_PEEK | MSG_DONTROUTE | MSG_EOR | MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE;
    if (flags & ~accepted)
      ec = boost::asio::error::operation_not_supported;
    else
      ec.clear();
    return !ec;
  }

  static bool check_transfer(
      const implementation_type& impl, boost::asio::socket_base::message_flags flags, error_code& ec)
  {
    return check(impl, ec) && check_flags(flags, ec);
  }

  static bool peek(boost::asio::socket_base::message_flags flags) noexcept { return (flags & MSG_PEEK) != 0; }

  static socket_core::deadline until(boost::asio::socket_base::message_flags flags) noexcept
  {
    return flags & MSG_DONTWAIT ? socket_core::at_once() : socket_core::deadline();
  }

private:
  static error_code opened(
      implementation_type& impl, const protocol_type& protocol, socket_core::pointer core, error_code& ec)
  {
    if (!ec)
    {
      impl.core_ = std::move(core);
      impl.protocol_ = protocol;
    }
    return ec;
  }

  // Options that exist only in Asio, not in the kernel.
  static error_code set_asio_option(
      implementation_type& impl, int name, const void* data, std::size_t size, error_code& ec)
  {
    if (name == boost::asio::detail::enable_connection_aborted_option && size == sizeof(int))
      impl.enable_connection_aborted_ = *static_cast<const int*>(data) != 0;
    else
      ec = boost::asio::error::invalid_argument;
    return ec;
  }

  static void get_asio_option(
      const implementation_type& impl, int name, void* data, std::size_t& size, error_code& ec)
  {
    if (name == boost::asio::detail::enable_connection_aborted_option && size == sizeof(int))
      *static_cast<int*>(data) = impl.enable_connection_aborted_ ? 1 : 0;
    else
      ec = boost::asio::error::invalid_argument;
  }

  reactor_service& reactor_;
};

} // namespace detail
} // namespace shm

#endif
