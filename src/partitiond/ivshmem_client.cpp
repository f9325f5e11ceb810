// SPDX-License-Identifier: BSL-1.0
// Being a client of an ivshmem server.
#include "ivshmem_client.hpp"

#include "doorbell.hpp"
#include "region.hpp"
#include "rendezvous.hpp"

#include <shm/error.hpp>

#include <boost/asio/error.hpp>

#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <utility>

namespace shm {
namespace partitiond {
namespace {

using boost::system::error_code;
using clock = std::chrono::steady_clock;
using detail::descriptor;
using detail::last_error;

constexpr std::uint32_t most_vectors = 256;

// Messages, before this partition turns to its own.
constexpr std::size_t most_at_once = 1024;

descriptor duplicate(const descriptor& from, error_code& ec)
{
  descriptor result(::fcntl(from.get(), F_DUPFD_CLOEXEC, 0));
  ec = result.valid() ? error_code() : last_error();
  return result;
}

} // namespace

std::unique_ptr<ivshmem_client> ivshmem_client::connect(
    const std::string& path, std::chrono::milliseconds timeout, error_code& ec, int interrupt)
{
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path))
  {
    ec = boost::asio::error::name_too_long;
    return nullptr;
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  auto result = std::make_unique<ivshmem_client>();
  result->path_ = path;
  ::lstat(path.c_str(), &result->file_); // without a file, connecting fails
  result->socket_ = detail::open_rendezvous_socket(ec);
  if (!ec && ::connect(result->socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    ec = last_error();
  if (!ec)
    result->shake_hands({clock::now() + timeout, interrupt}, ec);
  return ec ? nullptr : std::move(result);
}

void ivshmem_client::shake_hands(const limits& patience, error_code& ec)
{
  if (const ivshmem_message version = next(patience, ec);
      !ec && version.value != ivshmem_message::protocol_version)
    ec = error::version_mismatch;
  if (ec)
    return;
  const ivshmem_message id = next(patience, ec);
  if (!ec && (id.value < 0 || id.value >= max_partitions || id.attached.valid()))
    ec = error::protocol_error;
  if (ec)
    return;
  id_ = static_cast<std::uint32_t>(id.value);
  ivshmem_message given = next(patience, ec);
  if (!ec && (given.value != ivshmem_message::memory_follows || !given.attached.valid()))
    ec = error::protocol_error;
  if (!ec)
    take_memory(std::move(given.attached), ec);
  // The own eventfds come last, as many as the region says.
  std::uint32_t vectors = 0;
  if (!ec)
    vectors = region::open(memory(), ec).geometry().vectors;
  if (!ec && (vectors == 0 || vectors > most_vectors))
    ec = error::protocol_error;
  vectors_ = vectors;
  while (!ec && own_.size() < vectors_)
    take(next(patience, ec), ec);
}

// Waits for a whole message.
ivshmem_message ivshmem_client::next(const limits& patience, error_code& ec)
{
  ivshmem_message result;
  ec.clear();
  if (clock::now() >= patience.until) // there may be no end of what comes
    ec = boost::asio::error::timed_out;
  while (!ec && !receiver_.receive(socket_.get(), result, ec) && !ec)
  {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(patience.until - clock::now());
    pollfd polled[] = {{socket_.get(), POLLIN, 0}, {patience.interrupt, POLLIN, 0}};
    if (left.count() <= 0 || ::poll(polled, 2, static_cast<int>(left.count())) == 0)
      ec = boost::asio::error::timed_out;
    else if (polled[1].revents != 0)
      ec = boost::asio::error::operation_aborted;
  }
  return result;
}

void ivshmem_client::take_memory(descriptor memory, error_code& ec)
{
  struct stat status{};
  if (::fstat(memory.get(), &status) != 0)
    ec = last_error();
  else if (!S_ISREG(status.st_mode) || status.st_size <= 0)
    ec = error::protocol_error;
  size_ = static_cast<std::uint64_t>(status.st_size);
  memory_ = detail::memfd(std::move(memory));
  if (!ec && !memory_.cannot_shrink())
    ec = error::unsealed_memory;
}

// A partition that has come, one vector at a time, or has gone. This one does not go.
void ivshmem_client::take(ivshmem_message&& about, error_code& ec)
{
  if (ec)
    return;
  if (about.value < 0 || about.value >= max_partitions)
  {
    ec = error::protocol_error;
    return;
  }
  const auto who = static_cast<std::uint32_t>(about.value);
  if (who == id_ && !about.attached.valid())
  {
    ec = error::protocol_error;
    return;
  }
  if (!about.attached.valid())
  {
    if (peers_.erase(who) != 0 && handle_)
      handle_(who, false);
    return;
  }
  std::vector<descriptor>& bells = who == id_ ? own_ : peers_[who];
  if (bells.size() >= vectors_ || !detail::is_eventfd(about.attached.get()))
  {
    ec = error::protocol_error;
    return;
  }
  bells.push_back(std::move(about.attached));
  if (who != id_ && bells.size() == 1 && handle_)
    handle_(who, true);
}

void ivshmem_client::on_watched(error_code& ec)
{
  ec.clear();
  ivshmem_message about;
  for (std::size_t i = 0; i != most_at_once && !ec && receiver_.receive(socket_.get(), about, ec); ++i)
    take(std::move(about), ec);
}

// A server makes a new file; one that was killed leaves its own, one that ended removes it.
bool ivshmem_client::replaced() const noexcept
{
  struct stat now;
  return ::lstat(path_.c_str(), &now) == 0
      && (now.st_dev != file_.st_dev || now.st_ino != file_.st_ino || now.st_mtim.tv_sec != file_.st_mtim.tv_sec
          || now.st_mtim.tv_nsec != file_.st_mtim.tv_nsec);
}

descriptor ivshmem_client::listen(unsigned vector, error_code& ec)
{
  return duplicate(own_.at(vector), ec);
}

descriptor ivshmem_client::ringer(std::uint32_t peer, unsigned vector, error_code& ec)
{
  const auto found = peers_.find(peer);
  if (found == peers_.end() || vector >= found->second.size())
  {
    ec = boost::asio::error::not_found;
    return descriptor();
  }
  return duplicate(found->second[vector], ec);
}

} // namespace partitiond
} // namespace shm
