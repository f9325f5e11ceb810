// SPDX-License-Identifier: BSL-1.0
// Cancellation slots of accepts and connects of all forms, of composed operations, and of operations that have ended.

#define BOOST_TEST_MODULE cancellation_slots
#include "socket_test.hpp"

#include <array>
#include <string>
#include <vector>

using namespace shm::test;

namespace {

using base = asio::socket_base;
using asio::bind_cancellation_slot;
using asio::cancellation_type;

constexpr std::array<cancellation_type, 3> kinds{
    cancellation_type::terminal, cancellation_type::partial, cancellation_type::total};

/// What Asio's composed operations listen to: they may have transferred something when they are cancelled, so that a
/// cancellation that is to be without any effect would be a wrong promise.
constexpr bool ends_composed(cancellation_type kind)
{
  return kind != cancellation_type::total;
}

template <class From, class To>
void check_carries(From& from, To& to)
{
  const std::string sent = "usable";
  asio::write(from, asio::buffer(sent));
  std::string got(sent.size(), '\0');
  asio::read(to, asio::buffer(got));
  BOOST_TEST(got == sent);
}

/// Writes until there is no more room. @returns how much it was.
template <class Socket>
std::size_t fill(Socket& socket, const pattern& bytes)
{
  socket.non_blocking(true);
  std::size_t total = 0;
  for (error_code ec; !ec;)
  {
    const auto block = bytes.bytes(10'000, total);
    total += socket.write_some(asio::buffer(block), ec);
    BOOST_TEST_REQUIRE((!ec || ec == error::would_block));
  }
  socket.non_blocking(false);
  return total;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(cancellation_slots, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(every_form_of_accept, Protocol, transports)
{
  asio::io_context context;
  asio::io_context other;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  typename Protocol::endpoint peer;
  typename Protocol::socket socket(context);
  const auto strand = asio::make_strand(other);

  const auto check = [&](auto start)
  {
    for (const auto kind : kinds)
    {
      asio::cancellation_signal signal;
      completion result;
      bool opened = false;
      start(bind_cancellation_slot(signal.slot(),
          [&](error_code ec, auto... accepted)
          {
            result.handler()(ec);
            opened = (accepted.is_open() || ...);
          }));
      run_ready(context);
      BOOST_TEST(result.calls == 0);
      signal.emit(kind);
      BOOST_TEST(result.calls == 0);
      run_until(context, [&] { return result.done(); });
      BOOST_TEST(result.ec == error::operation_aborted);
      BOOST_TEST(!opened);
      BOOST_TEST(!socket.is_open());
    }
    // The listener takes the next client as if nothing had been.
    typename Protocol::socket client(context);
    client.connect(acceptor.local_endpoint());
    auto server = acceptor.accept();
    check_carries(client, server);
  };
  check([&](auto h) { acceptor.async_accept(socket, h); });
  check([&](auto h) { acceptor.async_accept(socket, peer, h); });
  check([&](auto h) { acceptor.async_accept(h); });
  check([&](auto h) { acceptor.async_accept(peer, h); });
  check([&](auto h) { acceptor.async_accept(other, h); });
  check([&](auto h) { acceptor.async_accept(other, peer, h); });
  check([&](auto h) { acceptor.async_accept(strand, h); });
  check([&](auto h) { acceptor.async_accept(strand, peer, h); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(single_write_into_full_buffers, Protocol, transports)
{
  const pattern bytes(1);
  asio::io_context context;
  connected_pair<Protocol> pair(context, 16 * 1024);
  const std::size_t written = fill(pair.client, bytes);
  const auto more = bytes.bytes(5000, written);
  const auto check = [&](auto start)
  {
    for (const auto kind : kinds)
    {
      asio::cancellation_signal signal;
      completion result;
      start(bind_cancellation_slot(signal.slot(), result.handler()));
      run_ready(context);
      BOOST_TEST(result.calls == 0);
      signal.emit(kind);
      run_until(context, [&] { return result.done(); });
      BOOST_TEST(result.ec == error::operation_aborted);
      BOOST_TEST(result.bytes == 0u);
    }
  };
  check([&](auto h) { pair.client.async_write_some(asio::buffer(more), h); });
  check([&](auto h) { pair.client.async_send(asio::buffer(more), h); });
  check([&](auto h) { pair.client.async_wait(base::wait_write, h); });

  // Nothing of what was given up arrives, and the stream goes on where it was.
  std::vector<unsigned char> got(written + more.size());
  asio::async_write(pair.client, asio::buffer(more), asio::detached);
  completion read;
  asio::async_read(pair.server, asio::buffer(got), read.handler());
  run_until(context, [&] { return read.done(); });
  BOOST_TEST(!read.ec);
  BOOST_TEST(bytes.matches(got));
  BOOST_TEST(pair.server.available() == 0u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(composed_reads_keep_what_they_have, Protocol, transports)
{
  const pattern bytes(2);
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  std::size_t position = 0;
  for (const auto kind : kinds)
  {
    const auto sent = bytes.bytes(100, position);
    std::vector<unsigned char> got(100);
    asio::cancellation_signal signal;
    completion result;
    asio::write(pair.server, asio::buffer(sent, 40));
    pair.client.wait(base::wait_read);
    asio::async_read(pair.client, asio::buffer(got), bind_cancellation_slot(signal.slot(), result.handler()));
    run_ready(context);
    BOOST_TEST(result.calls == 0);
    signal.emit(kind);
    run_ready(context);
    BOOST_TEST(result.calls == (ends_composed(kind) ? 1 : 0));
    asio::write(pair.server, asio::buffer(sent.data() + 40, 60));
    run_until(context, [&] { return result.done(); });
    BOOST_TEST(result.ec == (ends_composed(kind) ? error_code(error::operation_aborted) : error_code()));
    BOOST_TEST(result.bytes == (ends_composed(kind) ? 40u : 100u));
    asio::read(pair.client, asio::buffer(got.data() + result.bytes, 100 - result.bytes));
    BOOST_TEST(bytes.matches(got, position));
    position += 100;
  }

  for (const auto kind : kinds)
  {
    std::string line;
    asio::cancellation_signal signal;
    completion result;
    asio::write(pair.server, asio::buffer("half ", 5));
    pair.client.wait(base::wait_read);
    asio::async_read_until(
        pair.client, asio::dynamic_buffer(line), '\n', bind_cancellation_slot(signal.slot(), result.handler()));
    run_ready(context);
    signal.emit(kind);
    run_ready(context);
    BOOST_TEST(result.calls == (ends_composed(kind) ? 1 : 0));
    asio::write(pair.server, asio::buffer("a line\n", 7));
    run_until(context, [&] { return result.done(); });
    if (ends_composed(kind))
      asio::read_until(pair.client, asio::dynamic_buffer(line), '\n');
    BOOST_TEST(line == "half a line\n");
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(composed_writes_report_what_went_out, Protocol, transports)
{
  const pattern bytes(3);
  const auto much = bytes.bytes(8 << 20);
  for (const auto kind : kinds)
  {
    asio::io_context context;
    connected_pair<Protocol> pair(context, 16 * 1024);
    asio::cancellation_signal signal;
    completion written;
    completion read;
    std::vector<unsigned char> got(much.size() + 6);
    asio::async_write(pair.client, asio::buffer(much), bind_cancellation_slot(signal.slot(), written.handler()));
    run_ready(context);
    BOOST_TEST(written.calls == 0);
    signal.emit(kind);
    run_ready(context);
    BOOST_TEST(written.calls == (ends_composed(kind) ? 1 : 0));
    asio::async_read(pair.server, asio::buffer(got), read.handler());
    run_until(context, [&] { return written.done(); });
    BOOST_TEST(written.ec == (ends_composed(kind) ? error_code(error::operation_aborted) : error_code()));
    BOOST_TEST((written.bytes == much.size()) == !ends_composed(kind));
    completion last;
    asio::async_write(pair.client, asio::buffer("usable", 6), last.handler());
    run_until(context, [&] { return last.done(); });
    pair.client.shutdown(base::shutdown_send);
    run_until(context, [&] { return read.done(); });
    BOOST_TEST(read.bytes == written.bytes + 6);
    BOOST_TEST(bytes.matches(got.data(), written.bytes));
    BOOST_TEST(std::string(got.begin() + static_cast<std::ptrdiff_t>(written.bytes),
                   got.begin() + static_cast<std::ptrdiff_t>(read.bytes)) == "usable");
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(connect_to_a_range, Protocol, transports)
{
  for (const auto kind : kinds)
  {
    asio::io_context context;
    typename Protocol::acceptor acceptor(context, loopback<Protocol>());
    typename Protocol::endpoint nobody;
    {
      typename Protocol::acceptor gone(context, loopback<Protocol>());
      nobody = gone.local_endpoint();
    }
    const std::vector<typename Protocol::endpoint> range{nobody, nobody, acceptor.local_endpoint()};
    typename Protocol::socket client(context);
    asio::cancellation_signal signal;
    int calls = 0;
    error_code result;
    asio::async_connect(client, range,
        bind_cancellation_slot(signal.slot(),
            [&](error_code ec, const typename Protocol::endpoint&)
            {
              ++calls;
              result = ec;
            }));
    signal.emit(kind);
    run_out(context);
    BOOST_TEST(calls == 1);
    // The first endpoint refuses, and the others are not tried then.
    BOOST_TEST(result == (ends_composed(kind) ? error_code(error::operation_aborted) : error_code()));
    if (result)
      asio::connect(client, range);
    auto server = acceptor.accept();
    check_carries(client, server);
    check_carries(server, client);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(signal_after_the_end_is_too_late, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  std::array<char, 8> data{};
  for (const auto kind : kinds)
  {
    // Complete as soon as it starts, though its handler has not run: the data is the handler's.
    asio::write(pair.server, asio::buffer("there", 5));
    pair.client.wait(base::wait_read);
    asio::cancellation_signal signal;
    std::array<completion, 3> results;
    pair.client.async_read_some(asio::buffer(data), bind_cancellation_slot(signal.slot(), results[0].handler()));
    signal.emit(kind);
    run_until(context, [&] { return results[0].done(); });
    BOOST_TEST(!results[0].ec);
    BOOST_TEST(results[0].bytes == 5u);

    pair.client.async_write_some(
        asio::buffer("sent", 4), bind_cancellation_slot(signal.slot(), results[1].handler()));
    signal.emit(kind);
    run_until(context, [&] { return results[1].done(); });
    BOOST_TEST(!results[1].ec);
    BOOST_TEST(asio::read(pair.server, asio::buffer(data, 4)) == 4u);

    // Between the end of one operation and the start of the next there is nothing to cancel.
    signal.emit(kind);
    pair.client.async_read_some(asio::buffer(data), results[2].handler());
    signal.emit(kind);
    asio::write(pair.server, asio::buffer("next", 4));
    run_until(context, [&] { return results[2].done(); });
    BOOST_TEST(!results[2].ec);
    BOOST_TEST(results[2].bytes == 4u);
  }
}

BOOST_AUTO_TEST_SUITE_END()
