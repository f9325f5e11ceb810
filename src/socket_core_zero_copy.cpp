// SPDX-License-Identifier: BSL-1.0
// Buffers in the shared memory itself: space to write to, data to look at.
#include <shm/detail/socket_core.hpp>

#include "socket_state.hpp"

#include <boost/asio/error.hpp>

namespace shm {
namespace detail {

namespace asio_error = boost::asio::error;

connection* socket_core::connected(error_code& ec) const
{
  if (closed_)
    ec = asio_error::bad_descriptor;
  else if (!state_->end)
    ec = asio_error::not_connected;
  else
    ec.clear();
  return ec ? nullptr : state_->end.get();
}

mutable_view socket_core::prepare(std::size_t n, error_code& ec)
{
  const lock_type lock(mutex_);
  mutable_view space = {nullptr, 0};
  connection* const end = connected(ec);
  if (!end)
    return space;
  if (!queues_[static_cast<std::size_t>(operation_kind::send)].empty())
  {
    ec = asio_error::already_started; // its bytes come first
    return space;
  }
  end->look_for_hang_up(false);
  if (!end->prepare(n, space, ec))
    ec = asio_error::would_block;
  return space;
}

void socket_core::commit(std::size_t n, error_code& ec)
{
  const lock_type lock(mutex_);
  if (connection* const end = connected(ec))
    end->commit(n, ec);
}

const_view socket_core::look(error_code& ec)
{
  const lock_type lock(mutex_);
  const_view view = {nullptr, 0};
  connection* const end = connected(ec);
  if (!end)
    return view;
  if (!queues_[static_cast<std::size_t>(operation_kind::receive)].empty())
  {
    ec = asio_error::already_started; // the bytes are to go there
    return view;
  }
  if (end->look(view, ec))
    return view;
  end->look_for_hang_up(false);
  if (!end->look(view, ec))
    ec = asio_error::would_block;
  return view;
}

void socket_core::consume(std::size_t n, error_code& ec)
{
  const lock_type lock(mutex_);
  if (connection* const end = connected(ec))
    end->consume(n, ec);
}

} // namespace detail
} // namespace shm
