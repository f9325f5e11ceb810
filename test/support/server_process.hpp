// SPDX-License-Identifier: BSL-1.0
// What the child processes of the socket tests do.

#ifndef ASIO_SHM_TEST_SUPPORT_SERVER_PROCESS_HPP
#define ASIO_SHM_TEST_SUPPORT_SERVER_PROCESS_HPP

#include "child_process.hpp"
#include "connected_pair.hpp"

#include <boost/asio/io_context.hpp>

#include <unistd.h>

namespace shm::test {

[[noreturn]] inline void sleep_until_killed()
{
  for (;;)
    ::pause();
}

/// For a child that listens and sends its port; `then(context, socket, channel)` goes
/// on with the first connection and gives the exit code.
template <class Protocol, class Then>
auto server_process(Then then)
{
  return [then](channel& parent)
  {
    boost::asio::io_context context;
    typename Protocol::acceptor acceptor(context, loopback<Protocol>());
    parent.send(acceptor.local_endpoint().port());
    auto socket = acceptor.accept();
    return then(context, socket, parent);
  };
}

} // namespace shm::test

#endif
