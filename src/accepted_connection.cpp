// SPDX-License-Identifier: BSL-1.0
// Owns an end of a connection on its way to a socket.
#include <shm/detail/accepted_connection.hpp>

#include "connection.hpp"

#include <utility>

namespace shm {
namespace detail {

accepted_connection::accepted_connection() noexcept = default;
accepted_connection::accepted_connection(std::unique_ptr<established> end) noexcept : end_(std::move(end)) {}
accepted_connection::accepted_connection(accepted_connection&&) noexcept = default;
accepted_connection& accepted_connection::operator=(accepted_connection&&) noexcept = default;
accepted_connection::~accepted_connection() = default;

const socket_address& accepted_connection::remote() const noexcept
{
  return end_->remote;
}

std::unique_ptr<established> accepted_connection::release() noexcept
{
  return std::move(end_);
}

} // namespace detail
} // namespace shm
