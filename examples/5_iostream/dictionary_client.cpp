// SPDX-License-Identifier: BSL-1.0
// Dictionary client: sends each line of its input to the server and prints what comes back.

#include <chrono>
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

int main(int argc, char* argv[])
{
  if (argc != 3)
  {
    std::cerr << "usage: " << argv[0] << " <host> <port>\n";
    return 2;
  }

  tcp::iostream server;
  server.expires_after(std::chrono::seconds(10));
  server.connect(std::string(argv[1]), std::string(argv[2]));

  std::string request, answer;
  while (server && std::getline(std::cin, request))
  {
    server.expires_after(std::chrono::seconds(10));
    server << request + '\n'; // one write: the stream sends after each <<
    if (std::getline(server, answer))
      std::cout << answer << '\n';
  }

  if (!server)
  {
    std::cerr << "dictionary_client: " << server.error().message() << '\n';
    return 1;
  }
}
