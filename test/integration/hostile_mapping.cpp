// SPDX-License-Identifier: BSL-1.0
// Tests of a connection whose peer writes any value into any word of the shared memory, at any moment.
//
// A case is a moment, a word and a value:
//
//   idle            nothing has been written, nothing is pending
//   data pending    forth | O N[0,10) |                   nobody has looked at it yet
//   reader asleep   forth | O N[10,10) |                  a read is pending and asleep
//   writer blocked  back  | O[0,4096) | .. | N[..16384) |  a write is pending and asleep
//   after shutdown  forth | O N[10,10) | shut down        the end has been reported
//
// forth is the ring that the hostile side writes, back the one that it reads.
#define BOOST_TEST_MODULE hostile_mapping
#include "socket_test.hpp"

#include "attacked_server.hpp"
#include "sanitizers.hpp"

#include <shm/busy_poll.hpp>
#include <shm/error.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

using shm::test::attacked_server;
using shm::test::hostile_client;
using shm::test::hostile_geometry;
using tcp = shm::stream_protocol;

namespace {

enum class moment
{
  idle,
  data_pending,
  reader_asleep,
  writer_blocked,
  after_shutdown
};
constexpr moment moments[] = {moment::idle, moment::data_pending, moment::reader_asleep, moment::writer_blocked,
    moment::after_shutdown};

enum class place
{
  header,
  forth,
  back
};

struct target
{
  std::string name;
  place where;
  std::size_t offset;
};

std::vector<target> targets()
{
  std::vector<target> result = {{"attached", place::header, hostile_client::attached},
      {"connector_cpu", place::header, hostile_client::connector_cpu},
      {"acceptor_cpu", place::header, hostile_client::acceptor_cpu}};
  for (const place where : {place::forth, place::back})
  {
    const std::string ring = where == place::forth ? "forth " : "back ";
    const std::pair<const char*, std::size_t> words[] = {{"newest", hostile_client::newest},
        {"shut_down", hostile_client::shut_down}, {"writer_wait", hostile_client::writer_wait},
        {"oldest", hostile_client::oldest}, {"reader_wait", hostile_client::reader_wait}};
    for (const auto& word : words)
      result.push_back({ring + word.first, where, word.second});
    for (const std::size_t slot : {0u, 1u, 3u, 4u, 63u})
    {
      result.push_back({ring + "end " + std::to_string(slot), where, hostile_client::end + 8 * slot});
      result.push_back({ring + "begin " + std::to_string(slot), where, hostile_client::begin + 8 * slot});
    }
  }
  return result;
}

/// Two honest ends in the context under attack, which say the same to each other over and over.
class bystanders
{
public:
  explicit bystanders(asio::io_context& context) : pair_(context)
  {
    send();
    answer();
  }

  std::uint64_t rounds() const { return rounds_; }

  void stop()
  {
    pair_.client.close();
    pair_.server.close();
  }

private:
  void send()
  {
    said_ = stream_.bytes(said_.size(), rounds_ * said_.size());
    asio::async_write(pair_.client, asio::buffer(said_), [](error_code, std::size_t) {});
    asio::async_read(pair_.client, asio::buffer(heard_), [this](error_code ec, std::size_t) {
      if (ec == error::operation_aborted)
        return;
      BOOST_TEST(!ec);
      if (heard_ != said_)
        BOOST_ERROR("a bystander was harmed");
      ++rounds_;
      send();
    });
  }

  void answer()
  {
    asio::async_read(pair_.server, asio::buffer(echo_), [this](error_code ec, std::size_t) {
      if (!ec)
        asio::async_write(pair_.server, asio::buffer(echo_), [this](error_code failed, std::size_t) {
          if (!failed)
            answer();
        });
    });
  }

  shm::test::connected_pair<tcp> pair_;
  shm::test::pattern stream_{11};
  std::vector<unsigned char> said_ = std::vector<unsigned char>(100);
  std::vector<unsigned char> heard_ = std::vector<unsigned char>(100);
  std::vector<unsigned char> echo_ = std::vector<unsigned char>(100);
  std::uint64_t rounds_ = 0;
};

/// The honest end: it reads all that there is and writes once, again and again until that ends.
class victim
{
public:
  explicit victim(asio::io_context& context) : socket(context) {}

  void read()
  {
    reading_ = true;
    socket.async_read_some(asio::buffer(data_), [this](error_code ec, std::size_t n) {
      reading_ = false;
      received += n;
      read_end = ec;
      if (!ec)
        read();
    });
  }

  void write(std::size_t size)
  {
    writing_ = true;
    sent_.assign(size, 'v');
    asio::async_write(socket, asio::buffer(sent_), [this](error_code ec, std::size_t) {
      writing_ = false;
      write_end = ec;
    });
  }

  bool reading() const { return reading_; }
  bool writing() const { return writing_; }
  bool corrupted() const { return read_end == shm::error::corrupted || write_end == shm::error::corrupted; }

  tcp::socket socket;
  std::uint64_t received = 0;
  error_code read_end, write_end;

private:
  std::array<char, 4096> data_{};
  std::vector<char> sent_;
  bool reading_ = false, writing_ = false;
};

bool is_right_end(error_code ec)
{
  return !ec || ec == shm::error::corrupted || shm::test::is_end(ec) || shm::test::is_broken(ec);
}

class attack
{
public:
  attack(asio::io_context& context, tcp::acceptor& acceptor)
    : context_(context), client(acceptor.local_endpoint().port()), honest(context)
  {
    BOOST_TEST_REQUIRE(client.connect());
    client.say_hello();
    acceptor.accept(honest.socket);
    honest.socket.set_option(shm::busy_poll(0)); // asleep as soon as nothing can be done
  }

  hostile_client::word& word(const target& at)
  {
    return at.where == place::header ? client.header_word(at.offset)
        : at.where == place::forth   ? client.forth(at.offset)
                                     : client.back(at.offset);
  }

  void prepare(moment when)
  {
    if (when == moment::writer_blocked)
    {
      honest.write(client.geometry.capacity() + 5000);
      run([&] { return (client.back(hostile_client::writer_wait).load() & 1) != 0; });
      return;
    }
    if (when == moment::idle)
      return;
    client.forth(hostile_client::end).store(10);
    if (when == moment::data_pending)
      return;
    if (when == moment::after_shutdown)
      client.forth(hostile_client::shut_down).store(1);
    honest.read();
    if (when == moment::after_shutdown)
      run([&] { return !honest.reading(); });
    else
      run([&] { return honest.received == 10 && (client.forth(hostile_client::reader_wait).load() & 1) != 0; });
  }

  /// Has the honest side look at both directions.
  void look()
  {
    client.ring();
    error_code ec;
    const std::size_t n = honest.socket.available(ec);
    BOOST_TEST(n <= client.geometry.capacity());
    BOOST_TEST(is_right_end(ec));
    if (!honest.reading())
      honest.read();
    if (!honest.writing())
      honest.write(100);
  }

  template <class Predicate>
  void run(Predicate done)
  {
    const auto end = std::chrono::steady_clock::now() + shm::test::patience;
    for (; !done(); context_.poll_one())
      if (std::chrono::steady_clock::now() >= end)
        BOOST_FAIL("the deadline passed before the condition held");
  }

  void finish()
  {
    client.hang_up();
    run([&] { return !honest.reading() && !honest.writing(); });
    BOOST_TEST(is_right_end(honest.read_end));
    BOOST_TEST(is_right_end(honest.write_end));
  }

private:
  asio::io_context& context_;

public:
  hostile_client client;
  victim honest;
};

// Written down independently of the library: what the honest side must find out when it looks.
bool must_be_found(moment when, const target& at, std::uint64_t value)
{
  const hostile_geometry shape;
  const bool seen = when == moment::reader_asleep || when == moment::after_shutdown;
  if (at.where == place::forth && at.offset == hostile_client::end)
    return value < (seen ? 10u : 0u) || value > shape.segment_size;
  if (at.where == place::forth && at.offset == hostile_client::newest)
    return value != 0; // the segment is not full, so nothing can follow it
  if (at.where == place::forth && at.offset == hostile_client::shut_down)
    return value > 1 || when == moment::after_shutdown;
  if (at.where == place::back && at.offset == hostile_client::oldest && when == moment::writer_blocked)
    return value >= shape.segment_count;
  return false;
}

std::set<std::uint64_t> wrong_values(std::uint64_t right, std::mt19937_64& random)
{
  const hostile_geometry shape;
  const std::uint64_t half = std::uint64_t{1} << 63;
  std::set<std::uint64_t> result = {0, 1, 2, 3, shape.segment_count, shape.segment_size - 1, shape.segment_size,
      shape.segment_size + 1, right - 1, right + 1, right + shape.segment_size, right - shape.segment_size,
      right + shape.capacity(), right - shape.capacity(), right + 1000 * shape.capacity(), half, half - 1, half + right,
      ~std::uint64_t{0}, random(), random() % (2 * shape.capacity())};
  result.erase(right);
  return result;
}

struct arena
{
  arena() : acceptor(context, shm::test::loopback<tcp>()), others(context) {}

  asio::io_context context;
  tcp::acceptor acceptor;
  bystanders others;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(hostile_mapping, shm::test::watchdog)

BOOST_AUTO_TEST_CASE(every_word_with_every_kind_of_wrong_value_at_every_moment)
{
  arena arena;
  std::mt19937_64 random(5);
  const auto before = shm::test::open_resources::now();
  std::size_t cases = 0, found = 0;
  for (const moment when : moments)
    for (const target& at : targets())
    {
      std::uint64_t right = 0;
      {
        attack model(arena.context, arena.acceptor);
        model.prepare(when);
        right = model.word(at).load();
        model.look();
        model.finish();
      }
      for (const std::uint64_t value : wrong_values(right, random))
      {
        BOOST_TEST_CONTEXT("moment " << static_cast<int>(when) << ", " << at.name << " = " << value)
        {
          attack each(arena.context, arena.acceptor);
          each.prepare(when);
          each.word(at).store(value);
          each.look();
          const std::uint64_t rounds = arena.others.rounds();
          if (must_be_found(when, at, value))
          {
            each.run([&] { return each.honest.corrupted(); });
            ++found;
            // Everything on that connection ends with it.
            each.run([&] { return !each.honest.reading() && !each.honest.writing(); });
            BOOST_TEST(each.client.hung_up());
          }
          each.run([&] { return arena.others.rounds() >= rounds + 3; });
          if (!must_be_found(when, at, value))
            BOOST_TEST(!each.honest.corrupted());
          BOOST_TEST(each.honest.received <= 10 + each.client.geometry.capacity());
          each.finish();
        }
        ++cases;
      }
    }
  BOOST_TEST(found != 0u);
  BOOST_TEST_MESSAGE(cases << " cases, " << found << " of them corruption");
  // The context frees what was closed when it has time.
  const auto end = std::chrono::steady_clock::now() + shm::test::patience;
  while (!(shm::test::open_resources::now() == before) && std::chrono::steady_clock::now() < end)
    arena.context.poll_one();
  BOOST_TEST(shm::test::open_resources::now() == before);
  arena.others.stop();
}

// Words change all the time while the honest side reads and writes as fast as it can.
BOOST_AUTO_TEST_CASE(words_that_never_rest)
{
  arena arena;
  const std::vector<target> all = targets();
  std::size_t corrupted = 0, alive = 0;
  for (unsigned seed = 0; seed < (shm::test::sanitized ? 60u : 300u); ++seed)
  {
    attack each(arena.context, arena.acceptor);
    std::atomic<bool> stop{false};
    std::atomic<unsigned> stores{0};
    std::thread scribbler([&] {
      std::mt19937_64 random(seed);
      // Few words at a time: else the first look ends it.
      const target& first = all[random() % all.size()];
      const target& second = all[random() % all.size()];
      for (std::uint64_t n = 0; !stop; ++n, ++stores)
      {
        const std::uint64_t value = random() >> (random() % 64);
        each.word(n % 2 ? first : second).store(value, std::memory_order_release);
        if (n % 16 == 0)
          each.client.ring();
      }
    });
    while (stores < 1000 && !each.honest.corrupted())
    {
      each.look();
      arena.context.poll_one();
    }
    ++(each.honest.corrupted() ? corrupted : alive);
    stop = true;
    scribbler.join();
    each.finish();
  }
  BOOST_TEST(corrupted != 0u);
  BOOST_TEST_MESSAGE(corrupted << " corrupted, " << alive << " went on");
  const std::uint64_t rounds = arena.others.rounds();
  while (arena.others.rounds() < rounds + 3)
    arena.context.poll_one();
  arena.others.stop();
}

BOOST_AUTO_TEST_SUITE_END()
