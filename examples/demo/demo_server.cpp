// SPDX-License-Identifier: BSL-1.0
// The demo's echo server: one template, run over TCP, AF_UNIX or shared memory.

#include "transport.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/write.hpp>

#include <csignal>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using boost::system::error_code;

// One client: reads what there is, writes all of it back, reads again.
template <class Protocol>
class session : public std::enable_shared_from_this<session<Protocol>>
{
public:
  explicit session(typename Protocol::socket socket) : socket_(std::move(socket)) { set_no_delay(socket_); }

  void read()
  {
    socket_.async_read_some(asio::buffer(data_),
      [self = this->shared_from_this()](const error_code& error, std::size_t length)
      {
        if (!error)
          self->write(length);
      });
  }

private:
  void write(std::size_t length)
  {
    asio::async_write(socket_, asio::buffer(data_, length),
      [self = this->shared_from_this()](const error_code& error, std::size_t)
      {
        if (!error)
          self->read();
      });
  }

  typename Protocol::socket socket_;
  std::vector<char> data_ = std::vector<char>(256 * 1024);
};

template <class Protocol>
class server
{
public:
  server(asio::io_context& io, const typename Protocol::endpoint& endpoint) : acceptor_(io, endpoint) { accept(); }

  typename Protocol::endpoint endpoint() const { return acceptor_.local_endpoint(); }

private:
  void accept()
  {
    acceptor_.async_accept(
      [this](const error_code& error, typename Protocol::socket socket)
      {
        if (error)
          throw boost::system::system_error(error, "accept");
        std::make_shared<session<Protocol>>(std::move(socket))->read();
        accept();
      });
  }

  typename Protocol::acceptor acceptor_;
};

template <class Protocol>
void run(const std::string& endpoint)
{
  asio::io_context io;
  asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&io](const error_code&, int) { io.stop(); });

  server<Protocol> echo(io, parse_endpoint<Protocol>(endpoint));
  std::cout << "listening on " << echo.endpoint() << std::endl;
  io.run();

  if constexpr (is_unix<Protocol>)
    std::remove(endpoint.c_str());
}

int main(int argc, char* argv[])
{
  try
  {
    if (argc != 3)
    {
      std::cerr << "usage: " << argv[0] << " tcp|shm <address>:<port>   (port 0: any free port)\n"
                << "       " << argv[0] << " unix <path>\n";
      return 2;
    }
    with_transport(argv[1], [argv](auto chosen) { run<typename decltype(chosen)::protocol>(argv[2]); });
  }
  catch (const std::exception& e)
  {
    std::cerr << "demo_server: " << e.what() << '\n';
    return 1;
  }
}
