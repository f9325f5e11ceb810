// SPDX-License-Identifier: BSL-1.0
// Tests of finding and verifying the runtime directory.
#define BOOST_TEST_MODULE runtime_directory
#include "runtime_directory.hpp"

#include "temp_runtime_directory.hpp"

#include <shm/error.hpp>

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace {

using shm::detail::runtime_directory;
using shm::test::scoped_environment;
using shm::test::temp_directory;

constexpr auto create = runtime_directory::if_missing::create;
constexpr auto fail = runtime_directory::if_missing::fail;

mode_t mode_of(const std::string& path)
{
  struct stat status;
  BOOST_TEST_REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777u;
}

boost::system::error_code open_error(const std::string& path)
{
  const scoped_environment environment("ASIO_SHM_DIR", path.c_str());
  boost::system::error_code ec;
  const runtime_directory directory = runtime_directory::open(create, ec);
  BOOST_TEST((directory.get() >= 0) == !ec);
  return ec;
}

} // namespace

BOOST_AUTO_TEST_SUITE(runtime_directory_suite)

BOOST_AUTO_TEST_CASE(asio_shm_dir_comes_first_and_is_created_private)
{
  const temp_directory parent, other;
  const std::string path = parent.path() + "/made";
  const scoped_environment xdg("XDG_RUNTIME_DIR", other.path().c_str());
  const scoped_environment own("ASIO_SHM_DIR", path.c_str());
  boost::system::error_code ec;
  const runtime_directory directory = runtime_directory::open(create, ec);
  BOOST_TEST_REQUIRE(!ec, ec.message());
  BOOST_TEST(directory.path() == path);
  BOOST_TEST(mode_of(path) == 0700u);
  BOOST_TEST((::fcntl(directory.get(), F_GETFD) & FD_CLOEXEC) != 0);
  BOOST_TEST(::access((other.path() + "/asio-shm").c_str(), F_OK) == -1);
}

BOOST_AUTO_TEST_CASE(then_comes_the_xdg_runtime_directory)
{
  const temp_directory parent;
  const scoped_environment xdg("XDG_RUNTIME_DIR", parent.path().c_str());
  for (const char* unset : {static_cast<const char*>(nullptr), ""})
  {
    const scoped_environment own("ASIO_SHM_DIR", unset);
    boost::system::error_code ec;
    const runtime_directory directory = runtime_directory::open(create, ec);
    BOOST_TEST_REQUIRE(!ec, ec.message());
    BOOST_TEST(directory.path() == parent.path() + "/asio-shm");
    BOOST_TEST(mode_of(directory.path()) == 0700u);
  }
}

BOOST_AUTO_TEST_CASE(last_comes_a_directory_of_the_user_in_tmp)
{
  const temp_directory parent;
  const std::string expected = "/tmp/asio-shm-" + std::to_string(::geteuid());
  const std::string missing = parent.path() + "/missing";
  const scoped_environment own("ASIO_SHM_DIR", nullptr);
  for (const char* unusable : {static_cast<const char*>(nullptr), "", missing.c_str()})
  {
    const scoped_environment xdg("XDG_RUNTIME_DIR", unusable);
    boost::system::error_code ec;
    // Not created: it would be left behind, and programs of this user may be using it.
    const runtime_directory directory = runtime_directory::open(fail, ec);
    if (ec)
      BOOST_TEST(ec == boost::system::errc::no_such_file_or_directory);
    else
      BOOST_TEST(directory.path() == expected);
  }
}

BOOST_AUTO_TEST_CASE(a_missing_directory_is_an_error_when_it_is_not_to_be_created)
{
  const temp_directory parent;
  const std::string path = parent.path() + "/missing";
  const scoped_environment own("ASIO_SHM_DIR", path.c_str());
  boost::system::error_code ec;
  const runtime_directory directory = runtime_directory::open(fail, ec);
  BOOST_TEST(ec == boost::system::errc::no_such_file_or_directory);
  BOOST_TEST(::access(path.c_str(), F_OK) == -1);
}

BOOST_AUTO_TEST_CASE(parents_are_not_created)
{
  const temp_directory parent;
  BOOST_TEST(open_error(parent.path() + "/missing/made") == boost::system::errc::no_such_file_or_directory);
  BOOST_TEST(::access((parent.path() + "/missing").c_str(), F_OK) == -1);
}

BOOST_AUTO_TEST_CASE(a_directory_that_others_may_write_to_is_refused)
{
  const temp_directory directory;
  for (const mode_t mode : {0720u, 0702u, 0777u})
  {
    BOOST_TEST_REQUIRE(::chmod(directory.path().c_str(), mode) == 0);
    BOOST_TEST(open_error(directory.path()) == shm::error::unsafe_runtime_directory);
  }
  for (const mode_t mode : {0700u, 0755u})
  {
    BOOST_TEST_REQUIRE(::chmod(directory.path().c_str(), mode) == 0);
    BOOST_TEST(!open_error(directory.path()));
  }
}

BOOST_AUTO_TEST_CASE(a_sticky_directory_is_shared_and_has_one_for_each_user)
{
  const temp_directory directory;
  BOOST_TEST_REQUIRE(::chmod(directory.path().c_str(), 01777) == 0);
  const scoped_environment environment("ASIO_SHM_DIR", directory.path().c_str());
  boost::system::error_code ec;
  const runtime_directory before = runtime_directory::open(fail, ec);
  BOOST_TEST(!ec);
  BOOST_TEST(before.shared());
  BOOST_TEST(before.get() == -1);
  const runtime_directory own = runtime_directory::open(create, ec);
  BOOST_TEST_REQUIRE(!ec, ec.message());
  BOOST_TEST(own.path() == directory.path() + "/" + std::to_string(::geteuid()));
  BOOST_TEST(mode_of(own.path()) == 0755u);
  BOOST_TEST(own.identity() == before.identity());
  BOOST_TEST(own.other_users(ec).empty());
}

BOOST_AUTO_TEST_CASE(only_directories_of_those_whom_they_are_named_after_are_other_users)
{
  const temp_directory directory;
  BOOST_TEST_REQUIRE(::chmod(directory.path().c_str(), 01777) == 0);
  const scoped_environment environment("ASIO_SHM_DIR", directory.path().c_str());
  boost::system::error_code ec;
  const runtime_directory own = runtime_directory::open(create, ec);
  for (const char* name : {"/4242", "/04243", "/-1", "/chat", "/4244x"})
    BOOST_TEST_REQUIRE(::mkdir((directory.path() + name).c_str(), 0755) == 0);
  BOOST_TEST(own.other_users(ec) == std::vector<std::uint32_t>{4242}, boost::test_tools::per_element());
  BOOST_TEST(own.of_user(4242, ec).get() == -1); // 4242 is not the owner of that one
  if (::geteuid() != 0)
    return;
  BOOST_TEST_REQUIRE(::chown((directory.path() + "/4242").c_str(), 4242, 0) == 0);
  BOOST_TEST_REQUIRE(own.of_user(4242, ec).get() >= 0);
  BOOST_TEST(own.of_user(4242, ec).path() == directory.path() + "/4242");
  BOOST_TEST(own.of_user(4242, ec).user() == 4242u);
  BOOST_TEST_REQUIRE(::chmod((directory.path() + "/4242").c_str(), 0775) == 0);
  BOOST_TEST(own.of_user(4242, ec).get() == -1);
  BOOST_TEST(!ec);
}

// Whoever comes first in a directory that all may write to could make it before us.
BOOST_AUTO_TEST_CASE(a_directory_of_ours_that_somebody_else_has_made_is_refused)
{
  const temp_directory directory;
  BOOST_TEST_REQUIRE(::chmod(directory.path().c_str(), 01777) == 0);
  const std::string own = directory.path() + "/" + std::to_string(::geteuid());
  BOOST_TEST_REQUIRE(::mkdir(own.c_str(), 0777) == 0);
  BOOST_TEST_REQUIRE(::chmod(own.c_str(), 0777) == 0);
  BOOST_TEST(open_error(directory.path()) == shm::error::unsafe_runtime_directory);
  std::filesystem::remove(own);
  BOOST_TEST_REQUIRE(::symlink("/", own.c_str()) == 0);
  BOOST_TEST(open_error(directory.path()) != boost::system::error_code());
}

BOOST_AUTO_TEST_CASE(where_others_could_swap_the_directory_the_path_goes_by_the_descriptor)
{
  const temp_directory parent;
  const std::string path = parent.path() + "/made";
  const scoped_environment environment("ASIO_SHM_DIR", path.c_str());
  BOOST_TEST_REQUIRE(::chmod(parent.path().c_str(), 0777) == 0);
  boost::system::error_code ec;
  const runtime_directory directory = runtime_directory::open(create, ec);
  BOOST_TEST(directory.path() == "/proc/self/fd/" + std::to_string(directory.get()));
}

BOOST_AUTO_TEST_CASE(where_others_could_swap_one_of_its_parents_too)
{
  const temp_directory writable, root;
  const std::string parent = writable.path() + "/parent";
  BOOST_TEST_REQUIRE(::mkdir(parent.c_str(), 0700) == 0);
  BOOST_TEST_REQUIRE(::chmod(writable.path().c_str(), 0777) == 0);
  const std::string link = root.path() + "/link";
  BOOST_TEST_REQUIRE(::symlink(parent.c_str(), link.c_str()) == 0);
  const auto goes_by_the_descriptor = [](const std::string& path)
  {
    const scoped_environment environment("ASIO_SHM_DIR", path.c_str());
    boost::system::error_code ec;
    const runtime_directory directory = runtime_directory::open(create, ec);
    BOOST_TEST_REQUIRE(!ec, ec.message());
    return directory.path() == "/proc/self/fd/" + std::to_string(directory.get());
  };
  BOOST_TEST(goes_by_the_descriptor(parent + "/made"));
  BOOST_TEST(!goes_by_the_descriptor(link + "/made")); // a link of ours: where it leads is our word
  if (::geteuid() != 0)
    return;
  BOOST_TEST_REQUIRE(::lchown(link.c_str(), 12345, 12345) == 0);
  BOOST_TEST(goes_by_the_descriptor(link + "/made"));
}

BOOST_AUTO_TEST_CASE(a_directory_of_another_user_is_refused)
{
  if (::geteuid() != 0)
  {
    // The root directory is the one that surely belongs to somebody else.
    BOOST_TEST(open_error("/") == shm::error::unsafe_runtime_directory);
    return;
  }
  const temp_directory directory;
  BOOST_TEST_REQUIRE(::chown(directory.path().c_str(), 12345, 12345) == 0);
  BOOST_TEST(open_error(directory.path()) == shm::error::unsafe_runtime_directory);
}

BOOST_AUTO_TEST_CASE(a_symbolic_link_is_refused_with_and_without_a_slash)
{
  const temp_directory parent;
  const std::string target = parent.path() + "/target", link = parent.path() + "/link";
  BOOST_TEST_REQUIRE(::mkdir(target.c_str(), 0700) == 0);
  BOOST_TEST_REQUIRE(::symlink(target.c_str(), link.c_str()) == 0);
  BOOST_TEST(open_error(link) == shm::error::unsafe_runtime_directory);
  BOOST_TEST(open_error(link + "//") == shm::error::unsafe_runtime_directory);
  BOOST_TEST(!open_error(target + "/"));
}

BOOST_AUTO_TEST_CASE(a_file_in_its_place_is_refused)
{
  const temp_directory parent;
  const std::string path = parent.path() + "/file";
  std::ofstream(path) << "kept";
  BOOST_TEST(open_error(path) == shm::error::unsafe_runtime_directory);
}

BOOST_AUTO_TEST_CASE(the_environment_is_read_on_each_call)
{
  boost::system::error_code ec;
  const shm::test::temp_runtime_directory first;
  const runtime_directory a = runtime_directory::open(create, ec);
  {
    const shm::test::temp_runtime_directory second;
    const runtime_directory b = runtime_directory::open(create, ec);
    BOOST_TEST(b.path() == second.path());
    BOOST_TEST(b.identity() != a.identity());
  }
  const runtime_directory c = runtime_directory::open(create, ec);
  BOOST_TEST(c.path() == first.path());
}

BOOST_AUTO_TEST_CASE(identity_is_that_of_the_directory_not_of_its_path)
{
  const temp_directory parent;
  const std::string target = parent.path() + "/target", link = parent.path() + "/link";
  BOOST_TEST_REQUIRE(::mkdir(target.c_str(), 0700) == 0);
  BOOST_TEST_REQUIRE(::symlink(parent.path().c_str(), link.c_str()) == 0);
  boost::system::error_code ec;
  const scoped_environment straight("ASIO_SHM_DIR", target.c_str());
  const runtime_directory a = runtime_directory::open(create, ec);
  const scoped_environment around("ASIO_SHM_DIR", (link + "/target").c_str());
  const runtime_directory b = runtime_directory::open(create, ec);
  BOOST_TEST_REQUIRE(!ec, ec.message());
  BOOST_TEST(a.path() != b.path());
  BOOST_TEST(a.identity() == b.identity());
}

BOOST_AUTO_TEST_SUITE_END()
