// SPDX-License-Identifier: BSL-1.0
// A partition that writes whatever it likes, wherever it can: others go on with each other.
#define BOOST_TEST_MODULE hostile
#include "socket_test.hpp"

#include "partition_application.hpp"
#include "partition_daemon.hpp"

#include "mail.hpp"
#include "region.hpp"

#include <cstring>
#include <random>

#include <fcntl.h>
#include <sys/stat.h>

using namespace shm::test;
using namespace shm::partitiond;
using partition_set = shm::test::partitions;

namespace {

/// A partition, as a program that maps the region and has no daemon.
class intruder
{
public:
  explicit intruder(const partition_set& all, std::uint32_t as = 1)
    : number(as), file_(::open((all.root() + "/region").c_str(), O_RDWR | O_CLOEXEC))
  {
    struct stat status;
    BOOST_REQUIRE(::fstat(file_.get(), &status) == 0);
    error_code ec;
    region_ = region::open({file_.get(), 0, static_cast<std::uint64_t>(status.st_size)}, ec);
    BOOST_REQUIRE_MESSAGE(!ec, ec.message());
  }

  /// Seems to be alive, and has seen the others' epochs, so that they look at what else it writes.
  void keep_links_up()
  {
    for (std::uint32_t other = 0; other != region_.geometry().partitions; ++other)
      if (other != number)
        keep_link_up(other, 5);
  }

  void keep_link_up(std::uint32_t other, std::uint64_t epoch)
  {
    region_.header_of(number).joined.store(77);
    region_.header_of(number).heartbeat.store(++beats_);
    link_block& mine = region_.block(number, other);
    mine.epoch.store(epoch);
    mine.seen.store(region_.block(other, number).epoch.load());
  }

  void say_who(const char* address, const std::string& name)
  {
    partition_identity& identity = region_.header_of(number).identity;
    identity.family = 4;
    const auto bytes = asio::ip::make_address_v4(address).to_bytes();
    std::copy(bytes.begin(), bytes.end(), identity.address);
    identity.name_size = static_cast<std::uint32_t>(name.size());
    std::memcpy(identity.name, name.data(), name.size());
  }

  /// A message in the mailbox of another one, as the next one.
  void send(std::uint32_t other, const mail_bytes& message)
  {
    link_block& mine = region_.block(number, other);
    const std::uint64_t sent = mine.sent.load();
    std::memcpy(mine.slots[sent % mailbox_slots], message.data(), message.size());
    mine.sent.store(sent + 1);
  }

  /// Garbage of a kind in all of its area that is not slices.
  void scribble(std::minstd_rand& random, int kind)
  {
    const auto words = reinterpret_cast<word*>(region_.area(number));
    const std::uint64_t count = slices_offset(region_.geometry().partitions) / sizeof(word);
    for (std::uint64_t i = 0; i != count; ++i)
      switch (kind % 4)
      {
      case 0:
        words[i].store(random() * std::uint64_t{random()});
        break;
      case 1:
        words[i].store(~std::uint64_t{0});
        break;
      case 2:
        words[i].store(random() % 64);
        break;
      default:
        words[i].store(words[i].load() ^ (std::uint64_t{1} << (random() % 64)));
      }
  }

  const region& memory() const { return region_; }

  const std::uint32_t number;

private:
  shm::detail::descriptor file_;
  region region_;
  std::uint64_t beats_ = 0;
};

/// Connections between partitions 0 and 2, which have nothing to do with others.
struct bystanders
{
  bystanders()
  {
    all.daemon(1).kill();
    here.ask(all.address(2), 80);
    accepted = there.accept();
    here.wait_for_slice();
  }

  /// All numbers that have no daemon. A partition that has sent nonsense is not listened to for a while, another one is.
  std::vector<std::unique_ptr<intruder>> intruders() const
  {
    std::vector<std::unique_ptr<intruder>> result;
    for (std::uint32_t number = 0; number != room; ++number)
      if (number != 0 && number != 2)
        result.push_back(std::make_unique<intruder>(all, number));
    return result;
  }

  /// They still are connected, and others can be.
  void check()
  {
    BOOST_TEST(!here.hung_up());
    BOOST_TEST(!accepted->hung_up());
    application another(all.directory(0));
    another.ask(all.address(2), 80);
    const auto another_accepted = there.accept();
    another.wait_for_slice();
    BOOST_TEST(!another.hung_up());
  }

  static constexpr std::uint32_t room = 16;
  partition_set all{3, {"--partitions", std::to_string(room)}, region_by::file};
  fake_listener there{all.directory(2), "0.0.0.0:80"};
  application here{all.directory(0)};
  std::unique_ptr<application> accepted;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(hostile_partition, watchdog)

BOOST_AUTO_TEST_CASE(garbage_in_all_its_words_disturbs_nobody)
{
  bystanders others;
  const auto hostile = others.intruders();
  std::minstd_rand random(4711);
  for (int round = 0; round != 60; ++round)
  {
    for (const auto& one : hostile)
      one->scribble(random, round);
    for (int beat = 0; beat != 10; ++beat)
    {
      for (const auto& one : hostile)
        one->keep_links_up();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  others.check();
}

BOOST_AUTO_TEST_CASE(one_that_comes_and_goes_gets_less_attention_each_time)
{
  bystanders others;
  intruder hostile(others.all, 5);
  std::uint64_t epoch = 1;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(3);
  while (std::chrono::steady_clock::now() < end)
  {
    hostile.memory().block(5, 0).epoch.store(++epoch);
    for (int beat = 0; beat != 20; ++beat)
    {
      hostile.keep_link_up(0, epoch);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  const std::string log = text_of(others.all.log_file(0));
  std::size_t times = 0;
  for (std::size_t at = 0; (at = log.find("is gone", at)) != std::string::npos; ++at)
    ++times;
  BOOST_TEST(times >= 2U); // one of them the daemon that was killed
  BOOST_TEST(times <= 9U);
  others.check();
}

BOOST_AUTO_TEST_CASE(mail_of_any_content_disturbs_nobody)
{
  bystanders others;
  const auto hostile = others.intruders();
  for (const auto& one : hostile)
    one->say_who("10.9.8.2", "b");
  std::minstd_rand random(815);
  mail valid;
  valid.connection = 1;
  valid.from_connector = true;
  valid.kind = mail_kind::connect;
  valid.offset = slices_offset(bystanders::room);
  valid.geometry = {{4096, 16}, {4096, 16}};
  valid.connector = socket_address_of("10.9.8.2", 4000);
  valid.acceptor = socket_address_of("10.9.8.1", 80);
  for (int round = 0; round != 100; ++round)
  {
    for (const auto& one : hostile)
    {
      one->keep_links_up();
      mail message = valid;
      message.kind = static_cast<mail_kind>(1 + random() % 5);
      message.connection = random() % 4;
      message.from_connector = random() % 2 == 0;
      message.vector = random() % 4 == 0 ? static_cast<std::uint32_t>(random()) : 0;
      if (random() % 4 == 0)
        message.offset = random() * std::uint64_t{random()};
      mail_bytes bytes = encode(message);
      if (random() % 4 == 0)
        bytes[random() % bytes.size()] = static_cast<unsigned char>(random());
      one->send(round % 2 == 0 ? 0 : 2, bytes);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  others.check();
}

BOOST_AUTO_TEST_CASE(memory_outside_of_its_area_is_not_taken_for_a_connection)
{
  bystanders others;
  const auto all = others.intruders();
  fake_listener listener(others.all.directory(0), "0.0.0.0:81");
  const region& memory = all.front()->memory();
  const std::uint64_t area_size = memory.geometry().area_size;
  const std::uint64_t first = slices_offset(bystanders::room);
  mail message;
  message.from_connector = true;
  message.kind = mail_kind::connect;
  message.geometry = {{4096, 16}, {4096, 16}};
  message.connector = socket_address_of("10.9.8.2", 4000);
  message.acceptor = socket_address_of("10.9.8.1", 81);
  const auto put = [&](intruder& hostile)
  {
    hostile.keep_links_up();
    link_block& mine = memory.block(hostile.number, 0);
    const mail_bytes bytes = encode(message);
    std::memcpy(mine.slots[0], bytes.data(), bytes.size());
    mine.sent.store(1);
  };
  auto hostile = all.begin();
  for (const std::uint64_t offset : {std::uint64_t{0}, first - page_size, first + 8, area_size, area_size - page_size,
           ~std::uint64_t{0} - page_size + 1, std::uint64_t{1} << 63})
  {
    (*hostile)->say_who("10.9.8.2", "b");
    const std::string dropped =
        "partition " + std::to_string((*hostile)->number) + " is dropped: it sent what makes no sense";
    message.connection = offset;
    message.offset = offset;
    BOOST_TEST(comes_true(
        [&]
        {
          put(**hostile);
          return text_of(others.all.log_file(0)).find(dropped) != std::string::npos;
        }));
    ++hostile;
  }
  // Nobody has heard of it; of one inside the area, the listener would have.
  BOOST_TEST(!listener.pending());
  (*hostile)->say_who("10.9.8.4", "d");
  message.connector = socket_address_of("10.9.8.4", 4000);
  message.offset = first;
  BOOST_TEST(comes_true(
      [&]
      {
        put(**hostile);
        return listener.pending();
      }));
  others.check();
}

BOOST_AUTO_TEST_CASE(who_is_who_is_right_again_after_it_was_written_over)
{
  partition_set all(3, {"--partitions", "3"}, region_by::file);
  all.daemon(1).kill();
  fake_listener there(all.directory(2), "0.0.0.0:80");
  const intruder hostile(all);
  for (const std::uint64_t joined : {0U, 4711U})
  {
    area_header& written = hostile.memory().header_of(2);
    const partition_identity right = written.identity;
    std::memset(&written.identity, 'x', sizeof(written.identity));
    written.joined.store(joined);
    BOOST_TEST(comes_true([&] { return std::memcmp(&written.identity, &right, sizeof(right)) == 0; }));
    BOOST_TEST(comes_true([&] { return written.joined.load() != joined; }));
    BOOST_TEST(comes_true(
        [&]
        {
          application here(all.directory(0));
          here.ask(all.address(2), 80);
          return here.reason() != error::host_unreachable;
        }));
  }
}

BOOST_AUTO_TEST_SUITE_END()
