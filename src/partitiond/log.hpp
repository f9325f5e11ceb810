// SPDX-License-Identifier: BSL-1.0
// What the daemon tells its administrator: one line a message, on standard error.
#ifndef ASIO_SHM_SRC_PARTITIOND_LOG_HPP
#define ASIO_SHM_SRC_PARTITIOND_LOG_HPP

#include <string>

namespace shm {
namespace partitiond {

/// The levels of syslog(3).
enum class level
{
  error = 3,
  warning = 4,
  info = 6
};

/// Writes one line. Under systemd it begins with the level, as sd-daemon(3) has it, else with the program's name. What
/// comes from other partitions cannot forge lines: control characters become '?'. Blocks as write(2) does; any thread.
void log(level priority, const std::string& text);

} // namespace partitiond
} // namespace shm

#endif
