// SPDX-License-Identifier: BSL-1.0
// Who may connect to an acceptor, as a socket option.
#ifndef ASIO_SHM_PERMISSIONS_HPP
#define ASIO_SHM_PERMISSIONS_HPP

#include <shm/detail/option_names.hpp>

#include <boost/asio/detail/socket_option.hpp>

namespace shm {

/// Socket option: the permissions of an acceptor's socket file. Who may write to the file may connect.
/**
 * To be set on an acceptor after open and before bind. The value is a mode as in chmod(2), 0 to 0777: @c 0600 lets the
 * owner in, @c 0660 the file's group too, @c 0666 everybody who can reach the directory. The umask takes nothing away
 * from it. The file never has more permissions than these, not even for a moment.
 *
 * Without the option, a listener on an address or a short name is its owner's alone, and one on a path has what the umask
 * leaves, as with @c local::stream_protocol. Other users find addresses and names only in a shared runtime directory
 * (see doc/guarantees.md).
 *
 * @code
 * shm::stream_protocol::acceptor acceptor(context);
 * acceptor.open(shm::stream_protocol::v4());
 * acceptor.set_option(shm::permissions(0660));
 * acceptor.bind({shm::stream_protocol::v4(), 8080});
 * acceptor.listen();
 * @endcode
 *
 * get_option() gives what was set, 0 before. Does not block. Peers of another user are woken over the rendezvous socket
 * (see socket_doorbell); who they are is told by peer_credentials.
 *
 * @par Thread Safety
 * As the socket that it is set on.
 *
 * @par Errors
 * @c boost::asio::error::bad_descriptor on a closed socket, @c invalid_argument for a value out of range, or if the
 * socket is bound or connected already; then nothing changes. Source: unix(7), "Pathname socket ownership and
 * permissions".
 */
using permissions = boost::asio::detail::socket_option::integer<detail::option_level, detail::option_permissions>;

} // namespace shm

#endif
