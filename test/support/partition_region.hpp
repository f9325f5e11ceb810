// SPDX-License-Identifier: BSL-1.0
// A region in a memfd, as two daemons of one process map it.
#ifndef ASIO_SHM_TEST_SUPPORT_PARTITION_REGION_HPP
#define ASIO_SHM_TEST_SUPPORT_PARTITION_REGION_HPP

#include "memfd.hpp"
#include "region.hpp"

#include <boost/test/unit_test.hpp>

#include <sys/mman.h>

namespace shm {
namespace test {

class partition_region
{
public:
  explicit partition_region(std::uint64_t size = 8u << 20, std::uint32_t partitions = 4, std::uint32_t vectors = 2)
    : size_(size)
  {
    boost::system::error_code ec;
    memory_ = detail::memfd::create(size, ec);
    BOOST_TEST_REQUIRE(!ec);
    base_ = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory_.native_handle(), 0);
    BOOST_TEST_REQUIRE(base_ != MAP_FAILED);
    partitiond::create_header(base_, size, partitions, vectors, 0x1234, ec);
    BOOST_TEST_REQUIRE(!ec);
  }

  ~partition_region() { ::munmap(base_, size_); }
  partition_region(const partition_region&) = delete;
  partition_region& operator=(const partition_region&) = delete;

  partitiond::region open() const
  {
    boost::system::error_code ec;
    partitiond::region result = partitiond::region::open(place(), ec);
    BOOST_TEST_REQUIRE(!ec);
    return result;
  }

  partitiond::region_memory place() const { return {memory_.native_handle(), 0, size_}; }
  partitiond::region_header& header() const { return *static_cast<partitiond::region_header*>(base_); }

private:
  detail::memfd memory_;
  std::uint64_t size_;
  void* base_;
};

} // namespace test
} // namespace shm

#endif
