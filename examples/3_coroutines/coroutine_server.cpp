// SPDX-License-Identifier: BSL-1.0
// Echo server with coroutines: sends the bytes of every client back to it. Built twice, for TCP and for shared memory.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/lexical_cast.hpp>

#include <array>
#include <csignal>
#include <cstddef>
#include <exception>
#include <iostream>
#include <utility>

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

// One client, until it closes its side or an error ends the connection; both arrive here as an exception.
awaitable<void> echo(tcp::socket socket)
{
  try
  {
    std::array<char, 4096> data;
    for (;;)
    {
      const std::size_t length = co_await socket.async_read_some(asio::buffer(data), use_awaitable);
      co_await asio::async_write(socket, asio::buffer(data, length), use_awaitable);
    }
  }
  catch (const boost::system::system_error& e)
  {
    if (e.code() != asio::error::eof)
      std::cerr << "a client was lost: " << e.what() << '\n';
  }
}

awaitable<void> serve(unsigned short port)
{
  const auto executor = co_await asio::this_coro::executor;
  tcp::acceptor acceptor(executor, tcp::endpoint(tcp::v4(), port));
  std::cout << "listening on port " << acceptor.local_endpoint().port() << std::endl;
  for (;;)
  {
    tcp::socket socket = co_await acceptor.async_accept(use_awaitable);
    asio::co_spawn(executor, echo(std::move(socket)), asio::detached);
  }
}

int main(int argc, char* argv[])
{
  try
  {
    if (argc != 2)
    {
      std::cerr << "usage: " << argv[0] << " <port>   (0: any free port)\n";
      return 2;
    }

    asio::io_context io;
    asio::signal_set signals(io, SIGINT, SIGTERM);
    signals.async_wait([&io](const boost::system::error_code&, int) { io.stop(); });

    // What leaves serve() as an exception goes on through io_context::run(), and so arrives below.
    asio::co_spawn(io, serve(boost::lexical_cast<unsigned short>(argv[1])),
      [](std::exception_ptr failure)
      {
        if (failure)
          std::rethrow_exception(failure);
      });
    io.run();
  }
  catch (const std::exception& e)
  {
    std::cerr << "coroutine_server: " << e.what() << '\n';
    return 1;
  }
}
