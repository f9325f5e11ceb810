// SPDX-License-Identifier: BSL-1.0
// Releasing a name of the emulated network.
#include "address_space.hpp"

#include "file_lock.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace shm {
namespace detail {
namespace {

void remove_if_ours(
    int directory, const std::string& path, std::uint64_t device, std::uint64_t inode, boost::system::error_code& ec)
{
  struct stat status;
  if (::fstatat(directory, path.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
  {
    if (errno != ENOENT)
      ec = last_error();
    return;
  }
  if (status.st_dev == device && status.st_ino == inode && ::unlinkat(directory, path.c_str(), 0) != 0)
    ec = last_error();
}

} // namespace

bound_name& bound_name::operator=(bound_name&& other) noexcept
{
  if (this == &other)
    return *this;
  boost::system::error_code ignored;
  release(ignored);
  directory_ = std::move(other.directory_);
  lock_ = std::move(other.lock_);
  socket_file_ = std::move(other.socket_file_);
  lock_file_ = std::move(other.lock_file_);
  return *this;
}

bound_name::~bound_name()
{
  boost::system::error_code ignored;
  release(ignored);
}

void bound_name::release(boost::system::error_code& ec)
{
  ec.clear();
  const descriptor directory = std::move(directory_);
  descriptor lock = std::move(lock_);
  if (!lock.valid())
    return;
  // A file description of its own: a lock through the one from bind would not exclude forked copies.
  const descriptor own = open_lock_directory(directory.get(), ec);
  if (ec)
    return;
  const directory_guard guard(own.get(), ec);
  if (ec)
    return;
  lock.reset(); // first: it may be the last descriptor that the process is allowed; nobody binds the name meanwhile
  const descriptor again(::openat(directory.get(), lock_file_.path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  if (!again.valid())
  {
    // Somebody has tidied up; the socket file then is the next binder's to judge.
    ec = last_error();
    return;
  }
  try_lock(again.get(), ec);
  if (ec == boost::asio::error::address_in_use)
  {
    // A forked copy goes on with the name.
    ec.clear();
    return;
  }
  if (!ec)
    remove_if_ours(directory.get(), socket_file_.path, socket_file_.device, socket_file_.inode, ec);
  if (!ec)
    remove_if_ours(directory.get(), lock_file_.path, lock_file_.device, lock_file_.inode, ec);
}

void bound_name::leave() noexcept
{
  directory_.reset();
  lock_.reset();
}

} // namespace detail
} // namespace shm
