// SPDX-License-Identifier: BSL-1.0
// The smallest user of the package: one context echoes a message to itself through shared memory.
#include <shm/stream_protocol.hpp>

#include <boost/asio.hpp>

#include <array>
#include <cstddef>
#include <iostream>
#include <string>

using tcp = shm::stream_protocol;

int main()
{
  const std::string message = "hello through shared memory";
  std::array<char, 64> request{};
  std::string reply(message.size(), '\0');
  bool echoed = false;

  boost::asio::io_context context;
  tcp::acceptor acceptor(context, {tcp::v4(), 0});
  tcp::socket client(context);
  tcp::socket server(context);

  // An error leaves the chain: echoed stays false.
  acceptor.async_accept(server,
      [&](boost::system::error_code ec)
      {
        if (ec)
          return;
        boost::asio::async_read(server, boost::asio::buffer(request.data(), message.size()),
            [&](boost::system::error_code read_error, std::size_t size)
            {
              if (!read_error)
                boost::asio::async_write(
                    server, boost::asio::buffer(request.data(), size), [](boost::system::error_code, std::size_t) {});
            });
      });
  client.async_connect({boost::asio::ip::address_v4::loopback(), acceptor.local_endpoint().port()},
      [&](boost::system::error_code ec)
      {
        if (ec)
          return;
        boost::asio::async_write(client, boost::asio::buffer(message),
            [&](boost::system::error_code write_error, std::size_t)
            {
              if (write_error)
                return;
              boost::asio::async_read(client, boost::asio::buffer(reply),
                  [&](boost::system::error_code read_error, std::size_t) { echoed = !read_error && reply == message; });
            });
      });
  context.run();

  std::cout << (echoed ? "echoed" : "no echo") << '\n';
  return echoed ? 0 : 1;
}
