// SPDX-License-Identifier: BSL-1.0
// Echo client with coroutines: sends the lines of its standard input and prints what comes back. Built twice, for TCP
// and for shared memory.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <cstddef>
#include <exception>
#include <iostream>
#include <string>

// The only difference between the two programs.
#if defined(USE_SHM)
#include <shm/stream_protocol.hpp>
using tcp = shm::stream_protocol;
#else
#include <boost/asio/ip/tcp.hpp>
using tcp = boost::asio::ip::tcp;
#endif

namespace asio = boost::asio;
using asio::awaitable;
using asio::use_awaitable;

awaitable<void> send_lines(tcp::socket& socket)
{
  const int standard_input = 0;
  asio::posix::stream_descriptor input(co_await asio::this_coro::executor, standard_input);
  std::string lines;
  for (boost::system::error_code error; !error;)
  {
    std::size_t length = co_await asio::async_read_until(
      input, asio::dynamic_buffer(lines), '\n', asio::redirect_error(use_awaitable, error));
    if (error == asio::error::eof)
      length = lines.size(); // the last line may come without a newline
    else if (error)
      throw boost::system::system_error(error, "standard input");
    co_await asio::async_write(socket, asio::buffer(lines, length), use_awaitable);
    lines.erase(0, length);
  }
  socket.shutdown(tcp::socket::shutdown_send); // the server reads eof, and closes when it has echoed the rest
}

awaitable<void> print_replies(tcp::socket& socket)
{
  std::array<char, 4096> reply;
  for (;;)
  {
    boost::system::error_code error;
    const std::size_t length =
      co_await socket.async_read_some(asio::buffer(reply), asio::redirect_error(use_awaitable, error));
    if (error == asio::error::eof)
      co_return;
    if (error)
      throw boost::system::system_error(error, "receive");
    std::cout.write(reply.data(), static_cast<std::streamsize>(length)).flush();
  }
}

awaitable<void> talk(std::string host, std::string port)
{
  using namespace asio::experimental::awaitable_operators;

  const auto executor = co_await asio::this_coro::executor;
  tcp::resolver resolver(executor);
  tcp::socket socket(executor);
  const auto results = co_await resolver.async_resolve(host, port, use_awaitable);
  co_await asio::async_connect(socket, results, use_awaitable);

  // Both directions at once: sending all first would get stuck when the buffers between the programs are full.
  co_await (send_lines(socket) && print_replies(socket));
}

int main(int argc, char* argv[])
{
  try
  {
    if (argc != 3)
    {
      std::cerr << "usage: " << argv[0] << " <host> <port>\n";
      return 2;
    }

    asio::io_context io;
    asio::co_spawn(io, talk(argv[1], argv[2]),
      [](std::exception_ptr failure)
      {
        if (failure)
          std::rethrow_exception(failure);
      });
    io.run();
  }
  catch (const std::exception& e)
  {
    std::cerr << "coroutine_client: " << e.what() << '\n';
    return 1;
  }
}
