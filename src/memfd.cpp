// SPDX-License-Identifier: BSL-1.0
// memfd_create(2), its seals, and the checks on a descriptor that claims to be one.
#include "memfd.hpp"

#include "tsan.hpp"

#include <shm/error.hpp>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace shm {
namespace detail {
namespace {

constexpr int required_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
constexpr int refused_seals = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;

bool has_right_seals(int fd) noexcept
{
  const int seals = ::fcntl(fd, F_GET_SEALS);
  return seals >= 0 && (seals & required_seals) == required_seals && (seals & refused_seals) == 0;
}

} // namespace

memfd memfd::create(std::uint64_t size, boost::system::error_code& ec)
{
  ec.clear();
  const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  descriptor fd(::memfd_create("asio-shm", flags | MFD_NOEXEC_SEAL));
  if (!fd.valid() && errno == EINVAL) // kernels before 6.3 do not know MFD_NOEXEC_SEAL
    fd.reset(::memfd_create("asio-shm", flags));
  if (!fd.valid() || ::ftruncate(fd.get(), static_cast<off_t>(size)) != 0
      || ::fcntl(fd.get(), F_ADD_SEALS, required_seals) != 0)
  {
    ec = last_error();
    return memfd();
  }
  // Setting seals can silently do nothing. Everything else about the memory is as it was asked for.
  if (!has_right_seals(fd.get()))
  {
    ec = error::unsealed_memory;
    return memfd();
  }
  return memfd(static_cast<descriptor&&>(fd));
}

void memfd::check(std::uint64_t size, boost::system::error_code& ec) const
{
  if (!has_right_seals(fd_.get()))
  {
    ec = error::unsealed_memory;
    return;
  }
  // F_GET_SEALS also works on hugetlb memory, whose pages cannot be faulted in one by one.
  struct statfs fs;
  struct stat st;
  if (::fstatfs(fd_.get(), &fs) != 0 || ::fstat(fd_.get(), &st) != 0)
  {
    ec = last_error();
    return;
  }
  if (fs.f_type != TMPFS_MAGIC || st.st_size < 0 || static_cast<std::uint64_t>(st.st_size) < size)
    ec = error::protocol_error;
  else
    ec.clear();
}

void memfd::check_slice(std::uint64_t size, boost::system::error_code& ec) const
{
  ec.clear();
  struct stat st;
  if (::fstat(fd_.get(), &st) != 0)
    ec = last_error();
  if (ec || !S_ISREG(st.st_mode))
    return; // the memory of a device is there as long as it is
  if (st.st_nlink == 0 && !cannot_shrink())
    ec = error::unsealed_memory;
  else if (st.st_size < 0 || static_cast<std::uint64_t>(st.st_size) < size)
    ec = error::protocol_error;
}

bool memfd::cannot_shrink() const noexcept
{
  const int seals = ::fcntl(fd_.get(), F_GET_SEALS);
  return seals >= 0 && (seals & F_SEAL_SHRINK) != 0;
}

std::size_t memfd::identity() const noexcept
{
  struct stat st;
  return tsan_enabled && ::fstat(fd_.get(), &st) == 0 ? static_cast<std::size_t>(st.st_ino) : 0;
}

void memfd::allocate(std::uint64_t offset, std::uint64_t size, boost::system::error_code& ec) const
{
  int result = 0;
  do
    result = ::fallocate(fd_.get(), 0, static_cast<off_t>(offset), static_cast<off_t>(size));
  while (result != 0 && errno == EINTR);
  if (result != 0)
    ec = last_error();
  else
    ec.clear();
}

} // namespace detail
} // namespace shm
