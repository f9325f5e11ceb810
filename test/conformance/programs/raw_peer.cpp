// SPDX-License-Identifier: BSL-1.0
// Standard input to a connection and the connection to standard output, over the transport that is named first.
#include <shm.hpp>

#include <boost/asio.hpp>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include <unistd.h>

namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// One direction: reads from one descriptor and writes to another until the end of the first.
template <typename Source, typename Destination, typename AtEnd>
class pump
{
public:
  pump(Source& source, Destination& destination, AtEnd at_end)
    : source_(source), destination_(destination), at_end_(at_end)
  {
  }

  void start()
  {
    source_.async_read_some(asio::buffer(data_), [this](const error_code& error, std::size_t size) {
      if (error)
        at_end_(error);
      else
        forward(size);
    });
  }

private:
  void forward(std::size_t size)
  {
    asio::async_write(destination_, asio::buffer(data_, size), [this](const error_code& error, std::size_t) {
      if (error)
        at_end_(error);
      else
        start();
    });
  }

  Source& source_;
  Destination& destination_;
  AtEnd at_end_;
  std::array<char, 65536> data_;
};

// Ends with 0 when both directions have ended by eof, otherwise with 3.
template <typename Socket>
int exchange(asio::io_context& context, Socket socket)
{
  asio::posix::stream_descriptor input(context, ::dup(STDIN_FILENO));
  asio::posix::stream_descriptor output(context, ::dup(STDOUT_FILENO));
  int status = 0;
  const auto failed = [&](const char* what, const error_code& error) {
    if (error == asio::error::eof)
      return false;
    std::cerr << what << ": " << error.message() << std::endl;
    status = 3;
    context.stop();
    return true;
  };
  const auto sent = [&](const error_code& error) {
    error_code ignored;
    if (!failed("send", error))
      socket.shutdown(Socket::shutdown_send, ignored);
  };
  const auto received = [&](const error_code& error) {
    if (!failed("receive", error))
    {
      std::cerr << "eof" << std::endl;
      output.close();
      ::close(STDOUT_FILENO);
    }
  };
  pump<asio::posix::stream_descriptor, Socket, decltype(sent)> sending(input, socket, sent);
  pump<Socket, asio::posix::stream_descriptor, decltype(received)> receiving(socket, output, received);
  sending.start();
  receiving.start();
  context.run();
  return status;
}

template <typename Protocol>
int run(const std::string& role, const typename Protocol::endpoint& endpoint)
{
  asio::io_context context;
  typename Protocol::socket socket(context);
  if (role == "connect")
  {
    socket.connect(endpoint);
  }
  else
  {
    typename Protocol::acceptor acceptor(context, endpoint);
    acceptor.accept(socket);
  }
  std::cerr << "connected" << std::endl;
  return exchange(context, std::move(socket));
}

// An address and a port, or a path.
template <typename Protocol>
int run_at(const std::vector<std::string>& arguments)
{
  using endpoint = typename Protocol::endpoint;
  const auto port = static_cast<unsigned short>(std::atoi(arguments.at(3).c_str()));
  return run<Protocol>(arguments[1], endpoint(asio::ip::make_address(arguments[2]), port));
}

template <typename Protocol>
int run_at_path(const std::vector<std::string>& arguments)
{
  return run<Protocol>(arguments[1], typename Protocol::endpoint(arguments[2]));
}

} // namespace

int main(int count, char** values)
{
  const std::vector<std::string> arguments(values + 1, values + count);
  if (arguments.size() != 3 && arguments.size() != 4)
  {
    std::cerr << "usage: raw_peer tcp|local|shm connect|listen <address> <port> | <path>\n";
    return 2;
  }
  try
  {
    const bool by_path = arguments.size() == 3;
    if (arguments[0] == "tcp")
      return run_at<asio::ip::tcp>(arguments);
    if (arguments[0] == "local")
      return run_at_path<asio::local::stream_protocol>(arguments);
    return by_path ? run_at_path<shm::stream_protocol>(arguments) : run_at<shm::stream_protocol>(arguments);
  }
  catch (const std::exception& e)
  {
    std::cerr << e.what() << std::endl;
    return 4;
  }
}
