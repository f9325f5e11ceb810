// SPDX-License-Identifier: BSL-1.0
// Watching the directory of listeners by inotify(7).
#include "listeners_watch.hpp"

#include "descriptor.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <string>
#include <sys/inotify.h>
#include <unistd.h>
#include <utility>

namespace shm {
namespace partitiond {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// A program that binds a thousand ports causes one look, not a thousand.
constexpr std::chrono::milliseconds gathering{20};

constexpr std::uint32_t of_listeners = IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM;

bool same_address(const detail::ip_name& a, const detail::ip_name& b) noexcept
{
  return a.v6 == b.v6 && a.bytes == b.bytes;
}

} // namespace

listeners_watch::listeners_watch(
    asio::io_context& context, int directory, const detail::ip_name& own, handler changed, error_code& ec)
  : directory_(directory), own_(own), changed_(std::move(changed)), events_(context), timer_(context)
{
  ec.clear();
  const int inotify = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (inotify < 0)
  {
    ec = detail::last_error();
    return;
  }
  events_.assign(inotify, ec);
  if (ec)
  {
    ::close(inotify);
    return;
  }
  const std::string path = "/proc/self/fd/" + std::to_string(directory_);
  if (::inotify_add_watch(inotify, path.c_str(), IN_CREATE | IN_ONLYDIR) < 0)
    ec = detail::last_error();
  wait_for_event();
  look_soon();
}

void listeners_watch::wait_for_event()
{
  events_.async_wait(asio::posix::stream_descriptor::wait_read,
      [this](const error_code& ec)
      {
        if (ec)
          return;
        alignas(inotify_event) std::array<char, 4096> buffer;
        while (::read(events_.native_handle(), buffer.data(), buffer.size()) > 0)
          continue; // what happened does not matter
        look_soon();
        wait_for_event();
      });
}

void listeners_watch::look_soon()
{
  if (soon_)
    return;
  soon_ = true;
  timer_.expires_after(gathering);
  timer_.async_wait(
      [this](const error_code& ec)
      {
        if (ec)
          return;
        soon_ = false;
        look();
      });
}

void listeners_watch::look()
{
  if (!watching_)
  {
    const std::string path = "/proc/self/fd/" + std::to_string(directory_) + "/ip";
    watching_ = ::inotify_add_watch(events_.native_handle(), path.c_str(), of_listeners | IN_ONLYDIR) >= 0;
  }
  std::vector<std::uint16_t> ports;
  detail::descriptor fd(::openat(directory_, "ip", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  const std::unique_ptr<DIR, int (*)(DIR*)> list(fd.valid() ? ::fdopendir(fd.get()) : nullptr, &::closedir);
  if (list)
  {
    fd.release();
    detail::ip_name name;
    while (const dirent* entry = ::readdir(list.get()))
      if (detail::ip_name::parse(entry->d_name, name) && (name.is_wildcard() || same_address(name, own_)))
        ports.push_back(name.port);
  }
  std::sort(ports.begin(), ports.end());
  ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
  if (ports == ports_)
    return;
  ports_ = std::move(ports);
  changed_(ports_);
}

} // namespace partitiond
} // namespace shm
