// SPDX-License-Identifier: BSL-1.0
// Getting at the device through its group.
#include "vfio_group.hpp"

#include "log.hpp"

#include <cerrno>
#include <fcntl.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>

namespace shm {
namespace partitiond {
namespace {

using boost::system::error_code;
using detail::descriptor;
using detail::last_error;

namespace errc = boost::system::errc;

constexpr const char* container_path = "/dev/vfio/vfio";

std::string path_of(const std::string& number)
{
  return "/dev/vfio/" + number;
}

} // namespace

vfio_group vfio_group::open(const std::string& number, error_code& ec)
{
  vfio_group result;
  ec.clear();
  result.container_.reset(::open(container_path, O_RDWR | O_CLOEXEC));
  if (!result.container_.valid())
  {
    ec = last_error();
    log(level::error, std::string(container_path) + " cannot be opened: " + ec.message());
    return result;
  }
  const unsigned long kind = result.open_group(number, ec);
  if (!ec)
    result.check_viable(number, ec);
  if (!ec)
    result.use_iommu(kind, number, ec);
  return result;
}

// @returns the kind of IOMMU.
unsigned long vfio_group::open_group(const std::string& number, error_code& ec)
{
  group_.reset(::open(path_of(number).c_str(), O_RDWR | O_CLOEXEC));
  if (group_.valid())
    return VFIO_TYPE1v2_IOMMU;
  if (errno == ENOENT)
    group_.reset(::open(("/dev/vfio/noiommu-" + number).c_str(), O_RDWR | O_CLOEXEC));
  if (group_.valid())
    return VFIO_NOIOMMU_IOMMU;
  ec = last_error();
  const char* const what = ec == errc::device_or_resource_busy
      ? " is in use by another process: "
      : " cannot be opened: is it the user's that this runs as? ";
  log(level::error, path_of(number) + what + ec.message());
  return 0;
}

void vfio_group::check_viable(const std::string& number, error_code& ec) const
{
  vfio_group_status status{};
  status.argsz = sizeof(status);
  if (::ioctl(group_.get(), VFIO_GROUP_GET_STATUS, &status) != 0)
  {
    ec = last_error();
    log(level::error, path_of(number) + " cannot be used: " + ec.message());
  }
  else if ((status.flags & VFIO_GROUP_FLAGS_VIABLE) == 0)
  {
    ec = errc::make_error_code(errc::operation_not_permitted);
    log(level::error, "the IOMMU cannot keep the device apart from others, which have drivers: see /sys/kernel/"
                      "iommu_groups/" + number + "/devices");
  }
}

void vfio_group::use_iommu(unsigned long kind, const std::string& number, error_code& ec) const
{
  const int container = container_.get();
  if (::ioctl(group_.get(), VFIO_GROUP_SET_CONTAINER, &container) == 0
      && ::ioctl(container, VFIO_SET_IOMMU, kind) == 0)
    return;
  ec = last_error();
  if (ec == errc::operation_not_permitted)
    log(level::error, "the IOMMU cannot be used; it has to remap interrupts (QEMU: -machine kernel-irqchip=split,"
                      " -device intel-iommu,intremap=on): " + ec.message());
  else
    log(level::error, path_of(number) + " cannot be used: " + ec.message());
}

descriptor vfio_group::device(const std::string& address, error_code& ec) const
{
  descriptor result(::ioctl(group_.get(), VFIO_GROUP_GET_DEVICE_FD, address.c_str()));
  if (result.valid() && ::fcntl(result.get(), F_SETFD, FD_CLOEXEC) == 0)
    ec.clear();
  else
    ec = last_error();
  return result;
}

} // namespace partitiond
} // namespace shm
