// SPDX-License-Identifier: BSL-1.0
// A stream whose bytes are produced and used in the memory of the connection.
//
// The writer fills every byte and the reader adds up all of them. The programs that copy do neither: their bytes are
// never produced nor looked at. So what is measured here is more than moving data, and the comparison is fair to them.
#ifndef ASIO_SHM_TEST_BENCH_SUPPORT_IN_PLACE_ONE_WAY_HPP
#define ASIO_SHM_TEST_BENCH_SUPPORT_IN_PLACE_ONE_WAY_HPP

#include "throughput_meter.hpp"
#include "transports.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <shm/zero_copy.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace shm::bench {

/// Fills messages of one size, until the reader has closed its side.
template <class Transport>
class in_place_writer
{
public:
  using socket = typename Transport::protocol::socket;

  in_place_writer(socket& connected, std::size_t size) : socket_(connected), size_(size), rest_(size) {}

  void start()
  {
    for (;;)
    {
      boost::system::error_code error;
      const boost::asio::mutable_buffer space = prepare(socket_, rest_, error);
      if (error == boost::asio::error::would_block)
        return wait();
      if (error)
        return;
      std::memset(space.data(), fill_++, space.size());
      commit(socket_, space.size(), error);
      if (error)
        return;
      rest_ -= space.size();
      if (rest_ == 0)
        rest_ = size_;
    }
  }

private:
  void wait()
  {
    socket_.async_wait(socket::wait_write,
      [this](const boost::system::error_code& error)
      {
        if (!error)
          start();
      });
  }

  socket& socket_;
  const std::size_t size_;
  std::size_t rest_; // of the message
  unsigned char fill_ = 0;
};

/// Adds up what comes, then closes the socket.
template <class Transport>
class in_place_reader
{
public:
  using socket = typename Transport::protocol::socket;

  in_place_reader(socket& connected, std::size_t, throughput_meter& meter) : socket_(connected), meter_(meter) {}

  void start()
  {
    socket_.async_wait(socket::wait_read,
      [this](const boost::system::error_code& error)
      {
        check(error, "wait for data");
        read();
      });
  }

private:
  void read()
  {
    for (;;)
    {
      boost::system::error_code error;
      const boost::asio::const_buffer received = data(socket_, error);
      if (error == boost::asio::error::would_block)
        return start();
      check(error, "data");
      add_up(static_cast<const unsigned char*>(received.data()), received.size());
      consume(socket_, received.size(), error);
      check(error, "consume");
      if (!meter_.add(received.size()))
      {
        socket_.close();
        return;
      }
    }
  }

  void add_up(const unsigned char* bytes, std::size_t length)
  {
    std::uint64_t sum = 0;
    std::uint64_t word = 0;
    for (; length >= sizeof word; bytes += sizeof word, length -= sizeof word)
    {
      std::memcpy(&word, bytes, sizeof word);
      sum += word;
    }
    for (; length != 0; ++bytes, --length)
      sum += *bytes;
    sum_ = sum;
  }

  socket& socket_;
  throughput_meter& meter_;
  volatile std::uint64_t sum_ = 0; // so that the compiler cannot leave out the reading
};

} // namespace shm::bench

#endif
