// SPDX-License-Identifier: BSL-1.0
// A connection between its acceptor and the socket that will own it.
#ifndef ASIO_SHM_DETAIL_ACCEPTED_CONNECTION_HPP
#define ASIO_SHM_DETAIL_ACCEPTED_CONNECTION_HPP

#include <shm/detail/socket_address.hpp>

#include <memory>

namespace shm {
namespace detail {

struct established;

/// Holds one end of an established connection, or nothing. Destroying it hangs up.
class accepted_connection
{
public:
  accepted_connection() noexcept;
  explicit accepted_connection(std::unique_ptr<established> end) noexcept;
  accepted_connection(accepted_connection&&) noexcept;
  accepted_connection& operator=(accepted_connection&&) noexcept;
  ~accepted_connection();

  bool valid() const noexcept { return end_ != nullptr; }
  const socket_address& remote() const noexcept;
  std::unique_ptr<established> release() noexcept;

private:
  std::unique_ptr<established> end_;
};

} // namespace detail
} // namespace shm

#endif
