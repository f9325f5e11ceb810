// SPDX-License-Identifier: BSL-1.0
// The most that two processes can copy through shared memory: memcpy into a ring, memcpy out of it, both spinning.

#include "limit.hpp"
#include "support/two_processes.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

using namespace shm::bench;

namespace {

// Small ones stay in the caches, in large ones writer and reader meet less often: which is faster differs.
constexpr std::size_t ring_sizes[] = {256 * 1024, 1024 * 1024, 4 * 1024 * 1024};

struct counters
{
  alignas(128) std::atomic<std::uint64_t> written{0};
  alignas(128) std::atomic<std::uint64_t> read{0};
};

class ring
{
public:
  ring(std::size_t block, std::size_t size)
    : block_(block),
      slots_(size / block),
      memory_(boost::interprocess::anonymous_shared_memory(slots_ * block_)),
      own_(block)
  {
    std::memset(memory_.get_address(), 1, memory_.get_size());
  }

  void write()
  {
    spin_until([this] { return count_ - counters_->read.load(std::memory_order_acquire) < slots_; });
    std::memcpy(slot(), own_.data(), block_);
    counters_->written.store(++count_, std::memory_order_release);
  }

  void read()
  {
    spin_until([this] { return counters_->written.load(std::memory_order_acquire) != count_; });
    std::memcpy(own_.data(), slot(), block_);
    benchmark::ClobberMemory(); // as if somebody looked at what was read
    counters_->read.store(++count_, std::memory_order_release);
  }

private:
  char* slot() const { return static_cast<char*>(memory_.get_address()) + count_ % slots_ * block_; }

  const std::size_t block_;
  const std::size_t slots_;
  shared_object<counters> counters_;
  boost::interprocess::mapped_region memory_;
  std::vector<char> own_;
  std::uint64_t count_ = 0; // of this process, as own_
};

} // namespace

int main(int argc, char* argv[])
{
  std::size_t size = 64 * 1024;
  program bench("limit_copy", "Bytes per second of two memcpy through shared memory", "raw");
  bench.option("size", size, "bytes of each block");
  return bench.run(argc, argv,
    [&](report& result)
    {
      if (size == 0 || size > 1024 * 1024)
        throw std::invalid_argument("size: from 1 to 1048576");
      double best = 0;
      for (const std::size_t ring_size : ring_sizes)
      {
        ring blocks(size, std::max(ring_size, 2 * size));
        child_process other(
          [&blocks](channel&) -> int
          {
            for (;;)
              blocks.read();
          });
        const cpu_meter cpu(::getpid(), other.id());
        repetitions times = measure_limit(bench.seconds() / 3, 0.05, [&blocks] { blocks.write(); });
        const double rate = static_cast<double>(size) * 1e9 / times.percentile(0.5);
        result.figures["bytes_per_second_ring_" + std::to_string(ring_size)] = rate;
        if (rate > best)
          result.cpu = cpu.usage();
        best = std::max(best, rate);
      }
      result.figures["bytes_per_second"] = best;
    });
}
