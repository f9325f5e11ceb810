// SPDX-License-Identifier: BSL-1.0
// Finding, making and verifying the runtime directory.
#include "runtime_directory.hpp"

#include <shm/error.hpp>

#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>

namespace shm {
namespace detail {
namespace {

// A variable that is set to nothing counts as not set, as the XDG specification has it.
const char* environment(const char* name)
{
  const char* value = ::secure_getenv(name);
  return value && *value ? value : nullptr;
}

// Under sudo or in a container XDG_RUNTIME_DIR may name another user's directory, or none: leaving our directory there
// would lock its owner out.
bool is_our_directory(const char* path)
{
  struct stat status;
  return ::stat(path, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == ::geteuid();
}

std::string find_path()
{
  if (const char* path = environment("ASIO_SHM_DIR"))
  {
    // A slash at the end would make the kernel follow a symbolic link in spite of O_NOFOLLOW.
    std::string result(path);
    while (result.size() > 1 && result.back() == '/')
      result.pop_back();
    return result;
  }
  const char* parent = environment("XDG_RUNTIME_DIR");
  if (parent && is_our_directory(parent))
    return std::string(parent) + "/asio-shm";
  return "/tmp/asio-shm-" + std::to_string(::geteuid());
}

} // namespace

runtime_directory runtime_directory::open(if_missing action, boost::system::error_code& ec)
{
  const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  runtime_directory result;
  result.path_ = find_path();
  result.fd_.reset(::open(result.path_.c_str(), flags));
  if (!result.fd_.valid() && errno == ENOENT && action == if_missing::create)
  {
    // Another process may be quicker; what it made is verified like any other directory.
    if (::mkdir(result.path_.c_str(), S_IRWXU) != 0 && errno != EEXIST)
    {
      ec = last_error();
      return runtime_directory();
    }
    result.fd_.reset(::open(result.path_.c_str(), flags));
  }
  if (!result.fd_.valid())
  {
    // A symbolic link, something else that is not a directory, or a directory that is closed to us is not one of ours.
    ec = last_error();
    struct stat other;
    if (ec.value() == ENOTDIR || ec.value() == ELOOP || ec.value() == EACCES)
      if (::lstat(result.path_.c_str(), &other) == 0)
        ec = error::unsafe_runtime_directory;
    return runtime_directory();
  }

  struct stat status;
  if (::fstat(result.fd_.get(), &status) != 0)
  {
    ec = last_error();
    return runtime_directory();
  }
  if (status.st_uid != ::geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
  {
    ec = error::unsafe_runtime_directory;
    return runtime_directory();
  }
  // Inode numbers are small; the rotation keeps device and inode from cancelling each other out.
  const std::uint64_t device = status.st_dev;
  result.identity_ = (device << 40 | device >> 24) ^ status.st_ino;
  ec.clear();
  return result;
}

} // namespace detail
} // namespace shm
