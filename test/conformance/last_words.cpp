// SPDX-License-Identifier: BSL-1.0
// All that was written before close, shutdown or destruction reaches the peer, then comes eof and stays.

#define BOOST_TEST_MODULE last_words
#include "socket_test.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace shm::test;

namespace {

using base = asio::socket_base;

/// The ways in which a program lets go of a socket.
template <class Protocol>
std::vector<std::pair<std::string, std::function<void(std::optional<typename Protocol::socket>&)>>> endings()
{
  using socket = std::optional<typename Protocol::socket>;
  return {
      {"close", [](socket& s) { s->close(); }},
      {"shutdown_both", [](socket& s) { s->shutdown(base::shutdown_both); }},
      {"shutdown_both and close",
          [](socket& s)
          {
            s->shutdown(base::shutdown_both);
            s->close();
          }},
      {"shutdown_send and close",
          [](socket& s)
          {
            s->shutdown(base::shutdown_send);
            s->close();
          }},
      {"destruction", [](socket& s) { s.reset(); }},
      {"assignment of another socket",
          [](socket& s) { *s = typename Protocol::socket(s->get_executor(), loopback_protocol<Protocol>()); }},
      {"cancel and close",
          [](socket& s)
          {
            s->cancel();
            s->close();
          }},
  };
}

template <class Protocol>
void check_eof_stays(asio::io_context& context, typename Protocol::socket& socket)
{
  std::array<char, 8> data{};
  for (int i = 0; i != 3; ++i)
  {
    reports(error::eof, [&](auto&... ec) { socket.read_some(asio::buffer(data), ec...); });
    reports(error::eof, [&](auto&... ec) { asio::read(socket, asio::buffer(data), ec...); });
    if constexpr (differences<Protocol>::asynchronous_read_after_eof_completes)
    {
      completion read;
      asio::async_read(socket, asio::buffer(data), read.handler());
      run_until(context, [&] { return read.done(); });
      BOOST_TEST(read.ec == error::eof);
      BOOST_TEST(read.bytes == 0u);
    }
  }
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(last_words, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(what_fits_into_the_buffers_is_delivered, Protocol, transports)
{
  for (const auto& [name, end] : endings<Protocol>())
    for (const std::size_t size : {std::size_t(1), std::size_t(4'096), std::size_t(60'013)})
      BOOST_TEST_CONTEXT(name << " after " << size << " bytes")
      {
        asio::io_context context;
        connected_pair<Protocol> pair(context);
        const pattern bytes(size);
        std::optional<typename Protocol::socket> writer(std::move(pair.client));
        asio::write(*writer, asio::buffer(bytes.bytes(size)));
        end(writer);
        std::vector<unsigned char> got(size);
        BOOST_TEST(asio::read(pair.server, asio::buffer(got)) == size);
        BOOST_TEST(bytes.matches(got));
        check_eof_stays<Protocol>(context, pair.server);
      }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(ended_in_the_handler_of_the_last_write, Protocol, transports)
{
  const std::size_t size = 5'000'011;
  for (const auto& [name, end] : endings<Protocol>())
    BOOST_TEST_CONTEXT(name)
    {
      asio::io_context context;
      connected_pair<Protocol> pair(context);
      const pattern bytes(5);
      const auto sent = bytes.bytes(size);
      std::vector<unsigned char> got(size + 1);
      std::optional<typename Protocol::socket> writer(std::move(pair.client));
      completion read;
      asio::async_read(pair.server, asio::buffer(got), read.handler());
      const auto& ending = end;
      asio::async_write(*writer, asio::buffer(sent),
          [&](error_code ec, std::size_t n)
          {
            BOOST_TEST(!ec);
            BOOST_TEST(n == size);
            ending(writer);
          });
      run_until(context, [&] { return read.done(); });
      BOOST_TEST(read.ec == error::eof);
      BOOST_TEST(read.bytes == size);
      BOOST_TEST(bytes.matches(got.data(), read.bytes));
      check_eof_stays<Protocol>(context, pair.server);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(slow_reader_gets_everything_of_a_blocking_writer, Protocol, transports)
{
  for (const auto& [name, end] : endings<Protocol>())
    BOOST_TEST_CONTEXT(name)
    {
      asio::io_context context;
      connected_pair<Protocol> pair(context, 16 * 1024);
      const pattern bytes(6);
      const auto sent = bytes.bytes(700'001);
      std::optional<typename Protocol::socket> writer(std::move(pair.client));
      error_code written;
      std::thread thread(
          [&, &ending = end]
          {
            asio::write(*writer, asio::buffer(sent), written);
            ending(writer);
          });
      std::vector<unsigned char> got;
      std::array<unsigned char, 1'009> piece{};
      error_code ec;
      while (!ec && got.size() <= sent.size())
      {
        const std::size_t n = pair.server.read_some(asio::buffer(piece), ec);
        got.insert(got.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(n));
      }
      thread.join();
      BOOST_TEST(!written);
      BOOST_TEST(ec == error::eof);
      BOOST_TEST(got.size() == sent.size());
      BOOST_TEST(bytes.matches(got));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(context_of_the_writer_is_gone, Protocol, transports)
{
  asio::io_context context;
  auto writers = std::make_unique<asio::io_context>();
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  const pattern bytes(7);
  {
    typename Protocol::socket writer(*writers);
    writer.connect(acceptor.local_endpoint());
    asio::write(writer, asio::buffer(bytes.bytes(50'021)));
  }
  writers.reset();
  auto server = acceptor.accept();
  std::vector<unsigned char> got(50'022);
  completion read;
  asio::async_read(server, asio::buffer(got), read.handler());
  run_until(context, [&] { return read.done(); });
  BOOST_TEST(read.ec == error::eof);
  BOOST_TEST(read.bytes == 50'021u);
  BOOST_TEST(bytes.matches(got.data(), read.bytes));
  check_eof_stays<Protocol>(context, server);
}

BOOST_AUTO_TEST_SUITE_END()
