// SPDX-License-Identifier: BSL-1.0
// Tests of the messages between daemons.
#define BOOST_TEST_MODULE mail
#include "address_space_fixture.hpp"
#include "mail.hpp"

#include <boost/test/unit_test.hpp>

#include <cstring>

using namespace shm::partitiond;
using shm::test::ip;

namespace {

mail sample(mail_kind kind = mail_kind::connect)
{
  mail message;
  message.kind = kind;
  message.connection = 0x0123456789abcdef;
  message.from_connector = true;
  message.vector = 3;
  message.reason = 111;
  message.offset = 0x12345000;
  message.geometry = {{4096, 16}, {65536, 4}};
  message.connector = ip("10.1.2.3", 54321);
  message.acceptor = ip("fd00::1", 8080);
  return message;
}

bool same(const shm::detail::socket_address& a, const shm::detail::socket_address& b)
{
  return a.size == b.size && std::memcmp(a.data, b.data, a.size) == 0;
}

} // namespace

BOOST_AUTO_TEST_SUITE(mail_between_daemons)

BOOST_AUTO_TEST_CASE(what_is_encoded_is_decoded)
{
  for (const mail_kind kind : {mail_kind::connect, mail_kind::accepted, mail_kind::refused, mail_kind::closed})
  {
    const mail sent = sample(kind);
    const std::optional<mail> got = decode(encode(sent));
    BOOST_TEST_REQUIRE(got.has_value());
    BOOST_TEST((got->kind == kind));
    BOOST_TEST(got->connection == sent.connection);
    BOOST_TEST(got->from_connector);
    BOOST_TEST(got->vector == 3u);
    BOOST_TEST(got->reason == 111u);
    if (kind != mail_kind::connect)
      continue;
    BOOST_TEST(got->offset == sent.offset);
    BOOST_TEST((got->geometry == sent.geometry));
    BOOST_TEST(same(got->connector, sent.connector));
    BOOST_TEST(same(got->acceptor, sent.acceptor));
  }
}

BOOST_AUTO_TEST_CASE(what_no_daemon_sends_is_refused)
{
  const auto refused = [](auto change)
  {
    mail_bytes bytes = encode(sample());
    change(bytes);
    return !decode(bytes).has_value();
  };
  BOOST_TEST(!refused([](mail_bytes&) {}));
  for (const unsigned kind : {0u, 5u, 255u})
    BOOST_TEST(refused([=](mail_bytes& bytes) { bytes[0] = static_cast<unsigned char>(kind); }));
  BOOST_TEST(refused([](mail_bytes& bytes) { bytes[4] = 2; }));
  BOOST_TEST(refused([](mail_bytes& bytes) { bytes[36] = 3; }));       // three segments
  BOOST_TEST(refused([](mail_bytes& bytes) { bytes[48] = 5; }));       // a family
  BOOST_TEST(refused([](mail_bytes& bytes) { bytes[48] = 0; }));       // none
  BOOST_TEST(refused([](mail_bytes& bytes) { bytes[mail_size - 1] = 1; }));
  BOOST_TEST(refused([](mail_bytes& bytes) { bytes[0] = 4; }));        // closed, with what belongs to connect
}

BOOST_AUTO_TEST_SUITE_END()
