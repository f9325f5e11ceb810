// SPDX-License-Identifier: BSL-1.0
// Tests of an acceptor that is sent wrong descriptors, and of what a client can do later to those that were right.
#define BOOST_TEST_MODULE hostile_descriptors
#include "socket_test.hpp"

#include "attacked_server.hpp"
#include "limits.hpp"

#include <shm/error.hpp>

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/epoll.h>
#include <sys/timerfd.h>

using shm::test::attacked_server;
using shm::test::hostile_client;
using shm::test::raw_descriptor;

namespace {

/// Something to send in place of the right thing.
struct thing
{
  std::string name;
  std::function<raw_descriptor()> make;
  int reason_as_memory = shm::error::unsealed_memory;
  int reason_as_bell = shm::error::protocol_error;
};

raw_descriptor pipe_end(int which)
{
  int fds[2];
  if (::pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0)
    throw std::system_error(errno, std::generic_category(), "pipe2");
  ::close(fds[1 - which]);
  return raw_descriptor(fds[which]);
}

raw_descriptor socket_end(int type)
{
  int fds[2];
  if (::socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
    throw std::system_error(errno, std::generic_category(), "socketpair");
  ::close(fds[1]);
  return raw_descriptor(fds[0]);
}

raw_descriptor regular_file(std::uint64_t size)
{
  const std::string path = shm::test::unused_path();
  raw_descriptor result
      = raw_descriptor::checked(::open(path.c_str(), O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0600), "open");
  ::unlink(path.c_str());
  if (::ftruncate(result.get(), static_cast<off_t>(size)) != 0)
    throw std::system_error(errno, std::generic_category(), "ftruncate");
  return result;
}

raw_descriptor full_eventfd(int flags)
{
  raw_descriptor result(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC | flags));
  const std::uint64_t most = std::numeric_limits<std::uint64_t>::max() - 1;
  BOOST_TEST(::write(result.get(), &most, sizeof most) == 8);
  return result;
}

const std::uint64_t region = shm::test::hostile_geometry().region();

std::vector<thing> things()
{
  return {
      {"read end of a pipe", [] { return pipe_end(0); }},
      {"write end of a pipe", [] { return pipe_end(1); }},
      {"stream socket", [] { return socket_end(SOCK_STREAM); }},
      {"datagram socket", [] { return socket_end(SOCK_DGRAM); }},
      {"TCP socket", [] { return raw_descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)); }},
      {"regular file", [] { return regular_file(region); }},
      {"/dev/null", [] { return raw_descriptor(::open("/dev/null", O_RDWR | O_NONBLOCK | O_CLOEXEC)); }},
      {"/dev/zero", [] { return raw_descriptor(::open("/dev/zero", O_RDWR | O_NONBLOCK | O_CLOEXEC)); }},
      {"directory", [] { return raw_descriptor(::open("/", O_RDONLY | O_NONBLOCK | O_CLOEXEC)); }},
      {"path only", [] { return raw_descriptor(::open("/", O_PATH | O_CLOEXEC)); }},
      {"epoll", [] { return raw_descriptor(::epoll_create1(EPOLL_CLOEXEC)); }},
      {"timerfd", [] { return raw_descriptor(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)); }},
      {"eventfd that blocks", [] { return raw_descriptor(::eventfd(0, EFD_CLOEXEC)); }},
      {"semaphore", [] { return raw_descriptor(::eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC)); }},
      {"full semaphore", [] { return full_eventfd(EFD_SEMAPHORE); }},
      {"full eventfd", [] { return full_eventfd(0); }},
      {"memory without seals", [] { return hostile_client::make_memory(region, 0); }},
      {"memory that may shrink", [] { return hostile_client::make_memory(region, F_SEAL_GROW | F_SEAL_SEAL); }},
      {"memory that may grow", [] { return hostile_client::make_memory(region, F_SEAL_SHRINK | F_SEAL_SEAL); }},
      {"memory that may be sealed", [] { return hostile_client::make_memory(region, F_SEAL_SHRINK | F_SEAL_GROW); }},
      {"memory that cannot be written to",
          [] { return hostile_client::make_memory(region, hostile_client::good_seals | F_SEAL_WRITE); }},
      {"memory that cannot be mapped for writing",
          [] { return hostile_client::make_memory(region, hostile_client::good_seals | F_SEAL_FUTURE_WRITE); }},
      {"short memory", [] { return hostile_client::make_memory(region - 1, hostile_client::good_seals); },
          shm::error::protocol_error},
      {"no memory at all", [] { return hostile_client::make_memory(0, hostile_client::good_seals); },
          shm::error::protocol_error},
      {"memory without a header", [] { return hostile_client::make_memory(region, hostile_client::good_seals); },
          shm::error::protocol_error},
      {"read-only memory",
          [] {
            const auto memory = hostile_client::make_memory(region, hostile_client::good_seals);
            const std::string path = "/proc/self/fd/" + std::to_string(memory.get());
            return raw_descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
          },
          shm::error::no_memory},
      {"huge pages",
          [] { return hostile_client::make_memory(std::uint64_t{1} << 30, hostile_client::good_seals, MFD_HUGETLB); },
          shm::error::protocol_error},
  };
}

void expect_refused(attacked_server& server, int reason, const std::function<void(hostile_client&)>& spoil,
    bool eventfds = true)
{
  {
    hostile_client client(server.port(), {}, eventfds);
    spoil(client);
    BOOST_TEST(client.connect());
    client.say_hello();
    server.run([&] { return client.hung_up(); });
    BOOST_TEST(client.refusal() == reason);
    BOOST_TEST(!client.is_attached());
  }
  server.serve_a_good_client(100);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(hostile_descriptors, shm::test::watchdog)

BOOST_AUTO_TEST_CASE(a_wrong_thing_in_place_of_the_memory)
{
  attacked_server server;
  for (const thing& each : things())
    for (const bool eventfds : {false, true})
      BOOST_TEST_CONTEXT(each.name)
      {
        raw_descriptor sent;
        expect_refused(
            server, each.reason_as_memory,
            [&](hostile_client& client) {
              sent = each.make();
              client.descriptors[0] = sent.get() >= 0 ? sent.get() : client.descriptors[0];
              if (sent.get() < 0) // hugetlb memory where the kernel has none
                client.put<std::uint32_t>(each.reason_as_memory == shm::error::protocol_error ? 0 : 8, 0);
            },
            eventfds);
        sent = raw_descriptor();
        server.check_unharmed();
      }
}

BOOST_AUTO_TEST_CASE(a_wrong_thing_in_place_of_a_doorbell)
{
  attacked_server server;
  for (const thing& each : things())
    for (const std::size_t bell : {1u, 2u})
      BOOST_TEST_CONTEXT(each.name << " as descriptor " << bell)
      {
        // The client's own doorbell is only rung here: of what kind the eventfd is, and how full, is its affair.
        const bool is_harmless
            = bell == 2 && (each.name == "semaphore" || each.name == "full semaphore" || each.name == "full eventfd");
        raw_descriptor sent = each.make();
        if (sent.get() < 0)
          continue;
        if (!is_harmless)
        {
          expect_refused(server, each.reason_as_bell, [&](hostile_client& c) { c.descriptors[bell] = sent.get(); });
          sent = raw_descriptor();
          server.check_unharmed();
          continue;
        }
        hostile_client client(server.port());
        client.descriptors[bell] = sent.get();
        BOOST_TEST(client.connect());
        client.say_hello();
        server.run([&] { return client.is_attached(); });
        client.back(hostile_client::reader_wait).store(1); // to be rung
        client.forth_data()[0] = 'x';
        client.forth(hostile_client::end).store(1);
        client.ring();
        server.run([&] { return client.back(hostile_client::end).load() == 1; });
        client.hang_up();
        server.run([&] { return server.sessions() == 0; });
      }
  server.check_unharmed();
}

BOOST_AUTO_TEST_CASE(a_wrong_number_of_descriptors)
{
  attacked_server server;
  for (const bool eventfds : {false, true})
    for (std::size_t count = 0; count <= 253; count = count < 8 ? count + 1 : count * 2 + 5)
      if (count != (eventfds ? 3u : 1u))
        BOOST_TEST_CONTEXT(count << " descriptors")
        {
          expect_refused(
              server, count > 4 ? shm::error::no_descriptors : shm::error::protocol_error,
              [=](hostile_client& client) { client.descriptors.resize(count, client.connector_bell.get()); }, eventfds);
          server.check_unharmed();
        }
}

BOOST_AUTO_TEST_CASE(descriptors_that_come_after_the_hello_are_not_kept)
{
  attacked_server server;
  const int before = static_cast<int>(shm::test::open_resources::now().descriptors);
  {
    hostile_client client(server.port());
    BOOST_TEST(client.connect());
    client.say_hello();
    server.run([&] { return client.is_attached(); });
    const std::vector<int> many(250, client.connector_bell.get());
    ssize_t sent = 0;
    for (int i = 0; i < 20 && sent >= 0; ++i)
    {
      sent = client.send("\1", 1, many);
      server.poll();
    }
    // Newer kernels do not even let them be sent.
    BOOST_TEST_MESSAGE("the last of them: " << (sent < 0 ? std::strerror(errno) : "sent"));
    BOOST_TEST(static_cast<int>(shm::test::open_resources::now().descriptors) < before + 20);
    for (int i = 0; i < 20; ++i)
      server.poll();
  }
  server.check_unharmed();
}

BOOST_AUTO_TEST_CASE(holes_in_the_memory_of_a_connection_end_it)
{
  attacked_server server;
  for (const bool with_data : {false, true})
  {
    {
      hostile_client client(server.port());
      BOOST_TEST(client.connect());
      client.say_hello();
      server.run([&] { return client.is_attached(); });
      client.forth_data()[0] = 'x';
      client.forth(hostile_client::end).store(1);
      client.ring();
      server.run([&] { return client.back(hostile_client::end).load() == 1; });
      if (with_data)
        client.forth(hostile_client::end).store(4096);
      const int hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
      BOOST_TEST(::fallocate(client.memory.get(), hole, 0, static_cast<off_t>(region)) == 0);
      client.ring();
      server.run([&] { return server.sessions() == 0; });
      BOOST_TEST(server.ends().back() == shm::error::corrupted);
      BOOST_TEST(client.hung_up());
    }
    server.check_unharmed();
  }
}

BOOST_AUTO_TEST_CASE(the_seals_refuse_to_truncate_the_memory_of_a_connection)
{
  attacked_server server;
  {
    hostile_client client(server.port());
    BOOST_TEST(client.connect());
    client.say_hello();
    server.run([&] { return client.is_attached(); });
    for (const off_t size : {off_t{0}, off_t{4096}, static_cast<off_t>(region - 1), static_cast<off_t>(region + 1)})
    {
      BOOST_TEST(::ftruncate(client.memory.get(), size) != 0);
      BOOST_TEST(errno == EPERM);
    }
    for (const int seal : {F_SEAL_WRITE, F_SEAL_FUTURE_WRITE})
      BOOST_TEST(::fcntl(client.memory.get(), F_ADD_SEALS, seal) != 0);
    client.forth_data()[0] = 'x';
    client.forth(hostile_client::end).store(1);
    client.ring();
    server.run([&] { return client.back(hostile_client::end).load() == 1; });
  }
  server.check_unharmed();
}

// All the while the memory's header says something else; what counts was checked before it is used.
BOOST_AUTO_TEST_CASE(a_header_that_changes_while_it_is_checked)
{
  attacked_server server;
  std::size_t accepted = 0;
  for (int i = 0; i < 200; ++i)
  {
    hostile_client client(server.port());
    std::atomic<bool> stop{false};
    std::thread changes([&] {
      auto& count = *reinterpret_cast<std::atomic<std::uint32_t>*>(client.base() + 28);
      for (std::uint32_t n = 0; !stop; ++n)
        count.store(n % 2 ? 4 : 1u << (n % 32), std::memory_order_relaxed);
    });
    BOOST_TEST(client.connect());
    client.say_hello();
    server.run([&] { return client.is_attached() || client.hung_up(); });
    if (client.is_attached())
    {
      ++accepted;
      client.forth_data()[0] = 'x';
      client.forth(hostile_client::end).store(1);
      client.ring();
      server.run([&] { return client.back(hostile_client::end).load() == 1; });
    }
    stop = true;
    changes.join();
  }
  BOOST_TEST_MESSAGE(accepted << " of 200 were accepted");
  server.check_unharmed();
}

BOOST_AUTO_TEST_SUITE_END()
