// SPDX-License-Identifier: BSL-1.0
// Echo server: sends the bytes of every client back to it. Built twice, for TCP and for shared memory.

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/write.hpp>
#include <boost/lexical_cast.hpp>

#include <array>
#include <csignal>
#include <cstddef>
#include <exception>
#include <iostream>
#include <memory>
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
using boost::system::error_code;

// One client. Its pending operation owns it: when nothing is pending any more, the session and its socket are gone.
class session : public std::enable_shared_from_this<session>
{
public:
  explicit session(tcp::socket socket) : socket_(std::move(socket)) {}

  void read()
  {
    socket_.async_read_some(asio::buffer(data_),
      [self = shared_from_this()](const error_code& error, std::size_t length)
      {
        if (!error)
          self->write(length);
      });
  }

private:
  void write(std::size_t length)
  {
    asio::async_write(socket_, asio::buffer(data_, length),
      [self = shared_from_this()](const error_code& error, std::size_t)
      {
        if (!error)
          self->read();
      });
  }

  tcp::socket socket_;
  std::array<char, 4096> data_{};
};

class server
{
public:
  server(asio::io_context& io, unsigned short port) : acceptor_(io, tcp::endpoint(tcp::v4(), port)) { accept(); }

  unsigned short port() const { return acceptor_.local_endpoint().port(); }

private:
  void accept()
  {
    acceptor_.async_accept(
      [this](const error_code& error, tcp::socket socket)
      {
        if (error)
          throw boost::system::system_error(error, "accept");
        std::make_shared<session>(std::move(socket))->read();
        accept();
      });
  }

  tcp::acceptor acceptor_;
};

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
    signals.async_wait([&io](const error_code&, int) { io.stop(); });

    server echo(io, boost::lexical_cast<unsigned short>(argv[1]));
    std::cout << "listening on port " << echo.port() << std::endl;
    io.run();
  }
  catch (const std::exception& e)
  {
    std::cerr << "echo_server: " << e.what() << '\n';
    return 1;
  }
}
