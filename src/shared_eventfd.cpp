// SPDX-License-Identifier: BSL-1.0
// Ringing and draining without trust.
#include "shared_eventfd.hpp"

#include "doorbell.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace shm {
namespace detail {
namespace {

constexpr unsigned most_at_once = 64;

// Other threads may fill what one has emptied.
constexpr int most_attempts = 64;

// Of this process, until it ends; a child of it has none, and makes its own.
std::atomic<aio_context_t> context{0};

// That there is something to read or room to write is true of each eventfd at each moment, so this ends at once.
bool submit(aio_context_t where, int fd) noexcept
{
  iocb operation{};
  operation.aio_lio_opcode = IOCB_CMD_POLL;
  operation.aio_fildes = static_cast<std::uint32_t>(fd);
  operation.aio_buf = POLLIN | POLLOUT | POLLERR;
  operation.aio_flags = IOCB_FLAG_RESFD;
  operation.aio_resfd = static_cast<std::uint32_t>(fd);
  iocb* operations[] = {&operation};
  return ::syscall(SYS_io_submit, where, 1L, operations) == 1;
}

// Nobody asks for what has ended, but there has to be room for the next. @returns false if it is not a context of this
// process.
bool forget_ended(aio_context_t where) noexcept
{
  std::array<io_event, most_at_once> ended;
  timespec at_once{};
  return ::syscall(SYS_io_getevents, where, 0L, static_cast<long>(ended.size()), ended.data(), &at_once) >= 0;
}

// Puts a new one in the place of one that is not this process's. @returns 0 if there is none to be had.
aio_context_t replace(aio_context_t wrong) noexcept
{
  aio_context_t made = 0;
  if (::syscall(SYS_io_setup, most_at_once, &made) != 0)
    return 0;
  // Nothing but the number is handed on.
  if (context.compare_exchange_strong(wrong, made, std::memory_order_relaxed))
    return made;
  ::syscall(SYS_io_destroy, made); // another thread was faster
  return wrong;
}

bool signal(int fd) noexcept
{
  aio_context_t where = context.load(std::memory_order_relaxed);
  for (int i = 0; i != most_attempts; ++i)
  {
    if (where != 0 && submit(where, fd))
      return true;
    const bool full = where != 0 && errno == EAGAIN;
    const bool ours = where != 0 && forget_ended(where);
    if (ours && !full)
      return false; // the kernel cannot do this
    if (!ours)
      where = replace(where);
    if (where == 0)
      return false;
  }
  return false;
}

// The best that can be done without the kernel's help.
void make_non_blocking(int fd) noexcept
{
  ::fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
}

} // namespace

void ring_shared_eventfd(int fd) noexcept
{
  if (signal(fd))
    return;
  make_non_blocking(fd);
  ring_eventfd(fd);
}

void drain_eventfd(int fd) noexcept
{
  std::uint64_t count;
  iovec part = {&count, sizeof(count)};
  ssize_t n;
  do
    n = ::preadv2(fd, &part, 1, -1, RWF_NOWAIT);
  while (n < 0 && errno == EINTR);
  if (n >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS))
    return;
  make_non_blocking(fd);
  do
    n = ::read(fd, &count, sizeof(count));
  while (n < 0 && errno == EINTR);
}

} // namespace detail
} // namespace shm
