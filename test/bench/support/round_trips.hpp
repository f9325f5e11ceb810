// SPDX-License-Identifier: BSL-1.0
// The client's side of an echo: one message after the other, each timed.
#ifndef ASIO_SHM_TEST_BENCH_SUPPORT_ROUND_TRIPS_HPP
#define ASIO_SHM_TEST_BENCH_SUPPORT_ROUND_TRIPS_HPP

#include "latency_histogram.hpp"
#include "program.hpp"
#include "transports.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace shm::bench {

/// Writes a message, then reads until it is back, by async_write and async_read. Those that start during the interval
/// count.
template <class Transport>
class round_trips
{
public:
  using socket = typename Transport::protocol::socket;
  using clock = std::chrono::steady_clock;

  round_trips(socket& connected, std::size_t size) : socket_(connected), sent_(size), received_(size) {}

  /// Returns at once; on_begin is called when the interval begins, on_end after the last round trip.
  void start(const interval& when, std::function<void()> on_begin, std::function<void()> on_end)
  {
    when_ = when;
    on_begin_ = std::move(on_begin);
    on_end_ = std::move(on_end);
    ping();
  }

  const latency_histogram& times() const { return times_; }

private:
  // More than this is not sure to fit into the buffers of both directions and of the server: then reading has to begin
  // while the message is still being written.
  static constexpr std::size_t fits_into_buffers = 64 * 1024;

  void ping()
  {
    ++count_;
    std::memcpy(sent_.data(), &count_, std::min(sizeof count_, sent_.size())); // no two messages are the same
    const bool at_once = sent_.size() > fits_into_buffers;
    unfinished_ = 2;
    start_ = clock::now();
    boost::asio::async_write(socket_, boost::asio::buffer(sent_),
      [this, at_once](const boost::system::error_code& error, std::size_t)
      {
        check(error, "write");
        finished_one();
        if (!at_once)
          receive();
      });
    if (at_once)
      receive();
  }

  void receive()
  {
    boost::asio::async_read(socket_, boost::asio::buffer(received_),
      [this](const boost::system::error_code& error, std::size_t)
      {
        check(error, "read");
        finished_one();
      });
  }

  void finished_one()
  {
    if (--unfinished_ != 0)
      return;
    const clock::time_point now = clock::now();
    if (std::memcmp(received_.data(), sent_.data(), std::min(sizeof count_, sent_.size())) != 0)
      throw std::runtime_error("a message came back changed");
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
  std::vector<char> sent_;
  std::vector<char> received_;
  interval when_;
  std::function<void()> on_begin_;
  std::function<void()> on_end_;
  latency_histogram times_;
  std::uint64_t count_ = 0;
  int unfinished_ = 0;
  clock::time_point start_;
};

} // namespace shm::bench

#endif
