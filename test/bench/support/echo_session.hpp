// SPDX-License-Identifier: BSL-1.0
// The server's side of a connection on which what comes is sent back.
#ifndef ASIO_SHM_TEST_BENCH_SUPPORT_ECHO_SESSION_HPP
#define ASIO_SHM_TEST_BENCH_SUPPORT_ECHO_SESSION_HPP

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace shm::bench {

/// One client of an echo server. The size of the buffer limits what is sent back at once.
template <class Transport>
class echo_session : public std::enable_shared_from_this<echo_session<Transport>>
{
public:
  using socket = typename Transport::protocol::socket;

  echo_session(socket client, std::size_t buffer_size) : socket_(std::move(client)), data_(buffer_size)
  {
    Transport::configure(socket_);
  }

  void start() { read(); }

private:
  void read()
  {
    socket_.async_read_some(boost::asio::buffer(data_),
      [self = this->shared_from_this()](const boost::system::error_code& error, std::size_t length)
      {
        if (!error)
          self->write(length);
      });
  }

  void write(std::size_t length)
  {
    boost::asio::async_write(socket_, boost::asio::buffer(data_, length),
      [self = this->shared_from_this()](const boost::system::error_code& error, std::size_t)
      {
        if (!error)
          self->read();
      });
  }

  socket socket_;
  std::vector<char> data_;
};

} // namespace shm::bench

#endif
