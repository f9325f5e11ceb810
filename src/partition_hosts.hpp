// SPDX-License-Identifier: BSL-1.0
// Which addresses are those of partitions: what the partition daemon has written into the runtime directory.
#ifndef ASIO_SHM_SRC_PARTITION_HOSTS_HPP
#define ASIO_SHM_SRC_PARTITION_HOSTS_HPP

#include "file_place.hpp"
#include "runtime_directory.hpp"
#include "socket_name.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace shm {
namespace detail {

/// One partition: a line "<address> <name> <number>[ self]" of the file.
struct partition_host
{
  ip_name address; ///< With port 0.
  std::string name;
  std::uint32_t number = 0;
  bool self = false; ///< It is the one that we are in.
};

/// All partitions that are there now, and how to reach the daemon.
struct partition_hosts
{
  std::vector<partition_host> hosts; ///< None without a daemon.
  file_place daemon;                 ///< Its socket, from the directory that was given or from the next one.
  runtime_directory of_root;

  /// Reads what the daemon of this user, or in a shared directory that of root, has written. A missing or unreadable
  /// file is one without lines; lines that cannot be read do not count.
  static partition_hosts read(const runtime_directory& directory);

  /// The same in the runtime directory that is found now.
  static partition_hosts read();

  const partition_host* find(const ip_name& address) const noexcept;
  const partition_host* find(const std::string& name) const noexcept;
  const partition_host* self() const noexcept;
};

/// Whether the process at the other end of the socket is the partition daemon of this runtime directory, as far as the
/// kernel can tell.
bool is_partition_daemon(int socket);

} // namespace detail
} // namespace shm

#endif
