// SPDX-License-Identifier: BSL-1.0
// What the IOMMU keeps apart from the rest of the machine: VFIO's group, with a container of its own.
#ifndef ASIO_SHM_SRC_PARTITIOND_VFIO_GROUP_HPP
#define ASIO_SHM_SRC_PARTITIOND_VFIO_GROUP_HPP

#include "descriptor.hpp"

#include <boost/system/error_code.hpp>

#include <string>

namespace shm {
namespace partitiond {

/// Has to live as long as the devices that are taken from it.
class vfio_group
{
public:
  vfio_group() = default;

  /// Opens it and lets the IOMMU serve it; what has to be done about a failure is logged. @param number As sysfs has
  /// it. @param ec device_or_resource_busy if another process has the group; operation_not_permitted if the IOMMU
  /// cannot keep it apart; the system's error.
  static vfio_group open(const std::string& number, boost::system::error_code& ec);

  /// One of its devices. @param address As lspci(8) prints it, with the domain.
  detail::descriptor device(const std::string& address, boost::system::error_code& ec) const;

private:
  unsigned long open_group(const std::string& number, boost::system::error_code& ec);
  void check_viable(const std::string& number, boost::system::error_code& ec) const;
  void use_iommu(unsigned long kind, const std::string& number, boost::system::error_code& ec) const;

  detail::descriptor container_;
  detail::descriptor group_;
};

} // namespace partitiond
} // namespace shm

#endif
