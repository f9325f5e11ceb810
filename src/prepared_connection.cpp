// SPDX-License-Identifier: BSL-1.0
// Making the memory and the doorbells of a connection, in advance for those who connect often.
#include "prepared_connection.hpp"

#include <unistd.h>
#include <utility>

namespace shm {
namespace detail {
namespace {

// Two connects that are further apart do not make a spare set worth its memory.
constexpr std::chrono::milliseconds often_means{10};

} // namespace

prepared_connection prepared_connection::make(
    const connection_geometry& geometry, doorbell_kind kind, boost::system::error_code& ec)
{
  prepared_connection result;
  result.kind = kind;
  result.memory = connection_memory::create(geometry, result.memory_descriptor, ec);
  if (!ec && kind == doorbell_kind::eventfd)
    result.acceptor_eventfd = open_eventfd(ec);
  if (!ec && kind == doorbell_kind::eventfd)
    result.connector_eventfd = open_eventfd(ec);
  result.identity = result.memory_descriptor.identity();
  return result;
}

prepared_connection spare_connection::take(
    const connection_geometry& geometry, doorbell_kind kind, boost::system::error_code& ec)
{
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto now = clock::now();
    wanted_.store(now - taken_ < often_means, std::memory_order_relaxed);
    taken_ = now;
    geometry_ = geometry;
    kind_ = kind;
    std::optional<prepared_connection> spare = std::exchange(spare_, std::nullopt);
    if (spare && owner_ == ::getpid() && spare->kind == kind && spare->memory.geometry() == geometry)
    {
      ec.clear();
      return std::move(*spare);
    }
  }
  return prepared_connection::make(geometry, kind, ec);
}

void spare_connection::refill() noexcept
{
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!wanted_.exchange(false, std::memory_order_relaxed) || spare_)
    return;
  boost::system::error_code ec;
  prepared_connection made = prepared_connection::make(geometry_, kind_, ec);
  if (ec)
    return; // the next connect will report it, if it lasts
  spare_ = std::move(made);
  owner_ = ::getpid();
}

bool spare_connection::expire(clock::time_point now) noexcept
{
  const std::lock_guard<std::mutex> lock(mutex_);
  if (spare_ && now - taken_ < idle_time)
    return false;
  spare_.reset();
  return true;
}

void spare_connection::clear() noexcept
{
  const std::lock_guard<std::mutex> lock(mutex_);
  spare_.reset();
}

} // namespace detail
} // namespace shm
