// SPDX-License-Identifier: BSL-1.0
// How long a waiting program may look at memory before it sleeps: a socket option, and a default for each context.
#ifndef ASIO_SHM_BUSY_POLL_HPP
#define ASIO_SHM_BUSY_POLL_HPP

#include <shm/detail/option_names.hpp>
#include <shm/detail/reactor_service.hpp>

#include <boost/asio/detail/socket_option.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>

namespace shm {

/// Socket option: the longest time, in microseconds, that an operation waits by looking at memory instead of sleeping.
/**
 * What the kernel's SO_BUSY_POLL is to network devices (socket(7)); that option, set by number, does the same. A peer's
 * answer is seen within a fraction of a microsecond while polling, and costs it no system call; a sleeping program is
 * woken by a doorbell, which takes some 25 to 60 microseconds.
 *
 * The value is a limit. How much of it is used follows from what polling brings: all of it while answers come within
 * half of it, nothing while they do not. It is 0 where only one CPU may run the process, 2 microseconds while both ends run
 * on the same CPU, and 0 in threads beyond the number of CPUs that poll already. An idle program sleeps whatever the
 * limit is.
 *
 * 0 switches polling off. The range is 0 to 1,000,000; other values give @c boost::asio::error::invalid_argument and
 * change nothing. Without it, a socket follows its context: see set_busy_poll(). Sockets inherit the option from the
 * acceptor that accepted them. It can be changed at any time and holds for the next wait; it concerns this side only.
 *
 * @code
 * socket.set_option(shm::busy_poll(0));     // sleep at once
 * shm::busy_poll limit;
 * socket.get_option(limit);                 // limit.value() == 0
 * @endcode
 *
 * Does not block.
 *
 * @par Thread Safety
 * As the socket that it is set on.
 *
 * @par Errors
 * @c boost::asio::error::bad_descriptor on a closed socket, @c invalid_argument for a value out of range.
 */
using busy_poll = boost::asio::detail::socket_option::integer<detail::option_level, detail::option_busy_poll>;

/// Sets what holds for all sockets of an execution context that have no busy_poll option of their own.
/**
 * The default is 50 microseconds. Does not block.
 *
 * @param context The context of the sockets, an @c io_context or a @c thread_pool.
 * @param limit In microseconds, 0 to 1,000,000.
 * @param ec Set to @c boost::asio::error::invalid_argument if the limit is out of range; then nothing changes.
 *
 * @throws boost::system::system_error if the context's reactor cannot be created, the first time that the context is
 * used with this protocol: no descriptors or no memory left.
 *
 * @par Thread Safety
 * Safe at any time; pending operations follow the new limit when they are looked at next.
 */
inline void set_busy_poll(
    boost::asio::execution_context& context, const busy_poll& limit, boost::system::error_code& ec)
{
  if (limit.value() < 0 || limit.value() > detail::max_busy_poll)
  {
    ec = boost::asio::error::invalid_argument;
    return;
  }
  ec.clear();
  boost::asio::use_service<detail::reactor_service>(context).core().busy_poll(std::chrono::microseconds(limit.value()));
}

/// As above. @throws boost::system::system_error instead of setting an error code.
inline void set_busy_poll(boost::asio::execution_context& context, const busy_poll& limit)
{
  boost::system::error_code ec;
  set_busy_poll(context, limit, ec);
  if (ec)
    throw boost::system::system_error(ec, "set_busy_poll");
}

} // namespace shm

#endif
