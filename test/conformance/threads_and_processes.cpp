// SPDX-License-Identifier: BSL-1.0
// A peer in another process wakes, is cancelled on, ends, and dies, while 1 and 4 threads run the context.
#define BOOST_TEST_MODULE threads_and_processes
#include "socket_test.hpp"

#include "server_process.hpp"

#include <atomic>
#include <thread>
#include <vector>

using namespace shm::test;

namespace {

/// Writes a byte for each 'w' that the test sends, and closes at 'c'.
template <class Protocol>
auto obedient_server()
{
  return server_process<Protocol>(
      [](asio::io_context&, typename Protocol::socket& socket, channel& parent)
      {
        char command;
        while ((command = parent.receive<char>()) == 'w')
          asio::write(socket, asio::buffer(&command, 1));
        return 0;
      });
}

/// A client of such a server in a context that some threads run; its operations go through a strand.
template <class Protocol>
class threaded_client
{
public:
  threaded_client(const typename Protocol::endpoint& endpoint, int threads)
    : strand_(asio::make_strand(context_)), socket_(strand_), work_(asio::make_work_guard(context_))
  {
    socket_.connect(endpoint);
    for (int i = 0; i < threads; ++i)
      threads_.emplace_back([this] { context_.run(); });
  }

  ~threaded_client()
  {
    work_.reset();
    asio::post(strand_, [this] { socket_.close(); });
    for (std::thread& thread : threads_)
      thread.join();
  }

  /// Starts a read; its outcome is in outcome() once calls() has grown.
  void start_read()
  {
    asio::post(strand_,
        [this]
        {
          socket_.async_read_some(asio::buffer(&byte_, 1),
              asio::bind_cancellation_slot(signal_.slot(),
                  [this](error_code ec, std::size_t)
                  {
                    outcome_ = ec;
                    ++calls_;
                  }));
          ++started_;
        });
    const int wanted = ++reads_;
    wait_until([&] { return started_ == wanted; });
  }

  error_code wait_for_read()
  {
    wait_until([&] { return calls_ == reads_; });
    return outcome_;
  }

  void cancel()
  {
    asio::post(strand_, [this] { socket_.cancel(); });
  }

  void cancel_by_slot()
  {
    asio::post(strand_, [this] { signal_.emit(asio::cancellation_type::total); });
  }

  bool pending() const { return calls_ != reads_; }

private:
  using strand_type = asio::strand<asio::io_context::executor_type>;

  asio::io_context context_;
  strand_type strand_;
  typename Protocol::socket socket_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  asio::cancellation_signal signal_;
  char byte_ = 0;
  error_code outcome_;
  int reads_ = 0;
  std::atomic<int> started_{0};
  std::atomic<int> calls_{0};
  std::vector<std::thread> threads_;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(threads_and_processes, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(peer_wakes_a_sleeping_read, Protocol, transports)
{
  for (const int threads : {1, 4})
  {
    child_process server(obedient_server<Protocol>());
    threaded_client<Protocol> client(receive_endpoint<Protocol>(server.peer()), threads);
    for (int i = 0; i < 200; ++i)
    {
      client.start_read();
      BOOST_TEST(client.pending());
      server.peer().send('w');
      BOOST_TEST(!client.wait_for_read());
    }
    server.peer().send('c');
    BOOST_TEST(server.wait() == 0);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cancelled_read_leaves_the_connection_usable, Protocol, transports)
{
  for (const int threads : {1, 4})
  {
    child_process server(obedient_server<Protocol>());
    threaded_client<Protocol> client(receive_endpoint<Protocol>(server.peer()), threads);
    for (int i = 0; i < 50; ++i)
    {
      client.start_read();
      if (i % 2 == 0)
        client.cancel();
      else
        client.cancel_by_slot();
      BOOST_TEST(client.wait_for_read() == error::operation_aborted);
      client.start_read();
      server.peer().send('w');
      BOOST_TEST(!client.wait_for_read());
    }
    server.peer().send('c');
    BOOST_TEST(server.wait() == 0);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(peer_that_closes_gives_eof, Protocol, transports)
{
  for (const int threads : {1, 4})
  {
    child_process server(obedient_server<Protocol>());
    threaded_client<Protocol> client(receive_endpoint<Protocol>(server.peer()), threads);
    client.start_read();
    server.peer().send('c');
    BOOST_TEST(client.wait_for_read() == error::eof);
    BOOST_TEST(server.wait() == 0);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(killed_peer_gives_what_it_wrote_and_then_its_end, Protocol, transports)
{
  for (const int threads : {1, 4})
  {
    child_process server(obedient_server<Protocol>());
    threaded_client<Protocol> client(receive_endpoint<Protocol>(server.peer()), threads);
    server.peer().send('w');
    client.start_read();
    BOOST_TEST(!client.wait_for_read());
    client.start_read();
    server.kill();
    BOOST_TEST(is_end(client.wait_for_read()));
  }
}

BOOST_AUTO_TEST_SUITE_END()
