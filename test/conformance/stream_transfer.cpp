// SPDX-License-Identifier: BSL-1.0
// Large transfers with every byte checked, and what a full buffer does.

#define BOOST_TEST_MODULE stream_transfer
#include "socket_test.hpp"

#include <algorithm>
#include <array>
#include <future>
#include <vector>

using namespace shm::test;

namespace {

constexpr std::uint64_t total = 20'000'003;

/// Writes a pattern until `total`, in blocks whose sizes are primes in turn.
template <class Socket>
class sender
{
public:
  sender(Socket& socket, std::uint64_t seed) : socket_(socket), bytes_(seed) {}

  void start()
  {
    static constexpr std::array<std::size_t, 7> sizes{1, 13, 4'093, 65'537, 131'071, 7, 1'048'573};
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(sizes[turn_++ % sizes.size()], total - position_));
    block_.resize(size);
    bytes_.fill(block_.data(), size, position_);
    asio::async_write(socket_, asio::buffer(block_),
        [this](error_code ec, std::size_t n)
        {
          position_ += n;
          result = ec;
          if (!ec && position_ != total)
            start();
          else
            done = true;
        });
  }

  bool done = false;
  error_code result;

private:
  Socket& socket_;
  pattern bytes_;
  std::uint64_t position_ = 0;
  std::size_t turn_ = 0;
  std::vector<unsigned char> block_;
};

/// Reads and checks a pattern until `total`, with whatever one read gives.
template <class Socket>
class receiver
{
public:
  receiver(Socket& socket, std::uint64_t seed) : socket_(socket), bytes_(seed) {}

  void start()
  {
    static constexpr std::array<std::size_t, 5> sizes{99'991, 17, 262'139, 1, 8'191};
    const std::size_t size = sizes[turn_++ % sizes.size()];
    socket_.async_read_some(asio::buffer(block_.data(), size),
        [this](error_code ec, std::size_t n)
        {
          intact = intact && bytes_.matches(block_.data(), n, received);
          received += n;
          result = ec;
          if (!ec && received != total)
            start();
          else
            done = true;
        });
  }

  bool done = false;
  bool intact = true;
  std::uint64_t received = 0;
  error_code result;

private:
  Socket& socket_;
  pattern bytes_;
  std::size_t turn_ = 0;
  std::vector<unsigned char> block_ = std::vector<unsigned char>(262'139);
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(stream_transfer, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(both_directions_at_once, Protocol, transports)
{
  asio::io_context context;
  // A strand for each end, whose sender and receiver use the same socket.
  auto client_strand = asio::make_strand(context);
  auto server_strand = asio::make_strand(context);
  connected_pair<Protocol> pair(client_strand, server_strand);
  sender up(pair.client, 1);
  sender down(pair.server, 2);
  receiver at_server(pair.server, 1);
  receiver at_client(pair.client, 2);
  up.start();
  down.start();
  at_server.start();
  at_client.start();
  run_until(
      context, [&] { return up.done && down.done && at_server.done && at_client.done; }, std::chrono::seconds(90));
  BOOST_TEST(!up.result);
  BOOST_TEST(!down.result);
  BOOST_TEST(at_server.received == total);
  BOOST_TEST(at_client.received == total);
  BOOST_TEST(at_server.intact);
  BOOST_TEST(at_client.intact);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(one_block_larger_than_all_buffers, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  const pattern bytes(3);
  const auto sent = bytes.bytes(static_cast<std::size_t>(total));
  std::vector<unsigned char> got(sent.size());
  completion written;
  completion read;
  asio::async_write(pair.client, asio::buffer(sent), written.handler());
  asio::async_read(pair.server, asio::buffer(got), read.handler());
  run_until(
      context, [&] { return written.done() && read.done(); }, std::chrono::seconds(90));
  BOOST_TEST(written.bytes == sent.size());
  BOOST_TEST(read.bytes == sent.size());
  BOOST_TEST(bytes.matches(got));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(blocking_calls_of_two_threads, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  const auto echo = std::async(std::launch::async,
      [&]
      {
        std::vector<unsigned char> block(70'001);
        std::uint64_t echoed = 0;
        error_code ec;
        while (!ec && echoed != total)
        {
          const std::size_t n = pair.server.read_some(asio::buffer(block), ec);
          asio::write(pair.server, asio::buffer(block.data(), n), ec);
          echoed += n;
        }
        return ec;
      });
  const auto writer = std::async(std::launch::async,
      [&]
      {
        const pattern bytes(4);
        std::vector<unsigned char> block(99'991);
        error_code ec;
        for (std::uint64_t at = 0; !ec && at != total;)
        {
          const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), total - at));
          bytes.fill(block.data(), size, at);
          asio::write(pair.client, asio::buffer(block.data(), size), ec);
          at += size;
        }
        return ec;
      });
  const pattern bytes(4);
  std::vector<unsigned char> block(50'021);
  std::uint64_t received = 0;
  bool intact = true;
  error_code ec;
  while (!ec && received != total)
  {
    const std::size_t n = pair.client.read_some(asio::buffer(block), ec);
    intact = intact && bytes.matches(block.data(), n, received);
    received += n;
  }
  BOOST_TEST(!ec);
  BOOST_TEST(received == total);
  BOOST_TEST(intact);
  echo.wait();
  writer.wait();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(write_waits_for_the_reader, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context, 64 * 1024);
  const pattern bytes(5);
  const auto sent = bytes.bytes(static_cast<std::size_t>(total));
  completion written;
  std::size_t received = 0;
  std::size_t received_at_completion = 0;
  asio::async_write(pair.client, asio::buffer(sent),
      [&](error_code ec, std::size_t n)
      {
        received_at_completion = received;
        written.handler()(ec, n);
      });
  run_ready(context);
  BOOST_TEST(written.calls == 0);

  std::vector<unsigned char> got(sent.size());
  while (received != got.size())
  {
    completion read;
    pair.server.async_read_some(asio::buffer(asio::buffer(got) + received), read.handler());
    run_until(context, [&] { return read.done(); });
    BOOST_TEST_REQUIRE(!read.ec);
    received += read.bytes;
  }
  run_until(context, [&] { return written.done(); });
  BOOST_TEST(!written.ec);
  BOOST_TEST(written.bytes == sent.size());
  // Whatever the buffers hold, it is far less than half of what was sent.
  BOOST_TEST(received_at_completion > total / 2);
  BOOST_TEST(bytes.matches(got));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(full_buffer_and_reader_byte_by_byte, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context, 4096);
  pair.client.non_blocking(true);
  const pattern bytes(6);
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  bool intact = true;
  const auto fill = [&]
  {
    error_code ec;
    for (int i = 0; !ec && i != 100'000; ++i)
    {
      const auto block = bytes.bytes(7, sent);
      sent += pair.client.write_some(asio::buffer(block), ec);
    }
    return ec;
  };
  // Full again and again, each time after the reader took a little.
  for (int round = 0; round != 20; ++round)
  {
    BOOST_TEST_REQUIRE(fill() == error::would_block);
    unsigned char byte;
    for (int i = 0; i != 1 + round * 97 && received != sent; ++i)
    {
      asio::read(pair.server, asio::buffer(&byte, 1));
      intact = intact && byte == bytes.at(received++);
    }
  }
  std::vector<unsigned char> rest(static_cast<std::size_t>(sent - received));
  asio::read(pair.server, asio::buffer(rest));
  BOOST_TEST(intact);
  BOOST_TEST(bytes.matches(rest, received));
  BOOST_TEST(pair.server.available() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
