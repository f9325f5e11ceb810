// SPDX-License-Identifier: BSL-1.0
// The time from writing a message until an echo server has sent it back.

#include "support/echo_server.hpp"
#include "support/in_place_round_trips.hpp"
#include "support/program.hpp"
#include "support/round_trips.hpp"
#include "support/two_processes.hpp"

#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <type_traits>

#include <unistd.h>

namespace asio = boost::asio;
using namespace shm::bench;

template <class Transport>
void measure(std::size_t size, double seconds, report& result)
{
  using client = std::conditional_t<Transport::zero_copy, in_place_round_trips<Transport>, round_trips<Transport>>;

  child_process server(&serve_echo<Transport>);
  cpu_meter cpu(::getpid(), server.id());
  asio::io_context io;
  Transport::configure(io);
  auto socket = connect_one<Transport>(io, server.peer());
  client trips(socket, size);
  trips.start(measured_interval(seconds), [&] { cpu.restart(); },
    [&]
    {
      result.cpu = cpu.usage();
      socket.close();
    });
  Transport::run(io);
  expect_success(server);
  result.add(trips.times());
}

int main(int argc, char* argv[])
{
  std::size_t size = 64;
  program bench("round_trip", "Round trips through an echo server, one at a time");
  bench.option("size", size, "bytes in a message");
  return bench.run(argc, argv,
    [&](report& result)
    {
      with_transport(transports_and_zero_copy(), bench.transport(),
        [&](auto transport) { measure<decltype(transport)>(size, bench.seconds(), result); });
    });
}
