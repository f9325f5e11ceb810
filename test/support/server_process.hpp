// SPDX-License-Identifier: BSL-1.0
// What the child processes of the socket tests do.

#ifndef ASIO_SHM_TEST_SUPPORT_SERVER_PROCESS_HPP
#define ASIO_SHM_TEST_SUPPORT_SERVER_PROCESS_HPP

#include "child_process.hpp"
#include "connected_pair.hpp"

#include <boost/asio/io_context.hpp>

#include <array>
#include <cstddef>
#include <cstring>

#include <sys/un.h>
#include <unistd.h>

namespace shm::test {

[[noreturn]] inline void sleep_until_killed()
{
  for (;;)
    ::pause();
}

/// Sends an endpoint of any kind to the other process.
template <class Endpoint>
void send_endpoint(channel& to, const Endpoint& endpoint)
{
  std::array<unsigned char, sizeof(sockaddr_un)> bytes{};
  std::memcpy(bytes.data(), endpoint.data(), endpoint.size());
  to.send(static_cast<std::size_t>(endpoint.size()));
  to.send(bytes);
}

/// Waits for an endpoint of this protocol, as it was sent by send_endpoint().
template <class Protocol>
typename Protocol::endpoint receive_endpoint(channel& from)
{
  typename Protocol::endpoint result;
  const auto size = from.receive<std::size_t>();
  const auto bytes = from.receive<std::array<unsigned char, sizeof(sockaddr_un)>>();
  std::memcpy(result.data(), bytes.data(), size);
  result.resize(size);
  return result;
}

/// For a child that listens and sends its endpoint; `then(context, socket, channel)` goes
/// on with the first connection and gives the exit code.
template <class Protocol, class Then>
auto server_process(Then then)
{
  // Asked for before the fork: the directory that a path is in belongs to the test.
  return [then, listens_to = loopback<Protocol>()](channel& parent)
  {
    boost::asio::io_context context;
    typename Protocol::acceptor acceptor(context, listens_to);
    send_endpoint(parent, acceptor.local_endpoint());
    auto socket = acceptor.accept();
    return then(context, socket, parent);
  };
}

} // namespace shm::test

#endif
