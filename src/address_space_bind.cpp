// SPDX-License-Identifier: BSL-1.0
// Binding names in the emulated network: lock files, stale sockets, TCP's conflicts.
#include "address_space.hpp"

#include "ephemeral_port.hpp"
#include "file_lock.hpp"
#include "file_place.hpp"
#include "runtime_directory.hpp"
#include "socket_name.hpp"

#include <boost/asio/error.hpp>

#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace shm {
namespace detail {
namespace {

enum class occupant
{
  none,
  stale, ///< The socket of a process that is gone.
  live   ///< A socket that somebody has, or a file that is no socket and so not ours to delete.
};

occupant examine(const file_place& place, boost::system::error_code& ec)
{
  ec.clear();
  struct stat status;
  if (::fstatat(place.directory, place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
  {
    if (errno != ENOENT)
      ec = last_error();
    return occupant::none;
  }
  if (!S_ISSOCK(status.st_mode))
    return occupant::live;
  local_sockaddr address;
  if (!address.assign(place, ec))
    return occupant::live;
  const descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe.valid())
  {
    ec = last_error();
    return occupant::live;
  }
  if (::connect(probe.get(), address.get(), address.size()) == 0)
    return occupant::live;
  return errno == ECONNREFUSED ? occupant::stale : errno == ENOENT ? occupant::none : occupant::live;
}

std::string lock_name(const ip_name& name)
{
  return "lock/ip-" + name.file_name();
}

// FNV-1a. Two paths with one hash merely exclude each other.
std::string path_lock_name(const std::string& path)
{
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : path)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  char text[32];
  std::snprintf(text, sizeof(text), "lock/path-%016llx", static_cast<unsigned long long>(hash));
  return text;
}

// One file has one lock, whatever path leads to it: links in the directory's path are resolved. @returns "" on error.
std::string absolute_path(const std::string& path, boost::system::error_code& ec)
{
  const std::size_t slash = path.rfind('/');
  const std::string parent = slash == 0 ? "/" : path.substr(0, slash);
  const std::unique_ptr<char, void (*)(void*)> resolved(::realpath(parent.c_str(), nullptr), &std::free);
  if (!resolved)
  {
    ec = last_error();
    return std::string();
  }
  ec.clear();
  std::string result(resolved.get());
  if (result.back() != '/')
    result += '/';
  return result + path.substr(slash + 1);
}

std::vector<ip_name> bound_ip_names(int directory, boost::system::error_code& ec)
{
  std::vector<ip_name> result;
  descriptor fd(::openat(directory, "ip", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(fd.valid() ? ::fdopendir(fd.get()) : nullptr, &::closedir);
  if (!stream)
  {
    ec = last_error();
    return result;
  }
  fd.release();
  ec.clear();
  ip_name name;
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get()))
  {
    if (ip_name::parse(entry->d_name, name))
      result.push_back(name);
    errno = 0;
  }
  if (errno != 0)
    ec = last_error();
  return result;
}

// The subdirectory for sockets of that kind; none for those at a path.
const char* room_of(const socket_name& name) noexcept
{
  switch (name.what)
  {
  case socket_name::kind::ip:
    return "ip";
  case socket_name::kind::short_name:
    return "name";
  default:
    return nullptr;
  }
}

bool same_file(const struct stat& a, const struct stat& b) noexcept
{
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

} // namespace

// Binds in one runtime directory, whose lock directory the caller has locked.
class name_binder
{
public:
  name_binder(const runtime_directory& directory, std::optional<mode_t> mode) : directory_(directory), mode_(mode) {}

  void make_subdirectories(const char* sockets, boost::system::error_code& ec)
  {
    ec.clear();
    for (const char* name : {sockets, "lock"})
      if (name && ::mkdirat(directory_.get(), name, S_IRWXU) == 0)
      {
        // Other users look for sockets in there, whatever the umask says.
        if (name == sockets && directory_.shared() && ::fchmodat(directory_.get(), name, 0755, 0) != 0)
          ec = last_error();
      }
      else if (name && errno != EEXIST)
        ec = last_error();
    if (ec || !sockets || !directory_.shared() || !mode_ || (*mode_ & (S_IRWXG | S_IRWXO)) == 0)
      return;
    // Whoever made them may have died before they were opened to the others, whom this listener wants.
    for (const char* name : {".", sockets})
    {
      struct stat status;
      if (::fstatat(directory_.get(), name, &status, AT_SYMLINK_NOFOLLOW) != 0
          || ((status.st_mode & 07777) == S_IRWXU && ::fchmodat(directory_.get(), name, 0755, 0) != 0))
        ec = last_error();
    }
  }

  // @returns a name with ec clear, or an empty one with address_in_use or the system's error.
  bound_name bind(int socket, const file_place& place, const std::string& lock, boost::system::error_code& ec)
  {
    bound_name result;
    result.lock_file_.path = lock;
    result.lock_ = take_lock(result.lock_file_, ec);
    if (ec)
      return bound_name();
    bind_file(socket, place, ec);
    if (!ec)
    {
      identify(place, result.socket_file_, ec);
      if (ec)
        ::unlinkat(place.directory, place.name.c_str(), 0);
    }
    if (ec)
    {
      ::unlinkat(directory_.get(), lock.c_str(), 0);
      // Not through release(): the name has never been ours.
      result.lock_.reset();
    }
    return result;
  }

  bound_name bind_ip(int socket, ip_name& name, boost::system::error_code& ec)
  {
    const std::vector<ip_name> names = bound_ip_names(directory_.get(), ec);
    if (ec)
      return bound_name();
    if (name.port != 0)
      return bind_ip(socket, name, names, ec);
    name.port = random_ephemeral_port();
    for (int i = first_ephemeral_port; i <= last_ephemeral_port; ++i)
    {
      bound_name result = bind_ip(socket, name, names, ec);
      if (ec != boost::asio::error::address_in_use)
        return result;
      name.port = next_ephemeral_port(name.port);
    }
    return bound_name();
  }

  // What release() needs later, when the environment and the working directory may be others.
  static void keep_directory(bound_name& name, descriptor directory) { name.directory_ = std::move(directory); }
  static void keep_path(bound_name& name, const std::string& absolute) { name.socket_file_.path = absolute; }

private:
  bound_name bind_ip(
      int socket, const ip_name& name, const std::vector<ip_name>& names, boost::system::error_code& ec)
  {
    const file_place place = ip_place(directory_.get(), directory_.path(), name);
    for (const ip_name& other : names)
    {
      // The same name is looked at when it is locked.
      if (!ip_name::conflict(name, other) || other.file_name() == name.file_name())
        continue;
      require_gone(other, ec);
      if (ec)
        return bound_name();
    }
    return bind(socket, place, lock_name(name), ec);
  }

  // Removes what a dead process has left of a name. @param ec address_in_use if it is alive.
  void require_gone(const ip_name& name, boost::system::error_code& ec)
  {
    const std::string lock = lock_name(name);
    const descriptor fd(::openat(directory_.get(), lock.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
    if (fd.valid())
      try_lock(fd.get(), ec);
    else if (errno == ENOENT)
      ec.clear();
    else
      ec = last_error();
    if (!ec)
      remove_stale(ip_place(directory_.get(), directory_.path(), name), ec);
    if (!ec && fd.valid())
      ::unlinkat(directory_.get(), lock.c_str(), 0);
  }

  void remove_stale(const file_place& place, boost::system::error_code& ec)
  {
    // Having the lock, the probe is only for sockets of other programs and for lock files that somebody has deleted.
    const occupant there = examine(place, ec);
    if (ec)
      return;
    if (there == occupant::live)
      ec = boost::asio::error::address_in_use;
    else if (there == occupant::stale && ::unlinkat(place.directory, place.name.c_str(), 0) != 0 && errno != ENOENT)
      ec = last_error();
  }

  void bind_file(int socket, const file_place& place, boost::system::error_code& ec)
  {
    local_sockaddr address;
    if (!address.assign(place, ec))
      return;
    remove_stale(place, ec);
    // From the first moment on the file lets nobody in who is not wanted.
    if (!ec && mode_ && ::fchmod(socket, *mode_) != 0)
      ec = last_error();
    if (!ec && ::bind(socket, address.get(), address.size()) != 0)
      ec = last_error();
    if (!ec && mode_)
      give_mode(place, ec);
  }

  // What the umask has taken away. Through a descriptor of what is a socket, and not through whatever has its name.
  void give_mode(const file_place& place, boost::system::error_code& ec)
  {
    const descriptor file(::openat(place.directory, place.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat status;
    if (!file.valid() || ::fstat(file.get(), &status) != 0)
      ec = last_error();
    else if (S_ISSOCK(status.st_mode) && status.st_uid == ::geteuid() && (status.st_mode & 0777) != *mode_
        && ::chmod(("/proc/self/fd/" + std::to_string(file.get())).c_str(), *mode_) != 0)
      ec = last_error();
    if (ec)
      ::unlinkat(place.directory, place.name.c_str(), 0);
  }

  // Whoever releases a name deletes its lock file, so what was opened may be gone when it is locked.
  descriptor take_lock(bound_name::file& file, boost::system::error_code& ec)
  {
    for (int attempts = 0; attempts < 16; ++attempts)
    {
      descriptor fd(::openat(
          directory_.get(), file.path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR));
      if (!fd.valid())
      {
        ec = last_error();
        return descriptor();
      }
      try_lock(fd.get(), ec);
      if (ec)
        return descriptor();
      struct stat locked, found;
      if (::fstat(fd.get(), &locked) == 0 &&
          ::fstatat(directory_.get(), file.path.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0 && same_file(locked, found))
      {
        file.device = found.st_dev;
        file.inode = found.st_ino;
        return fd;
      }
    }
    ec = boost::asio::error::address_in_use;
    return descriptor();
  }

  void identify(const file_place& place, bound_name::file& file, boost::system::error_code& ec)
  {
    struct stat status;
    if (::fstatat(place.directory, place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    {
      ec = last_error();
      return;
    }
    file.path = place.name;
    file.device = status.st_dev;
    file.inode = status.st_ino;
  }

  const runtime_directory& directory_;
  const std::optional<mode_t> mode_;
};

bound_name bind_name(int socket, socket_address& local, bool v6_only, std::optional<mode_t> mode,
    boost::system::error_code& ec)
{
  socket_name name = socket_name::parse(local, v6_only, ec);
  if (ec)
    return bound_name();
  runtime_directory directory = runtime_directory::open(runtime_directory::if_missing::create, ec);
  if (ec)
    return bound_name();
  bound_name result;
  {
    if (!mode && name.what != socket_name::kind::path)
      mode = S_IRUSR | S_IWUSR;
    name_binder binder(directory, mode);
    binder.make_subdirectories(room_of(name), ec);
    const descriptor locks = ec ? descriptor() : open_lock_directory(directory.get(), ec);
    if (ec)
      return result;
    const directory_guard guard(locks.get(), ec);
    if (ec)
      return result;
    switch (name.what)
    {
    case socket_name::kind::ip:
      result = binder.bind_ip(socket, name.ip, ec);
      if (!ec)
        set_port(local, name.ip.port);
      break;
    case socket_name::kind::short_name:
      result = binder.bind(
          socket, short_name_place(directory.get(), directory.path(), name.text), "lock/name-" + name.text, ec);
      break;
    case socket_name::kind::path:
      const std::string absolute = absolute_path(name.text, ec);
      if (!ec)
        result = binder.bind(socket, path_place(name.text), path_lock_name(absolute), ec);
      if (!ec)
        name_binder::keep_path(result, absolute);
      break;
    }
  }
  if (!ec)
    name_binder::keep_directory(result, directory.take());
  return result;
}

} // namespace detail
} // namespace shm
