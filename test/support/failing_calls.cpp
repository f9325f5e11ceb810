// SPDX-License-Identifier: BSL-1.0
// The wrappers, each with the errors that the kernel can give to a correct call.
//
// Not among them: what cannot fail with valid arguments, whatever runs out (close, timerfd_settime, EPOLL_CTL_DEL).
#include "failing_calls.hpp"

#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstring>
#include <initializer_list>

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <time.h>

namespace shm::test {
namespace {

struct plan
{
  bool armed = false;
  int nth = 0;
  int reason = 0;
  int calls = 0;
  int reasons = 0;
  int error = 0;
  const char* name = nullptr;
};
thread_local plan current;

// Whether this call is the one to fail; then errno says why.
bool fails(const char* name, std::initializer_list<int> errors)
{
  plan& p = current;
  if (!p.armed || ++p.calls != p.nth)
    return false;
  p.name = name;
  p.reasons = static_cast<int>(errors.size());
  p.error = errors.begin()[p.reason % p.reasons];
  errno = p.error;
  return true;
}

// Whether pages were refused already: then it makes no difference who asks for them.
bool nothing_left()
{
  return current.armed && current.name && std::strcmp(current.name, "madvise") == 0 && current.error != EINVAL;
}

} // namespace

failing_call::failing_call(int nth, int reason)
{
  current = plan();
  current.nth = nth;
  current.reason = reason;
  current.armed = true;
}

failing_call::~failing_call()
{
  disarm();
}

void failing_call::disarm()
{
  current.armed = false;
}

bool failing_call::failed() const
{
  return current.name != nullptr;
}

int failing_call::reasons() const
{
  return current.reasons;
}

std::string failing_call::what() const
{
  return std::string(current.name) + ": " + std::strerror(current.error);
}

const char* failing_call::name() const
{
  return current.name;
}

} // namespace shm::test

using shm::test::fails;

extern "C"
{
int __real_memfd_create(const char*, unsigned);
int __wrap_memfd_create(const char* name, unsigned flags)
{
  return fails("memfd_create", {EMFILE, ENFILE, ENOMEM}) ? -1 : __real_memfd_create(name, flags);
}

int __real_ftruncate(int, off_t);
int __wrap_ftruncate(int fd, off_t size)
{
  return fails("ftruncate", {ENOMEM, EINTR}) ? -1 : __real_ftruncate(fd, size);
}

int __real_fallocate(int, int, off_t, off_t);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t size)
{
  if (shm::test::nothing_left())
  {
    errno = ENOSPC;
    return -1;
  }
  return fails("fallocate", {ENOSPC, ENOMEM, EINTR}) ? -1 : __real_fallocate(fd, mode, offset, size);
}

int __real_madvise(void*, std::size_t, int);
int __wrap_madvise(void* where, std::size_t size, int advice)
{
  // Of an older kernel; without memory; without room in the file system.
  return fails("madvise", {EINVAL, ENOMEM, EFAULT}) ? -1 : __real_madvise(where, size, advice);
}

void* __real_mmap(void*, std::size_t, int, int, int, off_t);
void* __wrap_mmap(void* where, std::size_t size, int protection, int flags, int fd, off_t offset)
{
  return fails("mmap", {ENOMEM, ENFILE, EAGAIN}) ? MAP_FAILED : __real_mmap(where, size, protection, flags, fd, offset);
}

int __real_eventfd(unsigned, int);
int __wrap_eventfd(unsigned value, int flags)
{
  return fails("eventfd", {EMFILE, ENFILE, ENOMEM}) ? -1 : __real_eventfd(value, flags);
}

int __real_epoll_create1(int);
int __wrap_epoll_create1(int flags)
{
  return fails("epoll_create1", {EMFILE, ENFILE, ENOMEM}) ? -1 : __real_epoll_create1(flags);
}

int __real_epoll_ctl(int, int, int, epoll_event*);
int __wrap_epoll_ctl(int epoll, int what, int fd, epoll_event* event)
{
  return what == EPOLL_CTL_ADD && fails("epoll_ctl", {ENOMEM, ENOSPC}) ? -1 : __real_epoll_ctl(epoll, what, fd, event);
}

int __real_timerfd_create(int, int);
int __wrap_timerfd_create(int clock, int flags)
{
  return fails("timerfd_create", {EMFILE, ENFILE, ENOMEM}) ? -1 : __real_timerfd_create(clock, flags);
}

int __real_socket(int, int, int);
int __wrap_socket(int domain, int type, int protocol)
{
  return fails("socket", {EMFILE, ENFILE, ENOMEM, ENOBUFS}) ? -1 : __real_socket(domain, type, protocol);
}

int __real_socketpair(int, int, int, int*);
int __wrap_socketpair(int domain, int type, int protocol, int* fds)
{
  return fails("socketpair", {EMFILE, ENFILE, ENOMEM}) ? -1 : __real_socketpair(domain, type, protocol, fds);
}

int __real_bind(int, const sockaddr*, socklen_t);
int __wrap_bind(int fd, const sockaddr* address, socklen_t size)
{
  return fails("bind", {ENOSPC, ENOMEM, EADDRINUSE}) ? -1 : __real_bind(fd, address, size);
}

int __real_listen(int, int);
int __wrap_listen(int fd, int backlog)
{
  return fails("listen", {ENOBUFS}) ? -1 : __real_listen(fd, backlog);
}

int __real_connect(int, const sockaddr*, socklen_t);
int __wrap_connect(int fd, const sockaddr* address, socklen_t size)
{
  return fails("connect", {ENOMEM, EAGAIN, ECONNREFUSED}) ? -1 : __real_connect(fd, address, size);
}

int __real_accept4(int, sockaddr*, socklen_t*, int);
int __wrap_accept4(int fd, sockaddr* address, socklen_t* size, int flags)
{
  return fails("accept4", {EMFILE, ENFILE, ENOMEM, ECONNABORTED, EINTR}) ? -1 : __real_accept4(fd, address, size, flags);
}

ssize_t __real_sendmsg(int, const msghdr*, int);
ssize_t __wrap_sendmsg(int fd, const msghdr* message, int flags)
{
  return fails("sendmsg", {ETOOMANYREFS, EAGAIN, ENOMEM, EINTR}) ? -1 : __real_sendmsg(fd, message, flags);
}

ssize_t __real_recvmsg(int, msghdr*, int);
ssize_t __wrap_recvmsg(int fd, msghdr* message, int flags)
{
  return fails("recvmsg", {ENOMEM, EINTR, ECONNRESET}) ? -1 : __real_recvmsg(fd, message, flags);
}

ssize_t __real_send(int, const void*, std::size_t, int);
ssize_t __wrap_send(int fd, const void* data, std::size_t size, int flags)
{
  return fails("send", {EINTR}) ? -1 : __real_send(fd, data, size, flags);
}

int __real_open(const char*, int, ...);
int __wrap_open(const char* path, int flags, ...)
{
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return fails("open", {EMFILE, ENFILE, ENOMEM, EINTR}) ? -1 : __real_open(path, flags, mode);
}

int __real_openat(int, const char*, int, ...);
int __wrap_openat(int directory, const char* path, int flags, ...)
{
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return fails("openat", {EMFILE, ENFILE, ENOMEM, ENOSPC}) ? -1 : __real_openat(directory, path, flags, mode);
}

int __real_mkdir(const char*, mode_t);
int __wrap_mkdir(const char* path, mode_t mode)
{
  return fails("mkdir", {ENOSPC, ENOMEM, EROFS}) ? -1 : __real_mkdir(path, mode);
}

int __real_mkdirat(int, const char*, mode_t);
int __wrap_mkdirat(int directory, const char* path, mode_t mode)
{
  return fails("mkdirat", {ENOSPC, ENOMEM, EROFS}) ? -1 : __real_mkdirat(directory, path, mode);
}

int __real_flock(int, int);
int __wrap_flock(int fd, int operation)
{
  return operation != LOCK_UN && fails("flock", {ENOLCK, EINTR}) ? -1 : __real_flock(fd, operation);
}

int __real_fstat(int, struct stat*);
int __wrap_fstat(int fd, struct stat* status)
{
  return fails("fstat", {ENOMEM}) ? -1 : __real_fstat(fd, status);
}

int __real_stat(const char*, struct stat*);
int __wrap_stat(const char* path, struct stat* status)
{
  return fails("stat", {ENOMEM}) ? -1 : __real_stat(path, status);
}

int __real_fstatat(int, const char*, struct stat*, int);
int __wrap_fstatat(int directory, const char* path, struct stat* status, int flags)
{
  return fails("fstatat", {ENOMEM}) ? -1 : __real_fstatat(directory, path, status, flags);
}

int __real_fstatfs(int, struct statfs*);
int __wrap_fstatfs(int fd, struct statfs* status)
{
  return fails("fstatfs", {ENOMEM, EINTR}) ? -1 : __real_fstatfs(fd, status);
}

int __real_unlinkat(int, const char*, int);
int __wrap_unlinkat(int directory, const char* path, int flags)
{
  return fails("unlinkat", {ENOMEM, EROFS}) ? -1 : __real_unlinkat(directory, path, flags);
}

int __real_fcntl(int, int, ...);
int __wrap_fcntl(int fd, int command, ...)
{
  va_list rest;
  va_start(rest, command);
  const long value = va_arg(rest, long);
  va_end(rest);
  return fails("fcntl", {EMFILE, EBUSY}) ? -1 : __real_fcntl(fd, command, value);
}

int __real_getsockopt(int, int, int, void*, socklen_t*);
int __wrap_getsockopt(int fd, int level, int name, void* value, socklen_t* size)
{
  return fails("getsockopt", {ENOBUFS}) ? -1 : __real_getsockopt(fd, level, name, value, size);
}

int __real_getsockname(int, sockaddr*, socklen_t*);
int __wrap_getsockname(int fd, sockaddr* address, socklen_t* size)
{
  return fails("getsockname", {ENOBUFS}) ? -1 : __real_getsockname(fd, address, size);
}

ssize_t __real_getrandom(void*, std::size_t, unsigned);
ssize_t __wrap_getrandom(void* buffer, std::size_t size, unsigned flags)
{
  return fails("getrandom", {EAGAIN, EINTR}) ? -1 : __real_getrandom(buffer, size, flags);
}

ssize_t __real_readlink(const char*, char*, std::size_t);
ssize_t __wrap_readlink(const char* path, char* buffer, std::size_t size)
{
  return fails("readlink", {ENOMEM, EACCES}) ? -1 : __real_readlink(path, buffer, size);
}

int __real_ppoll(pollfd*, nfds_t, const timespec*, const sigset_t*);
int __wrap_ppoll(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask)
{
  return fails("ppoll", {EINTR, ENOMEM}) ? -1 : __real_ppoll(fds, count, timeout, mask);
}
}
