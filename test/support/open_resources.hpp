// SPDX-License-Identifier: BSL-1.0
// What a process holds that closing its sockets has to give back.

#ifndef ASIO_SHM_TEST_SUPPORT_OPEN_RESOURCES_HPP
#define ASIO_SHM_TEST_SUPPORT_OPEN_RESOURCES_HPP

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <string>
#include <system_error>

namespace shm::test {

/// Open descriptors, mapped regions of connections, and files of listeners in the runtime directory.
struct open_resources
{
  long descriptors = 0;
  long regions = 0;
  long files = 0;
  long shm_files = 0; ///< Of this library, in /dev/shm: it has no business there.

  static open_resources now()
  {
    namespace fs = std::filesystem;
    open_resources result;
    // Both counts include the descriptor that the counting itself needs.
    result.descriptors = std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);)
      result.regions += line.find("/memfd:asio-shm") != std::string::npos ? 1 : 0;
    std::error_code ec;
    for (const char* room : {"ip", "name", "lock"})
      for (fs::directory_iterator i(std::string(std::getenv("ASIO_SHM_DIR")) + "/" + room, ec), end; !ec && i != end; ++i)
        ++result.files;
    for (fs::directory_iterator i("/dev/shm", ec), end; !ec && i != end; i.increment(ec))
      result.shm_files += i->path().filename().string().find("asio-shm") == 0 ? 1 : 0;
    return result;
  }

  friend bool operator==(const open_resources& a, const open_resources& b)
  {
    return a.descriptors == b.descriptors && a.regions == b.regions && a.files == b.files && a.shm_files == b.shm_files;
  }

  /// No growth. For what goes on between two counts: memory of closed connections is freed when there is time.
  friend bool operator<=(const open_resources& a, const open_resources& b)
  {
    return a.descriptors <= b.descriptors && a.regions <= b.regions && a.files <= b.files && a.shm_files <= b.shm_files;
  }

  friend std::ostream& operator<<(std::ostream& out, const open_resources& r)
  {
    return out << r.descriptors << " descriptors, " << r.regions << " regions, " << r.files << " files, " << r.shm_files
               << " in /dev/shm";
  }
};

/// Does a step again and again until there is no growth, for a bounded time. @returns what is held then.
template <class Step>
open_resources after_growth(const open_resources& before, Step step)
{
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  for (;;)
  {
    step();
    const open_resources result = open_resources::now();
    if (result <= before || std::chrono::steady_clock::now() >= end)
      return result;
  }
}

} // namespace shm::test

#endif
