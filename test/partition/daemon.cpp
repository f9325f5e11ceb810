// SPDX-License-Identifier: BSL-1.0
// The partition daemon as a process: its life, its place in the runtime directory, and what applications are told.
#define BOOST_TEST_MODULE daemon
#include "socket_test.hpp"

#include "partition_application.hpp"
#include "partition_daemon.hpp"

#include <shm.hpp>

#include <fstream>
#include <sys/stat.h>

using namespace shm::test;
using shm::detail::hello;
using shm::detail::memory_kind;

namespace {

program run_with(const temp_directory& directory, std::vector<std::string> words)
{
  words.insert(words.begin(), SHM_PARTITIOND);
  return program(words, directory.path() + "/output");
}

bool exists(const std::string& path)
{
  struct stat status;
  return ::stat(path.c_str(), &status) == 0;
}

/// A connection between two partitions.
struct connected_applications
{
  /// @param vectors 0: nobody can be rung.
  explicit connected_applications(int vectors)
    : all(2, vectors != 0 ? std::vector<std::string>{"--vectors", std::to_string(vectors)} : std::vector<std::string>(),
          vectors != 0 ? region_by::server : region_by::file)
  {
    here.ask(all.address(1), 80);
    accepted = there.accept();
    here.wait_for_slice();
  }

  const partitions all;
  fake_listener there{all.directory(1), "0.0.0.0:80"};
  application here{all.directory(0)};
  std::unique_ptr<application> accepted;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(command_line, watchdog)

BOOST_AUTO_TEST_CASE(help_and_version_are_printed)
{
  for (const char* option : {"--help", "--version"})
  {
    const temp_directory directory;
    program printed = run_with(directory, {option});
    BOOST_TEST(printed.wait() == 0);
    BOOST_TEST(printed.output().find("shm_partitiond") != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(wrong_options_are_a_usage_error)
{
  const std::vector<std::vector<std::string>> wrong = {{}, {"--serve"}, {"--serve", "a", "--attach", "b"},
      {"--attach", "a", "--size", "64M"}, {"--region", "a"}, {"--attach", "a", "--id", "1"}, {"--serve", "a", "b"},
      {"--serve", "a", "--size", "many"}, {"--serve", "a", "--size", "-1"}, {"--serve", "a", "--partitions", "1"},
      {"--serve", "a", "--vectors", "0"}, {"--attach", "a", "--name", "two words"},
      {"--attach", "a", "--address", "127.0.0.1"}, {"--attach", "a", "--address", "here"},
      {"--attach", "a", "--dead-after", "1"}, {"--attach", "a", "--runtime-directory", ""},
      {"--serve", "a", "--size", "64M more"}, {"--unknown"}};
  for (const auto& words : wrong)
  {
    const temp_directory directory;
    program refused = run_with(directory, words);
    BOOST_TEST(refused.wait() == 2);
    BOOST_TEST(refused.output().find("--help") != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(a_region_that_cannot_be_made_is_a_failure)
{
  const temp_directory directory;
  program failed =
      run_with(directory, {"--runtime-directory", directory.path(), "--serve", directory.path() + "/missing/socket"});
  BOOST_TEST(failed.wait() == 1);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(life, watchdog)

BOOST_AUTO_TEST_CASE(partitions_find_each_other_by_address_and_name)
{
  const partitions all(3);
  for (std::size_t i = 0; i != 3; ++i)
  {
    const std::string hosts = text_of(all.directory(i) + "/partition/hosts");
    for (std::size_t other = 0; other != 3; ++other)
    {
      const std::string line = all.address(other) + " " + all.name(other) + " ";
      BOOST_TEST(hosts.find(line) != std::string::npos);
    }
    BOOST_TEST(hosts.find(" self\n") != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(a_second_daemon_in_the_same_place_is_told_so)
{
  const partitions all(1);
  program second({SHM_PARTITIOND, "--runtime-directory", all.directory(0), "--attach", all.root() + "/server"},
      all.root() + "/second");
  BOOST_TEST(second.wait() == 1);
  BOOST_TEST(second.output().find("another daemon") != std::string::npos);
  BOOST_TEST(exists(all.directory(0) + "/partition/daemon"));
}

BOOST_AUTO_TEST_CASE(a_signal_ends_it_and_its_files)
{
  partitions all(2);
  for (const int number : {SIGTERM, SIGINT, SIGHUP})
  {
    all.daemon(1).signal(number);
    BOOST_TEST(all.daemon(1).wait() == 0);
    BOOST_TEST(!exists(all.directory(1) + "/partition/daemon"));
    BOOST_TEST(!exists(all.directory(1) + "/partition/hosts"));
    BOOST_TEST(comes_true([&] { return all.seen_by(0) == 1; }));
    all.start(1);
    BOOST_TEST(comes_true([&] { return all.all_there(); }));
  }
}

BOOST_AUTO_TEST_CASE(it_ends_while_a_server_is_silent)
{
  const temp_directory directory;
  const std::string path = directory.path() + "/server";
  asio::io_context context;
  asio::local::stream_protocol::acceptor silent(context, asio::local::stream_protocol::endpoint(path));
  program waiting = run_with(directory, {"--runtime-directory", directory.path(), "--attach", path});
  const auto connection = silent.accept();
  waiting.signal(SIGTERM);
  BOOST_TEST(waiting.wait() == 0);
  BOOST_TEST(waiting.output().find("timed out") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_killed_one_is_noticed_and_may_come_back)
{
  partitions all(3);
  all.daemon(1).kill();
  BOOST_TEST(comes_true([&] { return all.seen_by(0) == 2 && all.seen_by(2) == 2; }));
  all.start(1);
  BOOST_TEST(comes_true([&] { return all.all_there(); }));
}

BOOST_AUTO_TEST_CASE(one_that_hangs_is_noticed_by_its_heartbeat)
{
  partitions all(2);
  all.daemon(1).signal(SIGSTOP);
  BOOST_TEST(comes_true([&] { return all.seen_by(0) == 1; }));
  all.daemon(1).signal(SIGCONT);
  BOOST_TEST(comes_true([&] { return all.all_there(); }));
}

BOOST_AUTO_TEST_CASE(without_the_server_others_go_on_and_join_the_next_ones_region)
{
  for (const int number : {SIGTERM, SIGKILL})
  {
    partitions all(3);
    fake_listener there(all.directory(2), "0.0.0.0:80");
    application here(all.directory(1));
    here.ask(all.address(2), 80);
    const auto accepted = there.accept();
    here.wait_for_slice();
    all.daemon(0).signal(number);
    all.daemon(0).wait();
    BOOST_TEST(comes_true([&] { return all.seen_by(1) == 2 && all.seen_by(2) == 2; }));
    application another(all.directory(1));
    another.ask(all.address(2), 80);
    const auto another_accepted = there.accept();
    another.wait_for_slice();
    BOOST_TEST(!here.hung_up());
    BOOST_TEST(!accepted->hung_up());
    std::remove(all.log_file(0).c_str());
    all.start(0);
    BOOST_TEST(comes_true([&] { return all.all_there(); }));
    BOOST_TEST(comes_true([&] { return here.hung_up() && accepted->hung_up(); }));
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(requests, watchdog)

BOOST_AUTO_TEST_CASE(an_address_that_no_partition_has_is_unreachable)
{
  const partitions all(2);
  application here(all.directory(0));
  here.ask("10.9.8.77", 80);
  BOOST_TEST(here.reason() == error::host_unreachable);
}

BOOST_AUTO_TEST_CASE(a_port_without_listener_is_refused)
{
  const partitions all(2);
  application here(all.directory(0));
  here.ask(all.address(1), 80);
  BOOST_TEST(here.reason() == error::connection_refused);
}

BOOST_AUTO_TEST_CASE(what_is_no_request_is_refused)
{
  const partitions all(1);
  application here(all.directory(0));
  hello_bytes_of_own_memory(here);
  BOOST_TEST(here.reason() == shm::error::protocol_error);
}

BOOST_AUTO_TEST_CASE(both_applications_get_the_same_memory_and_ring_each_other)
{
  // With vectors for single connections, by the daemons, and by daemons that nobody rings.
  for (const int vectors : {8, 1, 0})
  {
    connected_applications both(vectors);
    auto& [all, there, here, accepted] = both;
    BOOST_TEST((accepted->message().geometry == here.message().geometry));
    BOOST_TEST(address_of(here.message().connector) == all.address(0));
    BOOST_TEST(address_of(accepted->message().acceptor) == all.address(1));

    here.map();
    accepted->map();
    here.control(true).reader_wait.store(0);
    here.control(true).newest.store(7);
    BOOST_TEST(accepted->control(true).newest.load() == 7U);
    here.control(true).newest.store(0);

    // The acceptor sleeps for data, and is rung for it.
    accepted->control(true).reader_wait.store(1);
    here.control(true).end[0].store(5);
    here.ring_peer();
    BOOST_TEST(comes_true([&] { return both.accepted->rung(); }));
    // The connector, likewise, in the other direction.
    here.control(false).reader_wait.store(1);
    accepted->control(false).end[0].store(5);
    accepted->ring_peer();
    BOOST_TEST(comes_true([&] { return both.here.rung(); }));
  }
}

BOOST_AUTO_TEST_CASE(full_doorbells_keep_no_daemon_waiting)
{
  for (const int vectors : {1, 0}) // so that the daemons have to ring
  {
    connected_applications both(vectors);
    auto& [all, there, here, accepted] = both;
    here.map();
    accepted->map();
    for (std::uint64_t sleep = 1; sleep != 7; sleep += 2)
    {
      // The eventfd of a daemon is emptied by it, those of the applications stay full.
      here.fill_doorbells();
      accepted->fill_doorbells();
      accepted->control(true).reader_wait.store(sleep);
      here.control(true).end[0].store(5 * sleep);
      if (vectors != 0)
        here.ring_peer();
    }
    application another(all.directory(0));
    another.ask(all.address(1), 80);
    there.accept();
    another.wait_for_slice();
    BOOST_TEST(all.all_there());
  }
}

BOOST_AUTO_TEST_CASE(one_end_learns_of_the_others_end)
{
  const partitions all(2);
  fake_listener there(all.directory(1), "10.9.8.2:80");
  for (const bool connector_closes : {true, false})
  {
    application here(all.directory(0));
    here.ask(all.address(1), 80);
    auto accepted = there.accept();
    here.wait_for_slice();
    application& first = connector_closes ? here : *accepted;
    application& other = connector_closes ? *accepted : here;
    BOOST_TEST(!other.hung_up());
    first.close();
    BOOST_TEST(comes_true([&] { return other.hung_up(); }));
  }
}

BOOST_AUTO_TEST_CASE(a_daemon_that_is_killed_ends_the_connections_on_both_sides)
{
  for (const std::size_t victim : {0U, 1U})
  {
    partitions all(3);
    fake_listener there(all.directory(1), "0.0.0.0:80");
    fake_listener elsewhere(all.directory(2), "0.0.0.0:80");
    application here(all.directory(0));
    here.ask(all.address(1), 80);
    const auto accepted = there.accept();
    here.wait_for_slice();
    application third(all.directory(victim == 0 ? 1 : 0));
    third.ask(all.address(2), 80);
    const auto third_accepted = elsewhere.accept();
    third.wait_for_slice();
    all.daemon(victim).kill();
    BOOST_TEST(comes_true([&] { return here.hung_up() && accepted->hung_up(); }));
    BOOST_TEST(!third.hung_up());
    BOOST_TEST(!third_accepted->hung_up());
  }
}

BOOST_AUTO_TEST_CASE(listeners_that_never_accept_leave_memory_for_connections_to_others)
{
  const partitions all(3, {"--size", "16M"});
  std::vector<std::unique_ptr<fake_listener>> hung;
  for (int port = 100; port != 106; ++port)
    hung.push_back(std::make_unique<fake_listener>(all.directory(1), "0.0.0.0:" + std::to_string(port)));
  fake_listener there(all.directory(2), "0.0.0.0:80");
  bool refused = false;
  for (int i = 0; i != 60 && !refused; ++i)
  {
    application impatient(all.directory(0));
    impatient.ask(all.address(1), static_cast<unsigned short>(100 + i % 6));
    refused = impatient.reason() == shm::error::no_memory;
  }
  BOOST_TEST(refused); // with what is left for others
  application other(all.directory(0));
  other.ask(all.address(2), 80);
  BOOST_TEST(!other.reason());
}

BOOST_AUTO_TEST_CASE(applications_that_close_late_leave_memory_for_further_connections)
{
  const partitions all(2);
  fake_listener there(all.directory(1), "0.0.0.0:80");
  std::vector<std::unique_ptr<application>> late;
  for (int i = 0; i != 60; ++i)
  {
    application here(all.directory(0));
    here.ask(all.address(1), 80);
    late.push_back(there.accept());
    here.wait_for_slice();
    here.close();
    BOOST_TEST(comes_true([&] { return late.back()->hung_up(); }));
  }
}

BOOST_AUTO_TEST_CASE(memory_that_others_still_have_is_waited_for)
{
  const partitions all(2, {"--size", "8M", "--partitions", "4"});
  fake_listener there(all.directory(1), "0.0.0.0:80");
  std::vector<std::unique_ptr<application>> late;
  for (bool full = false; !full;)
  {
    application here(all.directory(0));
    here.ask(all.address(1), 80);
    full = !comes_true([&] { return there.pending(); }, std::chrono::seconds(1));
    if (full)
      late.erase(late.begin(), late.begin() + 4);
    late.push_back(there.accept());
    here.wait_for_slice();
  }
  BOOST_TEST(late.size() > 8U);
}

BOOST_AUTO_TEST_CASE(connections_that_wait_for_a_full_listener_hold_no_descriptors)
{
  partitions all(2, {"--vectors", "64"});
  const std::size_t before = all.daemon(1).descriptors();
  fake_listener there(all.directory(1), "0.0.0.0:80");
  std::vector<std::unique_ptr<application>> waiting;
  for (int i = 0; i != 24; ++i)
  {
    waiting.push_back(std::make_unique<application>(all.directory(0)));
    waiting.back()->ask(all.address(1), 80, 4096);
  }
  application last(all.directory(0));
  last.ask(all.address(1), 81);
  BOOST_TEST(last.reason() == error::connection_refused);
  // One for each in its backlog, and some for what is being tried.
  for (int look = 0; look != 100; ++look)
  {
    BOOST_TEST(all.daemon(1).descriptors() < before + 18);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::vector<std::unique_ptr<application>> accepted;
  while (accepted.size() != waiting.size()) // in an order of its own
    accepted.push_back(there.accept());
  for (const auto& one : waiting)
    one->wait_for_slice();
}

BOOST_AUTO_TEST_CASE(memory_of_an_earlier_daemon_rests)
{
  partitions all(2);
  fake_listener there(all.directory(0), "0.0.0.0:80");
  for (const int number : {SIGTERM, SIGKILL})
  {
    application before(all.directory(1));
    before.ask(all.address(0), 80);
    const auto held = there.accept(); // and does not close
    before.wait_for_slice();
    const auto end = std::chrono::steady_clock::now();
    all.daemon(1).signal(number);
    all.daemon(1).wait();
    std::remove(all.log_file(1).c_str());
    all.start(1);
    BOOST_REQUIRE(comes_true([&] { return all.all_there(); }));
    application after(all.directory(1));
    after.ask(all.address(0), 80);
    const auto next = there.accept();
    after.wait_for_slice();
    // Not less: that is what is promised, and no question of speed.
    BOOST_TEST((std::chrono::steady_clock::now() - end >= std::chrono::seconds(5)));
  }
}

BOOST_AUTO_TEST_CASE(memory_is_given_back_and_given_out_again)
{
  const partitions all(2, {"--size", "16M", "--partitions", "2"});
  fake_listener there(all.directory(1), "0.0.0.0:80");
  std::uint64_t first = 0;
  for (int i = 0; i != 100; ++i)
  {
    application here(all.directory(0));
    here.ask(all.address(1), 80);
    auto accepted = there.accept();
    here.wait_for_slice();
    if (i == 0)
      first = here.message().geometry.size();
    here.close();
    BOOST_TEST(comes_true([&] { return accepted->hung_up(); }));
    accepted->close();
  }
  BOOST_TEST(comes_true(
      [&]
      {
        application here(all.directory(0));
        here.ask(all.address(1), 80);
        auto accepted = there.accept();
        here.wait_for_slice();
        return here.message().geometry.size() == first;
      }));
}

BOOST_AUTO_TEST_CASE(connections_are_smaller_the_more_there_are_until_there_is_no_memory)
{
  const partitions all(2, {"--size", "8M", "--partitions", "2"});
  fake_listener there(all.directory(1), "0.0.0.0:80");
  std::vector<std::unique_ptr<application>> ends;
  std::uint64_t before = ~std::uint64_t{0};
  for (;;)
  {
    auto here = std::make_unique<application>(all.directory(0));
    here->ask(all.address(1), 80);
    if (here->reason())
    {
      BOOST_TEST(here->reason() == shm::error::no_memory);
      break;
    }
    BOOST_TEST(here->message().geometry.size() <= before);
    before = here->message().geometry.size();
    ends.push_back(std::move(here));
    ends.push_back(there.accept());
  }
  BOOST_TEST(ends.size() >= 16U);
}

BOOST_AUTO_TEST_CASE(silent_applications_are_dropped_and_disturb_nobody)
{
  const partitions all(2);
  std::vector<std::unique_ptr<application>> silent;
  for (int i = 0; i != 200; ++i)
    silent.push_back(std::make_unique<application>(all.directory(0)));
  application here(all.directory(0));
  here.ask(all.address(1), 80);
  BOOST_TEST(here.reason() == error::connection_refused);
  BOOST_TEST(comes_true([&] { return silent.front()->hung_up() && silent.back()->hung_up(); }));
}

BOOST_AUTO_TEST_CASE(other_users_may_ask_the_daemon_of_root_in_a_shared_directory_and_no_other)
{
  if (::geteuid() != 0)
  {
    BOOST_TEST_MESSAGE("skipped: only root can become another user");
    return;
  }
  for (const bool shared : {true, false})
  {
    const temp_directory root;
    BOOST_REQUIRE(::chmod(root.path().c_str(), 0755) == 0);
    const std::string directory = root.path() + "/runtime";
    BOOST_REQUIRE(::mkdir(directory.c_str(), 0700) == 0);
    BOOST_REQUIRE(::chmod(directory.c_str(), shared ? 01777 : 0755) == 0);
    const program daemon({SHM_PARTITIOND, "--runtime-directory", directory, "--region", root.path() + "/region", "--id",
                             "0", "--create"},
        root.path() + "/log");
    BOOST_REQUIRE(comes_true([&] { return daemon.output().find("ready") != std::string::npos; }));
    const std::string place = directory + (shared ? "/0" : "");
    if (!shared) // as if its modes were wrong
    {
      BOOST_REQUIRE(::chmod((place + "/partition").c_str(), 0755) == 0);
      BOOST_REQUIRE(::chmod((place + "/partition/daemon").c_str(), 0666) == 0);
    }
    BOOST_REQUIRE(::seteuid(1000) == 0);
    {
      application other(place);
      other.ask("10.9.8.77", 80);
      BOOST_TEST(other.reason() == (shared ? error::host_unreachable : error::access_denied));
    }
    BOOST_REQUIRE(::seteuid(0) == 0);
  }
}

BOOST_AUTO_TEST_SUITE_END()
