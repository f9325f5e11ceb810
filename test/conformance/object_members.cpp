// SPDX-License-Identifier: BSL-1.0
// What socket objects say of themselves: member types, executors, layers, constants.

#define BOOST_TEST_MODULE object_members
#include "socket_test.hpp"

#include <array>
#include <chrono>
#include <iostream>
#include <streambuf>
#include <string>
#include <type_traits>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>

using namespace shm::test;

namespace {

using base = asio::socket_base;
using plain_executor = asio::io_context::executor_type;

template <template <class, class> class Object, class Protocol>
void check_types()
{
  using object = Object<Protocol, asio::any_io_executor>;
  BOOST_TEST((std::is_same_v<typename object::executor_type, asio::any_io_executor>));
  BOOST_TEST((std::is_same_v<typename object::protocol_type, Protocol>));
  BOOST_TEST((std::is_same_v<typename object::endpoint_type, typename Protocol::endpoint>));
  BOOST_TEST((std::is_same_v<typename object::native_handle_type, int>));
  using rebound = typename object::template rebind_executor<plain_executor>::other;
  BOOST_TEST((std::is_same_v<rebound, Object<Protocol, plain_executor>>));
  BOOST_TEST((std::is_same_v<typename rebound::executor_type, plain_executor>));
  BOOST_TEST((std::is_base_of_v<base, object>));
  BOOST_TEST(!std::is_copy_constructible_v<object>);
  BOOST_TEST(!std::is_copy_assignable_v<object>);
  BOOST_TEST(std::is_nothrow_move_constructible_v<object>);
}

template <class Object>
void check_executors(Object& object, asio::io_context& context)
{
  BOOST_TEST((object.get_executor() == context.get_executor()));
  int calls = 0;
  asio::post(object.get_executor(), [&] { ++calls; });
  run_until(context, [&] { return calls == 1; });
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(object_members, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(member_types, Protocol, transports)
{
  check_types<asio::basic_stream_socket, Protocol>();
  check_types<asio::basic_socket_acceptor, Protocol>();
  using socket = typename Protocol::socket;
  BOOST_TEST((std::is_same_v<typename socket::lowest_layer_type, asio::basic_socket<Protocol>>));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(executors, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  check_executors(pair.client, context);
  check_executors(pair.server, context);
  typename Protocol::acceptor acceptor(context.get_executor());
  check_executors(acceptor, context);

  auto strand = asio::make_strand(context);
  typename Protocol::socket on_strand(strand);
  BOOST_TEST((on_strand.get_executor() == strand));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(lowest_layer_is_the_same_connection, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  auto& lowest = pair.client.lowest_layer();
  const auto& constant = std::as_const(pair.client).lowest_layer();
  BOOST_TEST(&lowest == &constant);
  BOOST_TEST(constant.is_open());
  BOOST_TEST(lowest.native_handle() == pair.client.native_handle());
  asio::write(pair.client, asio::buffer("last", 4));
  lowest.shutdown(base::shutdown_send);
  std::string got(4, '\0');
  asio::read(pair.server, asio::buffer(got));
  BOOST_TEST(got == "last");
  lowest.close();
  BOOST_TEST(!pair.client.is_open());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(native_handle_of_an_acceptor, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context);
  BOOST_TEST(acceptor.native_handle() == -1);
  acceptor.open(loopback_protocol<Protocol>());
  BOOST_TEST(::fcntl(acceptor.native_handle(), F_GETFD) >= 0);
  acceptor.close();
  BOOST_TEST(acceptor.native_handle() == -1);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(constants_of_socket_base, Protocol, transports)
{
  using socket = typename Protocol::socket;
  BOOST_TEST(int(socket::shutdown_receive) == int(SHUT_RD));
  BOOST_TEST(int(socket::shutdown_send) == int(SHUT_WR));
  BOOST_TEST(int(socket::shutdown_both) == int(SHUT_RDWR));
  const std::array<typename socket::wait_type, 3> waits{socket::wait_read, socket::wait_write, socket::wait_error};
  BOOST_TEST(waits.size() == 3u);
  const typename socket::shutdown_type what = socket::shutdown_both;
  BOOST_TEST(what == socket::shutdown_both);

  asio::io_context context;
  for (const int backlog : {
         int(Protocol::acceptor::max_listen_connections),
#if !defined(BOOST_ASIO_NO_DEPRECATED)
             int(Protocol::acceptor::max_connections),
#endif
             1})
  {
    typename Protocol::acceptor acceptor(context, loopback_protocol<Protocol>());
    acceptor.bind(loopback<Protocol>());
    reports({}, [&](auto&... ec) { acceptor.listen(backlog, ec...); });
    typename Protocol::socket client(context);
    client.connect(acceptor.local_endpoint());
    BOOST_TEST(acceptor.accept().is_open());
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(message_flags_without_meaning_are_accepted, Protocol, ip_transports)
{
  using socket = typename Protocol::socket;
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  const typename socket::message_flags flags = socket::message_do_not_route | socket::message_end_of_record;
  reports({}, [&](auto&... ec) { BOOST_TEST(pair.client.send(asio::buffer("abc", 3), flags, ec...) == 3u); });
  completion sent;
  pair.client.async_send(asio::buffer("def", 3), flags, sent.handler());
  run_until(context, [&] { return sent.done(); });
  BOOST_TEST(!sent.ec);
  std::string got(12, '\0');
  const auto read = asio::read(pair.server, asio::buffer(got), asio::transfer_at_least(9));
  BOOST_TEST(got.substr(0, read) == "abcabcdef");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(out_of_band_data_is_sent_or_refused, Protocol, ip_transports)
{
  using socket = typename Protocol::socket;
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  error_code ec;
  pair.client.send(asio::buffer("!", 1), socket::message_out_of_band, ec);
  if constexpr (!differences<Protocol>::has_out_of_band_data)
  {
    const error_code unsupported = error::operation_not_supported;
    BOOST_TEST(ec == unsupported);
    char byte = 0;
    reports(unsupported,
        [&](auto&... e) { pair.server.receive(asio::buffer(&byte, 1), socket::message_out_of_band, e...); });
    completion sent;
    pair.client.async_send(asio::buffer("!", 1), socket::message_out_of_band, sent.handler());
    completion received;
    pair.server.async_receive(asio::buffer(&byte, 1), socket::message_out_of_band, received.handler());
    run_out(context);
    BOOST_TEST(sent.ec == unsupported);
    BOOST_TEST(received.ec == unsupported);
    reports({}, [&](auto&... e) { BOOST_TEST(!pair.server.at_mark(e...)); });
  }
  else
    BOOST_TEST(!ec);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(names_of_a_connection_whose_peer_is_gone, Protocol, transports)
{
  for (const bool reset : {false, true})
    BOOST_TEST_CONTEXT((reset ? "reset" : "closed"))
    {
      asio::io_context context;
      connected_pair<Protocol> pair(context);
      const auto local = pair.client.local_endpoint();
      const auto remote = pair.client.remote_endpoint();
      asio::write(pair.client, asio::buffer("unread", reset ? 6 : 0));
      if (reset)
        pair.server.wait(base::wait_read);
      pair.server.close();
      pair.client.wait(base::wait_read);
      const bool named = !reset || differences<Protocol>::keeps_its_peer_after_a_reset;
      const error_code expected = named ? error_code() : error::not_connected;
      BOOST_TEST(pair.client.local_endpoint() == local);
      reports(expected,
          [&](auto&... ec)
          {
            const auto answer = pair.client.remote_endpoint(ec...);
            BOOST_TEST(answer == (named ? remote : typename Protocol::endpoint()));
          });
      error_code ec;
      pair.client.shutdown(base::shutdown_send, ec);
      BOOST_TEST(ec == expected);
    }
}

#if !defined(BOOST_ASIO_NO_IOSTREAM)

BOOST_AUTO_TEST_CASE_TEMPLATE(types_of_streams_and_their_buffers, Protocol, transports)
{
  using clock = std::chrono::steady_clock;
  const auto check = [](auto* object)
  {
    using type = std::remove_pointer_t<decltype(object)>;
    BOOST_TEST((std::is_same_v<typename type::protocol_type, Protocol>));
    BOOST_TEST((std::is_same_v<typename type::endpoint_type, typename Protocol::endpoint>));
    BOOST_TEST((std::is_same_v<typename type::clock_type, clock>));
    BOOST_TEST((std::is_same_v<typename type::time_point, clock::time_point>));
    BOOST_TEST((std::is_same_v<typename type::duration, clock::duration>));
#if !defined(BOOST_ASIO_NO_DEPRECATED)
    BOOST_TEST((std::is_same_v<typename type::time_type, clock::time_point>));
    BOOST_TEST((std::is_same_v<typename type::duration_type, clock::duration>));
#endif
    BOOST_TEST(!std::is_copy_constructible_v<type>);
    BOOST_TEST(std::is_move_constructible_v<type>);
    BOOST_TEST(std::is_move_assignable_v<type>);
    BOOST_TEST((std::is_same_v<decltype(object->socket()), asio::basic_socket<Protocol>&>));
    BOOST_TEST((std::is_same_v<decltype(object->error()), const error_code&>));
  };
  using stream = asio::basic_socket_iostream<Protocol>;
  using streambuf = asio::basic_socket_streambuf<Protocol>;
  BOOST_TEST((std::is_same_v<typename Protocol::iostream, stream>));
  BOOST_TEST((std::is_base_of_v<std::iostream, stream>));
  BOOST_TEST((std::is_base_of_v<std::streambuf, streambuf>));
  BOOST_TEST((std::is_same_v<decltype(std::declval<stream&>().rdbuf()), streambuf*>));
  check(static_cast<stream*>(nullptr));
  check(static_cast<streambuf*>(nullptr));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(streambuf_without_a_stream, Protocol, transports)
{
  using streambuf = asio::basic_socket_streambuf<Protocol>;
  using clock = std::chrono::steady_clock;
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  streambuf first;
  BOOST_TEST(first.connect(acceptor.local_endpoint()) == &first);
  BOOST_TEST(!first.error());
  BOOST_TEST(first.socket().is_open());
  streambuf server(acceptor.accept());

  streambuf client(std::move(first));
  BOOST_TEST(client.sputn("ping", 4) == 4);
  BOOST_TEST(client.pubsync() == 0);
  std::string got(4, '\0');
  BOOST_TEST(server.sgetn(got.data(), 4) == 4);
  BOOST_TEST(got == "ping");

  client.expires_after(std::chrono::hours(1));
  BOOST_TEST((client.expiry() > clock::now()));
  client.expires_at(clock::time_point::min());
  BOOST_TEST((client.expiry() == clock::time_point::min()));
  BOOST_TEST(client.sgetc() == streambuf::traits_type::eof());
  BOOST_TEST(client.error() == error::timed_out);
#if !defined(BOOST_ASIO_NO_DEPRECATED)
  client.expires_from_now(std::chrono::hours(1));
  BOOST_TEST((client.expires_at() > clock::now()));
  BOOST_TEST((client.expires_from_now() > std::chrono::minutes(59)));
  BOOST_TEST(client.puberror() == error::timed_out);
#endif

  streambuf other;
  other = std::move(client);
  BOOST_TEST(server.close() == &server);
  BOOST_TEST(!server.socket().is_open());
  other.expires_after(patience);
  BOOST_TEST(other.sgetc() == streambuf::traits_type::eof());
  BOOST_TEST(other.error() == error::eof);

  acceptor.close();
  streambuf refused;
  BOOST_TEST(refused.connect(other.socket().remote_endpoint()) == nullptr);
  BOOST_TEST(refused.error() == error::connection_refused);
}

#endif

BOOST_AUTO_TEST_SUITE_END()
