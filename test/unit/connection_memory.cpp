// SPDX-License-Identifier: BSL-1.0
// Tests of a connection's region: where things lie in it, and what is refused when a peer brings one.
#define BOOST_TEST_MODULE connection_memory
#include "connection_memory.hpp"

#include <shm/error.hpp>

#include <boost/test/unit_test.hpp>

#include <cstring>
#include <limits>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace shm::detail;
using boost::system::error_code;

namespace {

const connection_geometry small = {{64, 2}, {4096, 4}};

struct created
{
  explicit created(const connection_geometry& geometry = small)
  {
    error_code ec;
    region = connection_memory::create(geometry, memory, ec);
    BOOST_TEST_REQUIRE(!ec);
  }

  /// The header, through the creator's mapping.
  unsigned char* header() const { return reinterpret_cast<unsigned char*>(&region.connector_control()) - page_size; }

  error_code attach_error(const connection_geometry& geometry = small) const
  {
    error_code ec;
    connection_memory::attach(geometry, memory, ec);
    return ec;
  }

  memfd memory;
  connection_memory region;
};

template <typename T>
void plant(unsigned char* at, T value)
{
  std::memcpy(at, &value, sizeof(value));
}

} // namespace

BOOST_AUTO_TEST_SUITE(connection_memory_suite)

BOOST_AUTO_TEST_CASE(the_region_is_header_and_two_rings_in_whole_pages)
{
  // header 1 | control 1, 128 bytes: 1 | control 1, 16384 bytes: 4
  BOOST_TEST(small.size() == 8 * page_size);
  const created made;
  struct stat st;
  BOOST_TEST_REQUIRE(::fstat(made.memory.native_handle(), &st) == 0);
  BOOST_TEST(static_cast<std::uint64_t>(st.st_size) == 8 * page_size);

  unsigned char* const base = made.header();
  BOOST_TEST(reinterpret_cast<unsigned char*>(&made.region.connector_control()) == base + 1 * page_size);
  BOOST_TEST(made.region.connector_data() == base + 2 * page_size);
  BOOST_TEST(reinterpret_cast<unsigned char*>(&made.region.acceptor_control()) == base + 3 * page_size);
  BOOST_TEST(made.region.acceptor_data() == base + 4 * page_size);
}

BOOST_AUTO_TEST_CASE(the_header_is_written_byte_by_byte_as_documented)
{
  const created made;
  const unsigned char expected[0x28] = {'A', 'S', 'I', 'O', 'S', 'H', 'M', 0, // magic
      1, 0, 0, 0, 0, 0, 0, 0,                                                 // version, zero
      0, 0x80, 0, 0, 0, 0, 0, 0,                                              // size 8 * 4096
      64, 0, 0, 0, 2, 0, 0, 0,                                                // connector
      0, 0x10, 0, 0, 4, 0, 0, 0};                                             // acceptor
  BOOST_TEST(std::memcmp(made.header(), expected, sizeof(expected)) == 0);
  BOOST_TEST(!made.region.attached());
  BOOST_TEST(made.header()[0x80] == 0);
}

BOOST_AUTO_TEST_CASE(control_pages_and_one_of_data_are_allocated_for_each_side)
{
  const created made({{4096, 64}, {4096, 64}});
  struct stat st;
  BOOST_TEST_REQUIRE(::fstat(made.memory.native_handle(), &st) == 0);
  BOOST_TEST(st.st_blocks == 5 * 4096 / 512);
}

BOOST_AUTO_TEST_CASE(both_mappings_show_the_same_memory)
{
  const created made;
  error_code ec;
  const connection_memory other = connection_memory::attach(small, made.memory, ec);
  BOOST_TEST_REQUIRE(!ec);
  BOOST_TEST(made.region.attached());
  BOOST_TEST(other.attached());
  BOOST_TEST(made.header()[0x80] == 1);
  BOOST_TEST(other.connector_data() != made.region.connector_data());

  made.region.connector_data()[127] = 11;
  BOOST_TEST(other.connector_data()[127] == 11);
  other.acceptor_data()[4 * 4096 - 1] = 12;
  BOOST_TEST(made.region.acceptor_data()[4 * 4096 - 1] == 12);
  made.region.connector_control().newest.store(13);
  BOOST_TEST(other.connector_control().newest.load() == 13u);
  other.acceptor_control().reader_wait.store(14);
  BOOST_TEST(made.region.acceptor_control().reader_wait.load() == 14u);
}

BOOST_AUTO_TEST_CASE(the_mapping_outlives_the_descriptor)
{
  created made;
  error_code ec;
  const connection_memory other = connection_memory::attach(small, made.memory, ec);
  BOOST_TEST_REQUIRE(!ec);
  made.memory = memfd();
  made.region.connector_data()[0] = 21;
  BOOST_TEST(other.connector_data()[0] == 21);
}

BOOST_AUTO_TEST_CASE(a_wrong_header_is_refused)
{
  for (std::size_t byte = 0; byte < 8; ++byte)
  {
    const created made;
    made.header()[byte] ^= 0x20;
    BOOST_TEST(made.attach_error() == shm::error::protocol_error);
    BOOST_TEST(!made.region.attached());
  }
  for (const std::uint32_t version : {0u, 2u, 0x01000000u, ~0u})
  {
    const created made;
    plant(made.header() + 0x08, version);
    BOOST_TEST(made.attach_error() == shm::error::version_mismatch);
    BOOST_TEST(!made.region.attached());
  }
  for (const std::uint64_t size : {small.size() - 1, small.size() + 1, std::uint64_t{0}, ~std::uint64_t{0}})
  {
    const created made;
    plant(made.header() + 0x10, size);
    BOOST_TEST(made.attach_error() == shm::error::protocol_error);
    BOOST_TEST(!made.region.attached());
  }
  for (std::size_t offset = 0x18; offset < 0x28; ++offset)
  {
    const created made;
    made.header()[offset] ^= 0x40;
    BOOST_TEST(made.attach_error() == shm::error::protocol_error, "offset " << offset);
    BOOST_TEST(!made.region.attached());
  }
}

BOOST_AUTO_TEST_CASE(a_header_of_another_geometry_is_refused)
{
  const created made;
  // Of the same size, with the pages of one ring given to the other.
  const connection_geometry swapped = {small.acceptor, small.connector};
  BOOST_TEST(swapped.size() == small.size());
  BOOST_TEST(made.attach_error(swapped) == shm::error::protocol_error);
  // Fits within the page that the two small segments leave unused.
  BOOST_TEST(made.attach_error({{64, 4}, {4096, 4}}) == shm::error::protocol_error);
  BOOST_TEST(!made.region.attached());
}

BOOST_AUTO_TEST_CASE(memory_that_is_smaller_than_its_geometry_is_refused)
{
  const created made;
  BOOST_TEST(made.attach_error({{64, 2}, {8192, 4}}) == shm::error::protocol_error);
}

BOOST_AUTO_TEST_CASE(unsealed_memory_is_refused_before_it_is_mapped)
{
  memfd memory(descriptor(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING)));
  BOOST_TEST_REQUIRE(::ftruncate(memory.native_handle(), static_cast<off_t>(small.size())) == 0);
  error_code ec;
  connection_memory::attach(small, memory, ec);
  BOOST_TEST(ec == shm::error::unsealed_memory);
  connection_memory::attach(small, memfd(), ec);
  BOOST_TEST(ec == shm::error::unsealed_memory);
}

BOOST_AUTO_TEST_CASE(geometries_up_to_the_largest_region_are_valid)
{
  // 64 segments of 4 MiB less a page: 256 MiB a ring but for the pages around them.
  const ring_geometry half = {(4u << 20) - 4096, 64};
  BOOST_TEST((connection_geometry{half, half}.valid()));
  BOOST_TEST((connection_geometry{half, half}.size() <= max_region_size));
  const ring_geometry full = {4u << 20, 64};
  BOOST_TEST((!connection_geometry{full, full}.valid()));
  BOOST_TEST((!connection_geometry{full, {65, 2}}.valid()));
  BOOST_TEST((!connection_geometry{{64, 3}, full}.valid()));
}

// In 32 bits the size of these would wrap around to a small one.
BOOST_AUTO_TEST_CASE(a_size_beyond_32_bits_does_not_wrap_around)
{
  const ring_geometry largest = {max_segment_size, max_segment_count};
  BOOST_TEST(largest.valid());
  const connection_geometry both = {largest, largest};
  BOOST_TEST(both.size() == (std::uint64_t{8} << 30) + 3 * page_size);
  BOOST_TEST(!both.valid());
  const connection_geometry one = {largest, {64, 2}};
  BOOST_TEST(one.size() > std::numeric_limits<std::uint32_t>::max());
  BOOST_TEST(!one.valid());
}

BOOST_AUTO_TEST_CASE(what_peers_make_this_process_map_is_bounded)
{
  const created made;
  {
    attached_share most;
    BOOST_TEST(most.take(max_attached_bytes - small.size()));
    {
      error_code ec;
      const connection_memory last = connection_memory::attach(small, made.memory, ec);
      BOOST_TEST(!ec);
      BOOST_TEST(made.attach_error() == shm::error::no_memory);
      attached_share none;
      BOOST_TEST(!none.take(1));
      BOOST_TEST(!none.take(std::numeric_limits<std::uint64_t>::max()));
    }
    // Whatever goes gives its share back, also what was refused for another reason or was moved.
    connection_geometry other = small;
    other.connector.segment_count = 4;
    BOOST_TEST(made.attach_error(other) == shm::error::protocol_error);
    error_code ec;
    connection_memory first = connection_memory::attach(small, made.memory, ec);
    connection_memory second = std::move(first);
    BOOST_TEST(made.attach_error() == shm::error::no_memory);
    second = connection_memory();
    BOOST_TEST(!made.attach_error());
  }
  attached_share all;
  BOOST_TEST(all.take(max_attached_bytes));
}

BOOST_AUTO_TEST_SUITE_END()
