// SPDX-License-Identifier: BSL-1.0
// Limits of a process, lowered for a while.

#ifndef ASIO_SHM_TEST_SUPPORT_LIMITS_HPP
#define ASIO_SHM_TEST_SUPPORT_LIMITS_HPP

#include <cerrno>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace shm::test {

/// Another soft limit while it lives.
class scoped_limit
{
public:
  scoped_limit(int resource, rlim_t soft) : resource_(resource)
  {
    if (::getrlimit(kind(), &before_) != 0)
      throw std::system_error(errno, std::generic_category(), "getrlimit");
    rlimit wanted = before_;
    wanted.rlim_cur = soft < before_.rlim_max ? soft : before_.rlim_max;
    if (::setrlimit(kind(), &wanted) != 0)
      throw std::system_error(errno, std::generic_category(), "setrlimit");
  }

  ~scoped_limit() { ::setrlimit(kind(), &before_); }
  scoped_limit(const scoped_limit&) = delete;
  scoped_limit& operator=(const scoped_limit&) = delete;

private:
  __rlimit_resource kind() const { return static_cast<__rlimit_resource>(resource_); }

  int resource_;
  rlimit before_{};
};

/// Leaves a process that many descriptors and no more.
class few_descriptors
{
public:
  explicit few_descriptors(std::size_t left) : limit_(RLIMIT_NOFILE, 128)
  {
    for (int fd; (fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;)
      taken_.push_back(fd);
    release(left);
  }

  ~few_descriptors() { release(taken_.size()); }
  few_descriptors(const few_descriptors&) = delete;
  few_descriptors& operator=(const few_descriptors&) = delete;

  /// Gives back that many.
  void release(std::size_t count)
  {
    for (; count != 0 && !taken_.empty(); --count, taken_.pop_back())
      ::close(taken_.back());
  }

private:
  scoped_limit limit_;
  std::vector<int> taken_;
};

/// Bytes of address space that this process uses.
inline rlim_t address_space()
{
  std::ifstream statm("/proc/self/statm");
  rlim_t pages = 0;
  statm >> pages;
  return pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
}

} // namespace shm::test

#endif
