// SPDX-License-Identifier: BSL-1.0
// Files in the runtime directory.
#include "daemon_place.hpp"

#include "file_lock.hpp"
#include "file_place.hpp"
#include "rendezvous.hpp"

#include <cstdio>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace shm {
namespace partitiond {
namespace {

using detail::descriptor;
using detail::last_error;

constexpr char folder[] = "partition";
constexpr char socket_name[] = "daemon";
constexpr char new_socket_name[] = "daemon.new";
constexpr char lock_name[] = "lock";
constexpr char hosts_name[] = "hosts";
constexpr char new_hosts_name[] = "hosts.new";
constexpr int backlog = 128;

bool write_all(int fd, const std::string& text)
{
  for (std::size_t done = 0; done < text.size();)
  {
    const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return false;
    done += static_cast<std::size_t>(n);
  }
  return true;
}

} // namespace

daemon_place::daemon_place(boost::system::error_code& ec)
  : directory_(detail::runtime_directory::open(detail::runtime_directory::if_missing::create, ec))
{
  if (ec)
    return;
  const mode_t mode = for_everybody() ? 0755 : 0700;
  if (::mkdirat(directory_.get(), folder, mode) != 0 && errno != EEXIST)
  {
    ec = last_error();
    return;
  }
  own_.reset(::openat(directory_.get(), folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  // Whatever the umask says, or a daemon of another time has left.
  if (!own_.valid() || ::fchmod(own_.get(), mode) != 0)
    ec = last_error();
  else
  {
    // Whoever can open it can hold the lock, so it is nobody else's to open; the directory may be.
    lock_.reset(::openat(own_.get(), lock_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (lock_.valid())
      detail::try_lock(lock_.get(), ec);
    else
      ec = last_error();
  }
  taken_ = !ec;
}

daemon_place::~daemon_place()
{
  if (!taken_)
    return;
  for (const char* name : {hosts_name, socket_name, new_hosts_name, new_socket_name})
    ::unlinkat(own_.get(), name, 0);
}

bool daemon_place::for_everybody() const noexcept
{
  return directory_.shared() && ::geteuid() == 0;
}

descriptor daemon_place::listen(boost::system::error_code& ec)
{
  descriptor result = detail::open_rendezvous_socket(ec);
  detail::local_sockaddr address;
  const std::string name = std::string(folder) + "/" + new_socket_name;
  if (ec || !address.assign({directory_.get(), directory_.path(), name}, ec))
    return descriptor();
  // Under its name there is nothing but a socket that listens, so nobody is refused by a daemon that begins.
  ::unlinkat(own_.get(), new_socket_name, 0);
  if (::bind(result.get(), address.get(), address.size()) != 0 ||
      ::fchmodat(own_.get(), new_socket_name, for_everybody() ? 0666 : 0600, 0) != 0 ||
      ::listen(result.get(), backlog) != 0 || ::renameat(own_.get(), new_socket_name, own_.get(), socket_name) != 0)
  {
    ec = last_error();
    return descriptor();
  }
  return result;
}

void daemon_place::write_hosts(const std::string& text, boost::system::error_code& ec)
{
  ec.clear();
  ::unlinkat(own_.get(), new_hosts_name, 0);
  const mode_t mode = for_everybody() ? 0644 : 0600;
  const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const descriptor file(::openat(own_.get(), new_hosts_name, flags, mode));
  if (!file.valid() || ::fchmod(file.get(), mode) != 0 || !write_all(file.get(), text) ||
      ::renameat(own_.get(), new_hosts_name, own_.get(), hosts_name) != 0)
    ec = last_error();
}

bool daemon_place::admits(int socket) const noexcept
{
  return for_everybody() || detail::peer_is_same_user(socket);
}

} // namespace partitiond
} // namespace shm
