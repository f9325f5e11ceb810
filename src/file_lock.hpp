// SPDX-License-Identifier: BSL-1.0
// The two uses of flock(2): on the directory of the lock files for a moment, on a lock file as long as a name is held.
#ifndef ASIO_SHM_SRC_FILE_LOCK_HPP
#define ASIO_SHM_SRC_FILE_LOCK_HPP

#include "descriptor.hpp"

#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>

namespace shm {
namespace detail {

/// The directory of the lock files in a runtime directory, for a directory_guard. Only its user can open it: whoever
/// can open a directory, if only for reading, can hold flock(2) on it for ever.
inline descriptor open_lock_directory(int runtime_directory, boost::system::error_code& ec)
{
  descriptor fd(::openat(runtime_directory, "lock", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (fd.valid())
    ec.clear();
  else
    ec = last_error();
  return fd;
}

/// Holds flock(2) on a directory; the constructor waits for it.
// It is given back explicitly: a child that another thread forks meanwhile has the same file description and would
// keep it otherwise.
class directory_guard
{
public:
  directory_guard(int directory, boost::system::error_code& ec) : directory_(directory)
  {
    int result;
    do
      result = ::flock(directory, LOCK_EX);
    while (result != 0 && errno == EINTR);
    ec = result == 0 ? boost::system::error_code() : last_error();
  }
  directory_guard(const directory_guard&) = delete;
  directory_guard& operator=(const directory_guard&) = delete;
  ~directory_guard() { ::flock(directory_, LOCK_UN); }

private:
  int directory_;
};

/// Tries to lock a lock file. @param ec address_in_use if its name is held.
inline void try_lock(int fd, boost::system::error_code& ec)
{
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0)
    ec.clear();
  else if (errno == EWOULDBLOCK)
    ec = boost::asio::error::address_in_use;
  else
    ec = last_error();
}

} // namespace detail
} // namespace shm

#endif
