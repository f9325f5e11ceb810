// SPDX-License-Identifier: BSL-1.0
// What differs between the transports that a scenario is measured over.
#ifndef ASIO_SHM_TEST_BENCH_SUPPORT_TRANSPORTS_HPP
#define ASIO_SHM_TEST_BENCH_SUPPORT_TRANSPORTS_HPP

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>
#include <shm/busy_poll.hpp>
#include <shm/stream_protocol.hpp>

#include <stdexcept>
#include <string>

#include <unistd.h>

namespace shm::bench {

/// An exception thrown by a handler leaves io_context::run(), and so arrives in main().
inline void check(const boost::system::error_code& error, const char* what)
{
  if (error)
    throw boost::system::system_error(error, what);
}

/// Asio over the TCP loopback.
struct tcp_transport
{
  using protocol = boost::asio::ip::tcp;
  static constexpr const char* name = "tcp";
  static constexpr bool zero_copy = false;

  /// Where a new server listens; its acceptor then has the endpoint to connect to.
  static protocol::endpoint fresh_endpoint() { return {boost::asio::ip::address_v4::loopback(), 0}; }

  /// For each new context, before any socket is made.
  static void configure(boost::asio::io_context&) {}

  /// For each connected socket.
  static void configure(protocol::socket& socket) { socket.set_option(protocol::no_delay(true)); }

  /// Runs until there is no work, or until the context is stopped.
  static void run(boost::asio::io_context& io) { io.run(); }
};

/// TCP as its users tune it for latency: a loop of poll(), which never sleeps.
struct tcp_spinning_transport : tcp_transport
{
  static constexpr const char* name = "tcp_spinning";

  static void run(boost::asio::io_context& io)
  {
    while (!io.stopped())
      io.poll();
  }
};

/// Asio over AF_UNIX.
struct unix_transport
{
  using protocol = boost::asio::local::stream_protocol;
  static constexpr const char* name = "unix";
  static constexpr bool zero_copy = false;

  /// An abstract name, which leaves no file behind.
  static protocol::endpoint fresh_endpoint()
  {
    static int count = 0;
    return {std::string(1, '\0') + "asio-shm-bench-" + std::to_string(::getpid()) + '-' + std::to_string(++count)};
  }

  static void configure(boost::asio::io_context&) {}
  static void configure(protocol::socket&) {}
  static void run(boost::asio::io_context& io) { io.run(); }
};

/// This library with its default settings.
struct shm_transport
{
  using protocol = stream_protocol;
  static constexpr const char* name = "shm";
  static constexpr bool zero_copy = false;

  static protocol::endpoint fresh_endpoint() { return {boost::asio::ip::address_v4::loopback(), 0}; }
  static void configure(boost::asio::io_context&) {}
  static void configure(protocol::socket& socket) { socket.set_option(protocol::no_delay(true)); }
  static void run(boost::asio::io_context& io) { io.run(); }
};

/// This library with polling off: each wait sleeps in the kernel.
struct shm_no_polling_transport : shm_transport
{
  static constexpr const char* name = "shm_no_polling";

  static void configure(boost::asio::io_context& io) { set_busy_poll(io, busy_poll(0)); }

  static void configure(protocol::socket& socket)
  {
    shm_transport::configure(socket);
    socket.set_option(busy_poll(0));
  }
};

/// This library, where the programs write to and read from the shared memory in place.
struct shm_zero_copy_transport : shm_transport
{
  static constexpr const char* name = "shm_zero_copy";
  static constexpr bool zero_copy = true;
};

/// The scenario has no such transport, or none at all.
class unsupported_transport : public std::invalid_argument
{
public:
  explicit unsupported_transport(const std::string& name)
    : std::invalid_argument("this scenario has no transport " + name)
  {
  }
};

template <class... Transports>
struct transport_list
{
};

/// Those of all scenarios.
using transports = transport_list<tcp_transport, tcp_spinning_transport, unix_transport, shm_transport,
  shm_no_polling_transport>;

/// Those of scenarios that have a variant without copies.
using transports_and_zero_copy = transport_list<tcp_transport, tcp_spinning_transport, unix_transport, shm_transport,
  shm_no_polling_transport, shm_zero_copy_transport>;

/// Calls visit with the transport of that name: the scenarios are templates on it.
template <class... Transports, class Visitor>
void with_transport(transport_list<Transports...>, const std::string& name, Visitor visit)
{
  bool found = false;
  const auto try_one = [&](auto transport)
  {
    if (name != decltype(transport)::name)
      return;
    found = true;
    visit(transport);
  };
  (try_one(Transports()), ...);
  if (!found)
    throw unsupported_transport(name);
}

} // namespace shm::bench

#endif
