// SPDX-License-Identifier: BSL-1.0
// Echo client: sends the lines of its standard input and prints what comes back. Built twice, for TCP and for shared
// memory.

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
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
using boost::system::error_code;

// Resolves and connects; then two chains of operations run side by side, one for each direction. (Sending a whole line
// before receiving anything would get stuck on a line that is longer than the buffers between the two programs.)
class client
{
public:
  client(asio::io_context& io, const std::string& host, const std::string& port)
    : resolver_(io), socket_(io), input_(io, standard_input)
  {
    resolver_.async_resolve(host, port,
      [this](const error_code& error, const tcp::resolver::results_type& results)
      {
        check(error, "resolve");
        connect(results);
      });
  }

private:
  static constexpr int standard_input = 0;

  // An exception thrown by a handler leaves io_context::run(), and so arrives in main().
  static void check(const error_code& error, const char* what)
  {
    if (error)
      throw boost::system::system_error(error, what);
  }

  void connect(const tcp::resolver::results_type& results)
  {
    asio::async_connect(socket_, results,
      [this](const error_code& error, const tcp::endpoint&)
      {
        check(error, "connect");
        read_line();
        receive();
      });
  }

  void read_line()
  {
    asio::async_read_until(input_, asio::dynamic_buffer(line_), '\n',
      [this](const error_code& error, std::size_t length)
      {
        input_ended_ = error == asio::error::eof;
        if (input_ended_)
          length = line_.size(); // the last line may come without a newline
        else
          check(error, "standard input");
        send(length);
      });
  }

  void send(std::size_t length)
  {
    asio::async_write(socket_, asio::buffer(line_, length),
      [this](const error_code& error, std::size_t sent)
      {
        check(error, "send");
        line_.erase(0, sent);
        if (input_ended_)
          socket_.shutdown(tcp::socket::shutdown_send); // the server reads eof, and closes when it has echoed the rest
        else
          read_line();
      });
  }

  void receive()
  {
    socket_.async_read_some(asio::buffer(reply_),
      [this](const error_code& error, std::size_t length)
      {
        if (error == asio::error::eof && input_ended_)
          return;
        check(error, "receive");
        std::cout.write(reply_.data(), static_cast<std::streamsize>(length)).flush();
        receive();
      });
  }

  tcp::resolver resolver_;
  tcp::socket socket_;
  asio::posix::stream_descriptor input_;
  std::string line_;
  std::array<char, 4096> reply_{};
  bool input_ended_ = false;
};

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
    client echo(io, argv[1], argv[2]);
    io.run();
  }
  catch (const std::exception& e)
  {
    std::cerr << "echo_client: " << e.what() << '\n';
    return 1;
  }
}
