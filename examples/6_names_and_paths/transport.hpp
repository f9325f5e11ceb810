// SPDX-License-Identifier: BSL-1.0
// The transport of both programs, and how they read an endpoint from the command line.
#ifndef ASIO_SHM_EXAMPLES_6_NAMES_AND_PATHS_TRANSPORT_HPP
#define ASIO_SHM_EXAMPLES_6_NAMES_AND_PATHS_TRANSPORT_HPP

#if defined(USE_SHM)
#include <shm/stream_protocol.hpp>
using transport = shm::stream_protocol;
#else
#include <boost/asio/local/stream_protocol.hpp>
using transport = boost::asio::local::stream_protocol;
#endif

#include <boost/asio/ip/address.hpp>
#include <boost/lexical_cast.hpp>

#include <string>

// "/run/service" or "./service": a path. "127.0.0.1:4321": an address and a port, shared memory only. Anything else: a
// short name there, and a file of the current directory otherwise.
inline transport::endpoint parse_endpoint(const std::string& text)
{
#if defined(USE_SHM)
  const auto colon = text.rfind(':');
  if (text.find('/') == std::string::npos && colon != std::string::npos)
    return {boost::asio::ip::make_address(text.substr(0, colon)),
      boost::lexical_cast<unsigned short>(text.substr(colon + 1))};
#endif
  return text;
}

#endif
