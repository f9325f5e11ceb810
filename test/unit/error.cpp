// SPDX-License-Identifier: BSL-1.0
// Tests of the error category.
#define BOOST_TEST_MODULE error
#include <shm/error.hpp>

#include <boost/system/system_error.hpp>
#include <boost/test/unit_test.hpp>

#include <set>
#include <string>

BOOST_AUTO_TEST_SUITE(error)

BOOST_AUTO_TEST_CASE(an_enumerator_becomes_an_error_code_of_the_category)
{
  const boost::system::error_code ec = shm::error::corrupted;
  BOOST_TEST(ec.failed());
  BOOST_TEST(ec == shm::error::corrupted);
  BOOST_TEST(ec != shm::error::protocol_error);
  BOOST_TEST((ec.category() == shm::error::get_category()));
  BOOST_TEST(std::string(ec.category().name()) == "asio.shm");
  BOOST_TEST(ec != boost::system::error_code(shm::error::corrupted, boost::system::system_category()));
}

BOOST_AUTO_TEST_CASE(values_are_those_that_travel_between_processes)
{
  BOOST_TEST(int(shm::error::corrupted) == 1);
  BOOST_TEST(int(shm::error::protocol_error) == 2);
  BOOST_TEST(int(shm::error::version_mismatch) == 3);
  BOOST_TEST(int(shm::error::geometry_refused) == 4);
  BOOST_TEST(int(shm::error::untrusted_peer) == 5);
  BOOST_TEST(int(shm::error::unsealed_memory) == 6);
  BOOST_TEST(int(shm::error::unsafe_runtime_directory) == 7);
  BOOST_TEST(int(shm::error::no_descriptors) == 8);
  BOOST_TEST(int(shm::error::no_memory) == 9);
}

BOOST_AUTO_TEST_CASE(each_error_has_a_message_of_its_own)
{
  std::set<std::string> messages;
  for (int value = shm::error::corrupted; value <= shm::error::no_memory; ++value)
  {
    const std::string message = boost::system::error_code(value, shm::error::get_category()).message();
    BOOST_TEST(message.find("asio.shm error") == std::string::npos, message);
    messages.insert(message);
  }
  BOOST_TEST(messages.size() == 9u);
}

BOOST_AUTO_TEST_CASE(errors_compare_to_the_conditions_that_they_are)
{
  namespace errc = boost::system::errc;
  const auto code = [](shm::error::basic_errors e) { return boost::system::error_code(e); };
  BOOST_TEST((code(shm::error::protocol_error) == errc::protocol_error));
  BOOST_TEST((code(shm::error::version_mismatch) == errc::protocol_not_supported));
  BOOST_TEST((code(shm::error::untrusted_peer) == errc::permission_denied));
  BOOST_TEST((code(shm::error::unsafe_runtime_directory) == errc::permission_denied));
  BOOST_TEST((code(shm::error::no_descriptors) == errc::too_many_files_open));
  BOOST_TEST((code(shm::error::no_memory) == errc::not_enough_memory));
  BOOST_TEST((code(shm::error::corrupted) != errc::protocol_error));
}

BOOST_AUTO_TEST_CASE(a_value_from_a_newer_peer_is_named_by_its_number)
{
  BOOST_TEST(boost::system::error_code(1234, shm::error::get_category()).message() == "asio.shm error 1234");
}

BOOST_AUTO_TEST_CASE(the_message_says_what_to_do)
{
  const boost::system::system_error thrown(shm::error::unsafe_runtime_directory, "bind");
  BOOST_TEST(std::string(thrown.what()).find("ASIO_SHM_DIR") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
