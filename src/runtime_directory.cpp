// SPDX-License-Identifier: BSL-1.0
// Finding, making and verifying the runtime directory.
#include "runtime_directory.hpp"

#include <shm/error.hpp>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <utility>

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

constexpr int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr mode_t writable_by_others = S_IWGRP | S_IWOTH;

bool is_private(const struct stat& status, uid_t user) noexcept
{
  return status.st_uid == user && (status.st_mode & writable_by_others) == 0;
}

// What the sticky bit keeps users from doing to each other in a directory, its owner still can.
bool is_shared(const struct stat& status) noexcept
{
  return (status.st_mode & S_ISVTX) != 0 && (status.st_uid == 0 || status.st_uid == ::geteuid());
}

bool is_ours_or_roots(const struct stat& status) noexcept
{
  return status.st_uid == 0 || status.st_uid == ::geteuid();
}

// Whether nobody else can put something in the place of what is in there, once it belongs to us or to root.
bool keeps_names(const std::string& directory)
{
  struct stat status;
  if (::lstat(directory.c_str(), &status) != 0 || !is_ours_or_roots(status))
    return false;
  if (S_ISLNK(status.st_mode) && (::stat(directory.c_str(), &status) != 0 || !is_ours_or_roots(status)))
    return false;
  return (status.st_mode & writable_by_others) == 0 || (status.st_mode & S_ISVTX) != 0;
}

// Whether nobody else can put another directory in the place of the one that was opened.
bool path_is_safe(const std::string& path)
{
  if (path.front() != '/')
    return false;
  for (std::size_t slash = path.rfind('/'); slash != 0; slash = path.rfind('/', slash - 1))
    if (!keeps_names(path.substr(0, slash)))
      return false;
  return keeps_names("/");
}

// @returns whether the text is a user's number, as this library writes it.
bool is_user(const char* text, uid_t& user)
{
  const std::string name(text);
  const std::from_chars_result end = std::from_chars(name.data(), name.data() + name.size(), user);
  return end.ec == std::errc() && end.ptr == name.data() + name.size() && std::to_string(user) == name;
}

} // namespace

// The user's directory in a shared one.
void runtime_directory::open_own(if_missing action, boost::system::error_code& ec)
{
  ec.clear();
  const std::string name = std::to_string(::geteuid());
  path_ += "/" + name;
  fd_.reset(::openat(root_.get(), name.c_str(), flags));
  if (!fd_.valid() && errno == ENOENT)
  {
    if (action == if_missing::fail)
      return;
    // What the umask takes away is given back by us alone: the others have to find what is in there.
    const bool made = ::mkdirat(root_.get(), name.c_str(), S_IRWXU) == 0;
    if (!made && errno != EEXIST)
    {
      ec = last_error();
      return;
    }
    fd_.reset(::openat(root_.get(), name.c_str(), flags));
    if (made && fd_.valid() && ::fchmod(fd_.get(), 0755) != 0)
      ec = last_error();
  }
  struct stat status;
  if (!ec && (!fd_.valid() || ::fstat(fd_.get(), &status) != 0))
    ec = last_error();
  if (!ec && !is_private(status, ::geteuid()))
    ec = error::unsafe_runtime_directory;
}

runtime_directory runtime_directory::of_user(std::uint32_t user, boost::system::error_code& ec) const
{
  ec.clear();
  runtime_directory result;
  if (!shared())
    return result;
  const std::string name = std::to_string(user);
  result.path_ = path_.substr(0, path_.rfind('/') + 1) + name;
  result.user_ = user;
  result.fd_.reset(::openat(root_.get(), name.c_str(), flags));
  if (!result.fd_.valid() && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
    ec = last_error();
  struct stat status;
  if (result.fd_.valid() && (::fstat(result.fd_.get(), &status) != 0 || !is_private(status, user)))
    result.fd_.reset();
  return result;
}

std::vector<std::uint32_t> runtime_directory::other_users(boost::system::error_code& ec) const
{
  ec.clear();
  std::vector<std::uint32_t> result;
  if (!shared())
    return result;
  descriptor list(::openat(root_.get(), ".", flags));
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(list.valid() ? ::fdopendir(list.get()) : nullptr, &::closedir);
  if (!stream)
  {
    ec = last_error();
    return result;
  }
  list.release();
  while (const dirent* entry = ::readdir(stream.get()))
  {
    uid_t user = 0;
    if (is_user(entry->d_name, user) && user != ::geteuid())
      result.push_back(user);
  }
  std::sort(result.begin(), result.end());
  return result;
}

runtime_directory runtime_directory::open(if_missing action, boost::system::error_code& ec)
{
  runtime_directory result;
  result.path_ = find_path();
  result.user_ = ::geteuid();
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
  ec.clear();
  // The path is what other tools show; the detour is for where it may lead elsewhere the next time.
  if (!path_is_safe(result.path_))
    result.path_ = "/proc/self/fd/" + std::to_string(result.fd_.get());
  if (is_shared(status))
  {
    result.root_ = std::move(result.fd_);
    result.open_own(action, ec);
  }
  else if (!is_private(status, ::geteuid()))
    ec = error::unsafe_runtime_directory;
  if (ec)
    return runtime_directory();
  // Inode numbers are small; the rotation keeps device and inode from cancelling each other out.
  const std::uint64_t device = status.st_dev;
  result.identity_ = (device << 40 | device >> 24) ^ status.st_ino;
  return result;
}

} // namespace detail
} // namespace shm
