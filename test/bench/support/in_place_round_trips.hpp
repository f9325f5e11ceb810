// SPDX-License-Identifier: BSL-1.0
// An echo and its client that produce and look at each message in the memory of the connection.
#ifndef ASIO_SHM_TEST_BENCH_SUPPORT_IN_PLACE_ROUND_TRIPS_HPP
#define ASIO_SHM_TEST_BENCH_SUPPORT_IN_PLACE_ROUND_TRIPS_HPP

#include "latency_histogram.hpp"
#include "program.hpp"
#include "transports.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <shm/zero_copy.hpp>

#include <chrono>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <utility>

namespace shm::bench {

/// Sends back what comes, from the memory of one direction to that of the other.
template <class Transport>
class in_place_echo : public std::enable_shared_from_this<in_place_echo<Transport>>
{
public:
  using socket = typename Transport::protocol::socket;

  explicit in_place_echo(socket client) : socket_(std::move(client)) {}

  void start() { wait(socket::wait_read); }

private:
  void wait(typename socket::wait_type what)
  {
    socket_.async_wait(what,
      [self = this->shared_from_this()](const boost::system::error_code& error)
      {
        if (!error)
          self->copy();
      });
  }

  void copy()
  {
    for (;;)
    {
      boost::system::error_code error;
      const boost::asio::const_buffer received = data(socket_, error);
      if (error == boost::asio::error::would_block)
        return wait(socket::wait_read);
      if (error)
        return;
      const boost::asio::mutable_buffer space = prepare(socket_, received.size(), error);
      if (error == boost::asio::error::would_block)
        return wait(socket::wait_write);
      if (error)
        return;
      const std::size_t length = boost::asio::buffer_copy(space, received);
      commit(socket_, length, error);
      consume(socket_, length, error);
    }
  }

  socket socket_;
};

/// Does what round_trips does. A message is filled in place and comes back unchanged, as its first and last byte show.
template <class Transport>
class in_place_round_trips
{
public:
  using socket = typename Transport::protocol::socket;
  using clock = std::chrono::steady_clock;

  in_place_round_trips(socket& connected, std::size_t size) : socket_(connected), size_(size) {}

  void start(const interval& when, std::function<void()> on_begin, std::function<void()> on_end)
  {
    when_ = when;
    on_begin_ = std::move(on_begin);
    on_end_ = std::move(on_end);
    ping();
  }

  const latency_histogram& times() const { return times_; }

private:
  void ping()
  {
    ++fill_;
    to_send_ = size_;
    to_receive_ = size_;
    start_ = clock::now();
    send();
    wait_to_receive();
  }

  void send()
  {
    while (to_send_ != 0)
    {
      boost::system::error_code error;
      const boost::asio::mutable_buffer space = prepare(socket_, to_send_, error);
      if (error == boost::asio::error::would_block)
      {
        socket_.async_wait(socket::wait_write,
          [this](const boost::system::error_code& failed)
          {
            check(failed, "wait for space");
            send();
          });
        return;
      }
      check(error, "prepare");
      std::memset(space.data(), fill_, space.size());
      commit(socket_, space.size(), error);
      check(error, "commit");
      to_send_ -= space.size();
    }
  }

  void wait_to_receive()
  {
    socket_.async_wait(socket::wait_read,
      [this](const boost::system::error_code& failed)
      {
        check(failed, "wait for data");
        receive();
      });
  }

  void receive()
  {
    while (to_receive_ != 0)
    {
      boost::system::error_code error;
      const boost::asio::const_buffer received = data(socket_, error);
      if (error == boost::asio::error::would_block)
        return wait_to_receive();
      check(error, "data");
      const auto* bytes = static_cast<const unsigned char*>(received.data());
      if (received.size() > to_receive_ || bytes[0] != fill_ || bytes[received.size() - 1] != fill_)
        throw std::runtime_error("a message came back changed");
      consume(socket_, received.size(), error);
      check(error, "consume");
      to_receive_ -= received.size();
    }
    finished();
  }

  void finished()
  {
    const clock::time_point now = clock::now();
    if (start_ >= when_.begin)
    {
      times_.add(now - start_);
      if (on_begin_)
        std::exchange(on_begin_, nullptr)();
    }
    if (now < when_.end)
      ping();
    else
      on_end_();
  }

  socket& socket_;
  const std::size_t size_;
  interval when_;
  std::function<void()> on_begin_;
  std::function<void()> on_end_;
  latency_histogram times_;
  clock::time_point start_;
  std::size_t to_send_ = 0;
  std::size_t to_receive_ = 0;
  unsigned char fill_ = 0;
};

} // namespace shm::bench

#endif
