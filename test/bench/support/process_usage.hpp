// SPDX-License-Identifier: BSL-1.0
// What a process holds, as /proc tells it: memory, descriptors, context switches; and its limits.
#ifndef ASIO_SHM_TEST_BENCH_SUPPORT_PROCESS_USAGE_HPP
#define ASIO_SHM_TEST_BENCH_SUPPORT_PROCESS_USAGE_HPP

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <system_error>

#include <sys/resource.h>
#include <sys/types.h>

namespace shm::bench {

inline std::filesystem::path process_folder(pid_t process)
{
  return std::filesystem::path("/proc") / std::to_string(process);
}

/// The values of a file of "name: number" lines; lines of another shape are left out.
inline std::map<std::string, std::uint64_t> numbers_of(const std::filesystem::path& path)
{
  std::ifstream file(path);
  if (!file)
    throw std::runtime_error("cannot read " + path.string());
  std::map<std::string, std::uint64_t> numbers;
  std::string line;
  while (std::getline(file, line))
  {
    const std::size_t colon = line.find(':');
    const std::size_t digit = colon == std::string::npos ? colon : line.find_first_not_of(" \t", colon + 1);
    if (digit != std::string::npos && line[digit] >= '0' && line[digit] <= '9')
      numbers[line.substr(0, colon)] = std::stoull(line.substr(digit));
  }
  return numbers;
}

/// Of all threads, voluntary or not.
inline std::uint64_t context_switches_of(pid_t process)
{
  std::uint64_t sum = 0;
  for (const auto& thread : std::filesystem::directory_iterator(process_folder(process) / "task"))
  {
    const auto numbers = numbers_of(thread.path() / "status");
    sum += numbers.at("voluntary_ctxt_switches") + numbers.at("nonvoluntary_ctxt_switches");
  }
  return sum;
}

inline std::size_t descriptors_of(pid_t process)
{
  const std::filesystem::directory_iterator all(process_folder(process) / "fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// In bytes.
struct memory_use
{
  double rss = 0; ///< resident; what two processes share counts in both
  double pss = 0; ///< resident; of what processes share, each one's part
  double virtual_size = 0;
  double page_tables = 0;

  friend memory_use operator+(const memory_use& a, const memory_use& b)
  {
    return {a.rss + b.rss, a.pss + b.pss, a.virtual_size + b.virtual_size, a.page_tables + b.page_tables};
  }

  friend memory_use operator-(const memory_use& a, const memory_use& b)
  {
    return {a.rss - b.rss, a.pss - b.pss, a.virtual_size - b.virtual_size, a.page_tables - b.page_tables};
  }
};

inline memory_use memory_of(pid_t process)
{
  const auto status = numbers_of(process_folder(process) / "status");
  const auto resident = numbers_of(process_folder(process) / "smaps_rollup");
  const auto bytes = [](std::uint64_t kibibytes) { return static_cast<double>(kibibytes) * 1024; };
  return {
    bytes(resident.at("Rss")), bytes(resident.at("Pss")), bytes(status.at("VmSize")), bytes(status.at("VmPTE"))};
}

/// Raises the soft limit as far as it goes; how many descriptors the process may have.
inline std::size_t raise_descriptor_limit()
{
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
    throw std::system_error(errno, std::generic_category(), "getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0)
    throw std::system_error(errno, std::generic_category(), "setrlimit");
  return limit.rlim_max == RLIM_INFINITY ? std::numeric_limits<std::size_t>::max()
                                         : static_cast<std::size_t>(limit.rlim_max);
}

/// How many mappings the kernel allows a process.
inline std::size_t mapping_limit()
{
  std::size_t limit = std::numeric_limits<std::size_t>::max();
  std::ifstream("/proc/sys/vm/max_map_count") >> limit;
  return limit;
}

} // namespace shm::bench

#endif
