// SPDX-License-Identifier: BSL-1.0
// A region in a file that everybody looks at.
#define BOOST_TEST_MODULE shared_file
#include "socket_test.hpp"

#include "area.hpp"
#include "child_process.hpp"
#include "open_resources.hpp"
#include "region.hpp"
#include "shared_file.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>

using namespace shm::partitiond;
using namespace shm::test;

namespace {

struct place
{
  temp_directory directory;
  const std::string path = directory.path() + "/region";

  std::unique_ptr<shared_file> make(std::uint64_t size, std::uint32_t partitions, error_code& ec) const
  {
    const shared_file::creation wanted = {size, partitions};
    return shared_file::open(path, 0, &wanted, ec);
  }

  std::unique_ptr<shared_file> make(std::uint64_t size = 4u << 20) const
  {
    error_code ec;
    auto result = make(size, 4, ec);
    BOOST_TEST_REQUIRE(!ec, ec.message());
    return result;
  }

  error_code error_of(const std::string& where) const
  {
    error_code ec;
    BOOST_TEST(!shared_file::open(where, 0, nullptr, ec));
    return ec;
  }

  void put(off_t size) const
  {
    const shm::detail::descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    BOOST_REQUIRE(::ftruncate(file.get(), size) == 0);
  }
};

region open_region(const attachment& at)
{
  error_code ec;
  region result = region::open(at.memory(), ec);
  BOOST_TEST_REQUIRE(!ec, ec.message());
  return result;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(shared_files, watchdog)

BOOST_AUTO_TEST_CASE(a_new_one_has_a_region_in_it)
{
  const place at;
  const auto file = at.make();
  BOOST_TEST(file->memory().size == 4u << 20);
  BOOST_TEST(file->memory().offset == 0u);
  const region made = open_region(*file);
  BOOST_TEST(made.geometry().partitions == 4u);
  BOOST_TEST(made.geometry().vectors == 0u);
  for (std::uint32_t i = 0; i != 4; ++i)
    BOOST_TEST(made.header().present[i].load() != 0u);
  struct stat status;
  BOOST_REQUIRE(::stat(at.path.c_str(), &status) == 0);
  BOOST_TEST((status.st_mode & 0777u) == 0600u);
}

BOOST_AUTO_TEST_CASE(one_in_the_place_of_another_says_that_its_memory_was_used)
{
  const place at;
  for (const bool used : {false, true, true})
  {
    const auto file = at.make();
    const region made = open_region(*file);
    for (std::uint32_t i = 0; i != 4; ++i)
    {
      BOOST_TEST((made.header_of(i).heartbeat.load() != 0) == used);
      BOOST_TEST(made.header_of(i).joined.load() == 0u);
      made.header_of(i).joined.store(4711);
    }
  }
}

BOOST_AUTO_TEST_CASE(everybody_has_the_number_that_was_given_and_sees_the_same)
{
  const place at;
  const auto first = at.make();
  error_code ec;
  const auto second = shared_file::open(at.path, 3, nullptr, ec);
  BOOST_TEST_REQUIRE(!ec, ec.message());
  BOOST_TEST(first->id() == 0u);
  BOOST_TEST(second->id() == 3u);
  const region here = open_region(*first), there = open_region(*second);
  there.header_of(3).heartbeat.store(7);
  BOOST_TEST(here.header_of(3).heartbeat.load() == 7u);
}

BOOST_AUTO_TEST_CASE(processes_see_the_same)
{
  const place at;
  at.make();
  child_process child(
      [&](channel& parent)
      {
        error_code ec;
        const auto file = shared_file::open(at.path, 1, nullptr, ec);
        const region there = open_region(*file);
        there.header_of(1).heartbeat.store(8);
        parent.send(true);
        return parent.receive<int>();
      });
  error_code ec;
  const auto file = shared_file::open(at.path, 0, nullptr, ec);
  BOOST_TEST(child.peer().receive<bool>());
  BOOST_TEST(open_region(*file).header_of(1).heartbeat.load() == 8u);
}

BOOST_AUTO_TEST_CASE(nobody_can_be_rung)
{
  const place at;
  const auto file = at.make();
  BOOST_TEST(file->vectors() == 0u);
  BOOST_TEST(file->watched() == -1);
  error_code ec;
  const auto own = file->listen(0, ec);
  BOOST_TEST(!ec);
  const auto other = file->ringer(1, 0, ec);
  BOOST_TEST(!ec);
  for (const int fd : {own.get(), other.get()})
    BOOST_TEST((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
  const std::uint64_t one = 1;
  BOOST_TEST(::write(other.get(), &one, sizeof(one)) == 8);
  std::uint64_t ignored;
  BOOST_TEST(::read(own.get(), &ignored, sizeof(ignored)) == -1);
  BOOST_TEST(errno == EAGAIN);
}

BOOST_AUTO_TEST_CASE(a_file_grows_and_never_shrinks)
{
  const place at;
  at.put(8 << 20);
  BOOST_TEST(at.make(4 << 20)->memory().size == 8u << 20);
  BOOST_TEST(at.make(16 << 20)->memory().size == 16u << 20);
}

BOOST_AUTO_TEST_CASE(making_it_again_makes_another_region_without_anybody)
{
  const place at;
  const auto before = at.make();
  const region old = open_region(*before);
  const std::uint64_t old_id = old.geometry().region_id;
  for (std::uint32_t i = 0; i != 4; ++i)
    old.header_of(i).joined.store(5);
  const auto file = at.make();
  const region made = open_region(*file);
  BOOST_TEST(made.geometry().region_id != old_id);
  for (std::uint32_t i = 0; i != 4; ++i)
    BOOST_TEST(made.header_of(i).joined.load() == 0u);
}

BOOST_AUTO_TEST_CASE(opening_without_making_changes_nothing)
{
  const place at;
  const auto first = at.make();
  const region here = open_region(*first);
  here.header_of(2).joined.store(5);
  error_code ec;
  const auto second = shared_file::open(at.path, 1, nullptr, ec);
  BOOST_TEST(open_region(*second).header_of(2).joined.load() == 5u);
  BOOST_TEST(open_region(*second).geometry().region_id == here.geometry().region_id);
}

BOOST_AUTO_TEST_CASE(what_has_no_size_is_refused)
{
  const place at;
  const open_resources before = open_resources::now();
  BOOST_TEST(at.error_of(at.path) == boost::system::errc::no_such_file_or_directory);
  BOOST_TEST(at.error_of(at.directory.path()) == boost::system::errc::is_a_directory);
  BOOST_TEST(at.error_of("/dev/null") == error::invalid_argument);
  at.put(0);
  BOOST_TEST(at.error_of(at.path) == error::invalid_argument);
  BOOST_REQUIRE(::unlink(at.path.c_str()) == 0);
  BOOST_REQUIRE(::mkfifo(at.path.c_str(), 0600) == 0);
  BOOST_TEST(at.error_of(at.path) == error::invalid_argument);
  BOOST_TEST(open_resources::now() == before);
}

BOOST_AUTO_TEST_CASE(a_region_that_cannot_be_is_not_made)
{
  const place at;
  const open_resources before = open_resources::now();
  for (const std::uint64_t size : {0u, 1u, 4096u, 4097u, 1u << 16})
    for (const std::uint32_t partitions : {2u, 16u})
    {
      error_code ec;
      BOOST_TEST(!at.make(size, partitions, ec));
      BOOST_TEST(ec == error::invalid_argument, size << " bytes for " << partitions << ": " << ec.message());
    }
  for (const std::uint32_t partitions : {0u, 1u, 65u, ~0u})
  {
    error_code ec;
    BOOST_TEST(!at.make(8 << 20, partitions, ec));
    BOOST_TEST(ec == error::invalid_argument, partitions << ": " << ec.message());
  }
  BOOST_TEST(open_resources::now() == before);
}

BOOST_AUTO_TEST_SUITE_END()
