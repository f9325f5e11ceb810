// SPDX-License-Identifier: BSL-1.0
// What the service manager wants to know, as sd_notify(3) would tell it.
#ifndef ASIO_SHM_SRC_PARTITIOND_SERVICE_MANAGER_HPP
#define ASIO_SHM_SRC_PARTITIOND_SERVICE_MANAGER_HPP

#include <string>

namespace shm {
namespace partitiond {

/// Sends a datagram to the socket that NOTIFY_SOCKET names, if there is one. Whether it arrives does not matter.
void tell_service_manager(const std::string& state);

} // namespace partitiond
} // namespace shm

#endif
