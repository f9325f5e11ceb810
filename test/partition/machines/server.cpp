// SPDX-License-Identifier: BSL-1.0
// The half of the program that answers. The first line of a client says what it wants:
//
//   echo                    its bytes, until its end
//   sink                    a line with the SHA-256 of its bytes and their number, at its end
//   source <bytes> <seed>   content of that seed, then the end; 0 bytes: without end
//   hold                    nothing, until its end
#include "content.hpp"
#include "peer.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <iostream>
#include <sstream>
#include <utility>
#include <vector>

namespace machines {
namespace {

using asio::use_awaitable;

constexpr std::size_t block_size = 256 * 1024;

// What came behind the first line, then the rest.
template <class Handle>
asio::awaitable<void> read_all(tcp::socket& socket, std::string begin, Handle handle)
{
  if (!begin.empty())
    co_await handle(begin.data(), begin.size());
  std::vector<char> block(block_size);
  for (;;)
  {
    boost::system::error_code ec;
    const std::size_t n =
        co_await socket.async_read_some(asio::buffer(block), asio::redirect_error(use_awaitable, ec));
    if (ec == asio::error::eof)
      co_return;
    if (ec)
      throw boost::system::system_error(ec);
    co_await handle(block.data(), n);
  }
}

asio::awaitable<void> echo(tcp::socket& socket, std::string begin)
{
  co_await read_all(socket, std::move(begin),
      [&](const char* data, std::size_t size) -> asio::awaitable<void>
      { co_await asio::async_write(socket, asio::buffer(data, size), use_awaitable); });
}

asio::awaitable<void> sink(tcp::socket& socket, std::string begin)
{
  sha256 digest;
  std::uint64_t bytes = 0;
  co_await read_all(socket, std::move(begin),
      [&](const char* data, std::size_t size) -> asio::awaitable<void>
      {
        digest.add(data, size);
        bytes += size;
        co_return;
      });
  const std::string answer = digest.hex() + " " + std::to_string(bytes) + "\n";
  co_await asio::async_write(socket, asio::buffer(answer), use_awaitable);
}

asio::awaitable<void> source(tcp::socket& socket, std::uint64_t bytes, std::uint64_t seed)
{
  const content what(seed);
  std::vector<char> block(block_size);
  for (std::uint64_t at = 0; bytes == 0 || at != bytes;)
  {
    const std::uint64_t left = bytes == 0 ? block.size() : bytes - at;
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), left));
    what.fill(block.data(), size, at);
    at += co_await asio::async_write(socket, asio::buffer(block.data(), size), use_awaitable);
  }
}

asio::awaitable<void> answer(tcp::socket socket)
{
  std::string wanted;
  try
  {
    std::string data;
    const std::size_t size =
        co_await asio::async_read_until(socket, asio::dynamic_buffer(data, 4096), '\n', use_awaitable);
    std::istringstream line(data.substr(0, size));
    data.erase(0, size);
    std::uint64_t bytes = 0;
    std::uint64_t seed = 0;
    line >> wanted >> bytes >> seed;
    if (wanted == "echo")
      co_await echo(socket, std::move(data));
    else if (wanted == "sink")
      co_await sink(socket, std::move(data));
    else if (wanted == "source")
      co_await source(socket, bytes, seed);
    else if (wanted == "hold")
      co_await read_all(
          socket, std::move(data), [](const char*, std::size_t) -> asio::awaitable<void> { co_return; });
  }
  catch (const boost::system::system_error& e)
  {
    std::cout << wanted << " ended: " << name_of(e.code()) << std::endl;
  }
}

} // namespace

asio::awaitable<void> serve(std::string address, unsigned short port)
{
  const auto executor = co_await asio::this_coro::executor;
  tcp::acceptor acceptor(executor, tcp::endpoint(asio::ip::make_address(address), port));
  std::cout << "listening on " << acceptor.local_endpoint() << std::endl;
  for (;;)
    asio::co_spawn(executor, answer(co_await acceptor.async_accept(use_awaitable)), asio::detached);
}

} // namespace machines
