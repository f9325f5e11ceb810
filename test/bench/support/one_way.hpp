// SPDX-License-Identifier: BSL-1.0
// Bytes from a client to a server, as fast as they go.
#ifndef ASIO_SHM_TEST_BENCH_SUPPORT_ONE_WAY_HPP
#define ASIO_SHM_TEST_BENCH_SUPPORT_ONE_WAY_HPP

#include "cpu_time.hpp"
#include "in_place_one_way.hpp"
#include "program.hpp"
#include "throughput_meter.hpp"
#include "two_processes.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/write.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include <unistd.h>

namespace shm::bench {

/// Writes by async_write, one after the other, until the reader has closed its side.
template <class Transport>
class copying_writer
{
public:
  using socket = typename Transport::protocol::socket;

  copying_writer(socket& connected, std::size_t size) : socket_(connected), data_(size, 'x') {}

  void start()
  {
    boost::asio::async_write(socket_, boost::asio::buffer(data_),
      [this](const boost::system::error_code& error, std::size_t)
      {
        if (!error)
          start();
      });
  }

private:
  socket& socket_;
  std::vector<char> data_;
};

/// Reads by async_read_some, then closes the socket.
template <class Transport>
class copying_reader
{
public:
  using socket = typename Transport::protocol::socket;

  copying_reader(socket& connected, std::size_t buffer_size, throughput_meter& meter)
    : socket_(connected), data_(buffer_size), meter_(meter)
  {
  }

  void start()
  {
    socket_.async_read_some(boost::asio::buffer(data_),
      [this](const boost::system::error_code& error, std::size_t length)
      {
        check(error, "read");
        if (meter_.add(length))
          start();
        else
          socket_.close();
      });
  }

private:
  socket& socket_;
  std::vector<char> data_;
  throughput_meter& meter_;
};

/// Measures where the bytes arrive. The sizes are those of each write and of the reader's buffer, which reading in
/// place does not need.
template <class Transport>
throughput measure_one_way(std::size_t write_size, std::size_t read_size, const interval& when)
{
  using writer = std::conditional_t<Transport::zero_copy, in_place_writer<Transport>, copying_writer<Transport>>;
  using reader = std::conditional_t<Transport::zero_copy, in_place_reader<Transport>, copying_reader<Transport>>;

  child_process server(
    [read_size, when, client_id = ::getpid()](channel& client)
    {
      boost::asio::io_context io;
      Transport::configure(io);
      auto socket = accept_one<Transport>(io, client);
      throughput_meter meter(when, cpu_meter(client_id, ::getpid()));
      reader reading(socket, read_size, meter);
      reading.start();
      Transport::run(io);
      client.send(meter.result());
      return 0;
    });
  boost::asio::io_context io;
  Transport::configure(io);
  auto socket = connect_one<Transport>(io, server.peer());
  writer writing(socket, write_size);
  writing.start();
  Transport::run(io);
  const auto result = server.peer().template receive<throughput>();
  expect_success(server);
  return result;
}

} // namespace shm::bench

#endif
