// SPDX-License-Identifier: BSL-1.0
// Tests of how a connection ends: shutdown, hang-up, reset and refusal, and what is still read before.
#define BOOST_TEST_MODULE connection_end
#include "connection_fixture.hpp"

#include <shm/error.hpp>

#include <boost/asio/error.hpp>
#include <boost/test/unit_test.hpp>

#include <utility>

#include <sys/socket.h>

using namespace shm::detail;
namespace asio_error = boost::asio::error;
using boost::system::error_code;
using shm::test::connection_end;
using shm::test::connection_ends;
using shm::test::connection_fixture;

namespace {

// 0 bytes without an error, as recv(2) says it.
const error_code end_of_stream;

error_code receive_error(connection_end& end)
{
  BOOST_TEST(end.receive(1000) == 0u);
  BOOST_TEST(end.ready);
  return end.ec;
}

error_code send_error(connection_end& end)
{
  BOOST_TEST(end.send(1) == 0u);
  BOOST_TEST(end.ready);
  return end.ec;
}

} // namespace

BOOST_AUTO_TEST_SUITE(shutdown_of_a_connection)

BOOST_AUTO_TEST_CASE(eof_follows_the_last_byte_and_stays)
{
  connection_fixture pair;
  BOOST_TEST(pair.connector.send(100) == 100u);
  pair.connector->shutdown_send();
  BOOST_TEST(pair.acceptor->readable());
  BOOST_TEST(pair.acceptor.receive(30) == 30u);
  BOOST_TEST(pair.acceptor.receive(1000) == 70u);
  BOOST_TEST(pair.acceptor->readable());
  BOOST_TEST(receive_error(pair.acceptor) == end_of_stream);
  BOOST_TEST(receive_error(pair.acceptor) == end_of_stream);
  BOOST_TEST(!pair.acceptor->failed());
}

BOOST_AUTO_TEST_CASE(the_other_direction_goes_on)
{
  connection_fixture pair;
  pair.connector->shutdown_send();
  BOOST_TEST(receive_error(pair.acceptor) == end_of_stream);
  BOOST_TEST(pair.acceptor.send(100) == 100u);
  BOOST_TEST(pair.connector.receive(100) == 100u);
}

BOOST_AUTO_TEST_CASE(writing_after_it_is_a_broken_pipe)
{
  connection_fixture pair;
  pair.connector->shutdown_send();
  BOOST_TEST(pair.connector->writable());
  BOOST_TEST(send_error(pair.connector) == asio_error::broken_pipe);
  BOOST_TEST(send_error(pair.connector) == asio_error::broken_pipe);
}

BOOST_AUTO_TEST_CASE(a_shut_down_receive_gives_what_is_there_and_then_eof)
{
  connection_fixture pair;
  pair.connector.send(5);
  pair.acceptor->shutdown_receive();
  BOOST_TEST(pair.acceptor->readable());
  BOOST_TEST(pair.acceptor.receive(10) == 5u);
  BOOST_TEST(receive_error(pair.acceptor) == end_of_stream);
  BOOST_TEST(pair.acceptor.send(5) == 5u);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(hang_up)

BOOST_AUTO_TEST_CASE(data_published_before_it_is_read_first_and_then_eof)
{
  connection_fixture pair;
  pair.connector.send(100);
  pair.connector.hang_up();
  BOOST_TEST(pair.acceptor.receive(30) == 30u);
  pair.acceptor->look_for_hang_up(true);
  BOOST_TEST(pair.acceptor->hung_up());
  BOOST_TEST(pair.acceptor->failed());
  BOOST_TEST(pair.acceptor.receive(1000) == 70u);
  BOOST_TEST(receive_error(pair.acceptor) == end_of_stream);
  BOOST_TEST(receive_error(pair.acceptor) == end_of_stream);
}

BOOST_AUTO_TEST_CASE(writing_after_it_is_a_broken_pipe)
{
  connection_fixture pair;
  pair.acceptor.send(10);
  BOOST_TEST(pair.connector.receive(10) == 10u);
  pair.connector.hang_up();
  pair.acceptor->look_for_hang_up(true);
  BOOST_TEST(pair.acceptor->writable());
  BOOST_TEST(send_error(pair.acceptor) == asio_error::broken_pipe);
  BOOST_TEST(send_error(pair.acceptor) == asio_error::broken_pipe);
}

BOOST_AUTO_TEST_CASE(data_that_the_peer_never_read_is_a_reset_reported_once)
{
  for (const bool by_sending : {false, true})
  {
    connection_fixture pair;
    pair.acceptor.send(10);
    BOOST_TEST(pair.connector.receive(9) == 9u);
    pair.connector.send(7);
    pair.connector.hang_up();
    pair.acceptor->look_for_hang_up(true);
    BOOST_TEST(pair.acceptor->readable());
    if (by_sending)
    {
      BOOST_TEST(send_error(pair.acceptor) == asio_error::connection_reset);
      BOOST_TEST(pair.acceptor.receive(10) == 7u);
    }
    else
    {
      BOOST_TEST(pair.acceptor.receive(10) == 7u);
      BOOST_TEST(receive_error(pair.acceptor) == asio_error::connection_reset);
    }
    BOOST_TEST(receive_error(pair.acceptor) == end_of_stream);
    BOOST_TEST(send_error(pair.acceptor) == asio_error::broken_pipe);
  }
}

BOOST_AUTO_TEST_CASE(all_data_read_by_the_peer_is_no_reset)
{
  for (const std::size_t size : {1u, 63u, 64u, 65u, 256u})
  {
    connection_fixture pair;
    BOOST_TEST(pair.acceptor.send(size) == size);
    BOOST_TEST(pair.connector.receive(1000) == size);
    pair.connector.hang_up();
    pair.acceptor->look_for_hang_up(true);
    BOOST_TEST(receive_error(pair.acceptor) == end_of_stream);
  }
}

BOOST_AUTO_TEST_CASE(a_shutdown_before_it_makes_no_difference)
{
  connection_fixture pair;
  pair.connector.send(3);
  pair.connector->shutdown_send();
  pair.connector.hang_up();
  pair.acceptor->look_for_hang_up(true);
  BOOST_TEST(pair.acceptor.receive(10) == 3u);
  BOOST_TEST(receive_error(pair.acceptor) == end_of_stream);
}

BOOST_AUTO_TEST_CASE(it_is_latched_also_when_rings_are_left_in_the_socket)
{
  connection_fixture pair(doorbell_kind::socket);
  for (int i = 0; i < 3; ++i)
  {
    pair.acceptor->arm(true, false);
    pair.connector.send(1);
    pair.acceptor->disarm();
  }
  pair.connector.hang_up();
  pair.acceptor->look_for_hang_up(true);
  BOOST_TEST(pair.acceptor->hung_up());
  BOOST_TEST(pair.acceptor.receive(10) == 3u);
  BOOST_TEST(receive_error(pair.acceptor) == end_of_stream);
}

// Rings that a peer never took make the kernel report ECONNRESET; the ring's flags decide, not errno.
BOOST_AUTO_TEST_CASE(an_errno_of_the_socket_is_no_reset)
{
  connection_fixture pair(doorbell_kind::socket);
  pair.connector->arm(true, false);
  pair.acceptor.send(1);
  BOOST_TEST(pair.connector.receive(1) == 1u);
  pair.connector.hang_up();
  pair.acceptor->arm(true, false);
  pair.acceptor->on_rendezvous(false);
  BOOST_TEST(pair.acceptor->hung_up());
  BOOST_TEST(receive_error(pair.acceptor) == end_of_stream);
}

BOOST_AUTO_TEST_CASE(it_is_seen_by_a_wake_of_the_rendezvous_socket)
{
  connection_fixture pair;
  pair.acceptor->on_rendezvous(false);
  BOOST_TEST(!pair.acceptor->hung_up());
  pair.connector.hang_up();
  pair.acceptor->on_rendezvous(true);
  BOOST_TEST(pair.acceptor->hung_up());
}

// Looked for at most once in a while: the first look counts, the next comes too soon.
BOOST_AUTO_TEST_CASE(a_look_without_need_finds_it_sooner_or_later)
{
  connection_fixture pair;
  pair.connector.hang_up();
  pair.acceptor->look_for_hang_up(false);
  BOOST_TEST(pair.acceptor->hung_up());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(refusal)

BOOST_AUTO_TEST_CASE(a_hang_up_before_the_acceptor_attached_is_a_reset)
{
  connection_ends ends({{64, 2}, {64, 2}}, doorbell_kind::eventfd, false);
  connection_end connector;
  connector.open(std::move(ends.connector));
  BOOST_TEST(!connector->readable());
  ends.acceptor.rendezvous.reset();
  connector->look_for_hang_up(true);
  BOOST_TEST(connector->readable());
  BOOST_TEST(receive_error(connector) == asio_error::connection_reset);
  BOOST_TEST(receive_error(connector) == end_of_stream);
}

BOOST_AUTO_TEST_CASE(its_reason_ends_reading_and_writing)
{
  for (const error_code reason : {error_code(shm::error::version_mismatch), error_code(shm::error::no_memory)})
  {
    connection_ends ends({{64, 2}, {64, 2}}, doorbell_kind::eventfd, false);
    connection_end connector;
    connector.open(std::move(ends.connector));
    BOOST_TEST(connector.send(5) == 5u);
    send_refused(ends.acceptor.rendezvous.get(), reason);
    ends.acceptor.rendezvous.reset();
    connector->look_for_hang_up(true);
    BOOST_TEST(connector->failed());
    BOOST_TEST(connector->readable());
    BOOST_TEST(connector->writable());
    BOOST_TEST(receive_error(connector) == reason);
    BOOST_TEST(send_error(connector) == reason);
    BOOST_TEST(receive_error(connector) == reason);
    error_code ec;
    BOOST_TEST(connector->available(ec) == 0u);
    BOOST_TEST(ec == reason);
  }
}

BOOST_AUTO_TEST_CASE(it_is_understood_in_pieces)
{
  connection_ends ends({{64, 2}, {64, 2}}, doorbell_kind::socket, false);
  connection_end connector;
  connector.open(std::move(ends.connector));
  const refused_bytes bytes = encode_refused(shm::error::untrusted_peer);
  for (const unsigned char& byte : bytes)
  {
    BOOST_TEST(!connector->failed());
    BOOST_TEST(::send(ends.acceptor.rendezvous.get(), &byte, 1, MSG_NOSIGNAL) == 1);
    connector->arm(true, false);
    connector->on_rendezvous(false);
  }
  BOOST_TEST(receive_error(connector) == shm::error::untrusted_peer);
}

BOOST_AUTO_TEST_SUITE_END()
