// SPDX-License-Identifier: BSL-1.0
// An iostream and the socket that it is connected to.

#ifndef ASIO_SHM_TEST_SUPPORT_STREAM_AND_PEER_HPP
#define ASIO_SHM_TEST_SUPPORT_STREAM_AND_PEER_HPP

#include "connected_pair.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include <cstddef>
#include <string>

namespace shm::test {

template <class Protocol>
struct stream_and_peer
{
  boost::asio::io_context context;
  typename Protocol::acceptor acceptor{context, loopback<Protocol>()};
  typename Protocol::iostream stream{acceptor.local_endpoint()};
  typename Protocol::socket peer = acceptor.accept();

  void peer_writes(const std::string& text) { boost::asio::write(peer, boost::asio::buffer(text)); }

  std::string peer_reads(std::size_t size)
  {
    std::string text(size, '\0');
    boost::asio::read(peer, boost::asio::buffer(text));
    return text;
  }
};

} // namespace shm::test

#endif
