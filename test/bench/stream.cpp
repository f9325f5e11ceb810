// SPDX-License-Identifier: BSL-1.0
// Bytes per second from a client that writes blocks of one size to a server that reads what there is.

#include "support/one_way.hpp"
#include "support/program.hpp"
#include "support/transports.hpp"

#include <cstddef>

using namespace shm::bench;

int main(int argc, char* argv[])
{
  constexpr std::size_t read_size = 256 * 1024;
  std::size_t size = 64 * 1024;
  program bench("stream", "Bytes per second, one async_write after the other");
  bench.option("size", size, "bytes of each write");
  return bench.run(argc, argv,
    [&](report& result)
    {
      throughput measured;
      with_transport(transports_and_zero_copy(), bench.transport(),
        [&](auto transport)
        {
          const interval when = measured_interval(bench.seconds());
          measured = measure_one_way<decltype(transport)>(size, read_size, when);
        });
      result.figures["bytes_per_second"] = measured.bytes_per_second();
      result.figures["bytes_per_read"] = static_cast<double>(measured.bytes) / static_cast<double>(measured.reads);
      result.cpu = measured.cpu;
    });
}
