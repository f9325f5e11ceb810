// SPDX-License-Identifier: BSL-1.0
// Tests of the emulated network's files: stale ones, those that forked processes share, and those of other programs.
#define BOOST_TEST_MODULE address_space_files
#include "address_space_fixture.hpp"

#include <csignal>
#include <cstdio>
#include <fstream>
#include <functional>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

namespace {

namespace error = boost::asio::error;
using namespace shm::detail;
using namespace shm::test;

// A forked process that does its work, reports whether it succeeded and lives until it is killed.
class child
{
public:
  explicit child(const std::function<bool()>& work)
  {
    int ends[2];
    BOOST_TEST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const descriptor read_end(ends[0]);
    descriptor write_end(ends[1]);
    pid_ = ::fork();
    BOOST_TEST_REQUIRE(pid_ >= 0);
    if (pid_ == 0)
    {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const char result = work() ? 'y' : 'n';
      if (::write(write_end.get(), &result, 1) != 1)
        ::_exit(0);
      for (;;)
        ::pause();
    }
    write_end.reset();
    pollfd wait = {read_end.get(), POLLIN, 0};
    char result = 0;
    BOOST_TEST(::poll(&wait, 1, 20000) == 1);
    BOOST_TEST(::read(read_end.get(), &result, 1) == 1);
    BOOST_TEST(result == 'y');
  }

  child(const child&) = delete;
  child& operator=(const child&) = delete;
  ~child() { kill(); }

  void kill()
  {
    if (pid_ <= 0)
      return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

private:
  pid_t pid_ = -1;
};

// Binds and listens in a child, whose memory is never cleaned up.
bool listen_forever(const socket_address& address)
{
  const auto* server = new listener(address);
  return !server->error;
}

// A socket of some other program.
descriptor foreign_socket(const std::string& path, int type = SOCK_STREAM)
{
  descriptor result(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  const socket_address address = local(path);
  BOOST_TEST_REQUIRE(::bind(result.get(), reinterpret_cast<const sockaddr*>(address.data),
                         static_cast<socklen_t>(address.size)) == 0);
  if (type == SOCK_STREAM)
    BOOST_TEST_REQUIRE(::listen(result.get(), 4) == 0);
  return result;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(address_space_files, runtime_fixture)

BOOST_AUTO_TEST_CASE(files_of_a_killed_listener_are_replaced)
{
  for (const socket_address& address : {ip("127.0.0.1", 8080), ip("::", 8081), local("chat"), local(path() + "/sock")})
  {
    child other([&] { return listen_forever(address); });
    BOOST_TEST(listener(address).error == error::address_in_use);
    BOOST_TEST(!connect_error(address));
    other.kill();
    BOOST_TEST(files().size() == 2u, "a killed process leaves its socket and its lock");
    BOOST_TEST(connect_error(address) == error::connection_refused);
    {
      listener server(address);
      BOOST_TEST_REQUIRE(!server.error, server.error.message());
      BOOST_TEST(reaches(address, server));
    }
    BOOST_TEST(files() == std::set<std::string>());
  }
}

BOOST_AUTO_TEST_CASE(stale_files_do_not_conflict_with_wildcards)
{
  child other([&] { return listen_forever(ip("127.0.0.1", 8080)) && listen_forever(ip("127.0.0.2", 8080)); });
  BOOST_TEST(listener(ip("0.0.0.0", 8080)).error == error::address_in_use);
  BOOST_TEST(files().size() == 4u);
  other.kill();
  listener server(ip("::", 8080));
  BOOST_TEST_REQUIRE(!server.error, server.error.message());
  BOOST_TEST(reaches(ip("127.0.0.1", 8080), server));
  BOOST_TEST(files().size() == 2u, "those of the dead process have been removed");
}

BOOST_AUTO_TEST_CASE(a_stale_exact_name_does_not_hide_a_wildcard_from_connectors)
{
  // A socket without a lock, as left by somebody who tidied up by halves.
  listener server(ip("0.0.0.0", 8080));
  foreign_socket(path() + "/ip/127.0.0.1:8080");
  BOOST_TEST(reaches(ip("127.0.0.1", 8080), server));
}

BOOST_AUTO_TEST_CASE(a_forked_copy_keeps_the_name_when_the_parent_releases_it)
{
  for (const socket_address& address : {ip("127.0.0.1", 8080), local("chat"), local(path() + "/sock")})
  {
    listener server(address);
    child copy([] { return true; });
    boost::system::error_code ec;
    server.name.release(ec);
    server.socket.reset();
    BOOST_TEST(!ec, ec.message());
    BOOST_TEST(files().size() == 2u);
    BOOST_TEST(!connect_error(address));
    BOOST_TEST(listener(address).error == error::address_in_use);
    copy.kill();
    BOOST_TEST(!listener(address).error);
    BOOST_TEST(files() == std::set<std::string>());
  }
}

BOOST_AUTO_TEST_CASE(the_parent_keeps_the_name_when_a_forked_copy_releases_it)
{
  listener server(ip("127.0.0.1", 8080));
  child copy([&] {
    boost::system::error_code ec;
    server.name.release(ec);
    server.socket.reset();
    return !ec;
  });
  BOOST_TEST(files().size() == 2u);
  BOOST_TEST(reaches(server.address, server));
  BOOST_TEST(listener(server.address).error == error::address_in_use);
  boost::system::error_code ec;
  server.name.release(ec);
  BOOST_TEST(!ec, ec.message());
  BOOST_TEST(files() == std::set<std::string>());
}

BOOST_AUTO_TEST_CASE(release_goes_by_the_directory_of_bind)
{
  boost::system::error_code ec;
  listener server(ip("127.0.0.1", 8080));
  {
    const temp_runtime_directory other;
    BOOST_TEST(connect_error(server.address) == error::connection_refused, "another directory is another network");
    server.name.release(ec);
  }
  BOOST_TEST(!ec, ec.message());
  BOOST_TEST(files() == std::set<std::string>());
}

BOOST_AUTO_TEST_CASE(release_leaves_what_is_not_its_own)
{
  const temp_directory elsewhere;
  const std::string file = elsewhere.path() + "/sock";
  listener server(local(file));
  BOOST_TEST_REQUIRE(::unlink(file.c_str()) == 0);
  std::ofstream(file) << "new";
  boost::system::error_code ec;
  server.name.release(ec);
  BOOST_TEST(!ec, ec.message());
  BOOST_TEST(exists(file));
}

BOOST_AUTO_TEST_CASE(a_file_that_is_no_socket_is_never_deleted)
{
  const temp_directory elsewhere;
  const std::string file = elsewhere.path() + "/notes", link = elsewhere.path() + "/link",
                    directory = elsewhere.path() + "/dir";
  std::ofstream(file) << "kept";
  BOOST_TEST_REQUIRE(::symlink("nowhere", link.c_str()) == 0);
  BOOST_TEST_REQUIRE(::mkdir(directory.c_str(), 0700) == 0);
  for (const std::string& taken : {file, link, directory})
  {
    BOOST_TEST(listener(local(taken)).error == error::address_in_use, taken);
    BOOST_TEST(exists(taken), taken);
  }
  std::string text;
  std::ifstream(file) >> text;
  BOOST_TEST(text == "kept");
  BOOST_TEST(connect_error(local(file)) == error::connection_refused);
  BOOST_TEST(files() == std::set<std::string>(), "no lock stays behind");
}

BOOST_AUTO_TEST_CASE(a_live_socket_of_another_program_is_left_alone)
{
  const temp_directory elsewhere;
  const std::string stream = elsewhere.path() + "/stream", datagram = elsewhere.path() + "/datagram";
  {
    const descriptor first = foreign_socket(stream), second = foreign_socket(datagram, SOCK_DGRAM);
    for (const std::string& taken : {stream, datagram})
    {
      BOOST_TEST(listener(local(taken)).error == error::address_in_use, taken);
      BOOST_TEST(exists(taken), taken);
    }
  }
  for (const std::string& stale : {stream, datagram})
    BOOST_TEST(!listener(local(stale)).error, stale);
}

BOOST_AUTO_TEST_CASE(a_path_excludes_itself_however_it_is_spelled)
{
  const temp_directory elsewhere;
  const std::string link = elsewhere.path() + "/link";
  BOOST_TEST_REQUIRE(::symlink(elsewhere.path().c_str(), link.c_str()) == 0);
  // Not listening, so that the lock and not the probe has to tell.
  const listener server(local(elsewhere.path() + "/sock"), false, false);
  BOOST_TEST_REQUIRE(!server.error);
  for (const char* spelling : {"/sock", "/link/sock", "//sock", "/./sock"})
    BOOST_TEST(listener(local(elsewhere.path() + spelling)).error == error::address_in_use, spelling);
  BOOST_TEST(exists(elsewhere.path() + "/sock"));
}

BOOST_AUTO_TEST_CASE(a_path_without_its_directory_reports_the_systems_error)
{
  BOOST_TEST(listener(local(path() + "/missing/sock")).error == boost::system::errc::no_such_file_or_directory);
}

BOOST_AUTO_TEST_CASE(a_path_of_107_bytes_can_be_bound)
{
  const temp_directory elsewhere;
  std::string file = elsewhere.path() + "/";
  BOOST_TEST_REQUIRE(file.size() < 107u);
  file.resize(107, 'x');
  listener server(local(file));
  BOOST_TEST_REQUIRE(!server.error, server.error.message());
  BOOST_TEST(reaches(server.address, server));
}

BOOST_AUTO_TEST_SUITE_END()
