// SPDX-License-Identifier: BSL-1.0
// The socket options that TCP and AF_UNIX programs set, and what they mean here.
#ifndef ASIO_SHM_SRC_SOCKET_OPTIONS_HPP
#define ASIO_SHM_SRC_SOCKET_OPTIONS_HPP

#include "connection_memory.hpp"

#include <boost/system/error_code.hpp>

#include <cstddef>
#include <map>
#include <optional>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace shm {
namespace detail {

/// Options of one socket. Those without a meaning here are kept and given back.
class socket_options
{
public:
  /// @param ec no_protocol_option for an unknown option, invalid_argument for a wrong size.
  void set(int level, int name, const void* data, std::size_t size, boost::system::error_code& ec);

  /// As set(). @param size room for the value, in bytes; receives its size.
  void get(int level, int name, void* data, std::size_t& size, boost::system::error_code& ec) const;

  /// Geometry of connections made from now on: the send buffer size is the ring that this side writes.
  connection_geometry geometry_for_connector() const noexcept;

  bool v6_only() const noexcept { return flag(v6_only_key()); }
  bool socket_doorbell() const noexcept { return socket_doorbell_; }

  /// In microseconds; nothing: as the context has it.
  const std::optional<int>& busy_poll() const noexcept { return busy_poll_; }

  /// Of the file of a listener; nothing: what bind_name does without.
  std::optional<mode_t> permissions() const noexcept { return permissions_; }

private:
  using key = std::pair<int, int>;
  static key v6_only_key() noexcept;
  bool flag(key k) const noexcept;

  int send_buffer_size_ = 0; // 0: default
  int receive_buffer_size_ = 0;
  bool socket_doorbell_ = false;
  std::optional<int> busy_poll_;
  std::optional<mode_t> permissions_;
  std::map<key, std::vector<unsigned char>> kept_;
};

} // namespace detail
} // namespace shm

#endif
