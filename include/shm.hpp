// SPDX-License-Identifier: BSL-1.0
// Everything that users of the library name.
#ifndef ASIO_SHM_SHM_HPP
#define ASIO_SHM_SHM_HPP

#include <shm/busy_poll.hpp>
#include <shm/connect_pair.hpp>
#include <shm/doorbell.hpp>
#include <shm/endpoint.hpp>
#include <shm/error.hpp>
#include <shm/peer_credentials.hpp>
#include <shm/permissions.hpp>
#include <shm/stream_protocol.hpp>
#include <shm/zero_copy.hpp>

#endif
