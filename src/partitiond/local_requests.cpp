// SPDX-License-Identifier: BSL-1.0
// Accepting applications and reading what they ask for.
#include "local_requests.hpp"

#include "log.hpp"
#include "rendezvous.hpp"

#include <shm/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/error.hpp>

#include <algorithm>
#include <sys/socket.h>
#include <utility>

namespace shm {
namespace partitiond {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// While there are no descriptors left. The application waits in the backlog.
constexpr std::chrono::milliseconds exhausted_pause{100};

// Accepted in one turn, so that the other tasks of the daemon get theirs.
constexpr int most_in_a_turn = 16;

} // namespace

struct local_requests::client
{
  client(const asio::any_io_executor& executor, int fd) : socket(executor, fd), timer(executor, patience) {}

  asio::posix::stream_descriptor socket;
  asio::steady_timer timer;
  detail::hello_receiver receiver;
  bool dropped = false;
};

local_requests::local_requests(asio::io_context& context, detail::descriptor listening, gate admits, handler handle)
  : listening_(context, listening.release()), pause_(context), admits_(std::move(admits)), handle_(std::move(handle))
{
  wait_for_client();
}

local_requests::~local_requests()
{
  while (!clients_.empty())
    drop(clients_.front());
}

void local_requests::wait_for_client()
{
  listening_.async_wait(asio::posix::stream_descriptor::wait_read,
      [this](const error_code& ec)
      {
        if (!ec)
          accept();
      });
}

void local_requests::accept()
{
  for (int i = 0; i < most_in_a_turn; ++i)
  {
    detail::descriptor socket(::accept4(listening_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket.valid() && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
    {
      log(level::warning, "no descriptors left for applications: " + detail::last_error().message());
      pause_.expires_after(exhausted_pause);
      pause_.async_wait(
          [this](const error_code& ec)
          {
            if (!ec)
              wait_for_client();
          });
      return;
    }
    if (!socket.valid())
      break; // nobody is there any more
    if (!admits_(socket.get()))
    {
      detail::send_refused(socket.get(), asio::error::access_denied);
      continue;
    }
    detail::refuse_descriptors(socket.get());
    if (clients_.size() == most_incomplete)
      drop(clients_.front());
    const auto from = std::make_shared<client>(listening_.get_executor(), socket.get());
    socket.release();
    clients_.push_back(from);
    from->timer.async_wait(
        [this, from](const error_code& ec)
        {
          if (!ec && !from->dropped)
            drop(from);
        });
    read(from);
  }
  wait_for_client();
}

void local_requests::read(const std::shared_ptr<client>& from)
{
  error_code ec;
  if (!from->receiver.receive(from->socket.native_handle(), ec))
  {
    from->socket.async_wait(asio::posix::stream_descriptor::wait_read,
        [this, from](const error_code& failed)
        {
          if (!failed && !from->dropped)
            read(from);
        });
    return;
  }
  std::optional<detail::hello> request;
  if (!ec)
    request = detail::decode(from->receiver.bytes(), ec);
  if (!ec && (request->memory != detail::memory_kind::wanted || from->receiver.descriptors() != 0))
    ec = error::protocol_error;
  if (ec)
  {
    detail::send_refused(from->socket.native_handle(), ec);
    drop(from);
    return;
  }
  detail::descriptor socket(from->socket.release());
  drop(from);
  handle_(std::move(socket), *request);
}

void local_requests::drop(const std::shared_ptr<client>& from)
{
  const std::shared_ptr<client> kept = from; // the argument may be the element of the list
  kept->dropped = true;
  kept->timer.cancel();
  error_code ignored;
  if (kept->socket.is_open())
    kept->socket.close(ignored);
  clients_.erase(std::find(clients_.begin(), clients_.end(), kept));
}

} // namespace partitiond
} // namespace shm
