// SPDX-License-Identifier: BSL-1.0
// ZeroMQ: a pair of sockets over ipc.

#include "peers/peer_program.hpp"

#include <zmq.h>

#include <memory>

using namespace shm::bench;

namespace {

[[noreturn]] void fail(const char* what)
{
  throw std::runtime_error(std::string(what) + ": " + ::zmq_strerror(::zmq_errno()));
}

class zeromq
{
public:
  static constexpr const char* name = "zeromq";

  zeromq(side which, const std::string& unique, std::size_t)
  {
    // An abstract name, which leaves no file behind.
    const std::string address = "ipc://@" + unique;
    if (!context_ || !socket_)
      fail("zmq_socket");
    if ((which == side::server ? ::zmq_bind : ::zmq_connect)(socket_.get(), address.c_str()) != 0)
      fail("bind or connect");
  }

  void met() {}

  void send(const void* data, std::size_t size)
  {
    if (::zmq_send(socket_.get(), data, size, 0) < 0)
      fail("zmq_send");
  }

  std::size_t receive(void* data, std::size_t size)
  {
    const int length = ::zmq_recv(socket_.get(), data, size, 0);
    if (length < 0)
      fail("zmq_recv");
    return static_cast<std::size_t>(length);
  }

private:
  struct end_context
  {
    void operator()(void* context) const { ::zmq_ctx_term(context); }
  };
  struct close_socket
  {
    void operator()(void* socket) const { ::zmq_close(socket); }
  };

  std::unique_ptr<void, end_context> context_{::zmq_ctx_new()};
  std::unique_ptr<void, close_socket> socket_{::zmq_socket(context_.get(), ZMQ_PAIR)};
};

} // namespace

int main(int argc, char* argv[])
{
  return peer_main<zeromq>(argc, argv);
}
