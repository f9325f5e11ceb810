// SPDX-License-Identifier: BSL-1.0
// The command line of shm_partitiond.
#ifndef ASIO_SHM_SRC_PARTITIOND_OPTIONS_HPP
#define ASIO_SHM_SRC_PARTITIOND_OPTIONS_HPP

#include <chrono>
#include <cstdint>
#include <string>

namespace shm {
namespace partitiond {

struct options
{
  /// How the region is reached.
  enum class source
  {
    serve,  ///< Makes it, serves it to virtual machines, and takes part.
    attach, ///< From another daemon's server.
    vfio,   ///< From a PCI device of this virtual machine.
    region  ///< A file, without interrupts.
  };

  source from = source::attach;
  std::string path; ///< Of the server's socket, of the file, or the PCI address; empty: the only such device.
  std::uint64_t size = std::uint64_t{1} << 30; ///< With serve, and region with create.
  std::uint32_t partitions = 16;                ///< Likewise.
  std::uint32_t vectors = 8;                    ///< With serve.
  std::uint32_t id = 0;                         ///< With region.
  bool create = false;                          ///< With region.

  std::string name;              ///< Empty: "partition-<id>".
  std::string address;           ///< Empty: derived from region and id.
  std::string runtime_directory; ///< Empty: as every program finds it.
  std::chrono::milliseconds dead_after{3000};
};

/// What the command line asks for.
struct command_line
{
  bool run = false; ///< Else there is nothing to do but to print the text and to exit.
  int exit_code = 0;
  std::string text; ///< For standard output, or standard error if the exit code is not 0.
  options wanted;
};

/// Reads the command line. Never throws but for memory.
command_line parse_command_line(int argc, const char* const* argv);

} // namespace partitiond
} // namespace shm

#endif
