// SPDX-License-Identifier: BSL-1.0
// A connection on which nothing happens but a request now and then.
#ifndef ASIO_SHM_TEST_BENCH_SUPPORT_IDLE_CLIENT_HPP
#define ASIO_SHM_TEST_BENCH_SUPPORT_IDLE_CLIENT_HPP

#include "transports.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/error_code.hpp>
#include <shm/doorbell.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <type_traits>
#include <utility>

namespace shm::bench {

template <class Transport>
constexpr bool is_shm = std::is_same_v<typename Transport::protocol, stream_protocol>;

/// A client that always waits for what the server may send.
template <class Transport>
class idle_client
{
public:
  using protocol = typename Transport::protocol;
  static constexpr std::size_t message_size = 64;
  using served = std::function<void(std::chrono::steady_clock::duration)>;

  explicit idle_client(boost::asio::io_context& io) : socket_(io) {}

  /// With a request and its response, as on a connection that is used now and then.
  void connect(const typename protocol::endpoint& server, bool socket_doorbell, const served& handler)
  {
    socket_.open(server.protocol());
    if constexpr (is_shm<Transport>)
      socket_.set_option(shm::socket_doorbell(socket_doorbell));
    socket_.async_connect(server,
      [this, handler](const boost::system::error_code& error)
      {
        check(error, "connect");
        Transport::configure(socket_);
        receive();
        request(handler);
      });
  }

  /// The handler gets the time from here to the response.
  void request(const served& handler)
  {
    served_ = handler;
    start_ = std::chrono::steady_clock::now();
    boost::asio::async_write(socket_, boost::asio::buffer(request_),
      [](const boost::system::error_code& error, std::size_t) { check(error, "write"); });
  }

private:
  void receive()
  {
    boost::asio::async_read(socket_, boost::asio::buffer(response_),
      [this](const boost::system::error_code& error, std::size_t)
      {
        const auto time = std::chrono::steady_clock::now() - start_;
        check(error, "read");
        receive();
        std::exchange(served_, nullptr)(time); // which may make the next request
      });
  }

  using message = std::array<char, message_size>;

  typename protocol::socket socket_;
  served served_;
  std::chrono::steady_clock::time_point start_;
  message request_{};
  message response_{};
};

} // namespace shm::bench

#endif
