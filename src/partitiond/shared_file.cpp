// SPDX-License-Identifier: BSL-1.0
// Opening and making files with a region.
#include "shared_file.hpp"

#include "doorbell.hpp"
#include "region.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <linux/fs.h>
#include <random>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace shm {
namespace partitiond {
namespace {

using boost::system::error_code;
using detail::last_error;

// Of a character device with memory (DAX).
std::uint64_t size_by_sysfs(dev_t device)
{
  std::ifstream file("/sys/dev/char/" + std::to_string(major(device)) + ":" + std::to_string(minor(device)) + "/size");
  std::uint64_t size = 0;
  file >> size;
  return size;
}

// Each kind says it in its own way.
std::uint64_t size_of(int fd, error_code& ec)
{
  struct stat status;
  std::uint64_t size = 0;
  if (::fstat(fd, &status) != 0)
    ec = last_error();
  else if (S_ISREG(status.st_mode))
    size = static_cast<std::uint64_t>(status.st_size);
  else if (S_ISCHR(status.st_mode))
    size = size_by_sysfs(status.st_rdev);
  else if (S_ISBLK(status.st_mode) && ::ioctl(fd, BLKGETSIZE64, &size) != 0)
    ec = last_error();
  if (!ec && size == 0)
    ec = boost::asio::error::invalid_argument;
  return size;
}

void make_region(int fd, std::uint64_t size, std::uint32_t partitions, error_code& ec)
{
  std::random_device random;
  const std::uint64_t id = std::uint64_t{random()} << 32 | random();
  region_header wanted{};
  create_header(&wanted, size, partitions, 0, id, ec); // before anything is lost
  if (ec)
    return;
  void* const base = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED)
  {
    ec = last_error();
    return;
  }
  auto* const bytes = static_cast<unsigned char*>(base);
  const bool used = std::any_of(bytes, bytes + header_size, [](unsigned char byte) { return byte != 0; });
  // All headers: whoever is still there from before finds another region.
  std::memset(base, 0, header_size);
  for (std::uint32_t i = 0; i != partitions; ++i)
  {
    unsigned char* const area = bytes + header_size + i * wanted.area_size;
    std::memset(area, 0, sizeof(area_header));
    reinterpret_cast<area_header*>(area)->heartbeat.store(used ? 1 : 0, std::memory_order_relaxed); // applications may still have it mapped
  }
  create_header(base, size, partitions, 0, id, ec);
  ::munmap(base, size);
}

} // namespace

std::unique_ptr<shared_file> shared_file::open(
    const std::string& path, std::uint32_t id, const creation* make, error_code& ec)
{
  ec.clear();
  auto result = std::make_unique<shared_file>();
  result->id_ = id;
  result->file_.reset(::open(path.c_str(), O_RDWR | O_CLOEXEC | (make ? O_CREAT : 0), S_IRUSR | S_IWUSR));
  struct stat status;
  if (!result->file_.valid() || ::fstat(result->file_.get(), &status) != 0)
    ec = last_error();
  // A file never shrinks here: it would take the memory away from those who have it mapped.
  else if (make && S_ISREG(status.st_mode) && static_cast<std::uint64_t>(status.st_size) < make->size
      && ::ftruncate(result->file_.get(), static_cast<off_t>(make->size)) != 0)
    ec = last_error();
  if (!ec)
    result->size_ = size_of(result->file_.get(), ec);
  if (!ec && make)
    make_region(result->file_.get(), result->size_, make->partitions, ec);
  return ec ? nullptr : std::move(result);
}

detail::descriptor shared_file::listen(unsigned, error_code& ec)
{
  return detail::open_eventfd(ec);
}

// Nobody hears it; those who are rung look by themselves.
detail::descriptor shared_file::ringer(std::uint32_t, unsigned, error_code& ec)
{
  return detail::open_eventfd(ec);
}

} // namespace partitiond
} // namespace shm
