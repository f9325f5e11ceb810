// SPDX-License-Identifier: BSL-1.0
// Beast's HTTP over keep-alive connections: requests per second and the latency of each.

#include "support/accepting_server.hpp"
#include "support/latency_histogram.hpp"
#include "support/measured_window.hpp"
#include "support/program.hpp"
#include "support/two_processes.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using namespace shm::bench;
using stopwatch = std::chrono::steady_clock;

// Answers each request with a text of so many bytes until the client ends the connection.
template <class Transport>
class http_session : public std::enable_shared_from_this<http_session<Transport>>
{
public:
  using protocol = typename Transport::protocol;

  http_session(typename protocol::socket client, std::size_t body_size)
    : stream_(std::move(client)), body_(body_size, 'x')
  {
    Transport::configure(stream_.socket());
  }

  void start()
  {
    request_ = {};
    http::async_read(stream_, buffer_, request_,
      [self = this->shared_from_this()](const error_code& error, std::size_t)
      {
        if (!error)
          self->respond();
      });
  }

private:
  void respond()
  {
    response_ = http::response<http::string_body>(http::status::ok, request_.version(), body_);
    response_.set(http::field::server, "asio_shm");
    response_.set(http::field::content_type, "text/plain");
    response_.keep_alive(request_.keep_alive());
    response_.prepare_payload();
    http::async_write(stream_, response_,
      [self = this->shared_from_this()](const error_code& error, std::size_t)
      {
        if (!error && self->response_.keep_alive())
          self->start();
      });
  }

  beast::basic_stream<protocol> stream_;
  beast::flat_buffer buffer_;
  std::string body_;
  http::request<http::string_body> request_;
  http::response<http::string_body> response_;
};

// What all clients of a measurement share.
struct measurement
{
  bool open = false; // after the warm-up
  std::size_t body_size = 0;
  latency_histogram times;
};

// One request after the other over one connection.
template <class Transport>
class http_client
{
public:
  using protocol = typename Transport::protocol;

  http_client(asio::io_context& io, const typename protocol::endpoint& server, measurement& result)
    : stream_(io), request_(http::verb::get, "/", 11), result_(result)
  {
    request_.set(http::field::host, "localhost");
    request_.set(http::field::user_agent, "asio_shm");
    stream_.async_connect(server,
      [this](const error_code& error)
      {
        check(error, "connect");
        Transport::configure(stream_.socket());
        request();
      });
  }

private:
  void request()
  {
    start_ = stopwatch::now();
    http::async_write(stream_, request_,
      [this](const error_code& error, std::size_t)
      {
        check(error, "write");
        receive();
      });
  }

  void receive()
  {
    response_ = {};
    http::async_read(stream_, buffer_, response_,
      [this](const error_code& error, std::size_t)
      {
        check(error, "read");
        if (response_.result() != http::status::ok || response_.body().size() != result_.body_size)
          throw std::runtime_error("not the response that was asked for");
        if (result_.open)
          result_.times.add(stopwatch::now() - start_);
        request();
      });
  }

  beast::basic_stream<protocol> stream_;
  beast::flat_buffer buffer_;
  http::request<http::empty_body> request_;
  http::response<http::string_body> response_;
  measurement& result_;
  stopwatch::time_point start_;
};

template <class Transport>
void measure(std::size_t connections, std::size_t body_size, double seconds, report& result)
{
  child_process server(
    [body_size](channel& client) { return serve<Transport, http_session<Transport>>(client, body_size); });
  const auto endpoint = receive_endpoint<typename Transport::protocol>(server.peer());

  asio::io_context io;
  Transport::configure(io);
  measurement shared;
  shared.body_size = body_size;
  std::vector<std::unique_ptr<http_client<Transport>>> clients;
  for (std::size_t i = 0; i < connections; ++i)
    clients.push_back(std::make_unique<http_client<Transport>>(io, endpoint, shared));
  const measured_window window(io, server.id(), seconds, [&shared] { shared.open = true; });
  Transport::run(io);
  end(server);

  result.add(shared.times);
  result.figures["requests_per_second"] = window.per_second(static_cast<double>(shared.times.count()));
  result.cpu = window.cpu();
}

int main(int argc, char* argv[])
{
  std::size_t connections = 64;
  std::size_t body_size = 64;
  program bench("http", "GET requests to Beast's HTTP server, one after the other on each keep-alive connection");
  bench.option("connections", connections, "clients, all in one thread");
  bench.option("body", body_size, "bytes in the body of a response");
  return bench.run(argc, argv,
    [&](report& result)
    {
      with_transport(transports(), bench.transport(),
        [&](auto transport) { measure<decltype(transport)>(connections, body_size, bench.seconds(), result); });
    });
}
