// SPDX-License-Identifier: BSL-1.0
// An owned file descriptor.
#ifndef ASIO_SHM_SRC_DESCRIPTOR_HPP
#define ASIO_SHM_SRC_DESCRIPTOR_HPP

#include <boost/system/error_code.hpp>

#include <cerrno>
#include <unistd.h>

namespace shm {
namespace detail {

/// The error code of the system call that has just failed.
inline boost::system::error_code last_error() noexcept
{
  return boost::system::error_code(errno, boost::system::system_category());
}

/// Closes its file descriptor when it goes.
class descriptor
{
public:
  descriptor() = default;
  explicit descriptor(int fd) noexcept : fd_(fd) {}
  descriptor(descriptor&& other) noexcept : fd_(other.release()) {}
  descriptor& operator=(descriptor&& other) noexcept
  {
    if (this != &other)
      reset(other.release());
    return *this;
  }
  ~descriptor() { reset(); }

  int get() const noexcept { return fd_; }
  bool valid() const noexcept { return fd_ >= 0; }

  int release() noexcept
  {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

  void reset(int fd = -1) noexcept
  {
    if (fd_ >= 0)
    {
      const int saved = errno;
      ::close(fd_);
      errno = saved;
    }
    fd_ = fd;
  }

private:
  int fd_ = -1;
};

} // namespace detail
} // namespace shm

#endif
