// SPDX-License-Identifier: BSL-1.0
// Connecting by endpoint, and the emulated local endpoints of connectors. Binding is in address_space_bind.cpp,
// releasing in bound_name.cpp.
#include "address_space.hpp"

#include "ephemeral_port.hpp"
#include "file_place.hpp"
#include "partition_hosts.hpp"
#include "runtime_directory.hpp"
#include "socket_name.hpp"

#include <boost/asio/error.hpp>

#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace shm {
namespace detail {
namespace {

// After so many taken ports in a row the range is full for all practical purposes.
constexpr int max_claim_attempts = 256;

void connect_file(int socket, const file_place& place, boost::system::error_code& ec)
{
  local_sockaddr address;
  if (!address.assign(place, ec))
    return;
  if (::connect(socket, address.get(), address.size()) == 0)
    ec.clear();
  else
    ec = last_error();
}

void refuse_if_missing(boost::system::error_code& ec)
{
  if (ec == boost::system::errc::no_such_file_or_directory)
    ec = boost::asio::error::connection_refused;
}

// In the runtime directory, a file that is missing is an endpoint where nobody listens.
void connect_endpoint(int socket, const file_place& place, boost::system::error_code& ec)
{
  connect_file(socket, place, ec);
  refuse_if_missing(ec);
}

// The socket in a directory of another user, who could have put a link there to one that only we may reach.
// @param ec connection_refused if it is not theirs.
descriptor open_their_socket(const file_place& place, std::uint32_t user, boost::system::error_code& ec)
{
  const std::size_t slash = place.name.find('/');
  const descriptor room(
      ::openat(place.directory, place.name.substr(0, slash).c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  descriptor file;
  if (room.valid())
    file.reset(::openat(room.get(), place.name.substr(slash + 1).c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat status;
  if (!file.valid() || ::fstat(file.get(), &status) != 0)
    ec = last_error();
  else if (!S_ISSOCK(status.st_mode) || status.st_uid != user)
    ec = boost::asio::error::connection_refused;
  else
    ec.clear();
  if (ec.value() == ENOENT || ec.value() == ENOTDIR || ec.value() == ELOOP)
    ec = boost::asio::error::connection_refused;
  return file;
}

void connect_endpoint(
    int socket, const runtime_directory& directory, const file_place& place, boost::system::error_code& ec)
{
  if (directory.user() == ::geteuid())
  {
    connect_endpoint(socket, place, ec);
    return;
  }
  const descriptor file = open_their_socket(place, directory.user(), ec);
  if (ec)
    return;
  connect_file(socket, path_place("/proc/self/fd/" + std::to_string(file.get())), ec);
  if (ec.value() == EPROTOTYPE)
    ec = boost::asio::error::connection_refused;
}

// Whether an interface of this machine has the address, so that a listener on the wildcard would get its connections.
bool is_local_address(const ip_name& name, boost::system::error_code& ec)
{
  ec.clear();
  if (name.is_loopback())
    return true;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0)
  {
    ec = last_error();
    return false;
  }
  bool found = false;
  for (const ifaddrs* i = list; i && !found; i = i->ifa_next)
  {
    if (!i->ifa_addr || i->ifa_addr->sa_family != (name.v6 ? AF_INET6 : AF_INET))
      continue;
    if (name.v6)
    {
      sockaddr_in6 v6;
      std::memcpy(&v6, i->ifa_addr, sizeof(v6));
      found = std::memcmp(&v6.sin6_addr, name.bytes.data(), sizeof(v6.sin6_addr)) == 0;
    }
    else
    {
      sockaddr_in v4;
      std::memcpy(&v4, i->ifa_addr, sizeof(v4));
      found = std::memcmp(&v4.sin_addr, name.bytes.data(), sizeof(v4.sin_addr)) == 0;
    }
  }
  ::freeifaddrs(list);
  return found;
}

// Binds to the abstract name that stands for a port. @returns false with errno.
bool bind_port(int socket, std::uint64_t directory, std::uint16_t port)
{
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const int length = std::snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "asio-shm/%lu/%016llx/%u",
      static_cast<unsigned long>(::geteuid()), static_cast<unsigned long long>(directory), unsigned(port));
  const std::size_t size = offsetof(sockaddr_un, sun_path) + 1 + static_cast<std::size_t>(length);
  return ::bind(socket, reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(size)) == 0;
}

// The address of a partition, with port 0, for a connection to that peer.
socket_address address_of(const partition_host* partition, const socket_address& peer)
{
  boost::system::error_code ec;
  const socket_name name = socket_name::parse(peer, false, ec);
  if (!partition || partition->address.v6 != name.ip.v6)
    return local_end(peer);
  return with_address(peer, partition->address);
}

bool may_be_elsewhere(const boost::system::error_code& ec) noexcept
{
  return ec == boost::asio::error::connection_refused || ec == boost::asio::error::access_denied;
}

} // namespace

connector_names::connector_names() = default;
connector_names::~connector_names() = default;

const runtime_directory* connector_names::directory(boost::system::error_code& ec)
{
  ec.clear();
  if (!directory_)
  {
    runtime_directory found = runtime_directory::open(runtime_directory::if_missing::fail, ec);
    if (ec)
      return nullptr;
    directory_ = std::make_unique<const runtime_directory>(std::move(found));
  }
  return directory_.get();
}

const partition_hosts& connector_names::partitions()
{
  if (!partitions_)
    partitions_ = std::make_unique<const partition_hosts>(partition_hosts::read(*directory_));
  return *partitions_;
}

// Whether a listener on the wildcard gets connections to the address.
bool connector_names::is_here(const ip_name& address, boost::system::error_code& ec)
{
  if (is_local_address(address, ec) || ec)
    return !ec;
  const partition_host* const partition = partitions().find(address);
  return partition && partition->self;
}

// A refused AF_UNIX socket is as good as new: it may try the next candidate.
void connector_names::connect_ip(
    const runtime_directory& directory, int socket, const ip_name& peer, boost::system::error_code& ec)
{
  const ip_name destination = peer.destination();
  connect_endpoint(socket, directory, ip_place(directory.get(), directory.path(), destination), ec);
  if (ec != boost::asio::error::connection_refused)
    return;
  boost::system::error_code failed;
  const bool here = is_here(destination, failed);
  if (failed)
    ec = failed;
  if (!here)
    return;
  for (const ip_name& wildcard : destination.wildcards())
  {
    connect_endpoint(socket, directory, ip_place(directory.get(), directory.path(), wildcard), ec);
    if (ec != boost::asio::error::connection_refused)
      return;
  }
}

// Looks for the listener in one directory. @param ec connection_refused if there is none.
void connector_names::connect_in(
    const runtime_directory& directory, int socket, const socket_name& name, boost::system::error_code& ec)
{
  if (name.what == socket_name::kind::ip)
    connect_ip(directory, socket, name.ip, ec);
  else
    connect_endpoint(socket, directory, short_name_place(directory.get(), directory.path(), name.text), ec);
}

void connector_names::connect_here(int socket, const socket_name& name, boost::system::error_code& ec)
{
  if (name.what == socket_name::kind::path)
  {
    connect_file(socket, path_place(name.text), ec);
    return;
  }
  if (name.what == socket_name::kind::ip && name.ip.port == 0)
  {
    ec = boost::asio::error::connection_refused;
    return;
  }
  const runtime_directory* const own = directory(ec);
  refuse_if_missing(ec);
  if (ec)
    return;
  if (own->get() >= 0)
    connect_in(*own, socket, name, ec);
  else
    ec = boost::asio::error::connection_refused;
  if (!own->shared() || !may_be_elsewhere(ec))
    return;
  boost::system::error_code outcome = ec;
  for (const std::uint32_t user : own->other_users(ec))
  {
    const runtime_directory other = own->of_user(user, ec);
    if (ec)
      return;
    if (other.get() < 0)
      continue;
    connect_in(other, socket, name, ec);
    if (!may_be_elsewhere(ec))
      return;
    if (ec == boost::asio::error::access_denied)
      outcome = ec;
  }
  if (!ec || may_be_elsewhere(ec))
    ec = outcome;
}

connected_to connector_names::connect(int socket, const socket_address& peer, boost::system::error_code& ec)
{
  found_ = connected_to::listener;
  const socket_name name = socket_name::parse(peer, false, ec);
  if (ec)
    return found_;
  connect_here(socket, name, ec);
  if (ec != boost::asio::error::connection_refused || name.what != socket_name::kind::ip || !directory_)
    return found_;
  const partition_host* const partition = partitions().find(name.ip.destination());
  if (!partition || partition->self || name.ip.port == 0)
    return found_;
  found_ = connected_to::partition_daemon;
  connect_endpoint(socket, partitions().daemon, ec);
  if (ec == boost::asio::error::connection_refused)
    ec = boost::asio::error::host_unreachable;
  return found_;
}

socket_address connector_names::claim(
    int socket, const socket_address& peer, std::uint16_t wanted, boost::system::error_code& ec)
{
  socket_address result = local_end(peer);
  const socket_name name = socket_name::parse(peer, false, ec);
  if (ec || name.what != socket_name::kind::ip)
    return result;
  if (found_ == connected_to::partition_daemon)
    result = address_of(partitions().self(), peer);
  const runtime_directory* const found = directory(ec);
  if (ec)
    return result;

  std::uint16_t port = wanted != 0 ? wanted : random_ephemeral_port();
  const int attempts = wanted != 0 ? 1 : max_claim_attempts;
  for (int i = 0; i < attempts; ++i)
  {
    // A connection from a port to itself would look like TCP's simultaneous open.
    if (wanted == 0 && port == name.ip.port)
      port = next_ephemeral_port(port);
    set_port(result, port);
    if (bind_port(socket, found->identity(), port))
    {
      ec.clear();
      return result;
    }
    ec = last_error();
    if (ec != boost::asio::error::address_in_use)
      return result;
    if (wanted == 0)
      port = next_ephemeral_port(port);
  }
  // The port serves to tell connections apart in logs; running out of unique ones is no reason to refuse to connect.
  if (wanted == 0)
    ec.clear();
  return result;
}

void connect_name(int socket, const socket_address& peer, boost::system::error_code& ec)
{
  const socket_name name = socket_name::parse(peer, false, ec);
  if (!ec)
    connector_names().connect_here(socket, name, ec);
}

socket_address claim_ephemeral(
    int socket, const socket_address& peer, std::uint16_t wanted, boost::system::error_code& ec)
{
  return connector_names().claim(socket, peer, wanted, ec);
}

} // namespace detail
} // namespace shm
