// SPDX-License-Identifier: BSL-1.0
// Server and client in containers: namespaces of their own of every kind, with nothing in common but the runtime
// directory.
#define BOOST_TEST_MODULE namespaces
#include "child_process.hpp"
#include "pattern.hpp"
#include "socket_test.hpp"

#include <shm/peer_credentials.hpp>
#include <shm/permissions.hpp>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <grp.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

constexpr std::uint64_t total = 5'000'000;
const char inside[] = "/mnt"; // where a container has the runtime directory

void write_file(const std::string& path, const std::string& text)
{
  std::ofstream file(path);
  file << text << std::flush;
  if (!file)
    throw std::runtime_error("cannot write " + path);
}

/// Leaves all namespaces but the one of control groups; the runtime directory gets another path.
void enter_container(const std::string& directory)
{
  const std::string user = std::to_string(::geteuid()), group = std::to_string(::getegid());
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWUTS) != 0)
    throw std::runtime_error("unshare");
  write_file("/proc/self/setgroups", "deny");
  write_file("/proc/self/uid_map", "0 " + user + " 1");
  write_file("/proc/self/gid_map", "0 " + group + " 1");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0
      || ::mount(directory.c_str(), inside, nullptr, MS_BIND, nullptr) != 0
      || ::mount("none", "/dev/shm", "tmpfs", 0, nullptr) != 0)
    throw std::runtime_error("mount");
  ::setenv("ASIO_SHM_DIR", inside, 1);
}

/// The first process of the container's pid namespace runs the body.
int in_container(const std::string& directory, const std::function<int()>& body)
{
  enter_container(directory);
  const pid_t first = ::fork();
  if (first == 0)
  {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    int result = 99;
    try
    {
      result = ::getpid() == 1 ? body() : 98;
    }
    catch (const std::exception& e)
    {
      std::fprintf(stderr, "in a container: %s\n", e.what());
    }
    ::_exit(result);
  }
  int status = 0;
  return ::waitpid(first, &status, 0) == first && WIFEXITED(status) ? WEXITSTATUS(status) : 97;
}

bool have_namespaces(const std::string& directory)
{
  child_process probe([&](channel&) { return in_container(directory, [] { return 0; }); });
  if (probe.wait() == 0)
    return true;
  BOOST_TEST_MESSAGE("skipped: the kernel allows no new namespaces here");
  return false;
}

bool has_network()
{
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0)
    return true;
  bool up = false;
  for (const ifaddrs* i = list; i; i = i->ifa_next)
    up = up || (i->ifa_flags & IFF_UP) != 0;
  ::freeifaddrs(list);
  return up;
}

// Sends a pattern, then reads and checks that of the other side, to its end. Returns 0 if all was well.
int exchange(tcp::socket& socket, std::uint64_t own, std::uint64_t other)
{
  std::vector<unsigned char> block(total);
  pattern(own).fill(block.data(), block.size(), 0);
  asio::write(socket, asio::buffer(block));
  socket.shutdown(tcp::socket::shutdown_send);
  std::vector<unsigned char> got(total), expected(total);
  asio::read(socket, asio::buffer(got));
  pattern(other).fill(expected.data(), expected.size(), 0);
  char more;
  error_code ec;
  asio::read(socket, asio::buffer(&more, 1), ec);
  return got != expected ? 1 : ec != asio::error::eof ? 2 : 0;
}

int serve()
{
  if (has_network())
    return 10;
  asio::io_context context;
  tcp::acceptor acceptor(context, {tcp::v4(), 4711});
  write_file(std::string(inside) + "/ready", "");
  tcp::socket socket = acceptor.accept();
  char hello[5];
  asio::read(socket, asio::buffer(hello));
  std::vector<unsigned char> block(total), expected(total);
  asio::read(socket, asio::buffer(block));
  pattern(1).fill(expected.data(), expected.size(), 0);
  if (block != expected)
    return 11;
  pattern(2).fill(block.data(), block.size(), 0);
  asio::write(socket, asio::buffer(block));
  return 0;
}

int connect_and_talk()
{
  if (has_network())
    return 20;
  asio::io_context context;
  asio::ip::tcp::socket network(context);
  error_code ec;
  network.connect({asio::ip::address_v4::loopback(), 4711}, ec);
  if (!ec)
    return 21;
  tcp::socket socket(context);
  socket.connect({asio::ip::address_v4::loopback(), 4711});
  asio::write(socket, asio::buffer("hello", 5));
  return exchange(socket, 1, 2);
}

std::size_t eventfds()
{
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
  {
    std::error_code ignored;
    if (std::filesystem::read_symlink(entry.path(), ignored) == "anon_inode:[eventfd]")
      ++count;
  }
  return count;
}

// A user whom the namespace that it enters does not know.
void become_unknown(uid_t user, const std::string& directory)
{
  if (::setgroups(0, nullptr) != 0 || ::setresgid(user, user, user) != 0 || ::setresuid(user, user, user) != 0
      || ::unshare(CLONE_NEWUSER) != 0)
    throw std::runtime_error("cannot become an unknown user");
  ::setenv("ASIO_SHM_DIR", (directory + "/run-" + std::to_string(user)).c_str(), 1);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(namespaces, watchdog)

BOOST_AUTO_TEST_CASE(two_containers_talk_through_a_directory)
{
  const temp_directory directory;
  if (!have_namespaces(directory.path()))
    return;
  child_process server([&](channel&) { return in_container(directory.path(), serve); });
  wait_until([&] { return std::filesystem::exists(directory.path() + "/ready"); });
  child_process client([&](channel&) { return in_container(directory.path(), connect_and_talk); });
  BOOST_TEST(client.wait() == 0);
  BOOST_TEST(server.wait() == 0);
}

BOOST_AUTO_TEST_CASE(a_program_outside_talks_to_one_in_a_container)
{
  const temp_directory directory;
  if (!have_namespaces(directory.path()))
    return;
  const scoped_environment environment("ASIO_SHM_DIR", directory.path().c_str());
  child_process server([&](channel&) { return in_container(directory.path(), serve); });
  wait_until([&] { return std::filesystem::exists(directory.path() + "/ready"); });
  asio::io_context context;
  tcp::socket socket(context);
  socket.connect({asio::ip::address_v4::loopback(), 4711});
  asio::write(socket, asio::buffer("hello", 5));
  BOOST_TEST(exchange(socket, 1, 2) == 0);
  BOOST_TEST(server.wait() == 0);
}

BOOST_AUTO_TEST_CASE(a_container_that_is_killed_ends_its_connections)
{
  const temp_directory directory;
  if (!have_namespaces(directory.path()))
    return;
  const scoped_environment environment("ASIO_SHM_DIR", directory.path().c_str());
  child_process server([&](channel&) { return in_container(directory.path(), serve); });
  wait_until([&] { return std::filesystem::exists(directory.path() + "/ready"); });
  asio::io_context context;
  tcp::socket socket(context);
  socket.connect({asio::ip::address_v4::loopback(), 4711});
  asio::write(socket, asio::buffer("hello", 5));
  server.kill(); // and with it, by its death signal, the first process of the container
  char byte;
  error_code ec;
  asio::read(socket, asio::buffer(&byte, 1), ec);
  BOOST_TEST((ec == asio::error::eof || ec == asio::error::connection_reset));
  // The kernel may close the listener a moment after the connection.
  tcp::acceptor next(context, tcp::v4());
  wait_until(
      [&]
      {
        next.bind({tcp::v4(), 4711}, ec);
        return ec != asio::error::address_in_use;
      });
  BOOST_TEST(!ec);
}

// The kernel calls them both 65534: no doorbell is shared with such a peer.
BOOST_AUTO_TEST_CASE(users_whom_the_namespace_does_not_know_do_not_count_as_one)
{
  const temp_directory directory;
  if (::geteuid() != 0 || !have_namespaces(directory.path()))
    return;
  BOOST_TEST_REQUIRE(::chmod(directory.path().c_str(), 01777) == 0);
  const std::string path = directory.path() + "/server.sock";
  child_process server(
      [&](channel& parent)
      {
        become_unknown(64242, directory.path());
        asio::io_context context;
        tcp::acceptor acceptor(context);
        acceptor.open(tcp::local());
        acceptor.set_option(shm::permissions(0666));
        acceptor.bind(path);
        acceptor.listen();
        parent.send(true);
        tcp::socket socket = acceptor.accept();
        shm::peer_credentials peer;
        socket.get_option(peer);
        char byte;
        asio::read(socket, asio::buffer(&byte, 1));
        asio::write(socket, asio::buffer(&byte, 1));
        return peer.uid() == 65534u ? 0 : 1;
      });
  server.peer().receive<bool>();
  child_process client(
      [&](channel&)
      {
        become_unknown(64243, directory.path());
        asio::io_context context;
        tcp::socket socket(context);
        const std::size_t before = eventfds();
        socket.connect(path);
        const std::size_t connected = eventfds();
        char byte = 'x';
        asio::write(socket, asio::buffer(&byte, 1));
        asio::read(socket, asio::buffer(&byte, 1));
        return connected == before ? 0 : 1;
      });
  BOOST_TEST(client.wait() == 0);
  BOOST_TEST(server.wait() == 0);
}

BOOST_AUTO_TEST_SUITE_END()
