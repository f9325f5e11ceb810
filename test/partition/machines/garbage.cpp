// SPDX-License-Identifier: BSL-1.0
// Writes random words into the memory that partitions share, as a partition can that has gone mad.
//
//   garbage <file or device's resource2> <part> <seconds>
//
// part: area:<id>, areas (all of them, without the header), region. 0 seconds: once, else again and again.
#include "region_layout.hpp"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace shm::partitiond;

int main(int argc, char* argv[])
{
  if (argc != 4)
  {
    std::fputs("usage: garbage FILE area:ID|areas|region SECONDS\n", stderr);
    return 2;
  }
  const std::string part = argv[2];
  const int file = ::open(argv[1], O_RDWR | O_CLOEXEC);
  struct stat status;
  if (file < 0 || ::fstat(file, &status) != 0)
  {
    std::perror(argv[1]);
    return 1;
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED)
  {
    std::perror("mmap");
    return 1;
  }
  // Taken now: it will not be there later.
  region_header header;
  std::memcpy(static_cast<void*>(&header), memory, sizeof(header));
  std::size_t begin = 0;
  std::size_t end = size;
  if (part != "region")
    begin = header_size;
  if (part.compare(0, 5, "area:") == 0)
  {
    begin += std::strtoul(part.c_str() + 5, nullptr, 10) * header.area_size;
    end = begin + header.area_size;
  }
  if (begin >= end || end > size)
  {
    std::fputs("garbage: no such part\n", stderr);
    return 1;
  }
  std::mt19937_64 random(std::random_device{}());
  auto* const words = static_cast<volatile std::uint64_t*>(memory);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(argv[3]));
  std::uint64_t written = 0;
  std::uint64_t rounds = 0;
  do
  {
    // Few bits, many bits, and small numbers: what is checked against a limit meets values near it.
    for (std::size_t at = begin / 8; at != end / 8; ++at, ++written)
    {
      const std::uint64_t value = random();
      words[at] = value >> (value % 4 == 0 ? 56 : value % 4 == 1 ? 40 : 0);
    }
    ++rounds;
  } while (std::chrono::steady_clock::now() < until);
  std::printf("%llu words, %llu rounds\n", static_cast<unsigned long long>(written),
      static_cast<unsigned long long>(rounds));
  return 0;
}
