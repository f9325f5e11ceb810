// SPDX-License-Identifier: BSL-1.0
// Processes are killed between two instructions of a read or a write: in the middle of a copy, between the words of a
// ring, before and after the doorbell. What was published is read, then comes the end.
#define BOOST_TEST_MODULE killed_in_the_ring
#include "socket_test.hpp"

#include "distribution.hpp"
#include "executioner.hpp"
#include "open_resources.hpp"
#include "sanitizers.hpp"

#include <shm/busy_poll.hpp>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

constexpr int ring_size = 65'536; // 16 segments of a page
constexpr std::size_t warm_up = 1'000;
constexpr std::size_t operation_size = 6'000; // two segments
const pattern bytes(3);

// Kills of each kind: spread evenly over the instructions of the operation.
long samples()
{
  const char* const wanted = std::getenv("ASIO_SHM_TEST_STEPS");
  return wanted ? std::max(2L, std::atol(wanted)) : sanitized ? 8 : 16;
}

/// What a victim does between its marks, connected, when the test lets it.
using deed = void (*)(tcp::socket&);

void write_some(tcp::socket& socket)
{
  const auto data = bytes.bytes(operation_size, warm_up);
  mark();
  socket.write_some(asio::buffer(data));
  mark();
}

void write_small(tcp::socket& socket)
{
  const auto data = bytes.bytes(8, warm_up);
  mark();
  socket.write_some(asio::buffer(data));
  mark();
}

void shut_down(tcp::socket& socket)
{
  mark();
  socket.shutdown(tcp::socket::shutdown_send);
  mark();
}

void read_some(tcp::socket& socket)
{
  std::vector<unsigned char> data(operation_size);
  mark();
  socket.read_some(asio::buffer(data));
  mark();
}

// Nothing is there to be read: it goes to sleep, and is killed before it does or when its time has come.
void start_reading(tcp::socket& socket)
{
  std::vector<unsigned char> data(operation_size);
  socket.non_blocking(true);
  error_code ec;
  mark();
  socket.wait(tcp::socket::wait_write);
  socket.read_some(asio::buffer(data), ec);
  mark();
}

auto victim(deed does, const tcp::endpoint& server)
{
  return [does, server](notice_board& board)
  {
    asio::io_context context;
    shm::set_busy_poll(context, shm::busy_poll(0));
    tcp::socket socket(context);
    socket.open(tcp::v4());
    socket.set_option(tcp::socket::send_buffer_size(ring_size));
    socket.set_option(tcp::socket::receive_buffer_size(ring_size));
    socket.connect(server);
    asio::write(socket, asio::buffer(bytes.bytes(warm_up)));
    board.stage = 1;
    while (board.go == 0)
      ::usleep(50);
    does(socket);
    for (;;)
      ::pause();
    return 0;
  };
}

const tcp::endpoint& here()
{
  static const tcp::endpoint result = loopback<tcp>(4243);
  return result;
}

/// One connection with a victim, from accept to the end of all operations.
class survivor
{
public:
  survivor(asio::io_context& context, tcp::acceptor& acceptor) : socket_(context), context_(context)
  {
    completion accepted;
    acceptor.async_accept(socket_, accepted.handler());
    run_until(context, [&] { return accepted.done(); });
    BOOST_TEST_REQUIRE(!accepted.ec);
    std::vector<unsigned char> got(warm_up);
    asio::read(socket_, asio::buffer(got));
    BOOST_TEST(bytes.matches(got));
  }

  /// Leaves a write pending that waits for space, with the ring full.
  void fill()
  {
    BOOST_TEST(pending_ == 0);
    ++pending_;
    asio::async_write(socket_, asio::buffer(much_),
        [this](error_code ec, std::size_t)
        {
          BOOST_TEST(is_broken(ec));
          --pending_;
        });
  }

  void read_to_the_end()
  {
    ++pending_;
    asio::async_read(socket_, asio::buffer(got_),
        [this](error_code ec, std::size_t size)
        {
          BOOST_TEST(is_end(ec));
          got_.resize(size);
          --pending_;
        });
  }

  void wait_for_the_end()
  {
    run_until(context_, [&] { return pending_ == 0; });
  }

  const std::vector<unsigned char>& got() const { return got_; }

private:
  tcp::socket socket_;
  asio::io_context& context_;
  int pending_ = 0;
  std::vector<unsigned char> got_ = std::vector<unsigned char>(2 * operation_size);
  std::vector<char> much_ = std::vector<char>(3 * ring_size);
};

struct way
{
  const char* name;
  deed does;
  bool asleep;         // the survivor, when the victim begins
  bool fills;          // the ring that the victim reads
  std::size_t most;    // bytes that the victim writes
};

void kill_in(const way& w)
{
  if (!executioner::may_trace())
  {
    std::cout << "killed_in_the_ring: skipped, processes may not be traced here" << std::endl;
    return;
  }
  if (thread_sanitizer)
  {
    std::cout << "killed_in_the_ring: skipped, ThreadSanitizer takes ten times as many instructions" << std::endl;
    return;
  }
  executioner victims(victim(w.does, here()));
  notice_board& board = victims.board();
  asio::io_context context;
  if (w.asleep)
    shm::set_busy_poll(context, shm::busy_poll(0));
  tcp::acceptor acceptor(context, here());
  distribution times;
  long kills = 0;
  long partly = 0;
  long all = 0;
  open_resources before;
  // The first victim goes all the way and tells how many instructions that is.
  long steps = -1;
  for (long i = 0; i <= samples(); ++i)
  {
    const long n = steps < 0 ? 100'000'000 : steps * (i - 1) / samples();
    BOOST_TEST_INFO_SCOPE(w.name << ", killed after instruction " << n);
    victims.start({sentence::kind::at_step, n});
    {
      survivor other(context, acceptor);
      if (w.fills)
        other.fill();
      other.read_to_the_end();
      if (w.asleep)
        run_ready(context); // both operations sleep now
      board.go = 1;
      other.wait_for_the_end();
      const std::int64_t completed = steady_now();
      wait_until([&] { return board.dead.load(); });
      times.add(completed - board.died_at);
      BOOST_TEST(other.got().size() <= w.most);
      BOOST_TEST(bytes.matches(other.got(), warm_up));
      partly += other.got().empty() ? 0 : 1;
      all += other.got().size() == w.most ? 1 : 0;
      if (steps < 0)
      {
        BOOST_TEST_REQUIRE(board.survived);
        BOOST_TEST(other.got().size() == w.most);
        steps = board.steps;
      }
    }
    ++kills;
    // The same acceptor serves the next.
    {
      asio::io_context one; // of its own, so that no spare memory is kept for its next connect
      tcp::socket client(one);
      client.connect(here());
      tcp::socket server = acceptor.accept();
      check_carries_data(client, server);
    }
    const auto rest = [&]
    {
      // A context without work does nothing, not even free what it has put off.
      const auto work = asio::make_work_guard(context);
      run_ready(context);
    };
    if (i == 0)
    {
      rest();
      before = open_resources::now();
    }
    BOOST_TEST(after_growth(before, rest) <= before);
  }
  std::cout << "killed_in_the_ring: " << w.name << ": " << kills << " kills within " << steps << " instructions; "
            << partly << " left data, " << all << " left all; from the kill to the last completion: " << times
            << std::endl;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(killed_in_the_ring, watchdog)

BOOST_AUTO_TEST_CASE(writing_to_a_reader_that_sleeps)
{
  kill_in({"writing to a reader that sleeps", &write_some, true, false, operation_size});
}

BOOST_AUTO_TEST_CASE(writing_to_a_reader_that_polls)
{
  kill_in({"writing to a reader that polls", &write_some, false, false, operation_size});
}

BOOST_AUTO_TEST_CASE(writing_a_few_bytes)
{
  kill_in({"writing a few bytes", &write_small, true, false, 8});
}

BOOST_AUTO_TEST_CASE(shutting_down)
{
  kill_in({"shutting down", &shut_down, true, false, 0});
}

BOOST_AUTO_TEST_CASE(reading_from_a_writer_that_sleeps)
{
  kill_in({"reading from a writer that sleeps", &read_some, true, true, 0});
}

BOOST_AUTO_TEST_CASE(looking_at_an_empty_ring)
{
  kill_in({"looking at an empty ring", &start_reading, true, false, 0});
}

BOOST_AUTO_TEST_SUITE_END()
