// SPDX-License-Identifier: BSL-1.0
// An ivshmem device as the guest's sysfs shows it.
#ifndef ASIO_SHM_SRC_PARTITIOND_PCI_DEVICE_HPP
#define ASIO_SHM_SRC_PARTITIOND_PCI_DEVICE_HPP

#include <boost/system/error_code.hpp>

#include <string>

namespace shm {
namespace partitiond {

/// Finds the device and gives it to the driver vfio-pci. What is wrong, and what to do about it, goes to the log as
/// well: an error code cannot say it.
class pci_device
{
public:
  /// @param address As "0000:00:03.0" or "00:03.0"; empty: the only ivshmem device. @param sysfs Where that is mounted.
  /// @param ec invalid_argument if that is no address, or there are several devices; no_such_device if there is none,
  /// or it is no ivshmem device; the system's error.
  static pci_device find(
      const std::string& address, boost::system::error_code& ec, const std::string& sysfs = "/sys");

  /// In full, as "0000:00:03.0".
  const std::string& address() const noexcept { return address_; }

  /// The path of one of its files.
  std::string file(const std::string& name) const { return folder() + "/" + name; }

  /// Of the driver that has it, or nothing.
  std::string driver() const;

  /// Takes it away from another driver if it has one, and gives it to vfio-pci; nothing if that has it already.
  /// @param ec no_such_file_or_directory if the kernel has no such driver; the system's error, as permission_denied.
  void give_to_vfio(boost::system::error_code& ec) const;

  /// The number of the group whose devices an IOMMU cannot keep apart. @param ec operation_not_supported if no IOMMU
  /// has this device.
  std::string iommu_group(boost::system::error_code& ec) const;

private:
  std::string folder() const { return sysfs_ + "/bus/pci/devices/" + address_; }

  std::string sysfs_;
  std::string address_;
};

} // namespace partitiond
} // namespace shm

#endif
