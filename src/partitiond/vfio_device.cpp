// SPDX-License-Identifier: BSL-1.0
// Driving the device.
#include "vfio_device.hpp"

#include "doorbell.hpp"
#include "log.hpp"
#include "pci_device.hpp"
#include "region.hpp"
#include "shared_eventfd.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <fcntl.h>
#include <linux/vfio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace shm {
namespace partitiond {
namespace {

using boost::system::error_code;
using detail::descriptor;
using detail::last_error;

namespace errc = boost::system::errc;

// QEMU's docs/specs/ivshmem-spec: the registers, 32 bits each.
constexpr std::uint64_t own_number = 8;
constexpr std::uint64_t doorbell = 12;

// PCI's.
constexpr std::uint64_t command = 4;
constexpr std::uint16_t answer_memory = 2;
constexpr std::uint16_t bus_master = 4;

constexpr unsigned most_vectors = 256;

// Instead of what to write into the doorbell.
constexpr std::uint64_t back = ~std::uint64_t{0};

template <class T>
bool read_at(int fd, T& result, std::uint64_t offset) noexcept
{
  return ::pread(fd, &result, sizeof(T), static_cast<off_t>(offset)) == static_cast<ssize_t>(sizeof(T));
}

template <class T>
bool write_at(int fd, const T& value, std::uint64_t offset) noexcept
{
  return ::pwrite(fd, &value, sizeof(T), static_cast<off_t>(offset)) == static_cast<ssize_t>(sizeof(T));
}

bool can_be_mapped(const region_memory& memory) noexcept
{
  void* const page = ::mmap(
      nullptr, page_size, PROT_READ | PROT_WRITE, MAP_SHARED, memory.descriptor, static_cast<off_t>(memory.offset));
  return page != MAP_FAILED && ::munmap(page, page_size) == 0;
}

} // namespace

std::unique_ptr<vfio_device> vfio_device::open(const std::string& address, error_code& ec)
{
  const pci_device found = pci_device::find(address, ec);
  if (!ec)
    found.give_to_vfio(ec);
  std::string group;
  if (!ec)
    group = found.iommu_group(ec);
  auto result = std::make_unique<vfio_device>();
  if (!ec)
    result->group_ = vfio_group::open(group, ec);
  if (!ec)
    result->open_device(found.address(), ec);
  if (!ec)
    result->open_memory(found.file("resource2"), ec);
  if (!ec)
    result->count_vectors(ec);
  return ec ? nullptr : std::move(result);
}

void vfio_device::open_device(const std::string& address, error_code& ec)
{
  device_ = group_.device(address, ec);
  watched_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!ec && !watched_.valid())
    ec = last_error();
  if (!ec)
    registers_ = find_part(VFIO_PCI_BAR0_REGION_INDEX, ec);
  if (!ec)
    enable_vectors(ec);
  if (!ec)
    be_bus_master(ec);
  if (!ec)
    read_id(ec);
  if (!ec)
    watch_for_removal(ec);
  if (ec)
    log(level::error, address + " cannot be used: " + ec.message());
}

// All of them, though nobody listens yet: how many there are cannot be changed later.
void vfio_device::enable_vectors(error_code& ec)
{
  vfio_irq_info info{};
  info.argsz = sizeof(info);
  info.index = VFIO_PCI_MSIX_IRQ_INDEX;
  if (::ioctl(device_.get(), VFIO_DEVICE_GET_IRQ_INFO, &info) != 0)
    ec = last_error();
  else if (info.count == 0)
  {
    log(level::error, "the device has no interrupts, so it does not know its number either (ivshmem-plain):"
                      " --region /sys/bus/pci/devices/.../resource2 --id N");
    ec = errc::make_error_code(errc::not_supported);
  }
  else if (info.count > most_vectors)
    ec = errc::make_error_code(errc::value_too_large);
  if (ec)
    return;
  vectors_ = info.count;
  const std::vector<int> nobody(vectors_, -1);
  set_trigger(VFIO_PCI_MSIX_IRQ_INDEX, 0, nobody.data(), vectors_, ec);
}

// Without that no interrupt gets out of the device; VFIO leaves it to its users.
void vfio_device::be_bus_master(error_code& ec)
{
  const part config = find_part(VFIO_PCI_CONFIG_REGION_INDEX, ec);
  std::uint16_t value = 0;
  if (ec)
    return;
  if (!read_at(device_.get(), value, config.offset + command))
    ec = last_error();
  value = static_cast<std::uint16_t>(value | answer_memory | bus_master);
  if (!ec && !write_at(device_.get(), value, config.offset + command))
    ec = last_error();
}

void vfio_device::read_id(error_code& ec)
{
  if (!read_at(device_.get(), id_, registers_.offset + own_number))
    ec = last_error();
  else if (id_ >= max_partitions) // all ones as long as the server has given none
    ec = errc::make_error_code(errc::result_out_of_range);
}

void vfio_device::watch_for_removal(error_code& ec)
{
  wanted_back_ = detail::open_eventfd(ec);
  const int trigger = wanted_back_.get();
  if (!ec)
    watch(trigger, back, ec);
  error_code old_kernel; // it will have to wait until this process ends
  if (!ec)
    set_trigger(VFIO_PCI_REQ_IRQ_INDEX, 0, &trigger, 1, old_kernel);
}

void vfio_device::open_memory(const std::string& file, error_code& ec)
{
  resource_.reset(::open(file.c_str(), O_RDWR | O_CLOEXEC));
  struct stat status;
  if (resource_.valid() && ::fstat(resource_.get(), &status) == 0 && status.st_size > 0)
    memory_ = {resource_.get(), 0, static_cast<std::uint64_t>(status.st_size)};
  if (resource_.valid() && can_be_mapped(memory_))
    return;
  const error_code why = last_error();
  const part by_vfio = find_part(VFIO_PCI_BAR2_REGION_INDEX, ec);
  if (ec)
    return;
  memory_ = {device_.get(), by_vfio.offset, by_vfio.size};
  log(level::warning, file + " cannot be used: " + why.message()
          + ". Applications get the memory by VFIO: when this has ended, they keep the device as long as they run");
}

// The device may have more than the server has eventfds for: nobody could ring these.
void vfio_device::count_vectors(error_code& ec)
{
  const std::uint32_t served = region::open(memory_, ec).geometry().vectors;
  served_ = std::min<std::uint32_t>(served, most_vectors);
  if (ec || served >= vectors_)
    return;
  log(level::warning, "the device has " + std::to_string(vectors_) + " vectors, of which the server serves "
          + std::to_string(served));
  vectors_ = served;
}

vfio_device::part vfio_device::find_part(std::uint32_t index, error_code& ec) const
{
  vfio_region_info info{};
  info.argsz = sizeof(info);
  info.index = index;
  ec.clear();
  if (::ioctl(device_.get(), VFIO_DEVICE_GET_REGION_INFO, &info) != 0)
    ec = last_error();
  else if (info.size == 0)
    ec = errc::make_error_code(errc::not_supported);
  return {info.offset, info.size};
}

void vfio_device::set_trigger(
    std::uint32_t index, std::uint32_t first, const int* eventfds, std::uint32_t count, error_code& ec) const
{
  vfio_irq_set head{};
  head.argsz = static_cast<std::uint32_t>(sizeof(head) + count * sizeof(int));
  head.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
  head.index = index;
  head.start = first;
  head.count = count;
  alignas(vfio_irq_set) std::array<unsigned char, sizeof(head) + most_vectors * sizeof(int)> bytes;
  std::memcpy(bytes.data(), &head, sizeof(head));
  std::memcpy(bytes.data() + sizeof(head), eventfds, count * sizeof(int));
  ec.clear();
  if (::ioctl(device_.get(), VFIO_DEVICE_SET_IRQS, bytes.data()) != 0)
    ec = last_error();
}

descriptor vfio_device::listen(unsigned vector, error_code& ec)
{
  descriptor result = detail::open_eventfd(ec);
  const int trigger = result.get();
  if (!ec)
    set_trigger(VFIO_PCI_MSIX_IRQ_INDEX, vector, &trigger, 1, ec);
  return ec ? descriptor() : std::move(result);
}

descriptor vfio_device::ringer(std::uint32_t peer, unsigned vector, error_code& ec)
{
  if (peer >= max_partitions || vector >= served_)
  {
    ec = boost::asio::error::not_found;
    return descriptor();
  }
  const std::uint32_t value = peer << 16 | vector;
  auto found = ringers_.find(value);
  if (found == ringers_.end())
  {
    descriptor made = detail::open_eventfd(ec);
    if (!ec && !let_kernel_ring(made.get(), value))
      watch(made.get(), value, ec);
    if (ec)
      return descriptor();
    found = ringers_.emplace(value, std::move(made)).first;
  }
  descriptor result(::fcntl(found->second.get(), F_DUPFD_CLOEXEC, 0));
  ec = result.valid() ? error_code() : last_error();
  return result;
}

bool vfio_device::let_kernel_ring(int eventfd, std::uint32_t value) const noexcept
{
  vfio_device_ioeventfd wanted{};
  wanted.argsz = sizeof(wanted);
  wanted.flags = VFIO_DEVICE_IOEVENTFD_32;
  wanted.offset = registers_.offset + doorbell;
  wanted.data = value;
  wanted.fd = eventfd;
  return ::ioctl(device_.get(), VFIO_DEVICE_IOEVENTFD, &wanted) == 0;
}

void vfio_device::watch(int eventfd, std::uint64_t what, error_code& ec) const
{
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = what;
  ec.clear();
  if (::epoll_ctl(watched_.get(), EPOLL_CTL_ADD, eventfd, &event) != 0)
    ec = last_error();
}

void vfio_device::ring(std::uint32_t value) const noexcept
{
  write_at(device_.get(), value, registers_.offset + doorbell); // fails when the device is gone
}

void vfio_device::on_watched(error_code& ec)
{
  ec.clear();
  std::array<epoll_event, 64> events;
  const int count = ::epoll_wait(watched_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i)
  {
    const std::uint64_t what = events[static_cast<std::size_t>(i)].data.u64;
    if (what == back)
    {
      detail::drain_eventfd(wanted_back_.get());
      ec = boost::asio::error::connection_reset;
      continue;
    }
    const auto value = static_cast<std::uint32_t>(what);
    detail::drain_eventfd(ringers_.at(value).get());
    ring(value);
  }
}

} // namespace partitiond
} // namespace shm
