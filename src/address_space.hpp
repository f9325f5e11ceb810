// SPDX-License-Identifier: BSL-1.0
// The emulated network: which listener an endpoint finds, over AF_UNIX sockets in the runtime directory.
#ifndef ASIO_SHM_SRC_ADDRESS_SPACE_HPP
#define ASIO_SHM_SRC_ADDRESS_SPACE_HPP

#include "descriptor.hpp"

#include <shm/detail/socket_address.hpp>

#include <boost/system/error_code.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>

namespace shm {
namespace detail {

// In the runtime directory:
//
//   ip/127.0.0.1:8080       socket of a listener on an address and port; also 0.0.0.0:8080, [::1]:8080,
//   ip/[::]:8080            the IPv6 wildcard that takes IPv4 connections too, and
//   ip/[::]:8080-v6only     the one that does not
//   name/chat               socket of a listener with a short name
//   lock/ip-127.0.0.1:8080  held by flock(2) as long as the name is bound; apart from the sockets, so that no name can
//   lock/name-chat          be another one's lock file
//   lock/path-<hash>        for a socket at a file-system path
//   partition/daemon        socket of the partition daemon, if there is one, and
//   partition/hosts         what it knows of partitions: partition_hosts.hpp
//
// Whoever binds or releases a name holds flock(2) on the directory lock, which nobody else can open, for a few system
// calls.

class runtime_directory;
struct partition_hosts;
struct ip_name;
struct socket_name;

/// Ports that are given out for port 0, as Linux does.
inline constexpr std::uint16_t first_ephemeral_port = 32768;
inline constexpr std::uint16_t last_ephemeral_port = 60999;

/// The name that a listener holds. Its destructor releases it.
/**
 * After fork(2) each process has a copy and the name stays until the last copy is gone. A process that is killed leaves
 * its files behind; they are recognised as stale, since the kernel has dropped the lock, and replaced by the next bind.
 */
class bound_name
{
public:
  bound_name() = default;
  bound_name(bound_name&& other) noexcept = default;
  bound_name& operator=(bound_name&& other) noexcept;
  ~bound_name();

  bool valid() const noexcept { return lock_.valid(); }

  /// Gives the name back and removes its files, unless a forked copy still holds it. Waits for a bind or release
  /// in another process, which is a matter of microseconds.
  /**
   * @param ec Why files had to be left behind. They do no harm: the next bind replaces them.
   */
  void release(boost::system::error_code& ec);

  /// Leaves the name to whoever has the socket now. It stays reachable and is not bound anew while the socket lives.
  void leave() noexcept;

private:
  friend class name_binder;

  /// A file by the directory that it is in or found from, and by what it was when it was ours.
  struct file
  {
    std::string path;
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
  };

  descriptor directory_;
  descriptor lock_;
  file socket_file_;
  file lock_file_;
};

/// Binds an AF_UNIX socket to the name that an endpoint stands for.
/**
 * The rules are TCP's: a wildcard excludes every address of its family (the IPv6 one of both families, unless
 * @p v6_only) with the same port, and different addresses may share a port. SO_REUSEADDR does not change them: there is
 * no TIME_WAIT here. Beyond TCP, any address may be bound whether or not an interface has it, and any port by any user.
 *
 * @param socket An AF_UNIX stream socket that is not bound.
 * @param local The endpoint. Port 0 is replaced by a free ephemeral port.
 * @param v6_only Whether the IPv6 wildcard leaves IPv4 connections out.
 * @param mode Permissions of the socket file: who may write to it may connect. Without one, the owner alone in a
 * runtime directory, and what the umask leaves for a path.
 * @param ec address_in_use, invalid_argument, address_family_not_supported, name_too_long,
 * error::unsafe_runtime_directory, or the system's error.
 */
bound_name bind_name(int socket, socket_address& local, bool v6_only, std::optional<mode_t> mode,
    boost::system::error_code& ec);

/// Connects an AF_UNIX socket to the listener that an endpoint finds.
/**
 * First the listener on exactly this endpoint; for an address of this machine then the wildcards. The wildcard address
 * as a destination means loopback. In a shared runtime directory, first among the user's own listeners, then among
 * those of the others.
 *
 * @param socket A non-blocking AF_UNIX stream socket.
 * @param ec connection_refused without a listener; access_denied if there is one, to which this user may not connect;
 * try_again when its backlog is full: nothing reports that it
 * has room again, so call again after a pause; otherwise as for bind_name.
 */
void connect_name(int socket, const socket_address& peer, boost::system::error_code& ec);

/// Gives a connecting socket the local endpoint that TCP would have given it.
/**
 * The address is the destination's. The port is this user's alone among the connectors on this machine (in this
 * network namespace) that use the same runtime directory: the socket is bound to an abstract name that has it, which
 * the kernel frees with the socket. If no free port is found in a bounded search, the endpoint gets one that may not
 * be unique. For a path or a name the result is the empty path.
 *
 * @param socket An AF_UNIX stream socket that is not bound.
 * @param wanted The port, if it is not 0.
 * @param ec address_in_use if @p wanted is taken; otherwise as for bind_name.
 */
socket_address claim_ephemeral(
    int socket, const socket_address& peer, std::uint16_t wanted, boost::system::error_code& ec);

/// Who is at the other end of a connector's AF_UNIX socket.
enum class connected_to
{
  listener,
  partition_daemon ///< It has to be asked for a connection to another partition.
};

/// Both of them, for one connect: the runtime directory is opened once.
class connector_names
{
public:
  connector_names();
  ~connector_names();
  connector_names(const connector_names&) = delete;
  connector_names& operator=(const connector_names&) = delete;

  /// Like connect_name(); where there is no listener for it, the address may be that of another partition.
  /// @param ec Besides, host_unreachable if it is, and the partition daemon is gone.
  connected_to connect(int socket, const socket_address& peer, boost::system::error_code& ec);

  /// Like claim_ephemeral(); for another partition, the address is that of the own one.
  socket_address claim(int socket, const socket_address& peer, std::uint16_t wanted, boost::system::error_code& ec);

  /// Only listeners here. For connect_name().
  void connect_here(int socket, const socket_name& name, boost::system::error_code& ec);

private:
  const runtime_directory* directory(boost::system::error_code& ec);
  const partition_hosts& partitions();
  bool is_here(const ip_name& address, boost::system::error_code& ec);
  void connect_in(const runtime_directory& directory, int socket, const socket_name& name, boost::system::error_code& ec);
  void connect_ip(const runtime_directory& directory, int socket, const ip_name& peer, boost::system::error_code& ec);

  std::unique_ptr<const runtime_directory> directory_;
  std::unique_ptr<const partition_hosts> partitions_;
  connected_to found_ = connected_to::listener;
};

} // namespace detail
} // namespace shm

#endif
