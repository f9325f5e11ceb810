// SPDX-License-Identifier: BSL-1.0
// Shows that two sockets are connected to each other.

#ifndef ASIO_SHM_TEST_SUPPORT_CARRIES_DATA_HPP
#define ASIO_SHM_TEST_SUPPORT_CARRIES_DATA_HPP

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>

#include <string>

namespace shm::test {

/// What check_carries_data() sends.
inline const std::string carried_text = "from one end to the other";

/// Writes a few bytes to one end and expects them, and no others, at the other.
template <class From, class To>
void check_carries_data(From& from, To& to)
{
  boost::asio::write(from, boost::asio::buffer(carried_text));
  std::string got(carried_text.size(), '\0');
  boost::asio::read(to, boost::asio::buffer(got));
  BOOST_TEST(got == carried_text);
}

} // namespace shm::test

#endif
