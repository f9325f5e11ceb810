// SPDX-License-Identifier: BSL-1.0
// A shared object that serves and connects; compiled once for each of the two.

#include "shared_object.hpp"

#include <shm.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <exception>
#include <string>
#include <thread>

namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = shm::stream_protocol;

/// Static, so that a context with descriptors and services is destroyed when the program exits or unloads the object.
struct server
{
  asio::io_context context;
  tcp::acceptor acceptor{context};
  tcp::socket socket{context};
  std::array<char, 4000> data{};
  long sent = 0;
  std::thread thread;

  void accept()
  {
    acceptor.async_accept(socket,
        [this](error_code ec)
        {
          if (!ec)
            receive();
        });
  }

  void receive()
  {
    socket.async_read_some(asio::buffer(data),
        [this](error_code ec, std::size_t n)
        {
          if (ec)
            return;
          asio::async_write(socket, asio::buffer(data.data(), n),
              [this](error_code result, std::size_t size)
              {
                sent += static_cast<long>(size);
                if (!result)
                  receive();
              });
        });
  }

  ~server()
  {
    context.stop();
    if (thread.joinable())
      thread.join();
  }
};

server& the_server()
{
  static server instance;
  return instance;
}

unsigned short start_server()
try
{
  server& s = the_server();
  s.acceptor = tcp::acceptor(s.context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  s.sent = 0;
  s.accept();
  s.context.restart();
  s.thread = std::thread([&s] { s.context.run(); });
  return s.acceptor.local_endpoint().port();
}
catch (const std::exception&)
{
  return 0;
}

long join_server()
try
{
  server& s = the_server();
  s.thread.join();
  s.socket.close();
  return s.sent;
}
catch (const std::exception&)
{
  return -1;
}

long ask(unsigned short port, long bytes)
try
{
  asio::io_context context;
  tcp::socket socket(context);
  socket.connect({asio::ip::address_v4::loopback(), port});
  const std::string sent(static_cast<std::size_t>(bytes), 'q');
  std::string got(sent.size(), '\0');
  asio::async_write(socket, asio::buffer(sent), [](error_code, std::size_t) {});
  asio::async_read(socket, asio::buffer(got), [](error_code, std::size_t) {});
  context.run();
  return got == sent ? bytes : -1;
}
catch (const std::exception&)
{
  return -1;
}

error_code corrupted()
{
  return shm::error::corrupted;
}

void fail_to_connect()
{
  asio::io_context context;
  tcp::socket(context).connect({asio::ip::address_v4::loopback(), 1});
}

} // namespace

#define NAME_OF(object) object##_shared_object
#define FUNCTION_NAME(object) NAME_OF(object)

extern "C" __attribute__((visibility("default"))) const shared_object* FUNCTION_NAME(SHARED_OBJECT_NAME)()
{
  static const shared_object functions = {start_server, join_server, ask, corrupted, fail_to_connect};
  return &functions;
}
