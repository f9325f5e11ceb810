// SPDX-License-Identifier: BSL-1.0
// Chat client: sends the lines of its standard input and prints what the others say. Built twice, for TCP and for
// shared memory.

#include "chat_message.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include <cstddef>
#include <exception>
#include <iostream>
#include <stdexcept>
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

// Connects and gives its name; then it sends and receives side by side, until its input ends or the server goes away.
class client
{
public:
  client(asio::io_context& io, const std::string& host, const std::string& port, const std::string& name)
    : resolver_(io), socket_(io), input_(io, standard_input), name_(name)
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
        send(name_);
        read_header();
      });
  }

  void read_line()
  {
    asio::async_read_until(input_, asio::dynamic_buffer(typed_), '\n',
      [this](const error_code& error, std::size_t length)
      {
        if (error == asio::error::eof)
        {
          // The server reads eof and closes; until then it may still have something for us.
          input_ended_ = true;
          socket_.shutdown(tcp::socket::shutdown_send);
          return;
        }
        check(error, "standard input");
        const std::string line = typed_.substr(0, length - 1);
        typed_.erase(0, length);
        send(line);
      });
  }

  // The next line is read only when this one is sent, so there is never more than one write at a time.
  void send(const std::string& text)
  {
    outgoing_ = encode(text);
    asio::async_write(socket_, asio::buffer(outgoing_),
      [this](const error_code& error, std::size_t)
      {
        check(error, "send");
        read_line();
      });
  }

  void read_header()
  {
    asio::async_read(socket_, asio::buffer(header_),
      [this](const error_code& error, std::size_t)
      {
        if (error && input_ended_)
          return;
        check(error, "receive");
        std::size_t length = 0;
        if (!decode(header_, length))
          throw std::runtime_error("this is not a chat server");
        read_text(length);
      });
  }

  void read_text(std::size_t length)
  {
    text_.resize(length);
    asio::async_read(socket_, asio::buffer(text_),
      [this](const error_code& error, std::size_t)
      {
        if (error && input_ended_)
          return;
        check(error, "receive");
        std::cout << text_ << std::endl;
        read_header();
      });
  }

  tcp::resolver resolver_;
  tcp::socket socket_;
  asio::posix::stream_descriptor input_;
  std::string name_;
  std::string typed_;
  std::string outgoing_;
  message_header header_{};
  std::string text_;
  bool input_ended_ = false;
};

int main(int argc, char* argv[])
{
  try
  {
    if (argc != 3 && argc != 4)
    {
      std::cerr << "usage: " << argv[0] << " <host> <port> [<name>]\n";
      return 2;
    }

    asio::io_context io;
    client chat(io, argv[1], argv[2], argc == 4 ? argv[3] : "guest");
    io.run();
  }
  catch (const std::exception& e)
  {
    std::cerr << "chat_client: " << e.what() << '\n';
    return 1;
  }
}
