// SPDX-License-Identifier: BSL-1.0
// What every test of the socket interface includes.

#ifndef ASIO_SHM_TEST_SUPPORT_SOCKET_TEST_HPP
#define ASIO_SHM_TEST_SUPPORT_SOCKET_TEST_HPP

#include "carries_data.hpp"
#include "completion.hpp"
#include "connected_pair.hpp"
#include "deadline.hpp"
#include "differences.hpp"
#include "pattern.hpp"
#include "temp_runtime_directory.hpp"
#include "transports.hpp"

#include <boost/asio.hpp>
#include <boost/test/unit_test.hpp>

namespace asio = boost::asio;
namespace error = boost::asio::error;
using boost::system::error_code;
using boost::system::system_error;
using shm::test::temp_runtime_directory;

// One directory for the executable: it is set before any thread starts.
BOOST_TEST_GLOBAL_FIXTURE(temp_runtime_directory);

#endif
