// SPDX-License-Identifier: BSL-1.0
// The server process of a scenario with any number of clients, each with a session of its own.
#ifndef ASIO_SHM_TEST_BENCH_SUPPORT_ACCEPTING_SERVER_HPP
#define ASIO_SHM_TEST_BENCH_SUPPORT_ACCEPTING_SERVER_HPP

#include "transports.hpp"
#include "two_processes.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/system/error_code.hpp>

#include <cerrno>
#include <csignal>
#include <memory>
#include <system_error>
#include <utility>

namespace shm::bench {

/// Accepts for ever. Makes a Session(socket, argument) for each client and calls its start(); the session keeps itself.
template <class Transport, class Session, class Argument>
class accepting_server
{
public:
  using protocol = typename Transport::protocol;

  accepting_server(boost::asio::io_context& io, const typename protocol::endpoint& endpoint, Argument argument)
    : acceptor_(io, endpoint), argument_(argument)
  {
    accept();
  }

  typename protocol::endpoint endpoint() const { return acceptor_.local_endpoint(); }

private:
  void accept()
  {
    acceptor_.async_accept(
      [this](const boost::system::error_code& error, typename protocol::socket client)
      {
        check(error, "accept");
        std::make_shared<Session>(std::move(client), argument_)->start();
        accept();
      });
  }

  typename protocol::acceptor acceptor_;
  Argument argument_;
};

/// What the server process does until end() is called in the other one.
template <class Transport, class Session, class Argument>
int serve(channel& client, Argument argument,
  const typename Transport::protocol::endpoint& endpoint = Transport::fresh_endpoint())
{
  boost::asio::io_context io;
  Transport::configure(io);
  // A signal lets the acceptor remove what it has in the file system.
  boost::asio::signal_set signals(io, SIGTERM);
  signals.async_wait([&io](const boost::system::error_code&, int) { io.stop(); });
  const accepting_server<Transport, Session, Argument> server(io, endpoint, argument);
  send_endpoint(client, server.endpoint());
  Transport::run(io);
  return 0;
}

/// Ends a process that is in serve().
inline void end(child_process& server)
{
  if (::kill(server.id(), SIGTERM) != 0)
    throw std::system_error(errno, std::generic_category(), "kill");
  expect_success(server);
}

} // namespace shm::bench

#endif
