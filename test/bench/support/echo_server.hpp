// SPDX-License-Identifier: BSL-1.0
// The echo server's process for a scenario with one connection.
#ifndef ASIO_SHM_TEST_BENCH_SUPPORT_ECHO_SERVER_HPP
#define ASIO_SHM_TEST_BENCH_SUPPORT_ECHO_SERVER_HPP

#include "echo_session.hpp"
#include "in_place_round_trips.hpp"
#include "two_processes.hpp"

#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <memory>
#include <utility>

namespace shm::bench {

/// The body of a child_process; ends with the connection.
template <class Transport>
int serve_echo(channel& client)
{
  constexpr std::size_t buffer_size = 256 * 1024;
  boost::asio::io_context io;
  Transport::configure(io);
  auto socket = accept_one<Transport>(io, client);
  if constexpr (Transport::zero_copy)
    std::make_shared<in_place_echo<Transport>>(std::move(socket))->start();
  else
    std::make_shared<echo_session<Transport>>(std::move(socket), buffer_size)->start();
  Transport::run(io);
  return 0;
}

} // namespace shm::bench

#endif
