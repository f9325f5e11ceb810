// SPDX-License-Identifier: BSL-1.0
// Reading and writing in the form with an error code, the throwing form and the
// asynchronous form.

#define BOOST_TEST_MODULE stream_forms
#include "socket_test.hpp"

#include <array>
#include <string>
#include <vector>

using namespace shm::test;

namespace {

template <class Protocol>
struct stream_fixture
{
  asio::io_context context;
  connected_pair<Protocol> pair{context};

  void expect(const std::string& sent)
  {
    std::string got(sent.size(), '\0');
    asio::read(pair.server, asio::buffer(got));
    BOOST_TEST(got == sent);
  }

  void supply(const std::string& text)
  {
    asio::write(pair.server, asio::buffer(text));
    pair.client.wait(asio::socket_base::wait_read);
  }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(stream_forms, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(writing, Protocol, transports)
{
  stream_fixture<Protocol> f;
  auto& client = f.pair.client;
  const std::string text = "something to write";
  const auto buffer = asio::buffer(text);

  reports({},
      [&](auto&... ec)
      {
        BOOST_TEST(client.write_some(buffer, ec...) == text.size());
        f.expect(text);
      });
  reports({},
      [&](auto&... ec)
      {
        BOOST_TEST(client.send(buffer, 0, ec...) == text.size());
        f.expect(text);
      });
  BOOST_TEST(client.send(buffer) == text.size());
  f.expect(text);
  reports({},
      [&](auto&... ec)
      {
        BOOST_TEST(asio::write(client, buffer, ec...) == text.size());
        f.expect(text);
      });

  const auto check = [&](auto start)
  {
    completion written;
    start(written.handler());
    BOOST_TEST(written.calls == 0);
    run_until(f.context, [&] { return written.done(); });
    BOOST_TEST(!written.ec);
    BOOST_TEST(written.bytes == text.size());
    BOOST_TEST(written.calls == 1);
    f.expect(text);
  };
  check([&](auto h) { client.async_write_some(buffer, h); });
  check([&](auto h) { client.async_send(buffer, h); });
  check([&](auto h) { client.async_send(buffer, 0, h); });
  check([&](auto h) { asio::async_write(client, buffer, h); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(reading, Protocol, transports)
{
  stream_fixture<Protocol> f;
  auto& client = f.pair.client;
  const std::string text = "something to read";
  std::array<char, 64> data{};
  const auto buffer = asio::buffer(data);
  const auto got = [&](std::size_t n)
  {
    const std::string result(data.data(), n);
    data.fill(0);
    return result;
  };

  reports({},
      [&](auto&... ec)
      {
        f.supply(text);
        BOOST_TEST(got(client.read_some(buffer, ec...)) == text);
      });
  reports({},
      [&](auto&... ec)
      {
        f.supply(text);
        BOOST_TEST(got(client.receive(buffer, 0, ec...)) == text);
      });
  f.supply(text);
  BOOST_TEST(got(client.receive(buffer)) == text);
  reports({},
      [&](auto&... ec)
      {
        f.supply(text);
        BOOST_TEST(got(asio::read(client, asio::buffer(data, text.size()), ec...)) == text);
      });

  const auto check = [&](auto start)
  {
    for (const bool data_first : {true, false})
    {
      completion read;
      if (data_first)
        f.supply(text);
      start(read.handler());
      BOOST_TEST(read.calls == 0);
      if (!data_first)
      {
        run_ready(f.context);
        BOOST_TEST(read.calls == 0);
        asio::write(f.pair.server, asio::buffer(text));
      }
      run_until(f.context, [&] { return read.done(); });
      BOOST_TEST(!read.ec);
      BOOST_TEST(got(read.bytes) == text);
      BOOST_TEST(read.calls == 1);
    }
  };
  check([&](auto h) { client.async_read_some(buffer, h); });
  check([&](auto h) { client.async_receive(buffer, h); });
  check([&](auto h) { client.async_receive(buffer, 0, h); });
  check([&](auto h) { asio::async_read(client, asio::buffer(data, text.size()), h); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(peeking_takes_nothing_away, Protocol, transports)
{
  stream_fixture<Protocol> f;
  auto& client = f.pair.client;
  constexpr auto peek = asio::socket_base::message_peek;
  std::array<char, 4> data{};
  f.supply("peeked");
  reports({},
      [&](auto&... ec)
      {
        data.fill(0);
        BOOST_TEST(client.receive(asio::buffer(data), peek, ec...) == 4u);
        BOOST_TEST(std::string(data.data(), 4) == "peek");
        BOOST_TEST(client.available() == 6u);
      });
  completion peeked;
  data.fill(0);
  client.async_receive(asio::buffer(data), peek, peeked.handler());
  run_until(f.context, [&] { return peeked.done(); });
  BOOST_TEST(!peeked.ec);
  BOOST_TEST(peeked.bytes == 4u);
  BOOST_TEST(std::string(data.data(), 4) == "peek");

  std::array<char, 16> all{};
  BOOST_TEST(client.read_some(asio::buffer(all)) == 6u);
  BOOST_TEST(std::string(all.data(), 6) == "peeked");
  BOOST_TEST(client.available() == 0u);

  // A peek that has to wait.
  completion late;
  client.async_receive(asio::buffer(data), peek, late.handler());
  run_ready(f.context);
  BOOST_TEST(late.calls == 0);
  asio::write(f.pair.server, asio::buffer("late", 4));
  run_until(f.context, [&] { return late.done(); });
  BOOST_TEST(late.bytes == 4u);
  BOOST_TEST(client.available() == 4u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(zero_length_completes_at_once, Protocol, transports)
{
  stream_fixture<Protocol> f;
  auto& client = f.pair.client;
  const auto none = asio::mutable_buffer();
  const std::vector<asio::mutable_buffer> several_empty(3);
  reports({}, [&](auto&... ec) { BOOST_TEST(client.read_some(none, ec...) == 0u); });
  reports({}, [&](auto&... ec) { BOOST_TEST(client.write_some(none, ec...) == 0u); });
  reports({},
      [&](auto&... ec)
      {
        BOOST_TEST(client.read_some(several_empty, ec...) == 0u);
        BOOST_TEST(client.write_some(several_empty, ec...) == 0u);
      });

  std::array<completion, 4> results;
  client.async_read_some(none, results[0].handler());
  client.async_write_some(none, results[1].handler());
  client.async_read_some(several_empty, results[2].handler());
  asio::async_read(client, none, results[3].handler());
  for (const auto& result : results)
    BOOST_TEST(result.calls == 0);
  run_out(f.context);
  for (const auto& result : results)
  {
    BOOST_TEST(result.calls == 1);
    BOOST_TEST(!result.ec);
    BOOST_TEST(result.bytes == 0u);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(read_until_and_dynamic_buffers, Protocol, transports)
{
  stream_fixture<Protocol> f;
  auto& client = f.pair.client;
  std::string text;
  f.supply("one\ntwo\nthr");
  reports({},
      [&](auto&... ec)
      {
        const auto n = asio::read_until(client, asio::dynamic_buffer(text), '\n', ec...);
        BOOST_TEST(n == 4u);
        text.erase(0, n);
      });
  BOOST_TEST(text == "thr");
  completion line;
  asio::async_read_until(client, asio::dynamic_buffer(text), '\n', line.handler());
  run_ready(f.context);
  BOOST_TEST(line.calls == 0);
  asio::write(f.pair.server, asio::buffer("ee\n", 3));
  run_until(f.context, [&] { return line.done(); });
  BOOST_TEST(!line.ec);
  BOOST_TEST(line.bytes == 6u);
  BOOST_TEST(text == "three\n");
}

// Several threads may call the handlers in another order.
BOOST_TEST_DECORATOR(*boost::unit_test::label("one_thread"))
BOOST_AUTO_TEST_CASE_TEMPLATE(several_reads_pending_complete_in_order, Protocol, transports)
{
  stream_fixture<Protocol> f;
  std::array<std::array<char, 1>, 4> data{};
  std::string order;
  for (std::size_t i = 0; i != data.size(); ++i)
  {
    f.pair.client.async_read_some(asio::buffer(data[i]),
        [&order, i](error_code ec, std::size_t n)
        {
          if (!ec && n == 1)
            order += std::to_string(i);
        });
  }
  asio::write(f.pair.server, asio::buffer("abcd", 4));
  run_until(f.context, [&] { return order.size() == data.size(); });
  BOOST_TEST(order == "0123");
  for (std::size_t i = 0; i != data.size(); ++i)
    BOOST_TEST(data[i][0] == "abcd"[i]);
}

BOOST_AUTO_TEST_SUITE_END()
