// SPDX-License-Identifier: BSL-1.0
// After fork one process does the I/O of a connection and the other closes its copy.
#define BOOST_TEST_MODULE forked_copies
#include "socket_test.hpp"

#include <string>

#include <sys/wait.h>
#include <unistd.h>

using namespace shm::test;

namespace {

void check_exits_cleanly(pid_t child)
{
  int status = -1;
  BOOST_TEST_REQUIRE(::waitpid(child, &status, 0) == child);
  BOOST_TEST(status == 0);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(forked_copies, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(closing_one_in_the_child_leaves_a_sleeping_read_asleep, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  char got = 0;
  completion read;
  pair.client.async_read_some(asio::buffer(&got, 1), read.handler());
  context.run_for(std::chrono::milliseconds(5));

  const pid_t child = ::fork();
  if (child == 0)
  {
    // No notify_fork: this process does nothing with the context but give up its copies.
    pair.client.close();
    pair.server.close();
    ::_exit(0);
  }
  check_exits_cleanly(child);
  BOOST_TEST(!read.done());
  asio::write(pair.server, asio::buffer("x", 1));
  run_until(context, [&] { return read.done(); });
  BOOST_TEST(!read.ec);
  BOOST_TEST(got == 'x');
}

BOOST_AUTO_TEST_CASE_TEMPLATE(one_process_for_each_connection, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  for (int i = 0; i < 3; ++i)
  {
    typename Protocol::socket client(context);
    client.connect(acceptor.local_endpoint());
    typename Protocol::socket server(context);
    completion accepted;
    acceptor.async_accept(server, accepted.handler());
    run_until(context, [&] { return accepted.done(); });

    context.notify_fork(asio::execution_context::fork_prepare);
    const pid_t child = ::fork();
    if (child == 0)
    {
      context.notify_fork(asio::execution_context::fork_child);
      acceptor.close();
      client.close();
      std::string text(5, '\0');
      asio::async_read(server, asio::buffer(text),
          [&](error_code ec, std::size_t)
          {
            if (!ec)
              asio::async_write(server, asio::buffer(text), [](error_code, std::size_t) {});
          });
      context.restart();
      context.run();
      ::_exit(0);
    }
    context.notify_fork(asio::execution_context::fork_parent);
    server.close();
    BOOST_TEST(acceptor.is_open());
    asio::write(client, asio::buffer("hello", 5));
    std::string text(5, '\0');
    completion read;
    asio::async_read(client, asio::buffer(text), read.handler());
    run_until(context, [&] { return read.done(); });
    BOOST_TEST(!read.ec);
    BOOST_TEST(text == "hello");
    check_exits_cleanly(child);
    // The last copy of the other end is gone with the child.
    error_code ec;
    client.read_some(asio::buffer(text), ec);
    BOOST_TEST(ec == error::eof);
  }
}

BOOST_AUTO_TEST_SUITE_END()
