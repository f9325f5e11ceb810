// SPDX-License-Identifier: BSL-1.0
// Messages per second: one async_write for each, while the server reads as many as there are.

#include "support/one_way.hpp"
#include "support/program.hpp"
#include "support/transports.hpp"

#include <cstddef>

using namespace shm::bench;

int main(int argc, char* argv[])
{
  constexpr std::size_t read_size = 64 * 1024;
  std::size_t size = 64;
  program bench("messages", "Messages per second, one async_write each");
  bench.option("size", size, "bytes of each message");
  return bench.run(argc, argv,
    [&](report& result)
    {
      throughput measured;
      with_transport(transports(), bench.transport(),
        [&](auto transport)
        {
          const interval when = measured_interval(bench.seconds());
          measured = measure_one_way<decltype(transport)>(size, read_size, when);
        });
      const auto messages = static_cast<double>(measured.bytes) / static_cast<double>(size);
      result.figures["messages_per_second"] = messages / measured.seconds;
      result.figures["messages_per_read"] = messages / static_cast<double>(measured.reads);
      result.cpu = measured.cpu;
    });
}
