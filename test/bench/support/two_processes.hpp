// SPDX-License-Identifier: BSL-1.0
// The two processes of a scenario: the forked one listens, the first one connects.
#ifndef ASIO_SHM_TEST_BENCH_SUPPORT_TWO_PROCESSES_HPP
#define ASIO_SHM_TEST_BENCH_SUPPORT_TWO_PROCESSES_HPP

#include "../../support/child_process.hpp"
#include "../../support/server_process.hpp"

#include <boost/asio/io_context.hpp>

#include <stdexcept>

namespace shm::bench {

using test::channel;
using test::child_process;
using test::receive_endpoint;
using test::send_endpoint;

/// Waits for the child's own end, and throws if it failed; it has said why on standard error.
inline void expect_success(child_process& child)
{
  if (child.wait() != 0)
    throw std::runtime_error("the other process failed");
}

/// The server's side of a scenario with one connection. The listener is closed again, so that nothing of it is left
/// behind, however the program ends.
template <class Transport>
typename Transport::protocol::socket accept_one(boost::asio::io_context& io, channel& client)
{
  typename Transport::protocol::acceptor acceptor(io, Transport::fresh_endpoint());
  send_endpoint(client, acceptor.local_endpoint());
  auto socket = acceptor.accept();
  Transport::configure(socket);
  return socket;
}

/// The client's side of accept_one().
template <class Transport>
typename Transport::protocol::socket connect_one(boost::asio::io_context& io, channel& server)
{
  typename Transport::protocol::socket socket(io);
  socket.connect(receive_endpoint<typename Transport::protocol>(server));
  Transport::configure(socket);
  return socket;
}

} // namespace shm::bench

#endif
