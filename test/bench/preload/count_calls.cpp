// SPDX-License-Identifier: BSL-1.0
// Loaded before a program by LD_PRELOAD, counts the system calls that carry data, wake and wait, in it and its children.
// Unlike a tracer this does not slow them down, so a program that polls goes on polling.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include <dlfcn.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

constexpr std::array<const char*, 14> names{"epoll_wait", "epoll_ctl", "poll", "read", "write", "readv", "writev", "send",
  "recv", "sendto", "recvfrom", "sendmsg", "recvmsg", "timerfd_settime"};

struct counters
{
  std::array<std::atomic<unsigned long>, names.size()> count{};
};

// Memory that processes forked later share.
counters& shared()
{
  static counters* const memory = []
  {
    void* place = ::mmap(nullptr, sizeof(counters), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED)
      std::abort();
    return ::new (place) counters;
  }();
  return *memory;
}

// A name that is not there stays a null pointer, which the first use would show.
template <class Function>
Function* original(const char* name)
{
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

void count(std::size_t which)
{
  shared().count[which].fetch_add(1, std::memory_order_relaxed);
}

// Made before any fork. The first process reports when it ends by itself; its children have ended before, without
// destructors.
struct reporter
{
  reporter() { shared(); }

  ~reporter()
  {
    const char* path = std::getenv("COUNT_CALLS_FILE");
    std::FILE* file = path ? std::fopen(path, "w") : nullptr;
    if (!file)
      return;
    for (std::size_t i = 0; i != names.size(); ++i)
      std::fprintf(file, "%s %lu\n", names[i], shared().count[i].load());
    std::fclose(file);
  }
} const report;

} // namespace

// Each does what it says, after counting.
#define COUNTED(index, result, name, parameters, arguments)                                                            \
  extern "C" result name parameters                                                                                    \
  {                                                                                                                    \
    static const auto next = original<result parameters>(#name);                                                       \
    count(index);                                                                                                      \
    return next arguments;                                                                                             \
  }

COUNTED(0, int, epoll_wait, (int fd, epoll_event* events, int size, int timeout), (fd, events, size, timeout))
COUNTED(1, int, epoll_ctl, (int fd, int what, int other, epoll_event* event) noexcept, (fd, what, other, event))
COUNTED(2, int, poll, (pollfd * set, nfds_t size, int timeout), (set, size, timeout))
COUNTED(3, ssize_t, read, (int fd, void* data, std::size_t size), (fd, data, size))
COUNTED(4, ssize_t, write, (int fd, const void* data, std::size_t size), (fd, data, size))
COUNTED(5, ssize_t, readv, (int fd, const iovec* data, int size), (fd, data, size))
COUNTED(6, ssize_t, writev, (int fd, const iovec* data, int size), (fd, data, size))
COUNTED(7, ssize_t, send, (int fd, const void* data, std::size_t size, int flags), (fd, data, size, flags))
COUNTED(8, ssize_t, recv, (int fd, void* data, std::size_t size, int flags), (fd, data, size, flags))
COUNTED(9, ssize_t, sendto,
  (int fd, const void* data, std::size_t size, int flags, const sockaddr* to, socklen_t length),
  (fd, data, size, flags, to, length))
COUNTED(10, ssize_t, recvfrom, (int fd, void* data, std::size_t size, int flags, sockaddr* from, socklen_t* length),
  (fd, data, size, flags, from, length))
COUNTED(11, ssize_t, sendmsg, (int fd, const msghdr* message, int flags), (fd, message, flags))
COUNTED(12, ssize_t, recvmsg, (int fd, msghdr* message, int flags), (fd, message, flags))
COUNTED(13, int, timerfd_settime, (int fd, int flags, const itimerspec* time, itimerspec* old) noexcept,
  (fd, flags, time, old))

#undef COUNTED
