// SPDX-License-Identifier: BSL-1.0
// Finding the device of a virtual machine, in a tree of files that looks like sysfs.
#define BOOST_TEST_MODULE pci_device
#include "pci_device.hpp"

#include "temp_runtime_directory.hpp"
#include "vfio_device.hpp"

#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>

using namespace shm::partitiond;
using boost::system::error_code;
namespace errc = boost::system::errc;
namespace fs = std::filesystem;

namespace {

struct sysfs
{
  shm::test::temp_directory directory;
  const std::string root = directory.path();

  std::string device(const std::string& address) const { return root + "/bus/pci/devices/" + address; }

  void write(const std::string& path, const std::string& text) const
  {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << text;
  }

  std::string read(const std::string& path) const
  {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  void add(const std::string& address, const std::string& vendor = "0x1af4", const std::string& kind = "0x1110") const
  {
    write(device(address) + "/vendor", vendor + "\n");
    write(device(address) + "/device", kind + "\n");
    write(device(address) + "/driver_override", "(null)\n");
  }

  void add_driver(const std::string& name) const
  {
    write(root + "/bus/pci/drivers/" + name + "/unbind", "");
    write(root + "/bus/pci/drivers_probe", "");
  }

  void bind(const std::string& address, const std::string& driver) const
  {
    add_driver(driver);
    fs::create_symlink("../../drivers/" + driver, device(address) + "/driver");
  }

  pci_device find(const std::string& address, error_code& ec) const { return pci_device::find(address, ec, root); }

  error_code error_of(const std::string& address) const
  {
    error_code ec;
    find(address, ec);
    return ec;
  }

  pci_device found(const std::string& address = std::string()) const
  {
    error_code ec;
    pci_device result = find(address, ec);
    BOOST_TEST_REQUIRE(!ec, ec.message());
    return result;
  }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(finding, sysfs)

BOOST_AUTO_TEST_CASE(the_only_one_needs_no_address)
{
  BOOST_TEST(error_of("") == errc::no_such_device);
  add("0000:00:01.0", "0x1af4", "0x1000");
  add("0000:00:02.0", "0x8086", "0x1110");
  BOOST_TEST(error_of("") == errc::no_such_device);
  add("0000:00:03.0");
  BOOST_TEST(found().address() == "0000:00:03.0");
  BOOST_TEST(found().file("resource2") == device("0000:00:03.0") + "/resource2");
  add("0001:00:03.0");
  BOOST_TEST(error_of("") == errc::invalid_argument);
}

BOOST_AUTO_TEST_CASE(addresses_are_written_in_several_ways)
{
  add("0000:0a:1f.7");
  add("0001:0a:1f.7");
  for (const char* address : {"0000:0a:1f.7", "0a:1f.7", "0A:1F.7", "0000:0A:1f.7"})
    BOOST_TEST(found(address).address() == "0000:0a:1f.7");
  BOOST_TEST(found("0001:0a:1f.7").address() == "0001:0a:1f.7");
}

BOOST_AUTO_TEST_CASE(what_is_no_address_is_refused)
{
  add("0000:00:03.0");
  for (const char* address : {"3", "00:03", "00:03.00", "0000:00:03.0/", "0000-00-03-0", "../devices", "00:0g.0",
           "....", "/0000:00:03.0", "0000:00:03.0\n"})
    BOOST_TEST(error_of(address) == errc::invalid_argument, address);
}

BOOST_AUTO_TEST_CASE(another_device_is_refused)
{
  add("0000:00:03.0", "0x8086");
  BOOST_TEST(error_of("00:03.0") == errc::no_such_device);
  BOOST_TEST(error_of("00:04.0") == errc::no_such_device);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(giving_to_vfio, sysfs)

BOOST_AUTO_TEST_CASE(what_it_has_stays_as_it_is)
{
  add("0000:00:03.0");
  bind("0000:00:03.0", "vfio-pci");
  BOOST_TEST(found().driver() == "vfio-pci");
  error_code ec;
  found().give_to_vfio(ec);
  BOOST_TEST(!ec);
  BOOST_TEST(read(device("0000:00:03.0") + "/driver_override") == "(null)\n");
  BOOST_TEST(read(root + "/bus/pci/drivers_probe").empty());
}

BOOST_AUTO_TEST_CASE(needs_the_driver)
{
  add("0000:00:03.0");
  error_code ec;
  found().give_to_vfio(ec);
  BOOST_TEST(ec == errc::no_such_file_or_directory);
  BOOST_TEST(read(device("0000:00:03.0") + "/driver_override") == "(null)\n");
}

// No kernel answers here: the device has no driver afterwards.
BOOST_AUTO_TEST_CASE(asks_the_kernel)
{
  add("0000:00:03.0");
  add_driver("vfio-pci");
  fs::create_directories(root + "/kernel/iommu_groups/12");
  fs::create_symlink("../../../../kernel/iommu_groups/12", device("0000:00:03.0") + "/iommu_group");
  error_code ec;
  found().give_to_vfio(ec);
  BOOST_TEST(ec == errc::no_such_device);
  BOOST_TEST(read(device("0000:00:03.0") + "/driver_override").substr(0, 8) == "vfio-pci");
  BOOST_TEST(read(root + "/bus/pci/drivers_probe") == "0000:00:03.0");
}

BOOST_AUTO_TEST_CASE(takes_it_away_from_another_driver)
{
  add("0000:00:03.0");
  add_driver("vfio-pci");
  bind("0000:00:03.0", "other");
  BOOST_TEST(found().driver() == "other");
  error_code ec;
  found().give_to_vfio(ec);
  BOOST_TEST(ec);
  BOOST_TEST(read(root + "/bus/pci/drivers/other/unbind") == "0000:00:03.0");
}

BOOST_AUTO_TEST_CASE(without_an_iommu_it_says_so)
{
  add("0000:00:03.0");
  add_driver("vfio-pci");
  error_code ec;
  BOOST_TEST(found().iommu_group(ec).empty());
  BOOST_TEST(ec == errc::operation_not_supported);
  ec.clear();
  found().give_to_vfio(ec);
  BOOST_TEST(ec == errc::operation_not_supported);
}

BOOST_AUTO_TEST_CASE(the_group_has_a_number)
{
  add("0000:00:03.0");
  fs::create_symlink("../../../../kernel/iommu_groups/12", device("0000:00:03.0") + "/iommu_group");
  error_code ec;
  BOOST_TEST(found().iommu_group(ec) == "12");
  BOOST_TEST(!ec);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(vfio)

BOOST_AUTO_TEST_CASE(without_the_device_there_is_no_attachment)
{
  error_code ec;
  BOOST_TEST(!vfio_device::open("ffff:ff:1f.7", ec));
  BOOST_TEST(ec == errc::no_such_device);
  BOOST_TEST(!vfio_device::open("nonsense", ec));
  BOOST_TEST(ec == errc::invalid_argument);
}

BOOST_AUTO_TEST_SUITE_END()
