// SPDX-License-Identifier: BSL-1.0
// What the two halves of the program share.
#ifndef ASIO_SHM_TEST_PARTITION_MACHINES_PEER_HPP
#define ASIO_SHM_TEST_PARTITION_MACHINES_PEER_HPP

#include <shm/stream_protocol.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>

#include <cstdint>
#include <string>

namespace machines {

namespace asio = boost::asio;
using tcp = shm::stream_protocol;

/// What a client is told to do.
struct task
{
  std::string what;
  std::string host;
  std::string port;
  std::uint64_t bytes = 0;
  std::uint64_t count = 0;
  double seconds = 0;
};

/// Accepts until the context is stopped. A client begins with a line that says what it wants; see server.cpp.
asio::awaitable<void> serve(std::string address, unsigned short port);

/// @returns the exit code of the program; prints one line, or "flowing" and one line.
asio::awaitable<int> run(task wanted);

/// A word that a script can compare.
inline std::string name_of(const boost::system::error_code& ec)
{
  const struct
  {
    boost::system::error_code ec;
    const char* name;
  } names[] = {{{}, "success"}, {asio::error::eof, "eof"}, {asio::error::connection_reset, "connection_reset"},
      {asio::error::connection_refused, "connection_refused"}, {asio::error::host_unreachable, "host_unreachable"},
      {asio::error::broken_pipe, "broken_pipe"}, {asio::error::timed_out, "timed_out"},
      {asio::error::host_not_found, "host_not_found"}, {asio::error::operation_aborted, "operation_aborted"}};
  for (const auto& one : names)
    if (one.ec == ec)
      return one.name;
  return std::string(ec.category().name()) + ":" + std::to_string(ec.value());
}

} // namespace machines

#endif
