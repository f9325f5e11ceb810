// SPDX-License-Identifier: BSL-1.0
// Choosing the kind of attachment.
#include "open_attachment.hpp"

#include "ivshmem_client.hpp"
#include "ivshmem_server.hpp"
#include "log.hpp"
#include "shared_file.hpp"
#include "vfio_device.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <exception>
#include <string>
#include <thread>
#include <unistd.h>

namespace shm {
namespace partitiond {
namespace {

using boost::system::error_code;

// A server that does not say all that a newcomer has to know within this time is not one.
constexpr std::chrono::seconds server_timeout{5};

} // namespace

/// The server and its thread: virtual machines come and go without disturbing the connections of this partition.
struct attachments::server
{
  server(const ivshmem_server::settings& wanted, error_code& ec) : serving(context, wanted, ec)
  {
    if (!ec)
      thread = std::thread([this] { run(); });
  }

  ~server()
  {
    context.stop();
    if (thread.joinable())
      thread.join();
  }

  void run()
  {
    try
    {
      context.run();
    }
    catch (const std::exception& e)
    {
      log(level::error, std::string("the server cannot go on: ") + e.what());
      ::_exit(1); // the service manager begins anew
    }
  }

  boost::asio::io_context context{1};
  ivshmem_server serving;
  std::thread thread;
};

attachments::attachments(const options& wanted, error_code& ec) : wanted_(wanted)
{
  ec.clear();
  if (wanted.from == options::source::serve)
    server_ = std::make_unique<server>(
        ivshmem_server::settings{wanted.path, wanted.size, wanted.partitions, wanted.vectors}, ec);
}

attachments::~attachments() = default;

std::unique_ptr<attachment> attachments::open(int interrupt, error_code& ec)
{
  ec.clear();
  switch (wanted_.from)
  {
  case options::source::serve:
  case options::source::attach:
    return ivshmem_client::connect(wanted_.path, server_timeout, ec, interrupt);
  case options::source::vfio:
    return vfio_device::open(wanted_.path, ec);
  case options::source::region: {
    const shared_file::creation make = {wanted_.size, wanted_.partitions};
    std::unique_ptr<attachment> result =
        shared_file::open(wanted_.path, wanted_.id, wanted_.create ? &make : nullptr, ec);
    wanted_.create = wanted_.create && ec; // once
    return result;
  }
  }
  return nullptr;
}

} // namespace partitiond
} // namespace shm
