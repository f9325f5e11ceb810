// SPDX-License-Identifier: BSL-1.0
// Reading and writing allocate nothing once a connection is warm: operator new is counted.
#define BOOST_TEST_MODULE allocations
#include "socket_test.hpp"

#include <array>
#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<long> allocations{0};

} // namespace

// Not inlined: g++ takes free for the wrong partner of new where it sees both.
[[gnu::noinline]] void* operator new(std::size_t size)
{
  ++allocations;
  if (void* memory = std::malloc(size ? size : 1))
    return memory;
  throw std::bad_alloc();
}

[[gnu::noinline]] void operator delete(void* memory) noexcept
{
  std::free(memory);
}

[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept
{
  std::free(memory);
}

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

/// Sends a message to and fro for a number of rounds.
class ping_pong
{
public:
  ping_pong(asio::io_context& context, int rounds) : pair_(context), rounds_(rounds) {}

  void start()
  {
    asio::async_read(pair_.server, asio::buffer(at_server_),
        [this](error_code ec, std::size_t)
        {
          if (!ec)
            asio::async_write(pair_.server, asio::buffer(at_server_), [](error_code, std::size_t) {});
        });
    asio::async_write(pair_.client, asio::buffer(at_client_), [](error_code, std::size_t) {});
    asio::async_read(pair_.client, asio::buffer(at_client_),
        [this](error_code ec, std::size_t)
        {
          if (!ec && --rounds_ > 0)
            start();
        });
  }

  int rounds() const { return rounds_; }
  void rounds(int more) { rounds_ = more; }

private:
  connected_pair<tcp> pair_;
  std::array<char, 64> at_client_{};
  std::array<char, 64> at_server_{};
  int rounds_;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(allocations_of, watchdog)

BOOST_AUTO_TEST_CASE(ping_pong_is_zero)
{
  asio::io_context context(1);
  ping_pong game(context, 1000);
  game.start();
  run_out(context);
  BOOST_TEST_REQUIRE(game.rounds() == 0);

  game.rounds(5000);
  context.restart();
  const long before = allocations;
  game.start();
  context.run();
  BOOST_TEST(allocations - before <= 20); // the operations started outside run() find no recycled memory there
  BOOST_TEST(game.rounds() == 0);
}

BOOST_AUTO_TEST_SUITE_END()
