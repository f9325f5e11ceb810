// SPDX-License-Identifier: BSL-1.0
// Writing log lines.
#include "log.hpp"

#include <cstdlib>
#include <unistd.h>

namespace shm {
namespace partitiond {

void log(level priority, const std::string& text)
{
  static const bool journal = std::getenv("JOURNAL_STREAM") || std::getenv("INVOCATION_ID");
  std::string line = journal ? "<" + std::to_string(static_cast<int>(priority)) + ">" : "shm_partitiond: ";
  for (const char c : text)
    line += static_cast<unsigned char>(c) < ' ' || c == 0x7f ? '?' : c;
  line += '\n';
  // One call, so that lines of two threads or processes do not mix.
  const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
  static_cast<void>(written);
}

} // namespace partitiond
} // namespace shm
