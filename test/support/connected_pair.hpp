// SPDX-License-Identifier: BSL-1.0
// A client socket and the server socket that it is connected to.

#ifndef ASIO_SHM_TEST_SUPPORT_CONNECTED_PAIR_HPP
#define ASIO_SHM_TEST_SUPPORT_CONNECTED_PAIR_HPP

#include "temp_runtime_directory.hpp"
#include "transports.hpp"

#include <boost/asio/ip/address_v4.hpp>

#include <atomic>
#include <string>
#include <vector>

#include <unistd.h>

namespace shm::test {

/// A path in a directory of this executable's own that no other call gives, in no process of the test.
inline std::string unused_path()
{
  static const temp_directory directory;
  static std::atomic<int> count{0};
  return directory.path() + "/" + std::to_string(::getpid()) + "." + std::to_string(++count);
}

/// An endpoint to listen on: the loopback address and an ephemeral port, or a path that nobody uses.
template <class Protocol>
typename Protocol::endpoint loopback()
{
  if constexpr (is_local<Protocol>)
    return unused_path();
  else
    return {boost::asio::ip::address_v4::loopback(), 0};
}

/// What to open a socket with that is to be bound or connected to such an endpoint.
template <class Protocol>
Protocol loopback_protocol()
{
  if constexpr (is_local<Protocol>)
    return {};
  else
    return Protocol::v4();
}

/// Everything that a socket can be opened with.
template <class Protocol>
std::vector<Protocol> all_protocols()
{
  if constexpr (is_local<Protocol>)
    return {Protocol()};
  else
    return {Protocol::v4(), Protocol::v6()};
}

/// Whether a bound socket has such an endpoint: one with a port, or a path.
template <class Endpoint>
bool is_assigned(const Endpoint& endpoint)
{
  if constexpr (is_local<typename Endpoint::protocol_type>)
    return !endpoint.path().empty();
  else
    return endpoint.port() != 0;
}

/// Lets an endpoint be bound again whose listener is gone, as the programs of its protocol do: local sockets leave a
/// file behind.
template <class Endpoint>
void free_endpoint(const Endpoint& endpoint)
{
  if constexpr (is_local<typename Endpoint::protocol_type>)
    ::unlink(endpoint.path().c_str());
}

/// The loopback address and that port.
template <class Protocol>
typename Protocol::endpoint loopback(unsigned short port)
{
  return {boost::asio::ip::address_v4::loopback(), port};
}

template <class Protocol>
struct connected_pair
{
  typename Protocol::socket client;
  typename Protocol::socket server;

  template <class Context>
  explicit connected_pair(Context& context) : connected_pair(context, context)
  {}

  template <class Context1, class Context2>
  connected_pair(Context1& client_context, Context2& server_context) : client(client_context), server(server_context)
  {
    typename Protocol::acceptor acceptor(server_context, loopback<Protocol>());
    client.connect(acceptor.local_endpoint());
    acceptor.accept(server);
  }

  /// A pair whose two directions hold only a little data.
  template <class Context>
  connected_pair(Context& context, int buffer_size) : client(context), server(context)
  {
    using socket = typename Protocol::socket;
    typename Protocol::acceptor acceptor(context);
    acceptor.open(loopback_protocol<Protocol>());
    acceptor.set_option(typename socket::receive_buffer_size(buffer_size));
    acceptor.set_option(typename socket::send_buffer_size(buffer_size));
    acceptor.bind(loopback<Protocol>());
    acceptor.listen();
    client.open(loopback_protocol<Protocol>());
    client.set_option(typename socket::receive_buffer_size(buffer_size));
    client.set_option(typename socket::send_buffer_size(buffer_size));
    client.connect(acceptor.local_endpoint());
    acceptor.accept(server);
  }
};

} // namespace shm::test

#endif
