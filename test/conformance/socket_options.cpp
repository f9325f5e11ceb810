// SPDX-License-Identifier: BSL-1.0
// The options, modes and controls that TCP programs use on their sockets.

#define BOOST_TEST_MODULE socket_options
#include "socket_test.hpp"

#include <array>
#include <string>

#include <sys/socket.h>

using namespace shm::test;

namespace {

// An option as a program may write it for itself.
template <int Level, int Name>
class custom_option
{
public:
  template <class P>
  int level(const P&) const
  {
    return Level;
  }
  template <class P>
  int name(const P&) const
  {
    return Name;
  }
  template <class P>
  int* data(const P&)
  {
    return &value_;
  }
  template <class P>
  const int* data(const P&) const
  {
    return &value_;
  }
  template <class P>
  std::size_t size(const P&) const
  {
    return sizeof value_;
  }
  template <class P>
  void resize(const P&, std::size_t)
  {}

private:
  int value_ = 1;
};

template <class Option, class Object>
void check_flag(Object& object)
{
  for (const bool value : {true, false, true})
  {
    reports({}, [&](auto&... ec) { object.set_option(Option(value), ec...); });
    Option read(!value);
    reports({}, [&](auto&... ec) { object.get_option(read, ec...); });
    BOOST_TEST(read.value() == value);
  }
}

template <class Option, class Object>
void check_at_least(Object& object, int value)
{
  reports({}, [&](auto&... ec) { object.set_option(Option(value), ec...); });
  Option read;
  reports({}, [&](auto&... ec) { object.get_option(read, ec...); });
  BOOST_TEST(read.value() >= value);
}

template <class Socket>
void check_options_of_programs(Socket& socket)
{
  using base = asio::socket_base;
  check_flag<base::reuse_address>(socket);
  check_flag<base::keep_alive>(socket);
  check_flag<base::broadcast>(socket);
  check_flag<base::do_not_route>(socket);
  check_flag<base::out_of_band_inline>(socket);
  check_at_least<base::send_buffer_size>(socket, 32 * 1024);
  check_at_least<base::receive_buffer_size>(socket, 32 * 1024);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(socket_options, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(options_of_an_unconnected_socket, Protocol, transports)
{
  asio::io_context context;
  for (const auto& protocol : all_protocols<Protocol>())
  {
    typename Protocol::socket socket(context, protocol);
    check_options_of_programs(socket);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(options_of_a_connection, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  check_options_of_programs(pair.client);
  check_options_of_programs(pair.server);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(options_of_an_acceptor, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  check_options_of_programs(acceptor);
  check_flag<asio::socket_base::enable_connection_aborted>(acceptor);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(options_of_the_internet_protocols, Protocol, ip_transports)
{
  using no_delay = typename Protocol::no_delay;
  asio::io_context context;
  for (const auto& protocol : all_protocols<Protocol>())
  {
    typename Protocol::socket socket(context, protocol);
    no_delay by_default(true);
    socket.get_option(by_default);
    BOOST_TEST(!by_default.value());
    check_flag<no_delay>(socket);
  }
  connected_pair<Protocol> pair(context);
  check_flag<no_delay>(pair.client);
  check_flag<no_delay>(pair.server);
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  check_flag<no_delay>(acceptor);
  typename Protocol::acceptor v6(context, Protocol::v6());
  check_flag<asio::ip::v6_only>(v6);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(defaults_are_those_of_tcp, Protocol, transports)
{
  using base = asio::socket_base;
  asio::io_context context;
  typename Protocol::socket socket(context, loopback_protocol<Protocol>());
  const auto is_off = [&](auto option)
  {
    socket.get_option(option);
    BOOST_TEST(!option.value());
  };
  is_off(base::reuse_address(true));
  is_off(base::keep_alive(true));
  is_off(base::broadcast(true));
  is_off(base::debug(true));
  is_off(base::out_of_band_inline(true));
  base::linger linger(true, 5);
  socket.get_option(linger);
  BOOST_TEST(!linger.enabled());

  base::send_buffer_size send;
  socket.get_option(send);
  BOOST_TEST(send.value() > 0);
  base::receive_buffer_size receive;
  socket.get_option(receive);
  BOOST_TEST(receive.value() > 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(linger_keeps_switch_and_time, Protocol, transports)
{
  using linger = asio::socket_base::linger;
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  for (const auto& [on, seconds] : {std::pair(true, 30), std::pair(true, 1)})
  {
    reports({}, [&, on = on, seconds = seconds](auto&... ec) { pair.client.set_option(linger(on, seconds), ec...); });
    linger read;
    reports({}, [&](auto&... ec) { pair.client.get_option(read, ec...); });
    BOOST_TEST(read.enabled() == on);
    BOOST_TEST(read.timeout() == seconds);
  }
  pair.client.set_option(linger(false, 0));
  linger read(true, 7);
  pair.client.get_option(read);
  BOOST_TEST(!read.enabled());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(low_watermarks, Protocol, transports)
{
  using base = asio::socket_base;
  asio::io_context context;
  typename Protocol::socket socket(context, loopback_protocol<Protocol>());
  base::receive_low_watermark receive;
  socket.get_option(receive);
  BOOST_TEST(receive.value() == 1);
  check_at_least<base::receive_low_watermark>(socket, 1);

  // Linux has the send watermark for reading only.
  base::send_low_watermark send;
  socket.get_option(send);
  BOOST_TEST(send.value() == 1);
  reports(error::no_protocol_option, [&](auto&... ec) { socket.set_option(base::send_low_watermark(1024), ec...); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(debug_may_be_switched_off_by_everybody, Protocol, transports)
{
  using debug = asio::socket_base::debug;
  asio::io_context context;
  typename Protocol::socket socket(context, loopback_protocol<Protocol>());
  reports({}, [&](auto&... ec) { socket.set_option(debug(false), ec...); });
  // Switching it on is a privilege.
  error_code ec;
  socket.set_option(debug(true), ec);
  BOOST_TEST((!ec || ec == error::access_denied));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(unknown_option_reports_no_protocol_option, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  using unknown = custom_option<SOL_SOCKET, 9999>;
  using unknown_level = custom_option<250, 1>;
  reports(error::no_protocol_option, [&](auto&... ec) { pair.client.set_option(unknown(), ec...); });
  unknown read;
  reports(error::no_protocol_option, [&](auto&... ec) { pair.client.get_option(read, ec...); });
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  reports(error::no_protocol_option, [&](auto&... ec) { acceptor.set_option(unknown(), ec...); });

  error_code ec;
  pair.client.set_option(unknown_level(), ec);
  BOOST_TEST((ec == error::no_protocol_option || ec == error::operation_not_supported));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(known_option_as_a_program_writes_it, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::socket socket(context, loopback_protocol<Protocol>());
  custom_option<SOL_SOCKET, SO_KEEPALIVE> on;
  socket.set_option(on);
  asio::socket_base::keep_alive read;
  socket.get_option(read);
  BOOST_TEST(read.value());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(closed_socket_has_no_options, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::socket socket(context);
  typename Protocol::acceptor acceptor(context);
  asio::socket_base::keep_alive option(true);
  asio::socket_base::bytes_readable command;
  const auto bad = [](auto call) { reports(error::bad_descriptor, call); };
  bad([&](auto&... ec) { socket.set_option(option, ec...); });
  bad([&](auto&... ec) { socket.get_option(option, ec...); });
  bad([&](auto&... ec) { socket.io_control(command, ec...); });
  bad([&](auto&... ec) { acceptor.set_option(option, ec...); });
  bad([&](auto&... ec) { acceptor.get_option(option, ec...); });
  bad([&](auto&... ec) { acceptor.io_control(command, ec...); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(buffer_sizes_set_before_connecting_carry_data, Protocol, transports)
{
  for (const int size : {1, 4096, 10000, 1 << 20})
  {
    asio::io_context context;
    connected_pair<Protocol> pair(context, size);
    asio::socket_base::receive_buffer_size receive;
    pair.client.get_option(receive);
    BOOST_TEST(receive.value() >= size);
    pair.server.get_option(receive);
    BOOST_TEST((receive.value() >= size || !differences<Protocol>::accepted_socket_inherits_buffer_sizes));

    const pattern bytes(static_cast<unsigned>(size));
    const auto sent = bytes.bytes(300'007);
    std::vector<unsigned char> got(sent.size());
    completion written;
    completion read;
    asio::async_write(pair.client, asio::buffer(sent), written.handler());
    asio::async_read(pair.server, asio::buffer(got), read.handler());
    run_until(context, [&] { return written.done() && read.done(); });
    BOOST_TEST(!written.ec);
    BOOST_TEST(!read.ec);
    BOOST_TEST(bytes.matches(got));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(available_counts_unread_bytes, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  BOOST_TEST(pair.server.available() == 0u);
  asio::write(pair.client, asio::buffer("12345", 5));
  pair.server.wait(asio::socket_base::wait_read);
  reports({}, [&](auto&... ec) { BOOST_TEST(pair.server.available(ec...) == 5u); });
  reports({},
      [&](auto&... ec)
      {
        asio::socket_base::bytes_readable command;
        pair.server.io_control(command, ec...);
        BOOST_TEST(command.get() == 5u);
      });
  std::array<char, 3> data{};
  BOOST_TEST(pair.server.read_some(asio::buffer(data)) == 3u);
  BOOST_TEST(pair.server.available() == 2u);
  BOOST_TEST(pair.server.read_some(asio::buffer(data)) == 2u);
  BOOST_TEST(pair.server.available() == 0u);
  reports({}, [&](auto&... ec) { BOOST_TEST(!pair.server.at_mark(ec...)); });
}

BOOST_AUTO_TEST_SUITE_END()
