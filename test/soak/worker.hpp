// SPDX-License-Identifier: BSL-1.0
// One process of a soak.

#ifndef ASIO_SHM_TEST_SOAK_WORKER_HPP
#define ASIO_SHM_TEST_SOAK_WORKER_HPP

#include "board.hpp"
#include "options.hpp"

#include <cstdint>

namespace shm::test::soak {

/// Listens on the endpoint of its number and connects to those of all numbers, until the board says stop and the last
/// stream has ended. @returns the exit code of the process.
int work(board& shared, const options& wanted, std::uint32_t life, int number);

} // namespace shm::test::soak

#endif
