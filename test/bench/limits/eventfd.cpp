// SPDX-License-Identifier: BSL-1.0
// The shortest round trip between two processes that sleep: one eventfd there, another one back.

#include "limit.hpp"
#include "support/two_processes.hpp"

#include <cerrno>
#include <cstddef>
#include <system_error>

#include <sys/eventfd.h>
#include <unistd.h>

using namespace shm::bench;

namespace {

class event
{
public:
  event()
  {
    if (descriptor_ < 0)
      throw std::system_error(errno, std::generic_category(), "eventfd");
  }

  ~event() { ::close(descriptor_); }
  event(const event&) = delete;
  event& operator=(const event&) = delete;

  void signal()
  {
    if (::eventfd_write(descriptor_, 1) != 0)
      throw std::system_error(errno, std::generic_category(), "eventfd_write");
  }

  void wait()
  {
    eventfd_t count = 0;
    if (::eventfd_read(descriptor_, &count) != 0)
      throw std::system_error(errno, std::generic_category(), "eventfd_read");
  }

private:
  int descriptor_ = ::eventfd(0, EFD_CLOEXEC);
};

} // namespace

int main(int argc, char* argv[])
{
  std::size_t size = 0;
  program bench("limit_eventfd", "Round trips of two eventfds", "raw");
  bench.option("size", size, "of the messages to compare with; an eventfd carries none");
  return bench.run(argc, argv,
    [&](report& result)
    {
      event there;
      event back;
      child_process other(
        [&](channel&) -> int
        {
          for (;;)
          {
            there.wait();
            back.signal();
          }
        });
      const cpu_meter cpu(::getpid(), other.id());
      repetitions times = measure_limit(bench.seconds(), 0.01,
        [&]
        {
          there.signal();
          back.wait();
        });
      result.cpu = cpu.usage();
      times.add_figures(result.figures);
    });
}
