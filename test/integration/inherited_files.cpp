// SPDX-License-Identifier: BSL-1.0
// Which endpoint the file of an inherited descriptor stands for, and which descriptors are refused.

#define BOOST_TEST_MODULE inherited_files
#include "socket_test.hpp"

#include "inherited_listener.hpp"

#include <array>
#include <filesystem>
#include <string>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

int copy_of(const raw_descriptor& descriptor)
{
  return ::fcntl(descriptor.get(), F_DUPFD_CLOEXEC, 0);
}

void check_reaches(asio::io_context& context, tcp::acceptor& acceptor, const tcp::endpoint& destination)
{
  tcp::socket client(context), server(context);
  client.connect(destination);
  acceptor.accept(server);
  asio::write(client, asio::buffer("x", 1));
  char got = 0;
  asio::read(server, asio::buffer(&got, 1));
  BOOST_TEST(got == 'x');
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(inherited_files, watchdog)

BOOST_AUTO_TEST_CASE(file_of_an_address_stands_for_it_whatever_the_protocol_says)
{
  asio::io_context context;
  const auto wildcard = bound_to_file(file_of_address("0.0.0.0:3001"));
  const auto v6 = bound_to_file(file_of_address("[::1]:3002"));
  for (const tcp& protocol : {tcp::v4(), tcp::v6(), tcp::local()})
  {
    tcp::acceptor any(context, protocol, copy_of(wildcard));
    BOOST_TEST(any.local_endpoint() == tcp::endpoint(tcp::v4(), 3001));
    check_reaches(context, any, {asio::ip::address_v4::loopback(), 3001});
    tcp::acceptor six(context, protocol, copy_of(v6));
    BOOST_TEST(six.local_endpoint() == tcp::endpoint(asio::ip::address_v6::loopback(), 3002));
    check_reaches(context, six, {asio::ip::address_v6::loopback(), 3002});
  }
}

BOOST_AUTO_TEST_CASE(any_other_file_is_a_path)
{
  asio::io_context context;
  const std::string path = unused_path();
  const auto listener = bound_to_file(path);
  for (const tcp& protocol : {tcp::local(), tcp::v4()})
  {
    tcp::acceptor acceptor(context, protocol, copy_of(listener));
    BOOST_TEST(acceptor.local_endpoint() == tcp::endpoint(path));
    check_reaches(context, acceptor, path);
  }
}

BOOST_AUTO_TEST_CASE(path_that_looks_like_an_address_is_a_path_to_local_programs)
{
  asio::io_context context;
  const temp_directory directory;
  const std::string path = directory.path() + "/ip/127.0.0.1:80";
  std::filesystem::create_directory(directory.path() + "/ip");
  const auto listener = bound_to_file(path);
  tcp::acceptor acceptor(context, tcp::local(), copy_of(listener));
  BOOST_TEST(acceptor.local_endpoint() == tcp::endpoint(path));
  check_reaches(context, acceptor, path);
}

BOOST_AUTO_TEST_CASE(file_of_another_runtime_directory_is_an_address_to_programs_with_ports)
{
  asio::io_context context;
  const temp_directory directory;
  std::filesystem::create_directory(directory.path() + "/ip");
  const auto listener = bound_to_file(directory.path() + "/ip/127.0.0.1:80");
  tcp::acceptor acceptor(context, tcp::v4(), copy_of(listener));
  const tcp::endpoint endpoint(asio::ip::address_v4::loopback(), 80);
  BOOST_TEST(acceptor.local_endpoint() == endpoint);
  const scoped_environment clients("ASIO_SHM_DIR", directory.path().c_str());
  check_reaches(context, acceptor, endpoint);
}

BOOST_AUTO_TEST_CASE(short_name_survives_release_and_assign)
{
  asio::io_context context;
  tcp::acceptor first(context, "printer");
  tcp::acceptor second(context, tcp::local(), first.release());
  BOOST_TEST(second.local_endpoint() == tcp::endpoint("printer"));
  check_reaches(context, second, "printer");
}

BOOST_AUTO_TEST_CASE(names_in_a_long_runtime_directory_survive_release_and_assign)
{
  const temp_directory parent;
  const std::string directory = parent.path() + "/" + std::string(150, 'd');
  const scoped_environment environment("ASIO_SHM_DIR", directory.c_str());
  asio::io_context context;
  for (const tcp::endpoint& endpoint : {tcp::endpoint("printer"), tcp::endpoint(tcp::v4(), 3003)})
  {
    tcp::acceptor first(context, endpoint);
    tcp::acceptor second(context, endpoint.protocol(), first.release());
    BOOST_TEST(second.local_endpoint() == endpoint);
    check_reaches(context, second, endpoint);
  }
}

// Descriptor 5 of a process that is gone, or of this one: only the runtime directory says whose file it is.
BOOST_AUTO_TEST_CASE(path_through_a_descriptor_is_no_name)
{
  asio::io_context context;
  const temp_directory elsewhere;
  std::filesystem::create_directory(elsewhere.path() + "/name");
  const raw_descriptor folder(::open(elsewhere.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::string path = "/proc/self/fd/" + std::to_string(folder.get()) + "/name/foo";
  tcp::acceptor acceptor(context, tcp::local(), copy_of(bound_to_file(path)));
  BOOST_TEST(acceptor.local_endpoint() == tcp::endpoint(path));
  check_reaches(context, acceptor, path);
}

BOOST_AUTO_TEST_CASE(socket_with_a_name_of_another_family_connects)
{
  asio::io_context context;
  tcp::acceptor acceptor(context, {tcp::v4(), 3005});
  const auto named = bound_to_file(unused_path(), false);
  tcp::socket client(context);
  client.assign(tcp::v4(), copy_of(named));
  client.connect({asio::ip::address_v4::loopback(), 3005});
  BOOST_TEST(acceptor.accept().is_open());
}

BOOST_AUTO_TEST_CASE(file_stays_when_the_acceptor_closes)
{
  asio::io_context context;
  const std::string file = file_of_address("127.0.0.1:3004");
  const auto listener = bound_to_file(file);
  {
    tcp::acceptor acceptor(context, tcp::v4(), copy_of(listener));
    tcp::socket client(context);
    client.connect({asio::ip::address_v4::loopback(), 3004});
    acceptor.accept();
  }
  BOOST_TEST(std::filesystem::is_socket(file));
}

BOOST_AUTO_TEST_CASE(other_descriptors_stay_the_callers)
{
  asio::io_context context;
  std::array<int, 2> pipe_ends{}, connected{};
  BOOST_TEST_REQUIRE(::pipe(pipe_ends.data()) == 0);
  BOOST_TEST_REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, connected.data()) == 0);
  const raw_descriptor owned[] = {raw_descriptor(pipe_ends[0]), raw_descriptor(pipe_ends[1]),
      raw_descriptor(connected[0]), raw_descriptor(connected[1])};
  unsigned short port = 0;
  const auto of_tcp = bound_to_port(port);
  const raw_descriptor datagrams(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const raw_descriptor packets(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  for (const int descriptor : {owned[0].get(), owned[2].get(), of_tcp.get(), datagrams.get(), packets.get()})
  {
    const int flags = ::fcntl(descriptor, F_GETFL);
    tcp::acceptor acceptor(context);
    for (const tcp& protocol : {tcp::local(), tcp::v4()})
      reports(error::operation_not_supported, [&](auto&... ec) { acceptor.assign(protocol, descriptor, ec...); });
    BOOST_TEST(!acceptor.is_open());
    BOOST_CHECK_THROW(tcp::acceptor(context, tcp::v4(), descriptor), system_error);
    BOOST_TEST(::fcntl(descriptor, F_GETFL) == flags);
  }
  tcp::acceptor acceptor(context);
  reports(error::bad_descriptor, [&](auto&... ec) { acceptor.assign(tcp::local(), 1 << 20, ec...); });
  reports(error::bad_descriptor, [&](auto&... ec) { acceptor.assign(tcp::local(), -1, ec...); });
}

BOOST_AUTO_TEST_SUITE_END()
