// SPDX-License-Identifier: BSL-1.0
// The daemon's part of the runtime directory: where applications find it and read which partitions there are.
#ifndef ASIO_SHM_SRC_PARTITIOND_DAEMON_PLACE_HPP
#define ASIO_SHM_SRC_PARTITIOND_DAEMON_PLACE_HPP

#include "descriptor.hpp"
#include "runtime_directory.hpp"

#include <boost/system/error_code.hpp>

#include <string>

namespace shm {
namespace partitiond {

/// One daemon has it at a time. In a runtime directory of one user only that user finds it; in a shared one, the daemon
/// of root is there for everybody.
class daemon_place
{
public:
  /// Opens the runtime directory, or makes it, and takes the place. @param ec address_in_use if another daemon has it;
  /// otherwise as for runtime_directory::open.
  explicit daemon_place(boost::system::error_code& ec);

  /// Takes the files away, but for the lock.
  ~daemon_place();

  daemon_place(const daemon_place&) = delete;
  daemon_place& operator=(const daemon_place&) = delete;

  /// The socket at which applications ask for connections, listening. A file of a dead daemon is replaced.
  detail::descriptor listen(boost::system::error_code& ec);

  /// Replaces the list of partitions, all of it at once.
  void write_hosts(const std::string& text, boost::system::error_code& ec);

  /// Whether the process at the other end of the socket may ask for connections.
  bool admits(int socket) const noexcept;

  const detail::runtime_directory& directory() const noexcept { return directory_; }

private:
  bool for_everybody() const noexcept;

  detail::runtime_directory directory_;
  detail::descriptor own_;  // "partition" in it
  detail::descriptor lock_; // a file in there, never removed; flock(2) on it is the right to be here
  bool taken_ = false;
};

} // namespace partitiond
} // namespace shm

#endif
