// SPDX-License-Identifier: BSL-1.0
// Operations of one kind on one socket complete in the order in which they were started, whether they were done at once
// or had to wait.
#define BOOST_TEST_MODULE completion_order
#include "socket_test.hpp"

#include <array>
#include <string>
#include <thread>

using namespace shm::test;

namespace {

constexpr long total = 20'000;

/// Many reads of one byte each are outstanding; counts those whose handler ran before an older one's.
template <class Socket>
class overlapping_reads
{
public:
  explicit overlapping_reads(Socket& socket) : socket_(socket)
  {
    for (unsigned char& byte : bytes_)
      read(byte);
  }

  long reads() const { return reads_; }
  long out_of_order() const { return out_of_order_; }

private:
  void read(unsigned char& byte)
  {
    socket_.async_read_some(asio::buffer(&byte, 1),
        [this, &byte](error_code ec, std::size_t)
        {
          if (ec || reads_ == total)
            return;
          if (byte != next_)
            ++out_of_order_;
          next_ = static_cast<unsigned char>(byte + 1);
          if (++reads_ == total)
            socket_.cancel();
          else
            read(byte);
        });
  }

  Socket& socket_;
  std::array<unsigned char, 16> bytes_{};
  unsigned char next_ = 0;
  long reads_ = 0;
  long out_of_order_ = 0;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(completion_order, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(a_read_that_is_done_at_once_comes_before_one_that_waits, Protocol, transports)
{
  asio::io_context context(1);
  connected_pair<Protocol> pair(context);
  for (int round = 0; round < 100; ++round)
  {
    std::array<char, 2> bytes{};
    std::string order;
    asio::write(pair.client, asio::buffer("1", 1));
    pair.server.wait(pair.server.wait_read);
    for (char& byte : bytes)
      pair.server.async_read_some(asio::buffer(&byte, 1), [&](error_code, std::size_t) { order += byte; });
    asio::write(pair.client, asio::buffer("2", 1));
    context.restart();
    context.run();
    BOOST_TEST_REQUIRE(order == "12");
  }
}

// Over TCP, a read that is started while others complete can overtake them now and then.
BOOST_AUTO_TEST_CASE(overlapping_reads_get_the_stream_in_order)
{
  using Protocol = shm::stream_protocol;
  asio::io_context context(1);
  connected_pair<Protocol> pair(context);
  overlapping_reads<typename Protocol::socket> reads(pair.server);
  std::thread writer(
      [&pair]
      {
        for (long i = 0; i < total; ++i)
        {
          const unsigned char byte = static_cast<unsigned char>(i);
          asio::write(pair.client, asio::buffer(&byte, 1));
        }
      });
  context.run();
  writer.join();
  BOOST_TEST(reads.reads() == total);
  BOOST_TEST(reads.out_of_order() == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_read_that_is_done_comes_before_one_that_is_cancelled, Protocol, transports)
{
  asio::io_context context(1);
  connected_pair<Protocol> pair(context);
  std::array<char, 2> bytes{};
  std::string order;
  asio::write(pair.client, asio::buffer("1", 1));
  pair.server.wait(pair.server.wait_read);
  for (char& byte : bytes)
    pair.server.async_read_some(
        asio::buffer(&byte, 1), [&](error_code ec, std::size_t) { order += ec ? 'c' : byte; });
  pair.server.cancel();
  context.run();
  BOOST_TEST(order == "1c");
}

BOOST_AUTO_TEST_SUITE_END()
