// SPDX-License-Identifier: BSL-1.0
// The protocols that every test of the socket interface runs over.

#ifndef ASIO_SHM_TEST_SUPPORT_TRANSPORTS_HPP
#define ASIO_SHM_TEST_SUPPORT_TRANSPORTS_HPP

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#ifndef ASIO_SHM_TEST_KERNEL_ONLY
#include <shm/stream_protocol.hpp>
#endif

#include <tuple>
#include <type_traits>

namespace shm::test {

// TCP stays in the lists: a case that holds over TCP shows that what it asks of
// shared memory is TCP's behaviour and not one that we made up. Builds with
// sanitizers, which look for mistakes of ours, may leave it to the others.
#ifdef ASIO_SHM_TEST_KERNEL_ONLY
using ip_transports = std::tuple<boost::asio::ip::tcp>;
using transports = std::tuple<boost::asio::ip::tcp, boost::asio::local::stream_protocol>;
#elif defined(ASIO_SHM_TEST_SHM_ONLY)
using ip_transports = std::tuple<shm::stream_protocol>;
using transports = std::tuple<shm::stream_protocol>;
#else
/// For what has addresses, ports and TCP's options.
using ip_transports = std::tuple<boost::asio::ip::tcp, shm::stream_protocol>;
/// For everything else.
using transports = std::tuple<boost::asio::ip::tcp, boost::asio::local::stream_protocol, shm::stream_protocol>;
#endif

template <class Protocol>
inline constexpr bool is_tcp = std::is_same_v<Protocol, boost::asio::ip::tcp>;

template <class Protocol>
inline constexpr bool is_local = std::is_same_v<Protocol, boost::asio::local::stream_protocol>;

/// Whether it is neither TCP nor a local socket of the kernel.
template <class Protocol>
inline constexpr bool is_shm = !is_tcp<Protocol> && !is_local<Protocol>;

} // namespace shm::test

#endif
