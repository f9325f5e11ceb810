// SPDX-License-Identifier: BSL-1.0
// How an acceptor hands a connection to a socket of any executor and context: by an I/O control command.
#ifndef ASIO_SHM_DETAIL_ADOPT_CONNECTION_HPP
#define ASIO_SHM_DETAIL_ADOPT_CONNECTION_HPP

#include <shm/detail/accepted_connection.hpp>
#include <shm/detail/socket_address.hpp>

#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>

#include <cstring>
#include <utility>

namespace shm {
namespace detail {

/// Never reaches the kernel: basic_socket::io_control is public and leads to the service of the socket.
template <typename Protocol>
struct adopt_connection
{
  Protocol protocol;
  accepted_connection connection;
};

template <typename Endpoint>
socket_address to_address(const Endpoint& endpoint) noexcept
{
  socket_address address;
  address.size = endpoint.size();
  std::memcpy(address.data, endpoint.data(), address.size);
  return address;
}

template <typename Endpoint>
Endpoint to_endpoint(const socket_address& address)
{
  Endpoint endpoint;
  std::memcpy(endpoint.data(), address.data, address.size);
  endpoint.resize(address.size);
  return endpoint;
}

/// Opens @p peer with the connection. @param ec already_open, or what adopting gave.
template <typename Peer, typename Protocol>
void adopt_into(Peer& peer, const Protocol& protocol, accepted_connection&& connection,
    typename Protocol::endpoint* peer_endpoint, boost::system::error_code& ec)
{
  if (peer.is_open())
  {
    ec = boost::asio::error::already_open;
    return;
  }
  const socket_address remote = connection.remote();
  adopt_connection<Protocol> command{protocol, std::move(connection)};
  peer.io_control(command, ec);
  if (!ec && peer_endpoint)
    *peer_endpoint = to_endpoint<typename Protocol::endpoint>(remote);
}

} // namespace detail
} // namespace shm

#endif
