// SPDX-License-Identifier: BSL-1.0
// Acceptors of descriptors that another process has bound and listens on, as with systemd's socket activation.

#define BOOST_TEST_MODULE inherited_descriptor
#include "socket_test.hpp"

#include "child_process.hpp"
#include "inherited_listener.hpp"

#include <cstdlib>
#include <filesystem>
#include <string>

#include <fcntl.h>
#include <unistd.h>

using namespace shm::test;

namespace {

bool is_open(int descriptor)
{
  return ::fcntl(descriptor, F_GETFD) >= 0;
}

/// The server's side of socket activation: descriptor 3 if it is meant for this process.
int activated_descriptor()
{
  const char* const count = std::getenv("LISTEN_FDS");
  const char* const process = std::getenv("LISTEN_PID");
  if (!count || !process || std::string(count) != "1" || std::string(process) != std::to_string(::getpid()))
    return -1;
  return 3;
}

/// A server as it is written for TCP: it says v4() and knows nothing of files. Upper-cases one line for each client.
template <class Protocol>
void serve(int clients)
{
  const int inherited = activated_descriptor();
  BOOST_TEST_REQUIRE(inherited == 3);
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback_protocol<Protocol>(), inherited);
  for (int i = 0; i != clients; ++i)
  {
    auto socket = acceptor.accept();
    BOOST_TEST(socket.local_endpoint() == acceptor.local_endpoint());
    std::string text(5, '\0');
    asio::read(socket, asio::buffer(text));
    for (char& letter : text)
      letter = static_cast<char>(letter - 'a' + 'A');
    asio::write(socket, asio::buffer(text));
  }
}

/// The manager's side: starts this executable anew, with the descriptor as number 3.
[[noreturn]] void execute_server(int descriptor, const std::string& transport)
{
  // Number 3 may be the descriptor itself, which is close-on-exec, or another one that goes.
  const int copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 10);
  ::dup2(copy, 3);
  ::setenv("LISTEN_FDS", "1", 1);
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  ::setenv("ASIO_SHM_TEST_TRANSPORT", transport.c_str(), 1);
  ::setenv("ASIO_SHM_TEST_MANAGERS_DIR", std::getenv("ASIO_SHM_DIR"), 1);
  ::execl("/proc/self/exe", "activated_server", "--run_test=activated_server", "--log_level=error",
      "--report_level=no", static_cast<char*>(nullptr));
  ::_exit(98);
}

} // namespace

// Runs in a process of its own only, started by the case socket_activation.
BOOST_AUTO_TEST_SUITE(activated_server, *boost::unit_test::disabled())

BOOST_AUTO_TEST_CASE(serves)
{
  const scoped_environment directory("ASIO_SHM_DIR", std::getenv("ASIO_SHM_TEST_MANAGERS_DIR"));
  const std::string transport = std::getenv("ASIO_SHM_TEST_TRANSPORT");
  if (transport == "tcp")
    serve<asio::ip::tcp>(2);
  else if (transport == "local")
    serve<asio::local::stream_protocol>(2);
  else
    serve<shm::stream_protocol>(2);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(inherited_descriptor, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(clients_that_came_before_the_server_are_served, Protocol, transports)
{
  const manager<Protocol> owner;
  asio::io_context context;
  typename Protocol::socket early(context), late(context);
  early.connect(owner.endpoint());
  asio::write(early, asio::buffer("early", 5));

  typename Protocol::acceptor acceptor(context);
  acceptor.assign(loopback_protocol<Protocol>(), owner.for_server());
  BOOST_TEST(acceptor.is_open());
  BOOST_TEST(acceptor.local_endpoint() == owner.endpoint());

  auto server = acceptor.accept();
  BOOST_TEST(server.local_endpoint() == owner.endpoint());
  std::string text(5, '\0');
  asio::read(server, asio::buffer(text));
  BOOST_TEST(text == "early");

  typename Protocol::socket late_server(context);
  completion accepted, connected;
  acceptor.async_accept(late_server, accepted.handler());
  late.async_connect(owner.endpoint(), connected.handler());
  run_until(context, [&] { return accepted.done() && connected.done(); });
  BOOST_TEST(!accepted.ec);
  BOOST_TEST(!connected.ec);
  check_carries_data(late, late_server);
  check_carries_data(late_server, late);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(next_server_serves_who_came_between, Protocol, transports)
{
  const manager<Protocol> owner;
  asio::io_context context;
  for (int i = 0; i != 3; ++i)
  {
    // Nobody runs, but the name is the manager's and stays.
    typename Protocol::socket client(context);
    client.connect(owner.endpoint());
    typename Protocol::acceptor acceptor(context, loopback_protocol<Protocol>(), owner.for_server());
    auto server = acceptor.accept();
    check_carries_data(client, server);
    check_carries_data(server, client);
  }
  BOOST_TEST(is_open(owner.descriptor()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(acceptor_closes_its_own_copy_only, Protocol, transports)
{
  const manager<Protocol> owner;
  asio::io_context context;
  const int copy = owner.for_server();
  typename Protocol::acceptor acceptor(context, loopback_protocol<Protocol>(), copy);
  BOOST_TEST(acceptor.native_handle() == copy);
  acceptor.close();
  BOOST_TEST(!is_open(copy));
  BOOST_TEST(is_open(owner.descriptor()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(endpoint_is_in_use_while_the_manager_has_it, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::endpoint endpoint;
  {
    const manager<Protocol> owner;
    endpoint = owner.endpoint();
    reports(error::address_in_use,
        [&](auto&... ec)
        {
          typename Protocol::acceptor second(context, loopback_protocol<Protocol>());
          second.bind(endpoint, ec...);
        });
    // The probe for it, if there was one, is no client.
    typename Protocol::acceptor acceptor(context, loopback_protocol<Protocol>(), owner.for_server());
    typename Protocol::socket client(context), server(context);
    client.connect(endpoint);
    acceptor.accept(server);
    check_carries_data(client, server);
  }
  free_endpoint(endpoint);
  typename Protocol::acceptor next(context, endpoint);
  BOOST_TEST(next.local_endpoint() == endpoint);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(bound_descriptor_can_be_listened_on, Protocol, transports)
{
  const manager<Protocol> owner(false);
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback_protocol<Protocol>(), owner.for_server());
  BOOST_TEST(acceptor.local_endpoint() == owner.endpoint());
  acceptor.listen();
  typename Protocol::socket client(context), server(context);
  client.connect(owner.endpoint());
  acceptor.accept(server);
  check_carries_data(client, server);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(socket_activation, Protocol, transports)
{
  const manager<Protocol> owner;
  asio::io_context context;
  typename Protocol::socket early(context);
  early.connect(owner.endpoint());
  asio::write(early, asio::buffer("early", 5));
  const std::string transport = is_tcp<Protocol> ? "tcp" : is_local<Protocol> ? "local" : "shm";
  context.notify_fork(asio::execution_context::fork_prepare);
  child_process server([&](channel&) -> int { execute_server(owner.descriptor(), transport); });
  context.notify_fork(asio::execution_context::fork_parent);
  typename Protocol::socket late(context);
  late.connect(owner.endpoint());
  asio::write(late, asio::buffer("later", 5));
  std::string text(5, '\0');
  asio::read(early, asio::buffer(text));
  BOOST_TEST(text == "EARLY");
  asio::read(late, asio::buffer(text));
  BOOST_TEST(text == "LATER");
  BOOST_TEST(server.wait() == 0);
  // The server is gone, the name is not.
  typename Protocol::socket next(context);
  next.connect(owner.endpoint());
}

BOOST_AUTO_TEST_SUITE_END()
