// SPDX-License-Identifier: BSL-1.0
// Connections per second: connect and close, and connect, request, response and close.

#include "support/accepting_server.hpp"
#include "support/latency_histogram.hpp"
#include "support/measured_window.hpp"
#include "support/program.hpp"
#include "support/two_processes.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using boost::system::error_code;
using namespace shm::bench;
using stopwatch = std::chrono::steady_clock;

using message = std::array<char, 64>;

enum class mode
{
  connect, // the server ends the connection; the client that sees the end knows that both sides have had it
  request, // the client ends it after the response
};

// The server's side of either pattern.
template <class Transport>
class short_session : public std::enable_shared_from_this<short_session<Transport>>
{
public:
  short_session(typename Transport::protocol::socket client, mode what) : socket_(std::move(client))
  {
    if (what == mode::connect)
      socket_.close();
    else
      Transport::configure(socket_);
  }

  void start()
  {
    if (!socket_.is_open())
      return;
    asio::async_read(socket_, asio::buffer(request_),
      [self = this->shared_from_this()](const error_code& error, std::size_t)
      {
        if (!error)
          self->respond();
      });
  }

private:
  void respond()
  {
    asio::async_write(socket_, asio::buffer(request_),
      [self = this->shared_from_this()](const error_code& error, std::size_t)
      {
        if (!error)
          self->wait_for_end();
      });
  }

  void wait_for_end()
  {
    socket_.async_read_some(
      asio::buffer(request_), [self = this->shared_from_this()](const error_code&, std::size_t) {});
  }

  typename Transport::protocol::socket socket_;
  message request_{};
};

// What all connectors of a measurement share.
struct measurement
{
  bool open = false; // after the warm-up
  latency_histogram times; // of a whole connection, as the client sees it
};

// One connection after the other.
template <class Transport>
class connector
{
public:
  using protocol = typename Transport::protocol;

  connector(asio::io_context& io, const typename protocol::endpoint& server, mode what, measurement& result)
    : socket_(io), server_(server), what_(what), result_(result)
  {
    connect();
  }

private:
  void connect()
  {
    start_ = stopwatch::now();
    socket_.async_connect(next_address(),
      [this](const error_code& error)
      {
        check(error, "connect");
        Transport::configure(socket_);
        if (what_ == mode::request)
          request();
        else
          wait_for_end();
      });
  }

  // A client that closes first keeps a TCP port for a minute. With more addresses there are more pairs of ports.
  typename protocol::endpoint next_address()
  {
    if constexpr (std::is_same_v<protocol, asio::ip::tcp>)
    {
      const unsigned last = ++count_ % 16;
      return {asio::ip::address_v4(asio::ip::address_v4::loopback().to_uint() + last), server_.port()};
    }
    else
      return server_;
  }

  void request()
  {
    asio::async_write(socket_, asio::buffer(message_),
      [this](const error_code& error, std::size_t)
      {
        check(error, "write");
        asio::async_read(socket_, asio::buffer(message_),
          [this](const error_code& failure, std::size_t)
          {
            check(failure, "read");
            close();
          });
      });
  }

  void wait_for_end()
  {
    socket_.async_read_some(asio::buffer(message_),
      [this](const error_code& error, std::size_t)
      {
        if (error != asio::error::eof)
          check(error ? error : asio::error::message_size, "end of the connection");
        close();
      });
  }

  void close()
  {
    socket_.close();
    if (result_.open)
      result_.times.add(stopwatch::now() - start_);
    connect();
  }

  typename protocol::socket socket_;
  typename protocol::endpoint server_;
  mode what_;
  measurement& result_;
  stopwatch::time_point start_;
  unsigned count_ = 0;
  message message_{};
};

template <class Transport>
typename Transport::protocol::endpoint endpoint_for_all_addresses()
{
  if constexpr (std::is_same_v<typename Transport::protocol, asio::ip::tcp>)
    return {asio::ip::address_v4::any(), 0};
  else
    return Transport::fresh_endpoint();
}

template <class Transport>
void measure(mode what, std::size_t clients, double seconds, report& result)
{
  child_process server(
    [what](channel& client)
    { return serve<Transport, short_session<Transport>>(client, what, endpoint_for_all_addresses<Transport>()); });
  const auto endpoint = receive_endpoint<typename Transport::protocol>(server.peer());

  asio::io_context io;
  Transport::configure(io);
  measurement shared;
  std::vector<std::unique_ptr<connector<Transport>>> connectors;
  for (std::size_t i = 0; i < clients; ++i)
    connectors.push_back(std::make_unique<connector<Transport>>(io, endpoint, what, shared));
  const measured_window window(io, server.id(), seconds, [&shared] { shared.open = true; });
  Transport::run(io);
  end(server);

  result.add(shared.times);
  result.figures["connections_per_second"] = window.per_second(static_cast<double>(shared.times.count()));
  result.cpu = window.cpu();
}

int main(int argc, char* argv[])
{
  std::string what = "request";
  std::size_t clients = 1;
  program bench("connections", "Connections one after the other, each of them new");
  bench.option("mode", what,
    "connect: the server closes at once, then the client; request: a request and a response of 64 bytes, then the "
    "client closes");
  bench.option("clients", clients, "how many do that at the same time, in one thread");
  return bench.run(argc, argv,
    [&](report& result)
    {
      if (what != "connect" && what != "request")
        throw std::invalid_argument("mode: connect or request");
      with_transport(transports(), bench.transport(),
        [&](auto transport)
        {
          measure<decltype(transport)>(
            what == "connect" ? mode::connect : mode::request, clients, bench.seconds(), result);
        });
    });
}
