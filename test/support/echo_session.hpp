// SPDX-License-Identifier: BSL-1.0
// The server's side of an echo.

#ifndef ASIO_SHM_TEST_SUPPORT_ECHO_SESSION_HPP
#define ASIO_SHM_TEST_SUPPORT_ECHO_SESSION_HPP

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace shm::test {

/// Sends back what comes until an error, eof among them. Its pending operation owns it, and it owns the socket.
template <class Socket>
class echo_session : public std::enable_shared_from_this<echo_session<Socket>>
{
public:
  explicit echo_session(Socket socket) : socket_(std::move(socket)) {}

  void start()
  {
    socket_.async_read_some(boost::asio::buffer(data_),
        [self = this->shared_from_this()](boost::system::error_code ec, std::size_t n)
        {
          if (ec)
            return;
          boost::asio::async_write(self->socket_, boost::asio::buffer(self->data_.data(), n),
              [self](boost::system::error_code result, std::size_t)
              {
                if (!result)
                  self->start();
              });
        });
  }

private:
  Socket socket_;
  std::vector<unsigned char> data_ = std::vector<unsigned char>(65'537);
};

} // namespace shm::test

#endif
