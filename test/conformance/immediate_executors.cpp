// SPDX-License-Identifier: BSL-1.0
// Handlers whose executor runs functions at once, and those of an immediate executor where Asio has it.

#define BOOST_TEST_MODULE immediate_executors
#include "socket_test.hpp"

#include <boost/asio/version.hpp>

#include <array>
#include <thread>
#include <vector>

// Asio 1.28, with Boost 1.82, has brought associated_immediate_executor.
#if BOOST_ASIO_VERSION >= 102800
#include <boost/asio/bind_immediate_executor.hpp>
#endif

using namespace shm::test;

BOOST_FIXTURE_TEST_SUITE(immediate_executors, watchdog)

// It knows the thread that it runs in.
BOOST_TEST_DECORATOR(*boost::unit_test::label("one_thread"))
BOOST_AUTO_TEST_CASE_TEMPLATE(inline_executor_runs_handlers_where_the_context_runs, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  typename Protocol::socket client(context);
  std::array<char, 8> data{};
  const auto runner = std::this_thread::get_id();
  int calls = 0;
  bool inside = true;
  const auto handler = [&]
  {
    return asio::bind_executor(asio::system_executor(),
        [&](error_code ec, auto&&...)
        {
          BOOST_TEST(!ec);
          BOOST_TEST(!inside);
          BOOST_CHECK(std::this_thread::get_id() == runner);
          BOOST_TEST(context.get_executor().running_in_this_thread());
          ++calls;
        });
  };
  // Even these do not run in the initiating function, though there is nothing to wait for.
  asio::write(pair.server, asio::buffer("there", 5));
  pair.client.wait(asio::socket_base::wait_read);
  pair.client.async_wait(asio::socket_base::wait_read, handler());
  pair.client.async_read_some(asio::buffer(data), handler());
  pair.client.async_write_some(asio::buffer("x", 1), handler());
  pair.client.async_write_some(asio::const_buffer(), handler());
  asio::async_write(pair.client, asio::buffer("yy", 2), handler());
  asio::async_read(pair.server, asio::buffer(data, 3), handler());
  acceptor.async_accept(handler());
  client.async_connect(acceptor.local_endpoint(), handler());
  inside = false;
  run_out(context);
  BOOST_TEST(calls == 8);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(strand_of_handlers_guards_what_they_share, Protocol, transports)
{
  constexpr int connections = 4;
  constexpr int messages = 500;
  asio::io_context context;
  const auto strand = asio::make_strand(context);
  int unguarded = 0; // only the strand keeps the four threads apart
  struct reader
  {
    void operator()(error_code ec, std::size_t n)
    {
      *sum += static_cast<int>(n);
      if (!ec)
        socket->async_read_some(asio::buffer(*data), asio::bind_executor(strand, *this));
    }
    typename Protocol::socket* socket;
    std::array<char, 5>* data;
    asio::strand<asio::io_context::executor_type> strand;
    int* sum;
  };
  std::vector<connected_pair<Protocol>> pairs;
  std::vector<std::array<char, 5>> data(connections);
  for (int i = 0; i != connections; ++i)
    pairs.emplace_back(context);
  for (std::size_t i = 0; i != pairs.size(); ++i)
    reader{&pairs[i].server, &data[i], strand, &unguarded}({}, 0);
  std::thread writer(
      [&]
      {
        for (int i = 0; i != messages; ++i)
          for (auto& pair : pairs)
            asio::write(pair.client, asio::buffer("data", 4));
        for (auto& pair : pairs)
          pair.client.close();
      });
  run_with_threads(context, 4);
  writer.join();
  BOOST_TEST(unguarded == 4 * connections * messages);
}

#if BOOST_ASIO_VERSION >= 102800
BOOST_AUTO_TEST_CASE_TEMPLATE(immediate_completions_use_the_immediate_executor, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  typename Protocol::socket closed(context);
  std::array<char, 8> data{};
  int calls = 0;
  const auto handler = [&]
  {
    return asio::bind_immediate_executor(asio::system_executor(), [&](error_code, std::size_t) { ++calls; });
  };
  // Complete at once: the handler has run when the initiating function returns.
  asio::write(pair.server, asio::buffer("there", 5));
  pair.client.wait(asio::socket_base::wait_read);
  pair.client.async_read_some(asio::buffer(data), handler());
  BOOST_TEST(calls == 1);
  pair.client.async_write_some(asio::buffer("x", 1), handler());
  BOOST_TEST(calls == 2);
  pair.client.async_read_some(asio::mutable_buffer(), handler());
  BOOST_TEST(calls == 3);
  closed.async_read_some(asio::buffer(data), handler());
  BOOST_TEST(calls == 4);

  // Not at once: the handler runs on its own executor.
  pair.client.async_read_some(asio::buffer(data), handler());
  BOOST_TEST(calls == 4);
  asio::write(pair.server, asio::buffer("late", 4));
  run_until(context, [&] { return calls == 5; });
}
#endif

BOOST_AUTO_TEST_SUITE_END()
