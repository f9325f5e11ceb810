// SPDX-License-Identifier: BSL-1.0
// The protocols that every test of the socket interface runs over.

#ifndef ASIO_SHM_TEST_SUPPORT_TRANSPORTS_HPP
#define ASIO_SHM_TEST_SUPPORT_TRANSPORTS_HPP

#include <boost/asio/ip/tcp.hpp>
#ifndef ASIO_SHM_TEST_TCP_ONLY
#include <shm/stream_protocol.hpp>
#endif

#include <tuple>
#include <type_traits>

namespace shm::test {

// TCP stays in the list: a case that holds over TCP shows that what it asks of
// shared memory is TCP's behaviour and not one that we made up.
#ifdef ASIO_SHM_TEST_TCP_ONLY
using transports = std::tuple<boost::asio::ip::tcp>;
#else
using transports = std::tuple<boost::asio::ip::tcp, shm::stream_protocol>;
#endif

template <class Protocol>
inline constexpr bool is_tcp = std::is_same_v<Protocol, boost::asio::ip::tcp>;

} // namespace shm::test

#endif
