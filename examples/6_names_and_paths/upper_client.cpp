// SPDX-License-Identifier: BSL-1.0
// Sends each line of its input to the server at an endpoint and prints the answer.

#include "transport.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include <exception>
#include <iostream>
#include <string>

namespace asio = boost::asio;

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
    transport::socket socket(io);
    socket.connect(parse_endpoint(argv[1]));

    std::string line, answer;
    while (std::getline(std::cin, line))
    {
      asio::write(socket, asio::buffer(line + '\n'));
      const auto length = asio::read_until(socket, asio::dynamic_buffer(answer), '\n');
      std::cout << answer.substr(0, length);
      answer.erase(0, length);
    }
  }
  catch (const std::exception& e)
  {
    std::cerr << "upper_client: " << e.what() << '\n';
    return 1;
  }
}
