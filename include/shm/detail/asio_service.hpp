// SPDX-License-Identifier: BSL-1.0
// The one seam into Asio: the service template of its socket classes, specialised for our protocol.
#ifndef ASIO_SHM_DETAIL_ASIO_SERVICE_HPP
#define ASIO_SHM_DETAIL_ASIO_SERVICE_HPP

#include <shm/detail/socket_service.hpp>
#include <shm/stream_protocol.hpp>

#include <boost/asio/detail/config.hpp>
#include <boost/asio/execution_context.hpp>

#if defined(BOOST_ASIO_HAS_IO_URING_AS_DEFAULT)
#include <boost/asio/detail/io_uring_socket_service.hpp>
#define ASIO_SHM_DETAIL_ASIO_SERVICE io_uring_socket_service
#else
#include <boost/asio/detail/reactive_socket_service.hpp>
#define ASIO_SHM_DETAIL_ASIO_SERVICE reactive_socket_service
#endif

namespace boost {
namespace asio {
namespace detail {

template <>
class ASIO_SHM_DETAIL_ASIO_SERVICE<shm::stream_protocol>
  : public execution_context_service_base<ASIO_SHM_DETAIL_ASIO_SERVICE<shm::stream_protocol>>,
    public shm::detail::socket_service<shm::stream_protocol>
{
public:
  explicit ASIO_SHM_DETAIL_ASIO_SERVICE(execution_context& context)
    : execution_context_service_base<ASIO_SHM_DETAIL_ASIO_SERVICE<shm::stream_protocol>>(context),
      shm::detail::socket_service<shm::stream_protocol>(context)
  {
  }

  using shm::detail::socket_service<shm::stream_protocol>::shutdown;
  void shutdown() override {} // of the context: the reactor has all sockets
};

} // namespace detail
} // namespace asio
} // namespace boost

#undef ASIO_SHM_DETAIL_ASIO_SERVICE

// The stream buffer has a socket, so this specialisation comes first, whichever header a program includes first.
#include <shm/detail/asio_streambuf.hpp>

#endif
