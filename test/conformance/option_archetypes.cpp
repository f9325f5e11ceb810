// SPDX-License-Identifier: BSL-1.0
// Options and commands of a program's own, with no more members than Asio's concepts ask for.

#define BOOST_TEST_MODULE option_archetypes
#include "socket_test.hpp"

#include <array>
#include <cstddef>

#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

using namespace shm::test;

namespace {

/// Convertible to int and nothing else.
struct number
{
  int value;
  operator int() const { return value; }
};

/// The level and the name may depend on the protocol that the socket passes.
template <class Protocol>
struct option_names
{
  int level_;
  int name_;
  mutable int families_asked_ = 0;

  number level(const Protocol& protocol) const
  {
    families_asked_ = protocol.family();
    return {level_};
  }
  number name(const Protocol&) const { return {name_}; }
};

template <class Protocol>
class settable_option : option_names<Protocol>
{
public:
  settable_option(int of_level, int of_name, int value, std::size_t size = sizeof(int))
    : option_names<Protocol>{of_level, of_name}, values_{value, 0}, size_(size)
  {}

  using option_names<Protocol>::level;
  using option_names<Protocol>::name;
  using option_names<Protocol>::families_asked_;
  const void* data(const Protocol&) const { return values_.data(); }
  std::size_t size(const Protocol&) const { return size_; }

private:
  std::array<int, 2> values_;
  std::size_t size_;
};

template <class Protocol>
class gettable_option : option_names<Protocol>
{
public:
  gettable_option(int of_level, int of_name, std::size_t size = sizeof(int))
    : option_names<Protocol>{of_level, of_name}, size_(size)
  {}

  using option_names<Protocol>::level;
  using option_names<Protocol>::name;
  using option_names<Protocol>::families_asked_;
  void* data(const Protocol&) { return values_.data(); }
  std::size_t size(const Protocol&) const { return size_; }
  void resize(const Protocol&, std::size_t size) { resized_ = size; }

  int value() const { return values_[0]; }
  /// What the socket said, or -1 when it was not asked.
  std::size_t resized() const { return resized_; }

private:
  std::array<int, 4> values_{-1, -1, -1, -1};
  std::size_t size_;
  std::size_t resized_ = static_cast<std::size_t>(-1);
};

class command
{
public:
  explicit command(int name) : name_(name) {}
  number name() const { return {name_}; }
  void* data() { return &value_; }
  int value() const { return value_; }

private:
  int name_;
  int value_ = -1;
};

// Options that a connection of either kind keeps.
template <class Object, class Protocol>
void check_kept(Object& object, const Protocol& protocol, int level, int name)
{
  for (const int value : {1, 0, 1})
  {
    const settable_option<Protocol> set(level, name, value);
    reports({}, [&](auto&... ec) { object.set_option(set, ec...); });
    BOOST_TEST(set.families_asked_ == protocol.family());
    gettable_option<Protocol> read(level, name);
    reports({}, [&](auto&... ec) { object.get_option(read, ec...); });
    BOOST_TEST((read.value() != 0) == (value != 0));
    BOOST_TEST(read.resized() == sizeof(int));
    BOOST_TEST(read.families_asked_ == protocol.family());
  }
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(option_archetypes, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(options_with_the_least_members, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  const Protocol protocol = loopback_protocol<Protocol>();
  check_kept(pair.client, protocol, SOL_SOCKET, SO_KEEPALIVE);
  check_kept(pair.server, protocol, SOL_SOCKET, SO_REUSEADDR);
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  check_kept(acceptor, protocol, SOL_SOCKET, SO_KEEPALIVE);
  if constexpr (!is_local<Protocol>)
    check_kept(pair.client, protocol, IPPROTO_TCP, TCP_NODELAY);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(protocol_of_the_socket_is_passed, Protocol, ip_transports)
{
  asio::io_context context;
  typename Protocol::socket v6(context, Protocol::v6());
  const settable_option<Protocol> keep_alive(SOL_SOCKET, SO_KEEPALIVE, 1);
  v6.set_option(keep_alive);
  BOOST_TEST(keep_alive.families_asked_ == AF_INET6);
  check_kept(v6, Protocol::v6(), IPPROTO_IPV6, IPV6_V6ONLY);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(larger_buffer_than_the_value, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  const settable_option<Protocol> set(SOL_SOCKET, SO_KEEPALIVE, 1, 2 * sizeof(int));
  reports({}, [&](auto&... ec) { pair.client.set_option(set, ec...); });
  gettable_option<Protocol> read(SOL_SOCKET, SO_KEEPALIVE, 4 * sizeof(int));
  reports({}, [&](auto&... ec) { pair.client.get_option(read, ec...); });
  BOOST_TEST(read.value() == 1);
  BOOST_TEST(read.resized() == sizeof(int));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(too_short_a_value_is_invalid, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  const settable_option<Protocol> set(SOL_SOCKET, SO_KEEPALIVE, 1, 2);
  reports(error::invalid_argument, [&](auto&... ec) { pair.client.set_option(set, ec...); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_a_socket_says_of_itself, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  const auto value_of = [](auto& object, int name)
  {
    gettable_option<Protocol> read(SOL_SOCKET, name);
    object.get_option(read);
    return read.value();
  };
  BOOST_TEST(value_of(pair.client, SO_TYPE) == SOCK_STREAM);
  BOOST_TEST(value_of(pair.client, SO_ERROR) == 0);
  BOOST_TEST(value_of(pair.client, SO_ACCEPTCONN) == 0);
  BOOST_TEST(value_of(acceptor, SO_ACCEPTCONN) == 1);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(unknown_option_is_not_resized, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  gettable_option<Protocol> read(SOL_SOCKET, 9999);
  reports(error::no_protocol_option, [&](auto&... ec) { pair.client.get_option(read, ec...); });
  BOOST_TEST(read.resized() == static_cast<std::size_t>(-1));
  BOOST_TEST(read.value() == -1);
  const settable_option<Protocol> set(SOL_SOCKET, 9999, 1);
  reports(error::no_protocol_option, [&](auto&... ec) { pair.client.set_option(set, ec...); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(unopened_objects_have_a_bad_descriptor, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::socket socket(context);
  typename Protocol::acceptor acceptor(context);
  // Known or not: the descriptor comes first.
  for (const int name : {SO_KEEPALIVE, 9999})
  {
    const settable_option<Protocol> set(SOL_SOCKET, name, 1);
    gettable_option<Protocol> read(SOL_SOCKET, name);
    reports(error::bad_descriptor, [&](auto&... ec) { socket.set_option(set, ec...); });
    reports(error::bad_descriptor, [&](auto&... ec) { acceptor.set_option(set, ec...); });
    reports(error::bad_descriptor, [&](auto&... ec) { socket.get_option(read, ec...); });
    reports(error::bad_descriptor, [&](auto&... ec) { acceptor.get_option(read, ec...); });
    BOOST_TEST(read.resized() == static_cast<std::size_t>(-1));
  }
  command readable(FIONREAD);
  reports(error::bad_descriptor, [&](auto&... ec) { socket.io_control(readable, ec...); });
  reports(error::bad_descriptor, [&](auto&... ec) { acceptor.io_control(readable, ec...); });
  BOOST_TEST(readable.value() == -1);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(command_with_the_least_members, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  command readable(FIONREAD);
  reports({}, [&](auto&... ec) { pair.client.io_control(readable, ec...); });
  BOOST_TEST(readable.value() == 0);
  asio::write(pair.server, asio::buffer("12345", 5));
  pair.client.wait(asio::socket_base::wait_read);
  reports({}, [&](auto&... ec) { pair.client.io_control(readable, ec...); });
  BOOST_TEST(readable.value() == 5);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(command_to_an_acceptor, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  command readable(FIONREAD);
  reports(error::invalid_argument, [&](auto&... ec) { acceptor.io_control(readable, ec...); });
  BOOST_TEST(readable.value() == -1);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(other_commands_are_for_descriptors_of_the_kernel, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  command unread(TIOCOUTQ);
  error_code ec;
  pair.client.io_control(unread, ec);
  BOOST_TEST(ec == (differences<Protocol>::takes_every_command ? error_code() : error::operation_not_supported));
  BOOST_TEST(unread.value() == (differences<Protocol>::takes_every_command ? 0 : -1));
  command unknown(0x7fff);
  BOOST_CHECK_THROW(pair.client.io_control(unknown), system_error);
}

BOOST_AUTO_TEST_SUITE_END()
