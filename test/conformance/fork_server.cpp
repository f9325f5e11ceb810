// SPDX-License-Identifier: BSL-1.0
// Servers that fork: a process for each connection, and a daemon that goes on where its parent ends.

#define BOOST_TEST_MODULE fork_server
#include "socket_test.hpp"

#include "server_process.hpp"

#include <array>
#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

using namespace shm::test;

namespace {

/// Sends back what comes until eof.
template <class Protocol>
class echo
{
public:
  explicit echo(typename Protocol::socket& socket) : socket_(socket) {}

  void start()
  {
    socket_.async_read_some(asio::buffer(data_),
        [this](error_code ec, std::size_t n)
        {
          if (!ec)
            write(n);
          else
            socket_.close();
        });
  }

private:
  void write(std::size_t n)
  {
    asio::async_write(socket_, asio::buffer(data_.data(), n),
        [this](error_code ec, std::size_t)
        {
          if (!ec)
            start();
        });
  }

  typename Protocol::socket& socket_;
  std::array<char, 4096> data_{};
};

/// As in Asio's documentation: the parent accepts and closes, a child serves, SIGCHLD tells when to collect it.
template <class Protocol>
class process_per_connection
{
public:
  process_per_connection(asio::io_context& context, const typename Protocol::endpoint& endpoint, int clients)
    : context_(context),
      signals_(context, SIGCHLD),
      acceptor_(context, endpoint),
      socket_(context),
      session_(socket_),
      clients_(clients)
  {
    wait_for_child();
    accept();
  }

  auto endpoint() const { return acceptor_.local_endpoint(); }
  bool in_child() const { return in_child_; }
  int well_ended() const { return well_ended_; }

private:
  void wait_for_child()
  {
    signals_.async_wait(
        [this](error_code ec, int)
        {
          if (ec || !acceptor_.is_open())
            return;
          int status = 0;
          while (::waitpid(-1, &status, WNOHANG) > 0)
          {
            ++ended_;
            well_ended_ += WIFEXITED(status) && WEXITSTATUS(status) == 0;
          }
          if (ended_ == clients_)
            acceptor_.close();
          else
            wait_for_child();
        });
  }

  void accept()
  {
    acceptor_.async_accept(socket_,
        [this](error_code ec)
        {
          if (ec)
            return;
          context_.notify_fork(asio::execution_context::fork_prepare);
          if (::fork() == 0)
          {
            in_child_ = true;
            context_.notify_fork(asio::execution_context::fork_child);
            acceptor_.close();
            signals_.cancel();
            session_.start();
            return;
          }
          context_.notify_fork(asio::execution_context::fork_parent);
          socket_.close();
          accept();
        });
  }

  asio::io_context& context_;
  asio::signal_set signals_;
  typename Protocol::acceptor acceptor_;
  typename Protocol::socket socket_;
  echo<Protocol> session_;
  const int clients_;
  bool in_child_ = false;
  int ended_ = 0;
  int well_ended_ = 0;
};

template <class Socket>
void check_echo(Socket& socket, const std::string& text)
{
  asio::write(socket, asio::buffer(text));
  std::string got(text.size(), '\0');
  asio::read(socket, asio::buffer(got));
  BOOST_TEST(got == text);
}

template <class Socket>
void check_ends(Socket& socket)
{
  char nothing = 0;
  reports(error::eof, [&](auto&... ec) { asio::read(socket, asio::buffer(&nothing, 1), ec...); });
}

/// A server with one connection that was made before the fork, and an acceptor for the next.
template <class Protocol>
struct daemon_server
{
  daemon_server(asio::io_context& context, const typename Protocol::endpoint& endpoint)
    : acceptor(context, endpoint), first(context), second(context), first_session(first), second_session(second)
  {
  }

  /// To be called in the child.
  void serve()
  {
    acceptor.async_accept(second,
        [this](error_code ec)
        {
          if (!ec)
            second_session.start();
          acceptor.close();
        });
  }

  typename Protocol::acceptor acceptor;
  typename Protocol::socket first;
  typename Protocol::socket second;
  echo<Protocol> first_session;
  echo<Protocol> second_session;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(fork_server, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(process_for_each_of_many_clients, Protocol, transports)
{
  constexpr int count = 20;
  child_process server(
      [listens_to = loopback<Protocol>()](channel& parent)
      {
        asio::io_context context;
        process_per_connection<Protocol> serving(context, listens_to, count);
        send_endpoint(parent, serving.endpoint());
        context.run();
        if (!serving.in_child())
          parent.send(serving.well_ended());
        return 0;
      });
  const auto endpoint = receive_endpoint<Protocol>(server.peer());
  asio::io_context context;
  std::vector<typename Protocol::socket> clients;
  // All at once, and each with more than one exchange: every process serves its own client and no other.
  for (int i = 0; i != count; ++i)
  {
    clients.emplace_back(context).connect(endpoint);
    asio::write(clients.back(), asio::buffer(std::to_string(1000 + i)));
  }
  for (int i = count - 1; i >= 0; --i)
  {
    std::string got(4, '\0');
    asio::read(clients[static_cast<std::size_t>(i)], asio::buffer(got));
    BOOST_TEST(got == std::to_string(1000 + i));
  }
  for (auto& client : clients)
    check_echo(client, std::string(30'000, 'b'));
  for (auto& client : clients)
  {
    client.shutdown(asio::socket_base::shutdown_send);
    check_ends(client); // the parent's copy does not keep it open
  }
  BOOST_TEST(server.peer().template receive<int>() == count);
  BOOST_TEST(server.wait() == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(daemon_serves_on_when_its_parent_is_gone, Protocol, transports)
{
  // The parent leaves at once, or destroys its context first, which closes its copies of everything.
  for (const bool destroys : {false, true})
  {
    child_process server(
        [listens_to = loopback<Protocol>(), destroys](channel& parent)
        {
          asio::io_context context;
          daemon_server<Protocol> serving(context, listens_to);
          send_endpoint(parent, serving.acceptor.local_endpoint());
          serving.acceptor.accept(serving.first);
          serving.first_session.start();
          parent.receive<char>();
          context.poll();
          context.notify_fork(asio::execution_context::fork_prepare);
          if (::fork() == 0)
          {
            ::alarm(100); // nobody would end it if the test died
            context.notify_fork(asio::execution_context::fork_child);
            serving.serve();
            context.restart();
            context.run();
            return 0;
          }
          context.notify_fork(asio::execution_context::fork_parent);
          if (!destroys)
            ::_exit(0);
          return 0;
        });
    const auto endpoint = receive_endpoint<Protocol>(server.peer());
    asio::io_context context;
    typename Protocol::socket first(context), second(context);
    first.connect(endpoint);
    server.peer().send('f');
    BOOST_TEST(server.wait() == 0);
    check_echo(first, "made before the fork");
    check_echo(first, std::string(100'000, 'd'));
    second.connect(endpoint);
    check_echo(second, "made after it");
    // Now nobody listens any more.
    wait_until(
        [&]
        {
          typename Protocol::socket third(context);
          error_code ec;
          third.connect(endpoint, ec);
          return ec == error::connection_refused;
        });
    for (auto* socket : {&first, &second})
    {
      socket->shutdown(asio::socket_base::shutdown_send);
      check_ends(*socket);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
