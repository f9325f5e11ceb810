// SPDX-License-Identifier: BSL-1.0
// Answers every line in capital letters, on an endpoint that is a path, a short name, or an address and a port.

#include "transport.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/write.hpp>

#include <cctype>
#include <csignal>
#include <cstddef>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

namespace asio = boost::asio;
using boost::system::error_code;

class session : public std::enable_shared_from_this<session>
{
public:
  explicit session(transport::socket socket) : socket_(std::move(socket)) {}

  void read()
  {
    asio::async_read_until(socket_, asio::dynamic_buffer(text_, 65536), '\n',
      [self = shared_from_this()](const error_code& error, std::size_t length)
      {
        if (!error)
          self->answer(length);
      });
  }

private:
  void answer(std::size_t length)
  {
    answer_ = text_.substr(0, length);
    text_.erase(0, length);
    for (char& c : answer_)
      c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    asio::async_write(socket_, asio::buffer(answer_),
      [self = shared_from_this()](const error_code& error, std::size_t)
      {
        if (!error)
          self->read();
      });
  }

  transport::socket socket_;
  std::string text_;
  std::string answer_;
};

void accept(transport::acceptor& acceptor)
{
  acceptor.async_accept(
    [&acceptor](const error_code& error, transport::socket socket)
    {
      if (error)
        throw boost::system::system_error(error, "accept");
      std::make_shared<session>(std::move(socket))->read();
      accept(acceptor);
    });
}

int main(int argc, char* argv[])
{
  try
  {
    if (argc != 2)
    {
      std::cerr << "usage: " << argv[0] << " <endpoint>\n";
      return 2;
    }

    asio::io_context io;
    asio::signal_set signals(io, SIGINT, SIGTERM);
    signals.async_wait([&io](const error_code&, int) { io.stop(); });

    transport::acceptor acceptor(io, parse_endpoint(argv[1]));
    accept(acceptor);
    std::cout << "listening on " << acceptor.local_endpoint() << std::endl;
    io.run();
  }
  catch (const std::exception& e)
  {
    std::cerr << "upper_server: " << e.what() << '\n';
    return 1;
  }
}
