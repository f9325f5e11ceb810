// SPDX-License-Identifier: BSL-1.0
// Tests of sealed memory and of the checks on memory that came from someone else.
#define BOOST_TEST_MODULE memfd
#include "memfd.hpp"
#include "temp_runtime_directory.hpp"

#include <shm/error.hpp>

#include <boost/asio/error.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using shm::detail::descriptor;
using boost::system::error_code;

namespace {

constexpr int size_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

// Memory as a peer could have made it.
shm::detail::memfd foreign(std::uint64_t size, int seals, unsigned flags = 0)
{
  descriptor fd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags));
  if (fd.valid())
  {
    BOOST_TEST_REQUIRE(::ftruncate(fd.get(), static_cast<off_t>(size)) == 0);
    if (seals != 0)
      BOOST_TEST_REQUIRE(::fcntl(fd.get(), F_ADD_SEALS, seals) == 0);
  }
  return shm::detail::memfd(static_cast<descriptor&&>(fd));
}

error_code check(const shm::detail::memfd& memory, std::uint64_t size)
{
  error_code ec = boost::asio::error::fault;
  memory.check(size, ec);
  return ec;
}

} // namespace

BOOST_AUTO_TEST_SUITE(memfd)

BOOST_AUTO_TEST_CASE(created_memory_has_its_size_and_its_seals)
{
  error_code ec;
  const auto memory = shm::detail::memfd::create(12288, ec);
  BOOST_TEST_REQUIRE(!ec);
  BOOST_TEST(memory.valid());
  struct stat st;
  BOOST_TEST_REQUIRE(::fstat(memory.native_handle(), &st) == 0);
  BOOST_TEST(st.st_size == 12288);
  const int seals = ::fcntl(memory.native_handle(), F_GET_SEALS);
  BOOST_TEST((seals & size_seals) == size_seals);
  BOOST_TEST((seals & F_SEAL_WRITE) == 0);
  BOOST_TEST((::fcntl(memory.native_handle(), F_GETFD) & FD_CLOEXEC) != 0);
}

BOOST_AUTO_TEST_CASE(nobody_can_resize_or_reseal_it)
{
  error_code ec;
  const auto memory = shm::detail::memfd::create(8192, ec);
  BOOST_TEST_REQUIRE(!ec);
  BOOST_TEST(::ftruncate(memory.native_handle(), 4096) == -1);
  BOOST_TEST(::ftruncate(memory.native_handle(), 16384) == -1);
  BOOST_TEST(::fcntl(memory.native_handle(), F_ADD_SEALS, F_SEAL_WRITE) == -1);
  BOOST_TEST(check(memory, 8192) == error_code());
}

BOOST_AUTO_TEST_CASE(a_size_that_no_file_can_have_is_an_error)
{
  error_code ec;
  const auto memory = shm::detail::memfd::create(~std::uint64_t{0}, ec);
  BOOST_TEST(ec.failed());
  BOOST_TEST(!memory.valid());
}

BOOST_AUTO_TEST_CASE(memory_with_more_seals_and_more_bytes_is_taken)
{
  BOOST_TEST(check(foreign(8192, size_seals), 8192) == error_code());
  BOOST_TEST(check(foreign(8192, size_seals), 4096) == error_code());
}

BOOST_AUTO_TEST_CASE(a_missing_seal_is_unsealed_memory)
{
  for (const int seals : {0, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SHRINK | F_SEAL_GROW, F_SEAL_SHRINK | F_SEAL_SEAL,
           F_SEAL_GROW | F_SEAL_SEAL, F_SEAL_SEAL})
    BOOST_TEST(check(foreign(8192, seals), 8192) == shm::error::unsealed_memory, "seals " << seals);
}

BOOST_AUTO_TEST_CASE(memory_that_cannot_be_written_is_unsealed_memory)
{
  BOOST_TEST(check(foreign(8192, size_seals | F_SEAL_WRITE), 8192) == shm::error::unsealed_memory);
  BOOST_TEST(check(foreign(8192, size_seals | F_SEAL_FUTURE_WRITE), 8192) == shm::error::unsealed_memory);
}

BOOST_AUTO_TEST_CASE(memory_that_is_too_short_is_a_protocol_error)
{
  BOOST_TEST(check(foreign(8192, size_seals), 8193) == shm::error::protocol_error);
  BOOST_TEST(check(foreign(0, size_seals), 1) == shm::error::protocol_error);
  BOOST_TEST(check(foreign(8192, size_seals), ~std::uint64_t{0}) == shm::error::protocol_error);
}

BOOST_AUTO_TEST_CASE(huge_pages_are_a_protocol_error)
{
  const auto memory = foreign(2u << 20, size_seals, MFD_HUGETLB);
  if (!memory.valid())
  {
    BOOST_TEST_MESSAGE("skipped: this kernel has no huge pages");
    return;
  }
  BOOST_TEST(check(memory, 8192) == shm::error::protocol_error);
}

BOOST_AUTO_TEST_CASE(what_is_no_memory_is_unsealed_memory)
{
  const shm::test::temp_directory directory;
  const std::string path = directory.path() + "/file";
  const descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  BOOST_TEST_REQUIRE(file.valid());
  BOOST_TEST_REQUIRE(::ftruncate(file.get(), 8192) == 0);
  BOOST_TEST(check(shm::detail::memfd(descriptor(::dup(file.get()))), 8192) == shm::error::unsealed_memory);

  std::array<int, 2> ends{};
  BOOST_TEST_REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const descriptor writing(ends[1]);
  BOOST_TEST(check(shm::detail::memfd(descriptor(ends[0])), 0) == shm::error::unsealed_memory);
  BOOST_TEST(check(shm::detail::memfd(), 0) == shm::error::unsealed_memory);
}

BOOST_AUTO_TEST_CASE(allocate_takes_the_pages_now)
{
  error_code ec;
  const auto memory = shm::detail::memfd::create(64 * 4096, ec);
  BOOST_TEST_REQUIRE(!ec);
  struct stat st;
  BOOST_TEST_REQUIRE(::fstat(memory.native_handle(), &st) == 0);
  BOOST_TEST(st.st_blocks == 0);
  memory.allocate(4096, 2 * 4096, ec);
  BOOST_TEST(!ec);
  BOOST_TEST_REQUIRE(::fstat(memory.native_handle(), &st) == 0);
  BOOST_TEST(st.st_blocks == 2 * 4096 / 512);
  memory.allocate(64 * 4096, 4096, ec); // beyond the end, which is sealed
  BOOST_TEST(ec.failed());
}

BOOST_AUTO_TEST_SUITE_END()
