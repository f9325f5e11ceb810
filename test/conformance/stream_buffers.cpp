// SPDX-License-Identifier: BSL-1.0
// Buffer sequences: scatter and gather with few and with many buffers.

#define BOOST_TEST_MODULE stream_buffers
#include "socket_test.hpp"

#include <array>
#include <list>
#include <numeric>
#include <vector>

using namespace shm::test;

namespace {

constexpr std::array<std::size_t, 5> counts{1, 2, 3, 16, 70};

/// Cuts memory into `count` pieces of different sizes, one of them empty when there
/// are enough.
template <class Buffer, class Data>
std::vector<Buffer> pieces_of(Data& data, std::size_t count)
{
  std::vector<Buffer> result;
  std::size_t at = 0;
  for (std::size_t i = 0; i + 1 < count; ++i)
  {
    const std::size_t share = (data.size() - at) / (count - i);
    const std::size_t size = i == 1 ? 0 : i % 2 ? share : share / 2 + 1;
    result.emplace_back(data.data() + at, size);
    at += size;
  }
  result.emplace_back(data.data() + at, data.size() - at);
  return result;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(stream_buffers, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(gathered_and_scattered_whole, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  for (const std::size_t writes : counts)
  {
    for (const std::size_t reads : counts)
    {
      const pattern bytes(writes * 100 + reads);
      const auto sent = bytes.bytes(20'011);
      std::vector<unsigned char> got(sent.size());
      const auto from = pieces_of<asio::const_buffer>(sent, writes);
      const auto to = pieces_of<asio::mutable_buffer>(got, reads);
      BOOST_TEST(asio::write(pair.client, from) == sent.size());
      BOOST_TEST(asio::read(pair.server, to) == sent.size());
      BOOST_TEST(bytes.matches(got));

      std::fill(got.begin(), got.end(), static_cast<unsigned char>(0));
      completion written;
      completion read;
      asio::async_read(pair.client, to, read.handler());
      asio::async_write(pair.server, from, written.handler());
      run_until(context, [&] { return written.done() && read.done(); });
      BOOST_TEST(!written.ec);
      BOOST_TEST(!read.ec);
      BOOST_TEST(written.bytes == sent.size());
      BOOST_TEST(read.bytes == sent.size());
      BOOST_TEST(bytes.matches(got));
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(one_call_takes_a_prefix, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  for (const std::size_t count : counts)
  {
    const pattern bytes(count);
    const auto sent = bytes.bytes(10'007);
    const auto from = pieces_of<asio::const_buffer>(sent, count);
    std::vector<unsigned char> got(sent.size());
    const auto to = pieces_of<asio::mutable_buffer>(got, count);

    const std::size_t written = pair.client.write_some(from);
    BOOST_TEST(written > 0u);
    BOOST_TEST(written <= sent.size());
    if (count <= 16)
      BOOST_TEST(written == sent.size());
    std::size_t read = 0;
    read += pair.server.read_some(to);
    BOOST_TEST(read > 0u);
    BOOST_TEST(read <= written);
    asio::read(pair.server, asio::buffer(asio::buffer(got) + read, written - read));
    BOOST_TEST(bytes.matches(got.data(), written));

    completion async_written;
    pair.client.async_write_some(from, async_written.handler());
    run_until(context, [&] { return async_written.done(); });
    BOOST_TEST(!async_written.ec);
    BOOST_TEST(async_written.bytes > 0u);
    std::fill(got.begin(), got.end(), static_cast<unsigned char>(0));
    completion async_read;
    pair.server.async_read_some(to, async_read.handler());
    run_until(context, [&] { return async_read.done(); });
    BOOST_TEST(async_read.bytes > 0u);
    BOOST_TEST(async_read.bytes <= async_written.bytes);
    asio::read(pair.server, asio::buffer(asio::buffer(got) + async_read.bytes, async_written.bytes - async_read.bytes));
    BOOST_TEST(bytes.matches(got.data(), async_written.bytes));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(peek_scatters_too, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  asio::write(pair.client, asio::buffer("abcdef", 6));
  pair.server.wait(asio::socket_base::wait_read);
  std::array<char, 2> first{};
  std::array<char, 3> second{};
  const std::array<asio::mutable_buffer, 2> to{asio::buffer(first), asio::buffer(second)};
  BOOST_TEST(pair.server.receive(to, asio::socket_base::message_peek) == 5u);
  BOOST_TEST(std::string(first.data(), 2) == "ab");
  BOOST_TEST(std::string(second.data(), 3) == "cde");
  BOOST_TEST(pair.server.available() == 6u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(sequences_of_other_containers, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  const std::string a = "list ";
  const std::string b = "of ";
  const std::string c = "buffers";
  const std::list<asio::const_buffer> from{asio::buffer(a), asio::buffer(b), asio::buffer(c)};
  BOOST_TEST(pair.client.write_some(from) == 15u);
  std::string got(15, '\0');
  std::list<asio::mutable_buffer> to{asio::buffer(&got[0], 1), asio::buffer(&got[1], 14)};
  BOOST_TEST(asio::read(pair.server, to) == 15u);
  BOOST_TEST(got == "list of buffers");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(every_small_size_arrives, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  const pattern bytes(77);
  std::uint64_t position = 0;
  std::vector<unsigned char> got;
  for (std::size_t size = 1; size <= 600; ++size)
  {
    const auto sent = bytes.bytes(size, position);
    BOOST_TEST_REQUIRE(asio::write(pair.client, asio::buffer(sent)) == size);
    got.assign(size, 0);
    BOOST_TEST_REQUIRE(asio::read(pair.server, asio::buffer(got)) == size);
    BOOST_TEST_REQUIRE(bytes.matches(got, position));
    position += size;
  }
}

BOOST_AUTO_TEST_SUITE_END()
