// SPDX-License-Identifier: BSL-1.0
// The region and the doorbells of a virtual machine: its ivshmem-doorbell device, driven from here by VFIO.
#ifndef ASIO_SHM_SRC_PARTITIOND_VFIO_DEVICE_HPP
#define ASIO_SHM_SRC_PARTITIOND_VFIO_DEVICE_HPP

#include "attachment.hpp"
#include "vfio_group.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace shm {
namespace partitiond {

/// The device's registers (BAR0) and interrupts belong to this process as long as this lives; a second one gets
/// device_or_resource_busy. The memory (BAR2) is reached by the file of sysfs, which applications may keep longer: one
/// that had it by VFIO would keep the next daemon from getting the device. Nobody may map it by VFIO as well: the
/// kernel refuses one way after the other was taken.
class vfio_device : public attachment
{
public:
  /// Binds the device to vfio-pci if that is necessary, and takes it. What has to be done about a failure is logged.
  /// @param address As for pci_device::find(). @param ec As for pci_device; device_or_resource_busy if another process
  /// has the device; not_supported if it has no interrupts (ivshmem-plain); as for region::open(); the system's
  /// error, as permission_denied.
  static std::unique_ptr<vfio_device> open(const std::string& address, boost::system::error_code& ec);

  std::uint32_t id() const noexcept override { return id_; }
  region_memory memory() const noexcept override { return memory_; }
  unsigned vectors() const noexcept override { return vectors_; }
  detail::descriptor listen(unsigned vector, boost::system::error_code& ec) override;

  /// The kernel rings when the eventfd is written to, if it can: up to 1000 eventfds a device. The others are watched.
  /// @param ec not_found for a number or a vector that no partition can have: who is there the region says, not the
  /// device.
  detail::descriptor ringer(std::uint32_t peer, unsigned vector, boost::system::error_code& ec) override;

  int watched() const noexcept override { return watched_.get(); }

  /// @param ec connection_reset when the kernel wants the device back, as before it is unplugged.
  void on_watched(boost::system::error_code& ec) override;

private:
  struct part
  {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
  };

  vfio_group group_; // before the device
  detail::descriptor device_;
  detail::descriptor resource_;
  detail::descriptor watched_; // of epoll(7)
  detail::descriptor wanted_back_;
  part registers_;
  region_memory memory_;
  std::uint32_t id_ = 0;
  unsigned vectors_ = 0;     // of this device
  std::uint32_t served_ = 0; // of each partition, by the server
  std::map<std::uint32_t, detail::descriptor> ringers_; // by what to write into the register

  void open_device(const std::string& address, boost::system::error_code& ec);
  void open_memory(const std::string& file, boost::system::error_code& ec);
  void read_id(boost::system::error_code& ec);
  void be_bus_master(boost::system::error_code& ec);
  void enable_vectors(boost::system::error_code& ec);
  void count_vectors(boost::system::error_code& ec);
  void watch_for_removal(boost::system::error_code& ec);
  part find_part(std::uint32_t index, boost::system::error_code& ec) const;
  void set_trigger(std::uint32_t index, std::uint32_t first, const int* eventfds, std::uint32_t count,
      boost::system::error_code& ec) const;
  bool let_kernel_ring(int eventfd, std::uint32_t value) const noexcept;
  void watch(int eventfd, std::uint64_t what, boost::system::error_code& ec) const;
  void ring(std::uint32_t value) const noexcept;
};

} // namespace partitiond
} // namespace shm

#endif
