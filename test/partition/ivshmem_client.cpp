// SPDX-License-Identifier: BSL-1.0
// A host's own part in a region: what it believes of what a server says, and what it makes of the rest.
#define BOOST_TEST_MODULE ivshmem_client
#include "socket_test.hpp"

#include "doorbell.hpp"
#include "fake_ivshmem_server.hpp"
#include "ivshmem_client.hpp"
#include "ivshmem_server.hpp"
#include "memfd.hpp"
#include "open_resources.hpp"
#include "raw_ivshmem_client.hpp"
#include "send_descriptors.hpp"
#include "shared_eventfd.hpp"

#include <shm/error.hpp>

#include <memory>
#include <optional>
#include <thread>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

using namespace shm::partitiond;
using namespace shm::test;
using shm::detail::descriptor;
using std::chrono::milliseconds;

namespace {

bool rung(const descriptor& bell)
{
  const bool result = readable(bell.get(), 0);
  shm::detail::drain_eventfd(bell.get());
  return result;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(handshake, watchdog)

BOOST_AUTO_TEST_CASE(takes_what_the_server_gives)
{
  fake_ivshmem_server server;
  const auto client = server.meet();
  BOOST_TEST(client->id() == 1u);
  BOOST_TEST(client->vectors() == 2u);
  BOOST_TEST(client->memory().size == 8u << 20);
  BOOST_TEST(client->memory().offset == 0u);
  error_code ec;
  BOOST_TEST(region::open(client->memory(), ec).geometry().region_id == 0x1234u);
  BOOST_TEST(client->watched() >= 0);
}

BOOST_AUTO_TEST_CASE(bytes_may_come_one_by_one)
{
  fake_ivshmem_server server;
  error_code ec;
  const auto client = server.meet(
      [&](int socket)
      {
        for (const saying& one : server.greeting())
        {
          unsigned char bytes[8];
          const auto value = static_cast<std::uint64_t>(one.value);
          std::memcpy(bytes, &value, sizeof(bytes));
          for (std::size_t i = 0; i != sizeof(bytes); ++i)
            send_with_descriptors(socket, &bytes[i], 1, i == 0 ? one.attached : std::vector<int>());
        }
      },
      ec);
  BOOST_TEST_REQUIRE(!ec, ec.message());
  const descriptor bell = client->ringer(0, 1, ec);
  shm::detail::ring_eventfd(bell.get());
  BOOST_TEST(rung(server.bells[1]));
}

BOOST_AUTO_TEST_CASE(every_wrong_word_is_refused)
{
  fake_ivshmem_server server;
  error_code ec;
  const descriptor unsealed(::memfd_create("asio-shm-unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  const descriptor sealed(::memfd_create("asio-shm-empty", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  BOOST_REQUIRE(::ftruncate(unsealed.get(), 8 << 20) == 0);
  BOOST_REQUIRE(::fcntl(sealed.get(), F_ADD_SEALS, F_SEAL_SHRINK) == 0);
  const auto blank = shm::detail::memfd::create(8 << 20, ec);
  temp_directory directory;
  const descriptor file(::open((directory.path() + "/file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  BOOST_REQUIRE(::ftruncate(file.get(), 8 << 20) == 0);
  const descriptor blocking(::eventfd(0, EFD_CLOEXEC));
  const int bell = server.bells[4].get();

  const error_code protocol = shm::error::protocol_error;
  const struct
  {
    std::size_t at; // which message of the greeting is another one
    saying instead;
    error_code expected;
  } wrong[] = {
      {0, {1, {}}, shm::error::version_mismatch},
      {0, {-1, {}}, shm::error::version_mismatch},
      {1, {-1, {}}, protocol},
      {1, {64, {}}, protocol},
      {1, {std::int64_t{1} << 32, {}}, protocol},
      {1, {1, {bell}}, protocol},
      {2, {-1, {}}, protocol},
      {2, {0, {server.memory()}}, protocol},
      {2, {-1, {bell}}, protocol},
      {2, {-1, {sealed.get()}}, protocol},
      {2, {-1, {blank.native_handle()}}, protocol},
      {2, {-1, {unsealed.get()}}, shm::error::unsealed_memory},
      {2, {-1, {file.get()}}, shm::error::unsealed_memory},
      {2, {-1, {server.memory(), bell}}, protocol},
      {3, {64, {bell}}, protocol},
      {3, {-1, {bell}}, protocol},
      {3, {-2, {}}, protocol},
      {3, {0, {server.memory()}}, protocol},
      {3, {0, {blocking.get()}}, protocol},
      {3, {0, {bell, bell}}, protocol},
      {3, {0, {bell, bell, bell}}, protocol},
      {3, {1, {}}, protocol},
      {6, {1, {}}, protocol},
      {6, {1, {server.memory()}}, protocol},
  };
  server.meet();
  server.connection.reset();
  const open_resources before = open_resources::now();
  for (const auto& one : wrong)
  {
    speech said = server.greeting();
    said[one.at] = one.instead;
    ec.clear();
    BOOST_TEST(!server.meet(said, ec));
    BOOST_TEST(ec == one.expected, "message " << one.at << ", " << one.instead.value << ": " << ec.message());
    server.connection.reset();
    BOOST_TEST(open_resources::now() == before);
  }
}

BOOST_AUTO_TEST_CASE(more_eventfds_than_vectors_are_refused)
{
  fake_ivshmem_server server;
  speech said = server.greeting();
  said.insert(said.begin() + 5, {0, {server.bells[4].get()}});
  error_code ec;
  BOOST_TEST(!server.meet(said, ec));
  BOOST_TEST(ec == shm::error::protocol_error);
}

BOOST_AUTO_TEST_CASE(a_server_that_hangs_up_after_any_byte_leaves_nothing_behind)
{
  fake_ivshmem_server server;
  server.meet();
  server.connection.reset();
  const open_resources before = open_resources::now();
  const std::size_t size = 8 * server.greeting().size();
  for (std::size_t bytes = 0; bytes != size; ++bytes)
  {
    error_code ec;
    const auto client = server.meet(
        [&](int socket)
        {
          std::size_t left = bytes;
          for (const saying& one : server.greeting())
          {
            const auto value = static_cast<std::uint64_t>(one.value);
            if (left != 0)
              send_with_descriptors(socket, &value, std::min<std::size_t>(left, 8), one.attached);
            left -= std::min<std::size_t>(left, 8);
          }
          ::shutdown(socket, SHUT_RDWR);
        },
        ec);
    BOOST_TEST(!client);
    BOOST_TEST(ec == error::connection_reset, bytes << " bytes: " << ec.message());
    server.connection.reset();
    BOOST_TEST(open_resources::now() == before);
  }
}

BOOST_AUTO_TEST_CASE(silence_has_an_end)
{
  fake_ivshmem_server server;
  for (std::size_t messages = 0; messages != server.greeting().size(); ++messages)
  {
    speech said = server.greeting();
    said.resize(messages);
    error_code ec;
    BOOST_TEST(!server.meet(said, ec, milliseconds(20)));
    BOOST_TEST(ec == error::timed_out);
  }
}

BOOST_AUTO_TEST_CASE(endless_talk_has_an_end)
{
  fake_ivshmem_server server;
  error_code ec;
  const auto client = server.meet(
      [&](int socket)
      {
        speech said = server.greeting();
        said.resize(3);
        for (const saying& one : said)
          say(socket, one);
        // So much at a time that there is always something to read.
        const std::vector<std::uint64_t> gone(8192, 2);
        while (::send(socket, gone.data(), gone.size() * sizeof(gone[0]), MSG_NOSIGNAL) > 0)
        {}
      },
      ec, milliseconds(100));
  BOOST_TEST(!client);
  BOOST_TEST(ec == error::timed_out);
}

BOOST_AUTO_TEST_CASE(without_a_server_there_is_no_client)
{
  temp_directory directory;
  const std::string path = directory.path() + "/server";
  const auto error_of = [&](const std::string& where)
  {
    error_code ec;
    BOOST_TEST(!ivshmem_client::connect(where, milliseconds(100), ec));
    return ec;
  };
  BOOST_TEST(error_of(path) == boost::system::errc::no_such_file_or_directory);
  const descriptor dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = socket_file(path);
  BOOST_REQUIRE(::bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  BOOST_TEST(error_of(path) == error::connection_refused);
  BOOST_TEST(error_of("") == error::name_too_long);
  BOOST_TEST(error_of(std::string(108, 'a')) == error::name_too_long);
}

BOOST_AUTO_TEST_CASE(with_too_few_descriptors_it_says_so)
{
  fake_ivshmem_server server;
  server.meet();
  server.connection.reset();
  const open_resources before = open_resources::now();
  rlimit limit;
  BOOST_REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  int failures = 0;
  for (rlim_t more = 2;; ++more)
  {
    const rlimit less = {static_cast<rlim_t>(before.descriptors) + more, limit.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &less);
    error_code ec;
    const bool met = server.meet(server.greeting(), ec) != nullptr;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    server.connection.reset();
    BOOST_TEST(open_resources::now() == before);
    if (met)
      break;
    BOOST_TEST(ec == shm::error::no_descriptors, ec.message());
    BOOST_TEST_REQUIRE(++failures < 20);
  }
  BOOST_TEST(failures > 2);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(later, watchdog)

struct member
{
  fake_ivshmem_server server;
  std::unique_ptr<ivshmem_client> client = server.meet();
  std::vector<std::pair<std::uint32_t, bool>> events;

  member()
  {
    client->set_peer_handler([this](std::uint32_t who, bool present) { events.emplace_back(who, present); });
  }

  error_code hear()
  {
    error_code ec;
    BOOST_TEST_REQUIRE(readable(client->watched()));
    client->on_watched(ec);
    return ec;
  }

  error_code hear(const saying& one)
  {
    say(server.connection.get(), one);
    return hear();
  }

  error_code reaching(std::uint32_t peer, unsigned vector)
  {
    error_code ec;
    const descriptor bell = client->ringer(peer, vector, ec);
    BOOST_TEST(bell.valid() == !ec);
    return ec;
  }
};

BOOST_AUTO_TEST_CASE(partitions_come_and_go)
{
  member here;
  BOOST_TEST(here.reaching(2, 0) == error::not_found);
  BOOST_TEST(!here.hear({2, {here.server.bells[4].get()}}));
  BOOST_TEST(here.reaching(2, 1) == error::not_found);
  BOOST_TEST(!here.hear({2, {here.server.bells[5].get()}}));
  BOOST_TEST(here.events.size() == 1u);
  error_code ec;
  const descriptor bell = here.client->ringer(2, 1, ec);
  shm::detail::ring_eventfd(bell.get());
  BOOST_TEST(rung(here.server.bells[5]));
  BOOST_TEST(!rung(here.server.bells[4]));
  BOOST_TEST(here.reaching(2, 2) == error::not_found);
  BOOST_TEST(!here.hear({2, {}}));
  BOOST_TEST(here.reaching(2, 0) == error::not_found);
  BOOST_TEST(!here.hear({2, {}})); // it is gone already
  const std::vector<std::pair<std::uint32_t, bool>> expected = {{2, true}, {2, false}};
  BOOST_TEST((here.events == expected));
}

BOOST_AUTO_TEST_CASE(halves_of_messages_are_put_together)
{
  member here;
  const std::uint64_t two = 2;
  const auto* const bytes = reinterpret_cast<const char*>(&two);
  BOOST_TEST(send_with_descriptors(here.server.connection.get(), bytes, 3, {here.server.bells[4].get()}) == 3);
  BOOST_TEST(!here.hear());
  BOOST_TEST(here.reaching(2, 0) == error::not_found);
  BOOST_TEST(send_with_descriptors(here.server.connection.get(), bytes + 3, 5, {}) == 5);
  BOOST_TEST(!here.hear());
  BOOST_TEST(!here.reaching(2, 0));
}

BOOST_AUTO_TEST_CASE(wrong_words_are_errors)
{
  const auto error_of = [](const saying& one)
  {
    member here;
    const error_code ec = here.hear(one);
    BOOST_TEST(here.client->vectors() == 2u);
    return ec;
  };
  const descriptor blocking(::eventfd(0, EFD_CLOEXEC));
  error_code ec;
  const descriptor bell = shm::detail::open_eventfd(ec);
  for (const saying& one : {saying{64, {}}, saying{-1, {}}, saying{-1, {bell.get()}}, saying{2, {blocking.get()}},
           saying{2, {bell.get(), bell.get()}}, saying{0, {bell.get()}}, saying{1, {bell.get()}}, saying{1, {}}})
    BOOST_TEST(error_of(one) == shm::error::protocol_error, one.value);
}

BOOST_AUTO_TEST_CASE(the_end_of_the_server_is_seen)
{
  member here;
  here.server.connection.reset();
  BOOST_TEST(here.hear() == error::connection_reset);
  // What there was goes on without it.
  BOOST_TEST(!here.reaching(0, 1));
}

BOOST_AUTO_TEST_CASE(listening_gives_the_own_eventfd)
{
  member here;
  error_code ec;
  const descriptor first = here.client->listen(1, ec);
  BOOST_TEST(!ec);
  shm::detail::ring_eventfd(here.server.bells[3].get());
  BOOST_TEST(rung(first));
  const descriptor again = here.client->listen(1, ec);
  shm::detail::ring_eventfd(here.server.bells[3].get());
  BOOST_TEST(rung(again));
  shm::detail::ring_eventfd(here.server.bells[2].get());
  BOOST_TEST(!rung(again));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(with_the_real_server, watchdog)

BOOST_AUTO_TEST_CASE(all_reach_all)
{
  temp_directory directory;
  const std::string path = directory.path() + "/server";
  std::optional<asio::io_context> context(std::in_place, 1);
  error_code ec;
  std::optional<ivshmem_server> server(std::in_place, *context, ivshmem_server::settings{path, 16u << 20, 16, 3}, ec);
  BOOST_TEST_REQUIRE(!ec, ec.message());
  std::thread serving([&] { context->run(); });
  const open_resources before = open_resources::now();
  {
    std::vector<std::unique_ptr<ivshmem_client>> all;
    std::vector<int> known(12);
    for (std::uint32_t i = 0; i != 12; ++i)
    {
      all.push_back(ivshmem_client::connect(path, milliseconds(10000), ec));
      BOOST_TEST_REQUIRE(!ec, ec.message());
      BOOST_TEST(all.back()->id() == i);
      known[i] = static_cast<int>(i);
      all.back()->set_peer_handler([&known, i](std::uint32_t, bool present) { known[i] += present ? 1 : -1; });
    }
    const auto hear = [&](std::size_t i, auto done)
    {
      while (!done())
      {
        BOOST_TEST_REQUIRE(readable(all[i]->watched()));
        all[i]->on_watched(ec);
        BOOST_TEST_REQUIRE(!ec, ec.message());
      }
    };
    for (std::uint32_t i = 0; i != 12; ++i)
      hear(i,
          [&]
          {
            const bool last = i == 11;
            return known[i] == 11 && (last || (all[i]->ringer(11, 2, ec).valid()));
          });
    for (std::uint32_t from = 0; from != 12; ++from)
      for (std::uint32_t to = 0; to != 12; ++to)
      {
        if (from == to)
          continue;
        const descriptor bell = all[from]->ringer(to, 2, ec);
        BOOST_TEST_REQUIRE(!ec, ec.message());
        shm::detail::ring_eventfd(bell.get());
        BOOST_TEST(rung(all[to]->listen(2, ec)));
      }
  }
  context->stop();
  serving.join();
  server.reset(); // it keeps the eventfds of all numbers
  context.reset();
  BOOST_TEST(after_growth(before, [] {}) <= before);
}

BOOST_AUTO_TEST_SUITE_END()
