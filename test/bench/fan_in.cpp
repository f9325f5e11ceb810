// SPDX-License-Identifier: BSL-1.0
// Many clients of one server thread: messages per second, as requests with responses or one way.

#include "support/accepting_server.hpp"
#include "support/echo_session.hpp"
#include "support/latency_histogram.hpp"
#include "support/measured_window.hpp"
#include "support/program.hpp"
#include "support/two_processes.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/interprocess/anonymous_shared_memory.hpp>
#include <boost/interprocess/mapped_region.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using boost::system::error_code;
using namespace shm::bench;
using stopwatch = std::chrono::steady_clock;

// Written by the server alone, read by the other process at any time.
using byte_count = std::atomic<std::uint64_t>;

// Reads what comes and counts it.
template <class Transport>
class counting_session : public std::enable_shared_from_this<counting_session<Transport>>
{
public:
  counting_session(typename Transport::protocol::socket client, byte_count* received)
    : socket_(std::move(client)), received_(*received)
  {
    Transport::configure(socket_);
  }

  void start()
  {
    socket_.async_read_some(asio::buffer(data_),
      [self = this->shared_from_this()](const error_code& error, std::size_t length)
      {
        self->received_.store(self->received_.load(std::memory_order_relaxed) + length, std::memory_order_relaxed);
        if (!error)
          self->start();
      });
  }

private:
  typename Transport::protocol::socket socket_;
  byte_count& received_;
  std::vector<char> data_ = std::vector<char>(64 * 1024);
};

// What all clients of a measurement share.
struct measurement
{
  std::size_t message_size = 0;
  bool one_way = false;
  bool open = false; // after the warm-up
  latency_histogram times; // of requests
};

// One message after the other: the next one follows the response, or, one way, the completion of its write.
template <class Transport>
class fan_in_client
{
public:
  using protocol = typename Transport::protocol;

  fan_in_client(asio::io_context& io, const typename protocol::endpoint& server, measurement& result)
    : socket_(io), result_(result), message_(result.message_size, 'x')
  {
    socket_.async_connect(server,
      [this](const error_code& error)
      {
        check(error, "connect");
        Transport::configure(socket_);
        send();
      });
  }

private:
  void send()
  {
    start_ = stopwatch::now();
    asio::async_write(socket_, asio::buffer(message_),
      [this](const error_code& error, std::size_t)
      {
        check(error, "write");
        if (result_.one_way)
          send();
        else
          receive();
      });
  }

  void receive()
  {
    asio::async_read(socket_, asio::buffer(message_),
      [this](const error_code& error, std::size_t)
      {
        check(error, "read");
        if (result_.open)
          result_.times.add(stopwatch::now() - start_);
        send();
      });
  }

  typename protocol::socket socket_;
  measurement& result_;
  std::vector<char> message_;
  stopwatch::time_point start_;
};

template <class Transport>
void measure(std::size_t connections, std::size_t message_size, bool one_way, double seconds, report& result)
{
  const auto memory = boost::interprocess::anonymous_shared_memory(sizeof(byte_count));
  byte_count* const received = ::new (memory.get_address()) byte_count(0);
  child_process server(
    [=](channel& client)
    {
      if (one_way)
        return serve<Transport, counting_session<Transport>>(client, received);
      return serve<Transport, echo_session<Transport>>(client, message_size);
    });
  const auto endpoint = receive_endpoint<typename Transport::protocol>(server.peer());

  asio::io_context io;
  Transport::configure(io);
  measurement shared;
  shared.message_size = message_size;
  shared.one_way = one_way;
  std::vector<std::unique_ptr<fan_in_client<Transport>>> clients;
  for (std::size_t i = 0; i < connections; ++i)
    clients.push_back(std::make_unique<fan_in_client<Transport>>(io, endpoint, shared));
  std::uint64_t bytes = 0;
  const measured_window window(
    io, server.id(), seconds,
    [&]
    {
      shared.open = true;
      bytes = *received;
    },
    [&] { bytes = *received - bytes; });
  Transport::run(io);
  end(server);

  if (!one_way)
    result.add(shared.times);
  const std::uint64_t messages = one_way ? bytes / message_size : shared.times.count();
  result.figures["messages_per_second"] = window.per_second(static_cast<double>(messages));
  result.cpu = window.cpu();
}

int main(int argc, char* argv[])
{
  std::size_t clients = 64;
  std::size_t size = 64;
  std::string mode = "request";
  program bench("fan_in", "Clients in one thread send to a server with one thread, each over a connection of its own");
  bench.option("clients", clients, "how many");
  bench.option("size", size, "bytes in a message");
  bench.option("mode", mode, "request: each message is sent back before the next one; one_way: without answers");
  return bench.run(argc, argv,
    [&](report& result)
    {
      if (mode != "request" && mode != "one_way")
        throw std::invalid_argument("mode: request or one_way");
      if (clients == 0 || size == 0)
        throw std::invalid_argument("clients and size: at least 1");
      with_transport(transports(), bench.transport(),
        [&](auto transport)
        { measure<decltype(transport)>(clients, size, mode == "one_way", bench.seconds(), result); });
    });
}
