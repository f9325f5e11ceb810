// SPDX-License-Identifier: BSL-1.0
// Tests of the handshake's messages, byte by byte.
#define BOOST_TEST_MODULE hello
#include "address_space_fixture.hpp"
#include "hello.hpp"

#include <shm/error.hpp>

#include <boost/asio/error.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <vector>

using namespace shm::detail;
using boost::system::error_code;
using shm::test::ip;

namespace {

hello sample(doorbell_kind kind = doorbell_kind::eventfd)
{
  hello message;
  message.doorbell = kind;
  message.geometry = {{4096, 16}, {65536, 4}};
  message.connector = ip("127.0.0.1", 54321);
  message.acceptor = ip("fe80::1", 8080);
  const std::uint32_t scope = 7;
  std::memcpy(message.acceptor.data + offsetof(sockaddr_in6, sin6_scope_id), &scope, sizeof(scope));
  return message;
}

// What decode() says of a good message with some bytes changed.
template <typename Change>
error_code error_after(Change change)
{
  hello_bytes bytes = encode(sample());
  change(bytes);
  error_code ec = boost::asio::error::fault;
  const auto message = decode(bytes, ec);
  BOOST_TEST(message.has_value() == !ec);
  return ec;
}

error_code error_with_geometry(const connection_geometry& geometry)
{
  hello message = sample();
  message.geometry = geometry;
  error_code ec;
  decode(encode(message), ec);
  return ec;
}

bool same(const socket_address& a, const socket_address& b)
{
  return a.size == b.size && std::memcmp(a.data, b.data, a.size) == 0;
}

std::vector<unsigned char> reply(const std::vector<unsigned char>& before, int reason)
{
  const refused_bytes bytes = encode_refused(error_code(reason, shm::error::get_category()));
  std::vector<unsigned char> result = before;
  result.insert(result.end(), bytes.begin(), bytes.end());
  return result;
}

} // namespace

BOOST_AUTO_TEST_SUITE(hello_message)

BOOST_AUTO_TEST_CASE(what_is_encoded_is_decoded)
{
  const socket_address none{};
  const socket_address addresses[]
      = {none, ip("127.0.0.1", 80), ip("255.1.2.3", 65535), ip("::1", 1), ip("fe80::1:2", 0)};
  for (const doorbell_kind kind : {doorbell_kind::eventfd, doorbell_kind::socket})
    for (const socket_address& connector : addresses)
      for (const socket_address& acceptor : addresses)
      {
        hello message = sample(kind);
        message.connector = connector;
        message.acceptor = acceptor;
        error_code ec = boost::asio::error::fault;
        const auto decoded = decode(encode(message), ec);
        BOOST_TEST_REQUIRE(!ec);
        BOOST_TEST((decoded->doorbell == kind));
        BOOST_TEST(decoded->descriptors() == (kind == doorbell_kind::eventfd ? 3u : 1u));
        BOOST_TEST(same(decoded->connector, connector));
        BOOST_TEST(same(decoded->acceptor, acceptor));
        BOOST_TEST(decoded->geometry.connector.segment_size == 4096u);
        BOOST_TEST(decoded->geometry.connector.segment_count == 16u);
        BOOST_TEST(decoded->geometry.acceptor.segment_size == 65536u);
        BOOST_TEST(decoded->geometry.acceptor.segment_count == 4u);
      }
}

BOOST_AUTO_TEST_CASE(a_path_is_sent_as_no_endpoint)
{
  hello message = sample();
  message.connector = shm::test::local("a path that is longer than any address");
  error_code ec;
  BOOST_TEST(decode(encode(message), ec)->connector.size == 0u);
}

BOOST_AUTO_TEST_CASE(the_bytes_are_those_of_the_protocol)
{
  const hello_bytes expected = {'A', 'S', 'I', 'O', 'S', 'H', 'M', '?', //   0 magic
      1, 0, 0, 0, 1, 0, 0, 0,                                           //   8 version, doorbell: socket
      0, 0x10, 0, 0, 16, 0, 0, 0,                                       //  16 connector: 4096 x 16
      0, 0, 1, 0, 4, 0, 0, 0,                                           //  24 acceptor: 65536 x 4
      0, 0, 0, 0, 0, 0, 0, 0,                                           //  32 offset
      0, 0x30, 5, 0, 0, 0, 0, 0,                                        //  40 length 0x1000 + 0x11000 + 0x41000
      4, 0, 0x31, 0xd4, 0, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0,           //  48 IPv4, 54321
      0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,                   //  64
      6, 0, 0x90, 0x1f, 7, 0, 0, 0, 0xfe, 0x80, 0, 0, 0, 0, 0, 0,       //  80 IPv6, 8080, scope 7
      0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0,                   //  96
      0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};                  // 112
  const hello_bytes bytes = encode(sample(doorbell_kind::socket));
  BOOST_TEST(bytes == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(each_changed_byte_gives_its_error)
{
  for (unsigned bit = 0; bit < 8; ++bit)
    for (std::size_t at = 0; at < 48; ++at)
    {
      const auto flip = [&](hello_bytes& bytes) { bytes[at] = static_cast<unsigned char>(bytes[at] ^ (1u << bit)); };
      const error_code ec = error_after(flip);
      BOOST_TEST_CONTEXT("byte " << at << ", bit " << bit)
      {
        if (at < 8)
          BOOST_TEST(ec == shm::error::protocol_error);
        else if (at < 12)
          BOOST_TEST(ec == shm::error::version_mismatch);
        else if (at == 12 && bit == 0)
          BOOST_TEST(!ec); // the other kind of doorbell
        else if (at < 16)
          BOOST_TEST(ec == shm::error::protocol_error);
        else if (at < 32) // a geometry that is valid no longer goes with the length
          BOOST_TEST((ec == shm::error::geometry_refused || ec == shm::error::protocol_error));
        else
          BOOST_TEST(ec == shm::error::protocol_error);
      }
    }
}

BOOST_AUTO_TEST_CASE(an_unknown_family_is_a_protocol_error)
{
  for (const std::size_t at : {48u, 80u})
    for (const unsigned family : {1u, 2u, 5u, 10u, 255u})
      BOOST_TEST(error_after([&](hello_bytes& bytes) { bytes[at] = static_cast<unsigned char>(family); })
          == shm::error::protocol_error);
  BOOST_TEST(error_after([](hello_bytes& bytes) { bytes[49] = 1; }) == shm::error::protocol_error);
}

BOOST_AUTO_TEST_CASE(every_limit_of_the_geometry)
{
  const ring_geometry good = {64, 2};
  for (const ring_geometry inside : {good, {192, 2}, {64, 64}, {max_segment_size, 2}})
  {
    BOOST_TEST(!error_with_geometry({inside, good}));
    BOOST_TEST(!error_with_geometry({good, inside}));
  }
  for (const ring_geometry outside : {ring_geometry{0, 2}, {63, 2}, {65, 2}, {96, 2},
           {max_segment_size + 64, 2}, {~0u, 2}, {64, 0}, {64, 1}, {64, 3}, {64, 65}, {64, 128}, {64, ~0u}, {max_segment_size, 64}})
  {
    BOOST_TEST(error_with_geometry({outside, good}) == shm::error::geometry_refused);
    BOOST_TEST(error_with_geometry({good, outside}) == shm::error::geometry_refused);
  }
  const ring_geometry half = {(4u << 20) - 4096, 64}, full = {4u << 20, 64};
  BOOST_TEST(!error_with_geometry({half, half}));
  BOOST_TEST(error_with_geometry({full, full}) == shm::error::geometry_refused);
}

BOOST_AUTO_TEST_CASE(a_wrong_version_is_told_before_what_it_may_have_changed)
{
  BOOST_TEST(error_after([](hello_bytes& bytes) { std::fill(bytes.begin() + 8, bytes.end(), 0xff); })
      == shm::error::version_mismatch);
}

BOOST_AUTO_TEST_CASE(refused_is_five_bytes)
{
  const refused_bytes expected = {'R', 4, 0, 0, 0};
  BOOST_TEST(encode_refused(shm::error::geometry_refused) == expected, boost::test_tools::per_element());
  // Only errors that both sides know are told.
  const refused_bytes other = {'R', 2, 0, 0, 0};
  BOOST_TEST(encode_refused(boost::asio::error::no_memory) == other, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_refusal_is_read_in_pieces_of_any_size_among_rings)
{
  for (const std::size_t rings : {0u, 1u, 5u})
    for (int reason = shm::error::corrupted; reason <= shm::error::no_memory; ++reason)
    {
      std::vector<unsigned char> bytes = reply(std::vector<unsigned char>(rings, ring_byte), reason);
      bytes.insert(bytes.end(), rings, ring_byte);
      for (std::size_t first = 0; first <= bytes.size(); ++first)
        for (std::size_t second = first; second <= bytes.size(); ++second)
        {
          reply_parser parser;
          parser.feed(bytes.data(), first);
          parser.feed(bytes.data() + first, second - first);
          BOOST_REQUIRE(parser.refused().failed() == (second >= rings + refused_size));
          parser.feed(bytes.data() + second, bytes.size() - second);
          BOOST_REQUIRE(parser.refused() == error_code(reason, shm::error::get_category()));
        }
      reply_parser byte_by_byte;
      for (const unsigned char& byte : bytes)
        byte_by_byte.feed(&byte, 1);
      BOOST_TEST(byte_by_byte.refused() == error_code(reason, shm::error::get_category()));
    }
}

BOOST_AUTO_TEST_CASE(an_unknown_reason_is_a_protocol_error)
{
  for (const int reason : {0, 10, 255, -1, 1 << 24})
  {
    const std::vector<unsigned char> bytes = reply({}, reason);
    reply_parser parser;
    parser.feed(bytes.data(), bytes.size());
    BOOST_TEST(parser.refused() == shm::error::protocol_error);
  }
}

BOOST_AUTO_TEST_CASE(the_first_refusal_counts)
{
  std::vector<unsigned char> bytes = reply({}, shm::error::no_memory);
  bytes = reply(bytes, shm::error::corrupted);
  reply_parser parser;
  parser.feed(bytes.data(), bytes.size());
  BOOST_TEST(parser.refused() == shm::error::no_memory);
}

BOOST_AUTO_TEST_CASE(rings_alone_are_no_refusal)
{
  const std::vector<unsigned char> rings(1000, ring_byte);
  reply_parser parser;
  parser.feed(rings.data(), rings.size());
  parser.feed(nullptr, 0);
  BOOST_TEST(!parser.refused());
}

BOOST_AUTO_TEST_CASE(memory_that_is_a_slice_or_wanted)
{
  hello message = sample();
  error_code ec;
  message.memory = memory_kind::wanted;
  BOOST_TEST(message.descriptors() == 0u);
  BOOST_TEST((decode(encode(message), ec)->memory == memory_kind::wanted));
  message.memory = memory_kind::slice;
  BOOST_TEST(message.descriptors() == 3u);
  const std::uint64_t largest = (~std::uint64_t{0} >> 1) - message.geometry.size();
  for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{4096}, std::uint64_t{2} << 40, largest / 4096 * 4096})
  {
    message.offset = offset;
    const auto decoded = decode(encode(message), ec);
    BOOST_TEST_REQUIRE(!ec);
    BOOST_TEST(decoded->offset == offset);
    BOOST_TEST((decoded->memory == memory_kind::slice));
  }
  for (const std::uint64_t offset : {std::uint64_t{1}, std::uint64_t{4095}, largest / 4096 * 4096 + 4096, ~std::uint64_t{4095}})
  {
    message.offset = offset;
    BOOST_TEST(!decode(encode(message), ec));
    BOOST_TEST(ec == shm::error::protocol_error);
  }
  // Only a slice begins anywhere.
  for (const memory_kind kind : {memory_kind::own, memory_kind::wanted, static_cast<memory_kind>(3)})
  {
    message.memory = kind;
    message.offset = 4096;
    BOOST_TEST(!decode(encode(message), ec));
    BOOST_TEST(ec == shm::error::protocol_error);
  }
}

BOOST_AUTO_TEST_CASE(reasons_of_the_partition_daemon)
{
  using boost::asio::error::basic_errors;
  for (const basic_errors reason : {boost::asio::error::connection_refused, boost::asio::error::host_unreachable,
           boost::asio::error::timed_out, boost::asio::error::access_denied})
    BOOST_TEST(decode_refused(encode_refused(reason).data()) == reason);
  // What an operation could be repeated for is not told, nor believed.
  for (const basic_errors reason : {boost::asio::error::would_block, boost::asio::error::interrupted})
    BOOST_TEST(decode_refused(encode_refused(reason).data()) == shm::error::protocol_error);
  const refused_bytes would_block = {'R', EAGAIN, 0, 1, 0};
  BOOST_TEST(decode_refused(would_block.data()) == shm::error::protocol_error);
}

BOOST_AUTO_TEST_SUITE_END()
