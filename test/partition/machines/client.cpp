// SPDX-License-Identifier: BSL-1.0
// The half of the program that asks and checks.
#include "content.hpp"
#include "peer.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <iomanip>
#include <iostream>
#include <stdexcept>
#include <utility>
#include <vector>

namespace machines {
namespace {

using namespace asio::experimental::awaitable_operators;
using asio::awaitable;
using asio::use_awaitable;
using boost::system::error_code;
using clock = std::chrono::steady_clock;

constexpr std::size_t block_size = 256 * 1024;
constexpr std::uint64_t megabyte = 1'000'000;

void require(bool holds, const std::string& what)
{
  if (!holds)
    throw std::runtime_error(what);
}

double seconds_since(clock::time_point begin)
{
  return std::chrono::duration<double>(clock::now() - begin).count();
}

awaitable<tcp::socket> connect(const task& wanted, std::string command)
{
  const auto executor = co_await asio::this_coro::executor;
  tcp::resolver resolver(executor);
  tcp::socket socket(executor);
  const auto found = co_await resolver.async_resolve(wanted.host, wanted.port, use_awaitable);
  co_await asio::async_connect(socket, found, use_awaitable);
  command += "\n";
  co_await asio::async_write(socket, asio::buffer(command), use_awaitable);
  co_return socket;
}

awaitable<void> send(tcp::socket& socket, const content& what, std::uint64_t begin, std::uint64_t end)
{
  std::vector<char> block(block_size);
  while (begin != end)
  {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), end - begin));
    what.fill(block.data(), size, begin);
    begin += co_await asio::async_write(socket, asio::buffer(block.data(), size), use_awaitable);
  }
}

// In pieces of sizes that have nothing in common with anybody's blocks.
awaitable<void> receive_pieces(tcp::socket& socket, const content& what, std::uint64_t begin, std::uint64_t end)
{
  static constexpr std::array<std::size_t, 5> sizes = {99'991, 17, 262'139, 1, 8'191};
  std::vector<char> block(262'139);
  for (std::size_t turn = 0; begin != end; ++turn)
  {
    const std::size_t most = std::min<std::uint64_t>(sizes[turn % sizes.size()], end - begin);
    const std::size_t n = co_await socket.async_read_some(asio::buffer(block.data(), most), use_awaitable);
    require(what.matches(block.data(), n, begin), "other bytes than were sent");
    begin += n;
  }
}

awaitable<void> expect_end(tcp::socket& socket)
{
  char byte = 0;
  error_code ec;
  co_await socket.async_read_some(asio::buffer(&byte, 1), asio::redirect_error(use_awaitable, ec));
  require(ec == asio::error::eof, "no end of the stream but " + name_of(ec));
}

// All of these on one connection: the position goes on.
awaitable<std::string> transfer(const task& wanted)
{
  tcp::socket socket = co_await connect(wanted, "echo");
  const content what(1);
  std::uint64_t at = 0;
  std::vector<char> out;
  std::vector<char> in;
  for (const std::size_t size : {1, 2, 3, 7, 63, 64, 65, 4095, 4096, 4097, 65'537, 131'071, 1'048'573, 1'048'576})
  {
    out.resize(size);
    in.assign(size, 0);
    what.fill(out.data(), size, at);
    co_await (asio::async_write(socket, asio::buffer(out), use_awaitable) &&
              asio::async_read(socket, asio::buffer(in), use_awaitable));
    require(in == out, "the echo of " + std::to_string(size) + " bytes differs");
    at += size;
  }
  // Gathered from three buffers, an empty one among them, and scattered to others.
  out.resize(100'003);
  in.assign(out.size(), 0);
  what.fill(out.data(), out.size(), at);
  const std::array<asio::const_buffer, 4> gathered = {asio::buffer(out.data(), 1), asio::const_buffer(),
      asio::buffer(out.data() + 1, 70'000), asio::buffer(out.data() + 70'001, out.size() - 70'001)};
  const std::array<asio::mutable_buffer, 3> scattered = {asio::buffer(in.data(), 33'333),
      asio::buffer(in.data() + 33'333, 5), asio::buffer(in.data() + 33'338, in.size() - 33'338)};
  co_await (asio::async_write(socket, gathered, use_awaitable) && asio::async_read(socket, scattered, use_awaitable));
  require(in == out, "the echo of several buffers differs");
  at += out.size();

  constexpr std::uint64_t both = 4'000'003;
  co_await (send(socket, what, at, at + both) && receive_pieces(socket, what, at, at + both));
  socket.shutdown(tcp::socket::shutdown_send);
  co_await expect_end(socket);
  co_return std::to_string(at + both) + " bytes and their echo";
}

awaitable<std::string> upload(const task& wanted)
{
  const clock::time_point begin = clock::now();
  tcp::socket socket = co_await connect(wanted, "sink");
  const content what(2);
  sha256 digest;
  std::vector<char> block(block_size);
  for (std::uint64_t at = 0; at != wanted.bytes;)
  {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), wanted.bytes - at));
    what.fill(block.data(), size, at);
    digest.add(block.data(), size);
    at += co_await asio::async_write(socket, asio::buffer(block.data(), size), use_awaitable);
  }
  socket.shutdown(tcp::socket::shutdown_send);
  std::string answer;
  co_await asio::async_read_until(socket, asio::dynamic_buffer(answer), '\n', use_awaitable);
  const double seconds = seconds_since(begin);
  require(answer == digest.hex() + " " + std::to_string(wanted.bytes) + "\n", "another SHA-256: " + answer);
  co_await expect_end(socket);
  co_return std::to_string(wanted.bytes) + " bytes up, SHA-256 right, MB/s: " +
      std::to_string(static_cast<double>(wanted.bytes) / seconds / 1e6);
}

awaitable<std::string> download(const task& wanted)
{
  const clock::time_point begin = clock::now();
  tcp::socket socket = co_await connect(wanted, "source " + std::to_string(wanted.bytes) + " 3");
  sha256 got;
  std::vector<char> block(block_size);
  std::uint64_t bytes = 0;
  for (error_code ec; !ec;)
  {
    const std::size_t n =
        co_await socket.async_read_some(asio::buffer(block), asio::redirect_error(use_awaitable, ec));
    require(!ec || ec == asio::error::eof, "ended by " + name_of(ec));
    got.add(block.data(), n);
    bytes += n;
  }
  const double seconds = seconds_since(begin);
  require(bytes == wanted.bytes, "ended after " + std::to_string(bytes) + " bytes");
  const content what(3);
  sha256 expected;
  for (std::uint64_t at = 0; at != bytes;)
  {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), bytes - at));
    what.fill(block.data(), size, at);
    expected.add(block.data(), size);
    at += size;
  }
  require(got.hex() == expected.hex(), "another SHA-256");
  co_return std::to_string(bytes) + " bytes down, SHA-256 right, MB/s: " +
      std::to_string(static_cast<double>(bytes) / seconds / 1e6);
}

// The other side's answer comes after our end, and its end after ours.
awaitable<std::string> half_close(const task& wanted)
{
  tcp::socket socket = co_await connect(wanted, "echo");
  const content what(4);
  constexpr std::uint64_t size = 100'000;
  co_await (send(socket, what, 0, size) && receive_pieces(socket, what, 0, size / 2));
  socket.shutdown(tcp::socket::shutdown_send);
  co_await receive_pieces(socket, what, size / 2, size);
  co_await expect_end(socket);
  char byte = 0;
  error_code ec;
  co_await asio::async_write(socket, asio::buffer(&byte, 1), asio::redirect_error(use_awaitable, ec));
  require(ec == asio::error::broken_pipe, "a write after shutdown gives " + name_of(ec));
  co_return "half-closed in both directions";
}

void report_flow(std::uint64_t before, std::uint64_t now)
{
  if (before < megabyte && now >= megabyte)
    std::cout << "flowing" << std::endl;
}

// From the server, without end: all that comes has to be right, however it ends.
awaitable<std::string> flow_down(const task& wanted)
{
  tcp::socket socket = co_await connect(wanted, "source 0 5");
  const content what(5);
  std::vector<char> block(block_size);
  std::uint64_t bytes = 0;
  error_code ec;
  while (!ec)
  {
    const std::size_t n =
        co_await socket.async_read_some(asio::buffer(block), asio::redirect_error(use_awaitable, ec));
    require(what.matches(block.data(), n, bytes), "other bytes than were sent");
    report_flow(bytes, bytes + n);
    bytes += n;
  }
  co_return name_of(ec) + " after " + std::to_string(bytes) + " bytes, all right";
}

awaitable<std::string> flow_up(const task& wanted)
{
  tcp::socket socket = co_await connect(wanted, "sink");
  const content what(6);
  std::vector<char> block(block_size);
  what.fill(block.data(), block.size(), 0);
  std::uint64_t bytes = 0;
  error_code ec;
  while (!ec)
  {
    const std::size_t n = co_await asio::async_write(
        socket, asio::buffer(block), asio::redirect_error(use_awaitable, ec));
    report_flow(bytes, bytes + n);
    bytes += n;
  }
  co_return name_of(ec) + " after " + std::to_string(bytes) + " bytes";
}

// Sleeps until the other side is gone.
awaitable<std::string> hold(const task& wanted)
{
  tcp::socket socket = co_await connect(wanted, "hold");
  std::cout << "flowing" << std::endl;
  char byte = 0;
  error_code ec;
  co_await socket.async_read_some(asio::buffer(&byte, 1), asio::redirect_error(use_awaitable, ec));
  co_return name_of(ec);
}

awaitable<double> round_trip(tcp::socket& socket, std::uint64_t number)
{
  std::array<std::uint64_t, 8> out{};
  std::array<std::uint64_t, 8> in{};
  out.fill(number);
  const clock::time_point begin = clock::now();
  co_await asio::async_write(socket, asio::buffer(out), use_awaitable);
  co_await asio::async_read(socket, asio::buffer(in), use_awaitable);
  const double result = seconds_since(begin);
  require(in == out, "another echo");
  co_return result;
}

// A round trip from time to time: what disturbs others must not disturb this.
awaitable<std::string> keep(const task& wanted)
{
  tcp::socket socket = co_await connect(wanted, "echo");
  asio::steady_timer timer(co_await asio::this_coro::executor);
  const clock::time_point begin = clock::now();
  std::uint64_t count = 0;
  double longest = 0;
  for (; seconds_since(begin) < wanted.seconds; ++count)
  {
    longest = std::max(longest, co_await round_trip(socket, count));
    if (count == 0)
      std::cout << "flowing" << std::endl;
    timer.expires_after(std::chrono::milliseconds(10));
    co_await timer.async_wait(use_awaitable);
  }
  co_return std::to_string(count) + " round trips, longest ms: " + std::to_string(longest * 1e3);
}

awaitable<std::string> latency(const task& wanted)
{
  tcp::socket socket = co_await connect(wanted, "echo");
  std::vector<double> times;
  for (std::uint64_t i = 0; i != 100; ++i)
    co_await round_trip(socket, i);
  for (std::uint64_t i = 0; i != wanted.count; ++i)
    times.push_back(co_await round_trip(socket, i));
  std::sort(times.begin(), times.end());
  const auto microseconds = [&](std::size_t percent)
  { return std::to_string(static_cast<std::uint64_t>(times[(times.size() - 1) * percent / 100] * 1e6)); };
  co_return "round trip of 64 bytes, us: p50 " + microseconds(50) + " p99 " + microseconds(99);
}

// Nothing but the connection.
awaitable<std::string> only_connect(const task& wanted)
{
  const tcp::socket socket = co_await connect(wanted, "hold");
  co_return "connected";
}

} // namespace

awaitable<int> run(task wanted)
{
  const struct
  {
    const char* name;
    awaitable<std::string> (*what)(const task&);
  } all[] = {{"transfer", transfer}, {"upload", upload}, {"download", download}, {"half_close", half_close},
      {"flow_down", flow_down}, {"flow_up", flow_up}, {"hold", hold}, {"keep", keep}, {"latency", latency},
      {"connect", only_connect}};
  for (const auto& one : all)
  {
    if (wanted.what != one.name)
      continue;
    try
    {
      std::cout << wanted.what << ": " << co_await one.what(wanted) << std::endl;
      co_return 0;
    }
    catch (const boost::system::system_error& e)
    {
      std::cout << wanted.what << ": " << name_of(e.code()) << std::endl;
      co_return 4;
    }
    catch (const std::exception& e)
    {
      std::cout << wanted.what << ": WRONG: " << e.what() << std::endl;
      co_return 1;
    }
  }
  std::cout << "no such thing: " << wanted.what << std::endl;
  co_return 2;
}

} // namespace machines
