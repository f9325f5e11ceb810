// SPDX-License-Identifier: BSL-1.0
// Reading and writing sysfs.
#include "pci_device.hpp"

#include "descriptor.hpp"
#include "log.hpp"

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace shm {
namespace partitiond {
namespace {

namespace fs = std::filesystem;
using boost::system::error_code;
using detail::descriptor;
using detail::last_error;

namespace errc = boost::system::errc;

const char* const vfio_driver = "vfio-pci";

std::string text_of(const std::string& path)
{
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

// Where a link leads, without the way to there.
std::string name_behind(const std::string& link)
{
  std::error_code ignored;
  return fs::read_symlink(link, ignored).filename().string();
}

// One write, as sysfs wants it.
void write_to(const std::string& path, const std::string& text, error_code& ec)
{
  const descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  ec.clear();
  if (!file.valid() || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    ec = last_error();
}

bool is_ivshmem(const std::string& folder)
{
  return text_of(folder + "/vendor") == "0x1af4" && text_of(folder + "/device") == "0x1110";
}

// As the kernel writes it, with the domain; empty if it is none.
std::string full_address(std::string address)
{
  if (address.size() == 7)
    address = "0000:" + address;
  const std::string pattern = "xxxx:xx:xx.x";
  const auto fits = [](char c, char wanted)
  { return wanted == 'x' ? (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') : c == wanted; };
  std::transform(address.begin(), address.end(), address.begin(),
      [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c; });
  const bool right =
      address.size() == pattern.size() && std::equal(address.begin(), address.end(), pattern.begin(), fits);
  return right ? address : std::string();
}

std::vector<std::string> all_ivshmem(const std::string& folder)
{
  std::vector<std::string> result;
  std::error_code ec;
  for (fs::directory_iterator i(folder, ec), end; !ec && i != end; i.increment(ec))
    if (is_ivshmem(i->path().string()))
      result.push_back(i->path().filename().string());
  std::sort(result.begin(), result.end());
  return result;
}

} // namespace

pci_device pci_device::find(const std::string& address, error_code& ec, const std::string& sysfs)
{
  pci_device result;
  result.sysfs_ = sysfs;
  ec.clear();
  if (!address.empty())
  {
    result.address_ = full_address(address);
    if (result.address_.empty())
    {
      log(level::error, address + " is no address of a PCI device, as 0000:00:03.0 is");
      ec = errc::make_error_code(errc::invalid_argument);
    }
    else if (!is_ivshmem(result.folder()))
    {
      log(level::error, result.address_ + " is no ivshmem device (1af4:1110)");
      ec = errc::make_error_code(errc::no_such_device);
    }
    return result;
  }
  const std::vector<std::string> all = all_ivshmem(sysfs + "/bus/pci/devices");
  if (all.empty())
  {
    log(level::error, "this machine has no ivshmem device (1af4:1110)");
    ec = errc::make_error_code(errc::no_such_device);
  }
  else if (all.size() > 1)
  {
    std::string names;
    for (const std::string& one : all)
      names += " " + one;
    log(level::error, "which of these ivshmem devices?" + names);
    ec = errc::make_error_code(errc::invalid_argument);
  }
  else
    result.address_ = all.front();
  return result;
}

std::string pci_device::driver() const
{
  return name_behind(file("driver"));
}

void pci_device::give_to_vfio(error_code& ec) const
{
  ec.clear();
  const std::string before = driver();
  if (before == vfio_driver)
    return;
  std::error_code ignored;
  if (!fs::exists(sysfs_ + "/bus/pci/drivers/" + vfio_driver, ignored))
  {
    log(level::error, "the kernel has no driver vfio-pci: modprobe vfio-pci");
    ec = errc::make_error_code(errc::no_such_file_or_directory);
    return;
  }
  write_to(file("driver_override"), vfio_driver, ec);
  if (!ec && !before.empty())
  {
    log(level::warning, address_ + " is taken away from the driver " + before);
    write_to(file("driver/unbind"), address_, ec);
  }
  if (!ec)
    write_to(sysfs_ + "/bus/pci/drivers_probe", address_, ec);
  if (!ec && driver() != vfio_driver)
    ec = errc::make_error_code(errc::no_such_device);
  if (ec == errc::no_such_device && name_behind(file("iommu_group")).empty())
    iommu_group(ec); // the driver refuses the device
  else if (ec)
    log(level::error, address_ + " cannot be bound to vfio-pci; by root: echo vfio-pci > " + file("driver_override")
            + "; echo " + address_ + " > " + sysfs_ + "/bus/pci/drivers_probe");
}

std::string pci_device::iommu_group(error_code& ec) const
{
  const std::string result = name_behind(file("iommu_group"));
  if (!result.empty())
  {
    ec.clear();
    return result;
  }
  log(level::error, "no IOMMU has " + address_
          + ". Give the virtual machine one (QEMU: -device intel-iommu,intremap=on, and intel_iommu=on on the kernel's"
            " command line). Or go without its protection, if the kernel can: echo 1 >"
            " /sys/module/vfio/parameters/enable_unsafe_noiommu_mode, and bind the device again. Or go without"
            " interrupts: --region "
          + file("resource2") + " --id N");
  ec = errc::make_error_code(errc::operation_not_supported);
  return result;
}

} // namespace partitiond
} // namespace shm
