// SPDX-License-Identifier: BSL-1.0
// nanomsg: a pair of sockets over ipc.

#include "peers/peer_program.hpp"

#include <nanomsg/nn.h>
#include <nanomsg/pair.h>

#include <filesystem>

using namespace shm::bench;

namespace {

int check_nn(int result, const char* what)
{
  if (result < 0)
    throw std::runtime_error(std::string(what) + ": " + ::nn_strerror(::nn_errno()));
  return result;
}

class nanomsg
{
public:
  static constexpr const char* name = "nanomsg";

  nanomsg(side which, const std::string& unique, std::size_t)
    : file_(std::filesystem::temp_directory_path() / unique),
      socket_(check_nn(::nn_socket(AF_SP, NN_PAIR), "nn_socket"))
  {
    const std::string address = "ipc://" + file_.string();
    const int no_limit = -1;
    check_nn(::nn_setsockopt(socket_, NN_SOL_SOCKET, NN_RCVMAXSIZE, &no_limit, sizeof(no_limit)), "nn_setsockopt");
    check_nn((which == side::server ? ::nn_bind : ::nn_connect)(socket_, address.c_str()), "bind or connect");
  }

  ~nanomsg()
  {
    ::nn_close(socket_);
    std::error_code ignored;
    std::filesystem::remove(file_, ignored);
  }

  nanomsg(const nanomsg&) = delete;
  nanomsg& operator=(const nanomsg&) = delete;

  void met() {}

  void send(const void* data, std::size_t size) { check_nn(::nn_send(socket_, data, size, 0), "nn_send"); }

  std::size_t receive(void* data, std::size_t size)
  {
    return static_cast<std::size_t>(check_nn(::nn_recv(socket_, data, size, 0), "nn_recv"));
  }

private:
  std::filesystem::path file_;
  int socket_;
};

} // namespace

int main(int argc, char* argv[])
{
  return peer_main<nanomsg>(argc, argv);
}
