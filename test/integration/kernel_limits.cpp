// SPDX-License-Identifier: BSL-1.0
// Limits of the kernel, met for real: descriptors in flight, address space, a full file system, a memory cgroup.
#define BOOST_TEST_MODULE kernel_limits
#include "socket_test.hpp"

#include "child_process.hpp"
#include "limits.hpp"
#include "sanitizers.hpp"
#include "server_process.hpp"

#include <shm/error.hpp>

#include <chrono>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

// What a child says when it cannot try what it should.
constexpr int not_here = 77;

// For the conditions of child processes, where Boost.Test has no report.
void require(bool holds, const char* what)
{
  if (!holds)
    throw std::runtime_error(what);
}

/// Runs the body in a process of its own, whose limits and privileges it may give up.
template <class Body>
void check_in_child(const char* why_not, Body body)
{
  child_process child([&](channel&) { return body(); });
  const int code = child.wait();
  if (code == not_here)
    std::cout << "kernel_limits: skipped: " << why_not << std::endl;
  else
    BOOST_TEST(code == 0);
}

bool carry(tcp::socket& from, tcp::socket& to)
{
  asio::write(from, asio::buffer(carried_text));
  std::string got(carried_text.size(), '\0');
  asio::read(to, asio::buffer(got));
  return got == carried_text;
}

// A user of whom nobody else has descriptors in flight, and whom limits bind.
bool become_nobody_in_particular()
{
  if (::geteuid() != 0)
    return true;
  const auto id = static_cast<uid_t>(200'000 + ::getpid() % 100'000);
  return ::setgroups(0, nullptr) == 0 && ::setgid(id) == 0 && ::setuid(id) == 0;
}

int too_many_in_flight()
{
  if (!become_nobody_in_particular())
    return not_here;
  const temp_runtime_directory directory;
  const scoped_limit limit(RLIMIT_NOFILE, 64);
  asio::io_context context;
  tcp::acceptor acceptor(context, loopback<tcp>());
  // Those who are gone leave their descriptors in the backlog.
  const auto fill = [&]
  {
    error_code ec;
    for (int waiting = 0; waiting != 200; ++waiting)
    {
      tcp::socket client(context, tcp::v4());
      client.non_blocking(true);
      client.connect(acceptor.local_endpoint(), ec);
      if (ec)
      {
        require(ec == error::try_again, "connect says try_again");
        return waiting;
      }
    }
    return -1;
  };
  int waiting = fill();
  if (waiting < 0)
    return not_here;
  std::cout << "kernel_limits: too many descriptors in flight after " << waiting << " connections" << std::endl;

  tcp::socket client(context);
  completion connected;
  client.async_connect(acceptor.local_endpoint(), connected.handler());
  context.run_for(std::chrono::milliseconds(20));
  require(!connected.done(), "connect waits");
  for (int i = 0; i != waiting; ++i)
    acceptor.accept();
  run_until(context, [&] { return connected.done(); });
  require(!connected.ec, "connect succeeds");
  tcp::socket server = acceptor.accept();
  require(carry(client, server), "data");
  client.close();
  server.close();

  // A thread that blocks in connect waits as well.
  waiting = fill();
  std::thread accepts(
      [&]
      {
        for (int i = 0; i != waiting; ++i)
          acceptor.accept();
        server = acceptor.accept();
      });
  error_code ec;
  client.connect(acceptor.local_endpoint(), ec);
  accepts.join();
  require(!ec && carry(client, server), "connect that blocks");
  return 0;
}

int no_address_space()
{
  const tcp::endpoint at = loopback<tcp>();
  asio::io_context context;
  tcp::acceptor acceptor(context, at);
  {
    tcp::socket first(context); // what is allocated once is there
    first.connect(acceptor.local_endpoint());
    tcp::socket server = acceptor.accept();
  }
  tcp::socket client(context);
  error_code ec;
  {
    const scoped_limit limit(RLIMIT_AS, address_space() + (1 << 20));
    client.connect(acceptor.local_endpoint(), ec);
    require(ec == error::no_memory, "connect says no_memory");
  }
  client.connect(acceptor.local_endpoint());
  completion accepted;
  tcp::socket server(context);
  {
    const scoped_limit limit(RLIMIT_AS, address_space() + (1 << 20));
    acceptor.async_accept(server, accepted.handler());
    run_ready(context);
    require(!accepted.done(), "the client is dropped");
    char byte;
    asio::read(client, asio::buffer(&byte, 1), ec);
    require(ec == shm::error::no_memory, "the client is told");
  }
  client.close();
  client.connect(acceptor.local_endpoint());
  run_until(context, [&] { return accepted.done(); });
  require(!accepted.ec && carry(client, server) && carry(server, client), "the next client is served");
  return 0;
}

bool write_file(const std::string& path, const std::string& text)
{
  std::ofstream file(path);
  file << text << std::flush;
  return file.good();
}

// A file system of our own at that path, in namespaces of our own where that takes no privilege.
bool mount_small_tmpfs(const std::string& path, const char* options)
{
  const std::string uid = std::to_string(::geteuid());
  const std::string gid = std::to_string(::getegid());
  if (::unshare(CLONE_NEWNS) != 0)
  {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
      return false;
    write_file("/proc/self/setgroups", "deny");
    if (!write_file("/proc/self/uid_map", uid + " " + uid + " 1") || !write_file("/proc/self/gid_map", gid + " " + gid + " 1"))
      return false;
  }
  return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0
      && ::mount("tmpfs", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options) == 0
      && ::chown(path.c_str(), ::geteuid(), ::getegid()) == 0 && ::chmod(path.c_str(), S_IRWXU) == 0;
}

int full_runtime_directory()
{
  const temp_runtime_directory directory;
  if (!mount_small_tmpfs(directory.path(), "size=64k,nr_inodes=12"))
    return not_here;
  asio::io_context context;
  std::vector<tcp::acceptor> acceptors;
  error_code ec;
  while (!ec && acceptors.size() != 100)
  {
    tcp::acceptor next(context);
    next.open(tcp::v4());
    next.bind(loopback<tcp>(), ec);
    if (ec)
      break;
    next.listen();
    acceptors.push_back(std::move(next));
  }
  require(ec == boost::system::errc::no_space_on_device, "bind says that there is no space");
  require(acceptors.size() > 1, "some are bound");

  // Those who are there go on, and a connect takes no space.
  for (tcp::acceptor& acceptor : acceptors)
  {
    tcp::socket client(context);
    client.connect(acceptor.local_endpoint());
    tcp::socket server = acceptor.accept();
    require(carry(client, server), "data");
  }
  // The same acceptor binds when there is room.
  tcp::acceptor late(context);
  late.open(tcp::v4());
  late.bind(loopback<tcp>(), ec);
  require(ec.failed(), "full still");
  acceptors.pop_back();
  late.bind(loopback<tcp>());
  late.listen();
  tcp::socket client(context);
  client.connect(late.local_endpoint());
  tcp::socket server = late.accept();
  require(carry(client, server), "data after all");
  late.close();
  acceptors.clear();
  return 0;
}

/// A memory cgroup of our own, where they may be made.
class memory_cgroup
{
public:
  explicit memory_cgroup(long limit)
  {
    const std::string name = "/asio-shm-test-" + std::to_string(::getpid());
    for (const char* root : {"/sys/fs/cgroup/memory", "/sys/fs/cgroup"})
    {
      const std::string path = root + name;
      if (::mkdir(path.c_str(), S_IRWXU) != 0)
        continue;
      if (write_file(path + "/memory.limit_in_bytes", std::to_string(limit))
          || write_file(path + "/memory.max", std::to_string(limit)))
      {
        write_file(path + "/memory.swap.max", "0");
        path_ = path;
        return;
      }
      ::rmdir(path.c_str());
    }
  }

  ~memory_cgroup()
  {
    if (!path_.empty())
      wait_until([this] { return ::rmdir(path_.c_str()) == 0 || errno != EBUSY; });
  }

  bool enter(pid_t pid) const
  {
    return !path_.empty() && write_file(path_ + "/cgroup.procs", std::to_string(pid));
  }

private:
  std::string path_;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(kernel_limits, watchdog)

BOOST_AUTO_TEST_CASE(connect_waits_while_too_many_descriptors_are_in_flight)
{
  check_in_child("no limit on descriptors in flight binds this user", &too_many_in_flight);
}

BOOST_AUTO_TEST_CASE(address_space_runs_out_on_either_side)
{
  if (sanitized)
    std::cout << "kernel_limits: skipped: sanitizers reserve address space without end" << std::endl;
  else
    check_in_child("", &no_address_space);
}

BOOST_AUTO_TEST_CASE(runtime_directory_is_full)
{
  check_in_child("no file system may be mounted here", &full_runtime_directory);
}

// A client fills rings whose memory it may not have: the kernel ends it, and it alone.
BOOST_AUTO_TEST_CASE(client_beyond_its_memory_cgroup)
{
  const memory_cgroup group(24 << 20);
  child_process client(
      [](channel& test) -> int
      {
        const auto endpoint = receive_endpoint<tcp>(test);
        asio::io_context context;
        std::vector<tcp::socket> sockets;
        const std::vector<char> block(1 << 20);
        for (;;)
        {
          error_code ec;
          tcp::socket next(context);
          next.connect(endpoint, ec);
          if (!ec)
            asio::write(next, asio::buffer(block), ec);
          if (ec)
            return 0; // told in time
          sockets.push_back(std::move(next));
        }
      });
  if (!group.enter(client.id()))
  {
    std::cout << "kernel_limits: skipped: no memory cgroup may be made here" << std::endl;
    return;
  }
  asio::io_context context;
  tcp::acceptor acceptor(context, loopback<tcp>());
  send_endpoint(client.peer(), acceptor.local_endpoint());
  // Accepted or not, its connections end, and the acceptor has others.
  std::vector<tcp::socket> servers;
  for (int i = 0; i != 4; ++i)
    servers.push_back(acceptor.accept());
  const int code = client.wait();
  BOOST_TEST((code == 0 || code == -1));
  for (tcp::socket& server : servers)
  {
    std::vector<char> got(2 << 20);
    error_code ec;
    asio::read(server, asio::buffer(got), ec);
    BOOST_TEST(is_end(ec));
  }
  error_code ec;
  tcp::socket next(context);
  next.connect(acceptor.local_endpoint(), ec);
  BOOST_TEST(!ec);
  for (;;)
  {
    tcp::socket server = acceptor.accept();
    if (server.remote_endpoint() != next.local_endpoint())
      continue;
    check_carries_data(next, server);
    break;
  }
}

BOOST_AUTO_TEST_SUITE_END()
