// SPDX-License-Identifier: BSL-1.0
// Much data between two processes, back and forth, every byte checked.

#define BOOST_TEST_MODULE processes
#include "socket_test.hpp"

#include "echo_session.hpp"
#include "server_process.hpp"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

using namespace shm::test;

namespace {

using base = asio::socket_base;

/// A client that writes a pattern and checks the echo, both at the same time.
template <class Socket>
struct echo_client
{
  static constexpr std::uint64_t total = 50'000'017;

  explicit echo_client(Socket s) : socket(std::move(s)) {}

  Socket socket;
  pattern bytes{11};
  std::vector<unsigned char> out = std::vector<unsigned char>(99'991);
  std::vector<unsigned char> in = std::vector<unsigned char>(70'001);
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  bool intact = true;
  error_code read_result;
  error_code write_result;

  void write()
  {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), total - sent));
    bytes.fill(out.data(), size, sent);
    asio::async_write(socket, asio::buffer(out.data(), size),
        [this](error_code ec, std::size_t n)
        {
          sent += n;
          write_result = ec;
          if (!ec && sent != total)
            write();
          else
            socket.shutdown(base::shutdown_send, ec);
        });
  }

  void read()
  {
    socket.async_read_some(asio::buffer(in),
        [this](error_code ec, std::size_t n)
        {
          intact = intact && bytes.matches(in.data(), n, received);
          received += n;
          read_result = ec;
          if (!ec)
            read();
        });
  }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(processes, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(echo_of_50_megabytes, Protocol, transports)
{
  using socket_type = typename Protocol::socket;
  for (const int threads : {1, 4})
  {
    child_process server(server_process<Protocol>(
        [threads](asio::io_context& context, socket_type& socket, channel&)
        {
          std::make_shared<echo_session<socket_type>>(std::move(socket))->start();
          run_with_threads(context, threads);
          return 0;
        }));
    const auto endpoint = receive_endpoint<Protocol>(server.peer());
    asio::io_context context;
    // With several threads the strand keeps the client's own state in order.
    echo_client<socket_type> client(socket_type(asio::make_strand(context)));
    client.socket.connect(endpoint);
    client.write();
    client.read();
    run_with_threads(context, threads);
    BOOST_TEST(!client.write_result);
    BOOST_TEST(client.read_result == error::eof);
    BOOST_TEST(client.received == client.total);
    BOOST_TEST(client.intact);
    BOOST_TEST(server.wait() == 0);
  }
}

BOOST_AUTO_TEST_SUITE_END()
