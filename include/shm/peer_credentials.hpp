// SPDX-License-Identifier: BSL-1.0
// Who the process at the other end of a connection is.
#ifndef ASIO_SHM_PEER_CREDENTIALS_HPP
#define ASIO_SHM_PEER_CREDENTIALS_HPP

#include <shm/detail/option_names.hpp>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <boost/throw_exception.hpp>

#include <cstddef>
#include <cstdint>

namespace shm {

/// Socket option: user, group and process at the other end, as the kernel knows them.
/**
 * For the connector: the process that called listen. For the acceptor: the process that called connect. The process id
 * is of the reader's pid namespace, and 0 if the process is not visible there.
 *
 * @code
 * shm::peer_credentials peer;
 * socket.get_option(peer);
 * if (peer.uid() != 1000) socket.close();
 * @endcode
 *
 * Does not block.
 *
 * @par Thread Safety
 * @e Distinct @e objects: Safe.@n
 * @e Shared @e objects: Unsafe.
 *
 * @par Errors
 * @c boost::asio::error::bad_descriptor on a closed socket, @c boost::asio::error::not_connected before the connection
 * is established. It cannot be set. Source: SO_PEERCRED in unix(7).
 */
class peer_credentials
{
public:
  /// The credentials as plain numbers.
  struct value_type
  {
    std::uint32_t uid;
    std::uint32_t gid;
    std::int32_t pid;
  };

  std::uint32_t uid() const noexcept { return value_.uid; } ///< Effective user id.
  std::uint32_t gid() const noexcept { return value_.gid; } ///< Effective group id.
  std::int32_t pid() const noexcept { return value_.pid; }  ///< Process id.

  /// @cond GettableSocketOption
  template <typename Protocol>
  int level(const Protocol&) const noexcept
  {
    return detail::option_level;
  }
  template <typename Protocol>
  int name(const Protocol&) const noexcept
  {
    return detail::option_peer_credentials;
  }
  template <typename Protocol>
  void* data(const Protocol&) noexcept
  {
    return &value_;
  }
  template <typename Protocol>
  std::size_t size(const Protocol&) const noexcept
  {
    return sizeof(value_);
  }
  template <typename Protocol>
  void resize(const Protocol&, std::size_t size) const
  {
    if (size != sizeof(value_))
      boost::throw_exception(boost::system::system_error(boost::asio::error::invalid_argument, "peer_credentials"));
  }
  /// @endcond

private:
  value_type value_{};
};

} // namespace shm

#endif
