// SPDX-License-Identifier: BSL-1.0
// The address behind a partition's name.
#ifndef ASIO_SHM_DETAIL_PARTITION_ADDRESS_HPP
#define ASIO_SHM_DETAIL_PARTITION_ADDRESS_HPP

#include <string>

namespace shm {
namespace detail {

/// The address of the partition of that name, as the partition daemon has it; empty without one. An address is its own
/// name. Reads a file, unless @p numeric: then a name is none.
std::string partition_address(const std::string& name, bool numeric);

} // namespace detail
} // namespace shm

#endif
