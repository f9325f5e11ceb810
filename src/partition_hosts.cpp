// SPDX-License-Identifier: BSL-1.0
// Reading the list of partitions.
#include "partition_hosts.hpp"

#include "rendezvous.hpp"

#include <shm/detail/partition_address.hpp>

#include <array>
#include <fcntl.h>
#include <sstream>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace shm {
namespace detail {
namespace {

// So many partitions with the longest names and addresses.
constexpr std::size_t largest_file = 64 * 1024;

constexpr char file_name[] = "partition/hosts";
constexpr char daemon_name[] = "partition/daemon";

bool read_text(int directory, std::string& text)
{
  const descriptor fd(::openat(directory, file_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat status;
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode))
    return false;
  std::array<char, 4096> part;
  while (text.size() < largest_file)
  {
    const ssize_t n = ::read(fd.get(), part.data(), part.size());
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      break;
    text.append(part.data(), static_cast<std::size_t>(n));
  }
  return true;
}

// What a daemon that was killed has left behind says nothing.
bool somebody_listens(const file_place& daemon)
{
  boost::system::error_code ec;
  const descriptor probe = open_rendezvous_socket(ec);
  local_sockaddr address;
  if (ec || !address.assign(daemon, ec))
    return true; // nobody can tell
  return ::connect(probe.get(), address.get(), address.size()) == 0 || (errno != ECONNREFUSED && errno != ENOENT);
}

bool parse(const std::string& line, partition_host& result)
{
  std::istringstream words(line);
  std::string address, self;
  if (!(words >> address >> result.name >> result.number))
    return false;
  words >> self;
  result.self = self == "self";
  const std::string with_port = address.find(':') == std::string::npos ? address + ":0" : "[" + address + "]:0";
  return ip_name::parse(with_port, result.address);
}

bool same_address(const ip_name& a, const ip_name& b) noexcept
{
  return a.v6 == b.v6 && a.bytes == b.bytes;
}

template <typename Predicate>
const partition_host* find_if(const std::vector<partition_host>& hosts, Predicate wanted) noexcept
{
  for (const partition_host& host : hosts)
    if (wanted(host))
      return &host;
  return nullptr;
}

} // namespace

partition_hosts partition_hosts::read(const runtime_directory& directory)
{
  partition_hosts result;
  std::string text;
  if (directory.get() >= 0 && read_text(directory.get(), text))
    result.daemon = {directory.get(), directory.path(), daemon_name};
  boost::system::error_code ignored; // then there are no partitions
  result.of_root = directory.of_user(0, ignored);
  std::string text_of_root;
  if (result.of_root.get() >= 0 && read_text(result.of_root.get(), text_of_root)
      && (result.daemon.name.empty() || !somebody_listens(result.daemon)))
  {
    text = std::move(text_of_root);
    result.daemon = {result.of_root.get(), result.of_root.path(), daemon_name};
  }
  std::istringstream lines(text);
  partition_host host;
  for (std::string line; std::getline(lines, line);)
    if (parse(line, host))
      result.hosts.push_back(host);
  return result;
}

partition_hosts partition_hosts::read()
{
  boost::system::error_code ec;
  const runtime_directory directory = runtime_directory::open(runtime_directory::if_missing::fail, ec);
  partition_hosts result;
  if (!ec)
    result = read(directory);
  result.daemon = file_place(); // of a directory that is closed again
  return result;
}

const partition_host* partition_hosts::find(const ip_name& address) const noexcept
{
  return find_if(hosts, [&](const partition_host& host) { return same_address(host.address, address); });
}

const partition_host* partition_hosts::find(const std::string& name) const noexcept
{
  return find_if(hosts, [&](const partition_host& host) { return ::strcasecmp(host.name.c_str(), name.c_str()) == 0; });
}

const partition_host* partition_hosts::self() const noexcept
{
  return find_if(hosts, [](const partition_host& host) { return host.self; });
}

bool is_partition_daemon(int socket)
{
  boost::system::error_code ec;
  const runtime_directory directory = runtime_directory::open(runtime_directory::if_missing::fail, ec);
  if (ec)
    return false;
  const partition_hosts all = partition_hosts::read(directory);
  const descriptor probe = open_rendezvous_socket(ec);
  local_sockaddr address;
  if (ec || all.hosts.empty() || !address.assign(all.daemon, ec)
      || ::connect(probe.get(), address.get(), address.size()) != 0)
    return false;
  // Of a process of another namespace the number is 0, and says nothing.
  peer_identity daemon, other;
  return get_peer_identity(probe.get(), daemon) && get_peer_identity(socket, other) && daemon.pid != 0
      && daemon.pid == other.pid && daemon.uid == other.uid;
}

std::string partition_address(const std::string& name, bool numeric)
{
  ip_name ignored;
  // An address in any form is its own name: also without a network in the kernel, all of them are there.
  if (name.empty())
    return std::string();
  if (ip_name::parse(name + ":0", ignored) || ip_name::parse("[" + name + "]:0", ignored))
    return name;
  if (numeric)
    return std::string();
  const partition_hosts all = partition_hosts::read();
  const partition_host* const host = all.find(name);
  if (!host)
    return std::string();
  const std::string text = host->address.file_name(); // "10.1.2.3:0" or "[fd00::1]:0"
  const std::size_t colon = text.rfind(':');
  return host->address.v6 ? text.substr(1, colon - 2) : text.substr(0, colon);
}

} // namespace detail
} // namespace shm
