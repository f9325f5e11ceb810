// SPDX-License-Identifier: BSL-1.0
// Tests of the emulated network: binding, connecting, wildcards, conflicts.
#define BOOST_TEST_MODULE address_space
#include "address_space_fixture.hpp"
#include "deadline.hpp"

#include <shm/error.hpp>

#include <atomic>
#include <fstream>
#include <functional>
#include <ifaddrs.h>
#include <memory>
#include <set>
#include <sys/file.h>
#include <thread>
#include <vector>

namespace {

namespace error = boost::asio::error;
using namespace shm::detail;
using namespace shm::test;

// Whether somebody waits for flock(2) on this file, by the kernel's own list.
bool has_waiter(const std::string& path)
{
  struct stat status;
  BOOST_TEST_REQUIRE(::stat(path.c_str(), &status) == 0);
  const std::string inode = ":" + std::to_string(status.st_ino) + " ";
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);)
    if (line.find("->") != std::string::npos && line.find(inode) != std::string::npos)
      return true;
  return false;
}

// Whether an action waits for others that bind or release in the directory. It runs in a thread of its own, so it must
// not use Boost.Test.
bool waits_for_lock(const std::string& directory, const std::function<void()>& action)
{
  const descriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  BOOST_TEST_REQUIRE(::flock(fd.get(), LOCK_EX) == 0);
  std::atomic<bool> done{false};
  std::thread thread([&] {
    action();
    done = true;
  });
  bool waited = false;
  wait_until([&] { return (waited = has_waiter(directory)) || done; });
  ::flock(fd.get(), LOCK_UN);
  thread.join();
  return waited;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(address_space, runtime_fixture)

BOOST_AUTO_TEST_CASE(a_listener_is_found_by_its_address_and_port)
{
  for (const socket_address& address : {ip("127.0.0.1", 8080), ip("::1", 8080)})
  {
    listener server(address);
    BOOST_TEST_REQUIRE(!server.error, server.error.message());
    BOOST_TEST(reaches(address, server));
  }
}

BOOST_AUTO_TEST_CASE(without_a_listener_connections_are_refused)
{
  BOOST_TEST(connect_error(ip("127.0.0.1", 8080)) == error::connection_refused);
  listener server(ip("127.0.0.1", 8080));
  BOOST_TEST(connect_error(ip("127.0.0.1", 8081)) == error::connection_refused);
  BOOST_TEST(connect_error(ip("127.0.0.2", 8080)) == error::connection_refused);
  BOOST_TEST(connect_error(ip("::1", 8080)) == error::connection_refused);
  BOOST_TEST(connect_error(ip("127.0.0.1", 0)) == error::connection_refused);
  BOOST_TEST(connect_error(local("chat")) == error::connection_refused);
  BOOST_TEST(connect_error(local(path() + "/chat")) == boost::system::errc::no_such_file_or_directory);
}

BOOST_AUTO_TEST_CASE(connecting_does_not_create_the_directory)
{
  const std::string missing = path() + "/missing";
  const scoped_environment environment("ASIO_SHM_DIR", missing.c_str());
  BOOST_TEST(connect_error(ip("127.0.0.1", 8080)) == error::connection_refused);
  BOOST_TEST(!exists(missing));
}

BOOST_AUTO_TEST_CASE(a_socket_that_does_not_listen_yet_refuses)
{
  listener server(ip("127.0.0.1", 8080), false, false);
  BOOST_TEST_REQUIRE(!server.error);
  BOOST_TEST(connect_error(ip("127.0.0.1", 8080)) == error::connection_refused);
}

BOOST_AUTO_TEST_CASE(a_full_backlog_says_try_again)
{
  listener server(ip("127.0.0.1", 8080), false, false);
  BOOST_TEST_REQUIRE(::listen(server.socket.get(), 1) == 0);
  std::vector<descriptor> waiting;
  boost::system::error_code ec;
  while (!ec && waiting.size() < 100)
  {
    waiting.push_back(new_socket());
    connect_name(waiting.back().get(), server.address, ec);
  }
  BOOST_TEST(ec == error::try_again);
  BOOST_TEST_REQUIRE(server.accept().valid());
  connect_name(waiting.back().get(), server.address, ec);
  BOOST_TEST(!ec, ec.message());
}

BOOST_AUTO_TEST_CASE(a_bound_name_is_in_use_until_it_is_released)
{
  for (const socket_address& address : {ip("127.0.0.1", 8080), ip("::", 8081), local("chat"), local(path() + "/sock")})
  {
    listener first(address);
    BOOST_TEST_REQUIRE(!first.error, first.error.message());
    BOOST_TEST(listener(address).error == error::address_in_use);
    BOOST_TEST(reaches(address, first));
    boost::system::error_code ec;
    first.name.release(ec);
    BOOST_TEST(!ec, ec.message());
    BOOST_TEST(!first.name.valid());
    BOOST_TEST(!listener(address).error);
  }
}

BOOST_AUTO_TEST_CASE(nothing_stays_behind_after_a_release)
{
  for (const socket_address& address : {ip("127.0.0.1", 8080), ip("::", 0), local("chat"), local(path() + "/sock")})
    BOOST_TEST(!listener(address).error);
  BOOST_TEST(files() == std::set<std::string>());
}

BOOST_AUTO_TEST_CASE(a_name_can_be_moved)
{
  listener first(ip("127.0.0.1", 8080)), second(ip("127.0.0.1", 8081));
  bound_name moved(std::move(first.name));
  BOOST_TEST(!first.name.valid());
  BOOST_TEST(listener(ip("127.0.0.1", 8080)).error == error::address_in_use);
  moved = std::move(second.name);
  BOOST_TEST(!listener(ip("127.0.0.1", 8080)).error);
  BOOST_TEST(listener(ip("127.0.0.1", 8081)).error == error::address_in_use);
}

BOOST_AUTO_TEST_CASE(wildcards_conflict_as_in_tcp)
{
  struct
  {
    const char* first;
    bool first_v6_only;
    const char* second;
    bool second_v6_only;
    bool conflict;
  } const rows[] = {
      {"0.0.0.0", false, "127.0.0.1", false, true},
      {"0.0.0.0", false, "192.0.2.1", false, true},
      {"0.0.0.0", false, "0.0.0.0", false, true},
      {"0.0.0.0", false, "::1", false, false},
      {"0.0.0.0", false, "::", false, true},
      {"0.0.0.0", false, "::", true, false},
      {"127.0.0.1", false, "::", false, true},
      {"127.0.0.1", false, "::", true, false},
      {"127.0.0.1", false, "127.0.0.2", false, false},
      {"127.0.0.1", false, "::1", false, false},
      {"127.0.0.1", false, "::ffff:127.0.0.1", false, true},
      {"0.0.0.0", false, "::ffff:127.0.0.1", false, true},
      {"::1", false, "::", false, true},
      {"::1", false, "::", true, true},
      {"::1", true, "::", false, true},
      {"::1", false, "2001:db8::1", false, false},
      {"::", false, "::", true, true},
      {"::", true, "::", true, true},
  };
  for (const auto& row : rows)
    for (const bool swapped : {false, true})
    {
      BOOST_TEST_CONTEXT(row.first << " and " << row.second << ", swapped " << swapped)
      {
        const socket_address a = ip(row.first, 8080), b = ip(row.second, 8080);
        const listener first(swapped ? b : a, swapped ? row.second_v6_only : row.first_v6_only);
        const listener second(swapped ? a : b, swapped ? row.first_v6_only : row.second_v6_only);
        BOOST_TEST(!first.error);
        BOOST_TEST((second.error == error::address_in_use) == row.conflict, second.error.message());
        BOOST_TEST(second.error.failed() == row.conflict);
        // Another port never conflicts.
        BOOST_TEST(!listener(ip(row.second, 8081), row.second_v6_only).error);
      }
    }
}

BOOST_AUTO_TEST_CASE(different_addresses_share_a_port_and_get_their_own_connections)
{
  listener one(ip("127.0.0.1", 8080)), two(ip("127.0.0.2", 8080)), six(ip("::1", 8080));
  BOOST_TEST(reaches(one.address, one));
  BOOST_TEST(reaches(two.address, two));
  BOOST_TEST(reaches(six.address, six));
}

BOOST_AUTO_TEST_CASE(the_ipv4_wildcard_accepts_for_every_ipv4_address_of_the_machine)
{
  listener server(ip("0.0.0.0", 8080));
  for (const char* address : {"127.0.0.1", "127.5.6.7", "0.0.0.0", "::ffff:127.0.0.1", "::ffff:0.0.0.0"})
    BOOST_TEST(reaches(ip(address, 8080), server), address);
  for (const char* address : {"::1", "::", "192.0.2.1"})
    BOOST_TEST(connect_error(ip(address, 8080)) == error::connection_refused, address);
}

BOOST_AUTO_TEST_CASE(the_dual_stack_wildcard_accepts_for_both_families)
{
  listener server(ip("::", 8080));
  for (const char* address : {"::1", "::", "127.0.0.1", "0.0.0.0", "::ffff:127.0.0.1"})
    BOOST_TEST(reaches(ip(address, 8080), server), address);
  for (const char* address : {"2001:db8::1", "192.0.2.1"})
    BOOST_TEST(connect_error(ip(address, 8080)) == error::connection_refused, address);
}

BOOST_AUTO_TEST_CASE(the_v6_only_wildcard_leaves_ipv4_out)
{
  listener server(ip("::", 8080), true);
  BOOST_TEST(reaches(ip("::1", 8080), server));
  BOOST_TEST(reaches(ip("::", 8080), server));
  BOOST_TEST(connect_error(ip("127.0.0.1", 8080)) == error::connection_refused);
  listener four(ip("0.0.0.0", 8080));
  BOOST_TEST(reaches(ip("127.0.0.1", 8080), four));
  BOOST_TEST(reaches(ip("::1", 8080), server));
}

BOOST_AUTO_TEST_CASE(wildcards_accept_for_the_addresses_of_interfaces)
{
  listener four(ip("0.0.0.0", 8080)), six(ip("::", 8080), true);
  ifaddrs* list = nullptr;
  BOOST_TEST_REQUIRE(::getifaddrs(&list) == 0);
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(list, &::freeifaddrs);
  for (const ifaddrs* i = list; i; i = i->ifa_next)
  {
    const int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;
    if (family != AF_INET && family != AF_INET6)
      continue;
    socket_address address;
    address.size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    std::memcpy(address.data, i->ifa_addr, address.size);
    set_port(address, 8080);
    BOOST_TEST(reaches(address, family == AF_INET ? four : six), i->ifa_name);
  }
}

BOOST_AUTO_TEST_CASE(any_address_and_any_port_can_be_bound)
{
  for (const socket_address& address : {ip("192.0.2.1", 80), ip("2001:db8::1", 1)})
  {
    listener server(address);
    BOOST_TEST_REQUIRE(!server.error, server.error.message());
    BOOST_TEST(reaches(address, server));
  }
}

BOOST_AUTO_TEST_CASE(a_mapped_address_is_the_ipv4_address)
{
  listener server(ip("::ffff:127.0.0.1", 8080));
  BOOST_TEST(reaches(ip("127.0.0.1", 8080), server));
  BOOST_TEST(listener(ip("::ffff:127.0.0.2", 8080), true).error == error::invalid_argument);
}

BOOST_AUTO_TEST_CASE(port_0_gets_a_free_ephemeral_port)
{
  std::vector<listener> servers;
  std::set<std::uint16_t> ports;
  for (int i = 0; i < 50; ++i)
  {
    servers.emplace_back(ip(i % 2 ? "127.0.0.1" : "0.0.0.0", 0));
    BOOST_TEST_REQUIRE(!servers.back().error);
    const std::uint16_t port = port_of(servers.back().address);
    BOOST_TEST(port >= first_ephemeral_port);
    BOOST_TEST(port <= last_ephemeral_port);
    BOOST_TEST(ports.insert(port).second);
    BOOST_TEST(reaches(ip("127.0.0.1", port), servers.back()));
  }
}

BOOST_AUTO_TEST_CASE(short_names_are_files_in_the_runtime_directory)
{
  listener chat(local("chat")), lock(local("chat.lock")), odd(local("ip-127.0.0.1:80")), loud(local("Chat"));
  for (listener* server : {&chat, &lock, &odd, &loud})
  {
    BOOST_TEST_REQUIRE(!server->error, server->error.message());
    BOOST_TEST(reaches(server->address, *server));
  }
  BOOST_TEST(exists(path() + "/name/chat"));
}

BOOST_AUTO_TEST_CASE(names_that_no_file_can_have_are_invalid)
{
  for (const std::string& name : {std::string(), std::string("."), std::string(".."), std::string("a\0b", 3),
           std::string("\0a", 2), path() + "/", path() + "/..", path() + "/a" + std::string("\0b", 2)})
  {
    BOOST_TEST(listener(local(name)).error == error::invalid_argument, name);
    BOOST_TEST(connect_error(local(name)) == error::invalid_argument, name);
  }
}

BOOST_AUTO_TEST_CASE(what_is_no_endpoint_is_refused)
{
  socket_address address = ip("127.0.0.1", 8080);
  address.size = 8;
  BOOST_TEST(listener(address).error == error::invalid_argument);
  address.size = 0;
  BOOST_TEST(listener(address).error == error::address_family_not_supported);
  const sa_family_t family = AF_PACKET;
  address = ip("127.0.0.1", 8080);
  std::memcpy(address.data, &family, sizeof(family));
  BOOST_TEST(listener(address).error == error::address_family_not_supported);
  BOOST_TEST(connect_error(address) == error::address_family_not_supported);
}

BOOST_AUTO_TEST_CASE(a_socket_binds_once)
{
  listener server(ip("127.0.0.1", 8080));
  boost::system::error_code ec;
  socket_address other = ip("127.0.0.1", 8081);
  const bound_name second = bind_name(server.socket.get(), other, false, std::nullopt, ec);
  BOOST_TEST(ec == error::invalid_argument);
  BOOST_TEST(!second.valid());
  BOOST_TEST(files().size() == 2u);
}

BOOST_AUTO_TEST_CASE(an_unsafe_directory_is_not_used)
{
  BOOST_TEST_REQUIRE(::chmod(path().c_str(), 0777) == 0);
  BOOST_TEST(listener(ip("127.0.0.1", 8080)).error == shm::error::unsafe_runtime_directory);
  BOOST_TEST(connect_error(ip("127.0.0.1", 8080)) == shm::error::unsafe_runtime_directory);
  boost::system::error_code ec;
  claim_ephemeral(new_socket().get(), ip("127.0.0.1", 8080), 0, ec);
  BOOST_TEST(ec == shm::error::unsafe_runtime_directory);
}

BOOST_AUTO_TEST_CASE(a_long_directory_path_is_no_obstacle)
{
  const std::string deep = path() + "/" + std::string(150, 'd');
  const scoped_environment environment("ASIO_SHM_DIR", deep.c_str());
  for (const socket_address& address :
      {ip("127.0.0.1", 0), ip("2001:db8:1111:2222:3333:4444:5555:6666", 60000), local("chat")})
  {
    listener server(address);
    BOOST_TEST_REQUIRE(!server.error, server.error.message());
    BOOST_TEST(reaches(server.address, server));
    BOOST_TEST(listener(server.address).error == error::address_in_use);
  }
  const socket_address too_long = local(std::string(105, 'n'));
  BOOST_TEST(listener(too_long).error == error::name_too_long);
  BOOST_TEST(connect_error(too_long) == error::name_too_long);
  BOOST_TEST(files() == std::set<std::string>());
}

BOOST_AUTO_TEST_CASE(a_live_listener_survives_the_loss_of_its_lock_file)
{
  listener server(ip("127.0.0.1", 8080));
  BOOST_TEST_REQUIRE(::unlink((path() + "/lock/ip-127.0.0.1:8080").c_str()) == 0);
  BOOST_TEST(listener(ip("127.0.0.1", 8080)).error == error::address_in_use);
  BOOST_TEST(listener(ip("0.0.0.0", 8080)).error == error::address_in_use);
  BOOST_TEST(reaches(server.address, server));
}

BOOST_AUTO_TEST_CASE(binding_and_releasing_exclude_each_other)
{
  const descriptor socket = new_socket();
  socket_address address = ip("127.0.0.1", 8080);
  boost::system::error_code ec;
  bound_name name;
  const std::string locks = path() + "/lock";
  BOOST_TEST_REQUIRE(::mkdir(locks.c_str(), 0700) == 0);
  BOOST_TEST(waits_for_lock(locks, [&] { name = bind_name(socket.get(), address, false, std::nullopt, ec); }));
  BOOST_TEST(!ec, ec.message());
  BOOST_TEST(waits_for_lock(locks, [&] { name.release(ec); }));
  BOOST_TEST(!ec, ec.message());
  BOOST_TEST(files() == std::set<std::string>());
}

BOOST_AUTO_TEST_CASE(a_name_has_one_holder_at_a_time)
{
  std::atomic<int> holders{0}, wins{0}, wrong{0};
  const auto compete = [&](const char* address) {
    for (int i = 0; i < 100; ++i)
    {
      const descriptor socket = new_socket();
      socket_address local = ip(address, 8080);
      boost::system::error_code ec;
      bound_name name = bind_name(socket.get(), local, false, std::nullopt, ec);
      if (ec && ec != error::address_in_use)
        ++wrong;
      if (ec)
        continue;
      ++wins;
      if (++holders != 1)
        ++wrong;
      // A window in which a second holder would be noticed.
      for (int turns = 0; turns < 20; ++turns)
        std::this_thread::yield();
      --holders;
      name.release(ec);
      if (ec)
        ++wrong;
    }
  };
  std::vector<std::thread> threads;
  for (const char* address : {"127.0.0.1", "0.0.0.0", "127.0.0.1", "::"})
    threads.emplace_back(compete, address);
  for (std::thread& thread : threads)
    thread.join();
  BOOST_TEST(wrong == 0);
  BOOST_TEST(wins > 0);
  BOOST_TEST(files() == std::set<std::string>());
}

BOOST_AUTO_TEST_CASE(descriptors_are_closed_on_exec_and_none_is_lost)
{
  const std::set<int> before = open_descriptors();
  {
    listener server(ip("0.0.0.0", 8080)), chat(local("chat")), file(local(path() + "/sock"));
    for (const int fd : open_descriptors())
      if (before.count(fd) == 0)
        BOOST_TEST((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    listener(ip("127.0.0.1", 8080));
    listener(local("chat"));
    listener(local("."));
    listener(local(path() + "/missing/sock"));
    connect_error(ip("127.0.0.1", 8080));
    connect_error(ip("192.0.2.1", 8080));
    connect_error(local("missing"));
    boost::system::error_code ec;
    claim_ephemeral(new_socket().get(), server.address, 0, ec);
    BOOST_TEST(!ec);
    server.name.release(ec);
    server.name.release(ec);
    BOOST_TEST(!ec);
  }
  BOOST_TEST(open_descriptors() == before);
}

BOOST_AUTO_TEST_SUITE_END()
