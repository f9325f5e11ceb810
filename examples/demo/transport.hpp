// SPDX-License-Identifier: BSL-1.0
// What differs between the demo's transports: the protocol type, how an endpoint is written, and no_delay.
#ifndef ASIO_SHM_EXAMPLES_DEMO_TRANSPORT_HPP
#define ASIO_SHM_EXAMPLES_DEMO_TRANSPORT_HPP

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/lexical_cast.hpp>
#include <shm/stream_protocol.hpp>

#include <stdexcept>
#include <string>
#include <type_traits>

template <class Protocol>
constexpr bool is_unix = std::is_same_v<Protocol, boost::asio::local::stream_protocol>;

template <class Protocol>
struct transport
{
  using protocol = Protocol;
};

// Calls f with the transport of that name: the demo's programs are templates on it.
template <class Function>
void with_transport(const std::string& name, Function f)
{
  if (name == "tcp")
    f(transport<boost::asio::ip::tcp>());
  else if (name == "unix")
    f(transport<boost::asio::local::stream_protocol>());
  else if (name == "shm")
    f(transport<shm::stream_protocol>());
  else
    throw std::invalid_argument("unknown transport: " + name);
}

// A path for unix, address:port for the others.
template <class Protocol>
typename Protocol::endpoint parse_endpoint(const std::string& text)
{
  if constexpr (is_unix<Protocol>)
    return typename Protocol::endpoint(text);
  else
  {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string::npos)
      throw std::invalid_argument("not an address:port: " + text);
    return typename Protocol::endpoint(boost::asio::ip::make_address(text.substr(0, colon)),
      boost::lexical_cast<unsigned short>(text.substr(colon + 1)));
  }
}

// The one option that programs with small messages set on TCP. The same call for shared memory; AF_UNIX has no such
// option.
template <class Socket>
void set_no_delay(Socket& socket)
{
  using protocol = typename Socket::protocol_type;
  if constexpr (!is_unix<protocol>)
    socket.set_option(typename protocol::no_delay(true));
}

#endif
