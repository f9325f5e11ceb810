// SPDX-License-Identifier: BSL-1.0
// Listeners with short names and file-system paths, through the public interface.
#define BOOST_TEST_MODULE names_and_paths
#include "socket_test.hpp"

#include <cerrno>
#include <filesystem>
#include <string>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

void check_serves(asio::io_context& context, tcp::acceptor& acceptor, const tcp::endpoint& endpoint)
{
  tcp::socket client(context);
  client.connect(endpoint);
  tcp::endpoint peer("something");
  tcp::socket server = acceptor.accept(peer);
  BOOST_TEST(peer.is_local());
  BOOST_TEST(peer.path() == "");
  BOOST_TEST(client.remote_endpoint() == endpoint);
  BOOST_TEST(server.local_endpoint() == endpoint);
  asio::write(client, asio::buffer("x", 1));
  char got = 0;
  asio::read(server, asio::buffer(&got, 1));
  BOOST_TEST(got == 'x');
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(names_and_paths, watchdog)

BOOST_AUTO_TEST_CASE(short_name_reaches_its_listener)
{
  asio::io_context context;
  tcp::acceptor acceptor(context, "printer");
  BOOST_TEST(acceptor.local_endpoint().path() == "printer");
  check_serves(context, acceptor, "printer");
}

BOOST_AUTO_TEST_CASE(path_reaches_its_listener_and_is_removed_with_it)
{
  const temp_directory directory;
  const std::string path = directory.path() + "/server.sock";
  asio::io_context context;
  {
    tcp::acceptor acceptor(context, path);
    BOOST_TEST(std::filesystem::is_socket(path));
    check_serves(context, acceptor, path);
  }
  BOOST_TEST(!std::filesystem::exists(path));
  tcp::socket client(context);
  reports(error_code(ENOENT, boost::system::system_category()),
      [&](auto&... ec)
      {
        client.close();
        client.connect(path, ec...);
      });
}

BOOST_AUTO_TEST_CASE(second_listener_reports_address_in_use)
{
  asio::io_context context;
  tcp::acceptor first(context, "taken");
  reports(error::address_in_use,
      [&](auto&... ec)
      {
        tcp::acceptor second(context, tcp::local());
        second.bind("taken", ec...);
      });
}

BOOST_AUTO_TEST_CASE(file_that_is_no_socket_is_left_alone)
{
  const temp_directory directory;
  const std::string path = directory.path() + "/precious";
  std::filesystem::create_directory(path);
  asio::io_context context;
  tcp::acceptor acceptor(context, tcp::local());
  reports(error::address_in_use, [&](auto&... ec) { acceptor.bind(path, ec...); });
  BOOST_TEST(std::filesystem::exists(path));
}

BOOST_AUTO_TEST_CASE(name_that_no_file_can_have_is_an_invalid_argument)
{
  asio::io_context context;
  for (const char* name : {"..", ".", ""})
  {
    tcp::acceptor acceptor(context, tcp::local());
    reports(error::invalid_argument, [&](auto&... ec) { acceptor.bind(tcp::endpoint(name), ec...); });
  }
}

BOOST_AUTO_TEST_CASE(endpoint_of_another_family_is_refused)
{
  asio::io_context context;
  tcp::socket socket(context, tcp::v4());
  reports(error::address_family_not_supported, [&](auto&... ec) { socket.connect("name", ec...); });
  reports(error::address_family_not_supported, [&](auto&... ec) { socket.bind({tcp::v6(), 0}, ec...); });
}

BOOST_AUTO_TEST_CASE(resolver_results_lead_to_a_listener)
{
  asio::io_context context;
  tcp::acceptor acceptor(context, {tcp::v4(), 0});
  tcp::resolver resolver(context);
  const auto results = resolver.resolve("127.0.0.1", std::to_string(acceptor.local_endpoint().port()));
  tcp::socket client(context);
  const tcp::endpoint reached = asio::connect(client, results);
  BOOST_TEST(reached.port() == acceptor.local_endpoint().port());
  tcp::socket server = acceptor.accept();
  BOOST_TEST(server.remote_endpoint() == client.local_endpoint());
}

BOOST_AUTO_TEST_SUITE_END()
