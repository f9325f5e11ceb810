// SPDX-License-Identifier: BSL-1.0
// The shortest round trip between two processes: a cache line there, another one back, both sides spinning.

#include "limit.hpp"
#include "support/two_processes.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <stdexcept>

#include <unistd.h>

using namespace shm::bench;

namespace {

// Blocks of their own: processors fetch lines in pairs.
struct lines
{
  alignas(128) std::atomic<std::uint64_t> there{0};
  alignas(128) std::atomic<std::uint64_t> back{0};
};

[[noreturn]] void answer(lines& shared)
{
  for (std::uint64_t n = 1;; ++n)
  {
    spin_until([&] { return shared.there.load(std::memory_order_acquire) == n; });
    shared.back.store(n, std::memory_order_release);
  }
}

} // namespace

int main(int argc, char* argv[])
{
  std::size_t size = 64;
  program bench("limit_cache_line", "Round trips of a cache line", "raw");
  bench.option("size", size, "at most 64: what a line carries");
  return bench.run(argc, argv,
    [&](report& result)
    {
      if (size > 64)
        throw std::invalid_argument("a cache line carries at most 64 bytes");
      shared_object<lines> shared;
      child_process other([&shared](channel&) -> int { answer(*shared.get()); });
      const cpu_meter cpu(::getpid(), other.id());
      std::uint64_t n = 0;
      repetitions times = measure_limit(bench.seconds(), 0.01,
        [&shared, &n]
        {
          shared->there.store(++n, std::memory_order_release);
          spin_until([&] { return shared->back.load(std::memory_order_acquire) == n; });
        });
      result.cpu = cpu.usage();
      times.add_figures(result.figures);
    });
}
