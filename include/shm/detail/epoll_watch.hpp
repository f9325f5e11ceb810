// SPDX-License-Identifier: BSL-1.0
// Has Asio's own reactor watch our epoll instance, as Asio's signal service has it watch its pipe.
#ifndef ASIO_SHM_DETAIL_EPOLL_WATCH_HPP
#define ASIO_SHM_DETAIL_EPOLL_WATCH_HPP

#include <shm/detail/reactor_core.hpp>

// First: Asio's reactor does not compile before it.
#include <boost/asio/detail/scheduler.hpp>

#include <boost/asio/detail/config.hpp>
#include <boost/asio/detail/throw_error.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/system/error_code.hpp>

#if defined(BOOST_ASIO_HAS_IO_URING_AS_DEFAULT)
#include <boost/asio/detail/io_uring_operation.hpp>
#include <boost/asio/detail/io_uring_service.hpp>
#else
#include <boost/asio/detail/reactor.hpp>
#include <boost/asio/detail/reactor_op.hpp>
#endif

#include <cstddef>
#include <memory>

namespace shm {
namespace detail {

/// A registration that counts as no work and is never re-armed: its operation never finishes.
class epoll_watch
{
public:
  epoll_watch(boost::asio::execution_context& context, reactor_core& core)
    : reactor_(boost::asio::use_service<reactor_type>(context)), core_(core)
  {
    reactor_.init_task();
  }

  /// Starts watching. @throws boost::system::system_error
  void start()
  {
#if defined(BOOST_ASIO_HAS_IO_URING_AS_DEFAULT)
    reactor_.register_internal_io_object(data_, reactor_type::read_op, new readable_op(core_));
#else
    auto op = std::make_unique<readable_op>(core_);
    const int error
        = reactor_.register_internal_descriptor(reactor_type::read_op, core_.native_handle(), data_, op.get());
    op.release(); // Asio's, whatever the outcome
    if (error)
      stop();
    boost::asio::detail::throw_error(
        boost::system::error_code(error, boost::system::system_category()), "epoll registration");
#endif
  }

  /// Stops watching.
  void stop()
  {
#if defined(BOOST_ASIO_HAS_IO_URING_AS_DEFAULT)
    reactor_.deregister_io_object(data_);
    reactor_.cleanup_io_object(data_);
#else
    reactor_.deregister_internal_descriptor(core_.native_handle(), data_);
    reactor_.cleanup_descriptor_data(data_);
#endif
  }

private:
#if defined(BOOST_ASIO_HAS_IO_URING_AS_DEFAULT)
  using reactor_type = boost::asio::detail::io_uring_service;
  using data_type = reactor_type::per_io_object_data;

  class readable_op : public boost::asio::detail::io_uring_operation
  {
  public:
    explicit readable_op(reactor_core& core)
      : io_uring_operation(
          boost::system::error_code(), &readable_op::do_prepare, &readable_op::do_perform, &readable_op::do_complete),
        core_(core)
    {
    }

  private:
    static void do_prepare(boost::asio::detail::io_uring_operation* base, ::io_uring_sqe* sqe)
    {
      ::io_uring_prep_poll_add(sqe, static_cast<readable_op*>(base)->core_.native_handle(), POLLIN);
    }

    static bool do_perform(boost::asio::detail::io_uring_operation* base, bool)
    {
      static_cast<readable_op*>(base)->core_.epoll_readable();
      return false;
    }
#else
  using reactor_type = boost::asio::detail::reactor;
  using data_type = reactor_type::per_descriptor_data;

  class readable_op : public boost::asio::detail::reactor_op
  {
  public:
    explicit readable_op(reactor_core& core)
      : reactor_op(boost::system::error_code(), &readable_op::do_perform, &readable_op::do_complete), core_(core)
    {
    }

  private:
    static status do_perform(boost::asio::detail::reactor_op* base)
    {
      static_cast<readable_op*>(base)->core_.epoll_readable();
      return not_done;
    }
#endif

    static void do_complete(
        void*, boost::asio::detail::operation* base, const boost::system::error_code&, std::size_t)
    {
      delete static_cast<readable_op*>(base);
    }

    reactor_core& core_;
  };

  reactor_type& reactor_;
  data_type data_{};
  reactor_core& core_;
};

} // namespace detail
} // namespace shm

#endif
