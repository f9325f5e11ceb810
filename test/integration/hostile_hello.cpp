// SPDX-License-Identifier: BSL-1.0
// Tests of an acceptor whose clients say anything but one good HELLO.
#define BOOST_TEST_MODULE hostile_hello
#include "socket_test.hpp"

#include "attacked_server.hpp"

#include <shm/error.hpp>

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

using shm::test::attacked_server;
using shm::test::hostile_client;
using shm::test::hostile_geometry;

namespace {

struct attack
{
  std::string name;
  int reason; // of the refusal
  std::function<void(hostile_client&)> spoil;
};

void put_ring(hostile_client& c, std::size_t at, std::uint32_t size, std::uint32_t count)
{
  c.put(at, size);
  c.put(at + 4, count);
}

std::vector<attack> wrong_hellos()
{
  std::vector<attack> result;
  for (std::size_t i = 0; i < 8; ++i)
    result.push_back({"magic, byte " + std::to_string(i), shm::error::protocol_error,
        [i](hostile_client& c) { c.hello[i] ^= 1; }});
  for (const std::uint32_t version : {0u, 2u, 0x100u, 0x01000000u, ~0u})
    result.push_back({"version " + std::to_string(version), shm::error::version_mismatch,
        [version](hostile_client& c) { c.put(8, version); }});
  for (const std::uint32_t kind : {2u, 0x100u, 0x80000000u, ~0u})
    result.push_back({"doorbell kind " + std::to_string(kind), shm::error::protocol_error,
        [kind](hostile_client& c) { c.put(12, kind); }});
  // Each wrong shape, for either ring; the size is that of the memory all the same.
  const std::uint32_t shapes[][2] = {{0, 4}, {4096, 0}, {0, 0}, {4096, 1}, {4096, 3}, {4096, 5}, {4096, 63}, {4096, 65},
      {4096, 128}, {4096, ~0u}, {1, 4}, {63, 4}, {65, 4}, {4095, 4}, {4097, 4}, {~0u, 4}, {~0u, ~0u}, {0x80000000u, 2},
      {0x80000000u, 0x80000000u}, {(64u << 20) + 64, 2}, {64u << 20, 64}};
  for (const std::size_t ring : {16u, 24u})
    for (const auto& shape : shapes)
      result.push_back({"ring " + std::to_string(shape[0]) + " x " + std::to_string(shape[1]),
          shm::error::geometry_refused,
          [=, size = shape[0], count = shape[1]](hostile_client& c) { put_ring(c, ring, size, count); }});
  // Good shapes that are not those of the memory.
  for (const std::size_t ring : {16u, 24u})
    for (const std::uint32_t count : {2u, 8u, 64u})
      result.push_back({"another ring", shm::error::protocol_error, [=](hostile_client& c) {
                          put_ring(c, ring, 4096, count);
                        }});
  result.push_back({"another ring that fits, and its size", shm::error::protocol_error, [](hostile_client& c) {
                      put_ring(c, 16, 4096, 2);
                      c.put<std::uint64_t>(40, c.geometry.region() - 2 * 4096);
                    }});
  result.push_back({"a ring beyond the memory, and its size", shm::error::protocol_error, [](hostile_client& c) {
                      put_ring(c, 16, 4096, 8);
                      c.put<std::uint64_t>(40, c.geometry.region() + 4 * 4096);
                    }});
  result.push_back({"the largest ring in little memory", shm::error::protocol_error, [](hostile_client& c) {
                      const hostile_geometry large{4u << 20, 32};
                      put_ring(c, 16, large.segment_size, large.segment_count);
                      put_ring(c, 24, large.segment_size, large.segment_count);
                      c.put(40, large.region());
                    }});
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{4096}, ~std::uint64_t{0}, std::uint64_t{1} << 63})
    result.push_back({"size " + std::to_string(size), shm::error::protocol_error,
        [size](hostile_client& c) { c.put(40, size); }});
  for (const std::uint64_t offset : {std::uint64_t{1}, std::uint64_t{4096}, ~std::uint64_t{0}})
    result.push_back({"offset " + std::to_string(offset), shm::error::protocol_error,
        [offset](hostile_client& c) { c.put(32, offset); }});
  for (const std::size_t endpoint : {48u, 80u})
    for (const unsigned family : {0u, 1u, 2u, 3u, 5u, 7u, 10u, 0xffffu})
      result.push_back({"family " + std::to_string(family), shm::error::protocol_error,
          [=](hostile_client& c) { c.put(endpoint, static_cast<std::uint16_t>(family)); }});
  for (const int off : {-1, 1, 256})
    result.push_back({"port", shm::error::protocol_error, [off](hostile_client& c) {
                        c.put(82, static_cast<std::uint16_t>((c.hello[82] | c.hello[83] << 8) + off));
                      }});
  return result;
}

// The header lies in the memory: what it says must be what HELLO says.
std::vector<attack> wrong_headers()
{
  std::vector<attack> result;
  for (std::size_t at = 0; at < 40; ++at)
    if (at < 12 || at >= 16)
      result.push_back({"header, byte " + std::to_string(at),
          at >= 8 && at < 12 ? shm::error::version_mismatch : shm::error::protocol_error,
          [at](hostile_client& c) { c.base()[at] ^= 0x10; }});
  result.push_back(
      {"no header", shm::error::protocol_error, [](hostile_client& c) { std::memset(c.base(), 0, 4096); }});
  return result;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(hostile_hello, shm::test::watchdog)

BOOST_AUTO_TEST_CASE(a_wrong_field_is_refused_with_its_reason)
{
  attacked_server server;
  std::vector<attack> attacks = wrong_hellos();
  for (attack& other : wrong_headers())
    attacks.push_back(std::move(other));
  const std::size_t accepted = server.accepted();
  std::size_t good = 0;
  for (const attack& each : attacks)
    BOOST_TEST_CONTEXT(each.name)
    {
      {
        hostile_client client(server.port());
        each.spoil(client);
        BOOST_TEST(client.connect());
        client.say_hello();
        server.run([&] { return client.hung_up(); });
        BOOST_TEST(client.refusal() == each.reason);
        BOOST_TEST(!client.is_attached());
      }
      server.check_unharmed();
      ++good;
    }
  BOOST_TEST(server.accepted() == accepted + good);
  BOOST_TEST_MESSAGE(attacks.size() << " wrong HELLOs");
}

BOOST_AUTO_TEST_CASE(any_single_bit_gives_a_refusal_or_a_connection)
{
  attacked_server server;
  std::size_t refused = 0, accepted = 0;
  for (std::size_t bit = 0; bit < 128 * 8; bit += 3)
  {
    hostile_client client(server.port());
    client.hello[bit / 8] = static_cast<unsigned char>(client.hello[bit / 8] ^ (1u << (bit % 8)));
    BOOST_TEST(client.connect());
    client.say_hello();
    server.run([&] { return client.hung_up() || client.is_attached(); });
    ++(client.is_attached() ? accepted : refused);
    BOOST_TEST((client.is_attached() || client.refusal() != 0));
  }
  BOOST_TEST(refused != 0u);
  BOOST_TEST(accepted != 0u); // addresses, the connector's port, and what is reserved
  server.check_unharmed();
}

BOOST_AUTO_TEST_CASE(a_client_may_go_at_any_byte)
{
  attacked_server server;
  for (std::size_t size = 0; size <= 128; ++size)
    for (const bool with_descriptors : {false, true})
    {
      {
        hostile_client client(server.port());
        BOOST_TEST(client.connect());
        if (size != 0)
          client.send(client.hello.data(), size, with_descriptors ? client.descriptors : std::vector<int>());
        if (size % 2 == 0)
          server.poll(); // seen before it goes, or after
      }
      if (size % 16 == 0)
        server.check_unharmed();
    }
  server.check_unharmed();
}

BOOST_AUTO_TEST_CASE(a_hello_may_come_byte_by_byte_from_several_clients_at_once)
{
  attacked_server server;
  {
    std::vector<std::unique_ptr<hostile_client>> clients;
    for (int i = 0; i < 5; ++i)
    {
      clients.push_back(std::make_unique<hostile_client>(server.port()));
      BOOST_TEST(clients.back()->connect());
    }
    for (std::size_t i = 0; i < 128; ++i)
    {
      for (const auto& client : clients)
      {
        BOOST_TEST(!client->is_attached());
        // Descriptors may come one with each byte.
        BOOST_TEST(client->send(&client->hello[i], 1,
                       i < client->descriptors.size() ? std::vector<int>{client->descriptors[i]} : std::vector<int>())
            == 1);
        server.poll();
      }
      if (i % 32 == 0)
        server.serve_a_good_client(100);
    }
    for (const auto& client : clients)
      server.run([&] { return client->is_attached(); });
    BOOST_TEST(server.sessions() == clients.size());
  }
  server.check_unharmed();
}

BOOST_AUTO_TEST_CASE(silence_and_halves_hold_nobody_up)
{
  attacked_server server;
  {
    const unsigned short port = server.port();
    hostile_client silent(port), one(port), all_but_one(port), waits_for_an_end(port);
    for (hostile_client* client : {&silent, &one, &all_but_one, &waits_for_an_end})
      BOOST_TEST(client->connect());
    one.send(one.hello.data(), 1, one.descriptors);
    all_but_one.send(all_but_one.hello.data(), 127, all_but_one.descriptors);
    waits_for_an_end.send(waits_for_an_end.hello.data(), 64, waits_for_an_end.descriptors);
    ::shutdown(waits_for_an_end.socket.get(), SHUT_WR);
    for (int i = 0; i < 10; ++i)
      server.serve_a_good_client(100);
    BOOST_TEST(!silent.hung_up());
    BOOST_TEST(!all_but_one.hung_up());
    BOOST_TEST(waits_for_an_end.hung_up());
    all_but_one.send(&all_but_one.hello[127], 1);
    server.run([&] { return all_but_one.is_attached(); });
  }
  server.check_unharmed();
}

// What follows HELLO means nothing to an acceptor but a ring, or, in the place of a refusal, the end.
BOOST_AUTO_TEST_CASE(repeated_and_oversized_hellos_are_one_connection)
{
  attacked_server server;
  for (const std::size_t extra : {1u, 128u, 4096u, 100000u})
    for (const char filler : {'\0', '\1', 'R', '\xff'})
      for (const bool asleep : {false, true})
      {
        const std::size_t before = server.accepted();
        {
          hostile_client client(server.port());
          BOOST_TEST(client.connect());
          std::vector<unsigned char> said(client.hello.begin(), client.hello.end());
          if (!asleep)
            said.resize(said.size() + extra, static_cast<unsigned char>(filler));
          if (extra == 128 && !asleep)
            std::copy(client.hello.begin(), client.hello.end(), said.begin() + 128);
          client.send(said.data(), said.size(), client.descriptors);
          server.run([&] { return client.is_attached(); });
          if (asleep)
          {
            server.run([&] { return (client.forth(hostile_client::reader_wait).load() & 1) != 0; });
            const std::string rest(extra, filler);
            client.send(rest.data(), rest.size());
            client.send(client.hello.data(), client.hello.size(), client.descriptors);
          }
          for (int i = 0; i < 3; ++i)
            server.poll();
        }
        server.run([&] { return server.sessions() == 0; });
        BOOST_TEST(server.accepted() == before + 1);
      }
  server.check_unharmed();
}

BOOST_AUTO_TEST_CASE(random_bytes_with_random_descriptors)
{
  attacked_server server;
  std::mt19937 random(20261123);
  for (int i = 0; i < 300; ++i)
  {
    hostile_client client(server.port());
    BOOST_TEST(client.connect());
    std::vector<unsigned char> said(random() % 400);
    for (auto& byte : said)
      byte = static_cast<unsigned char>(random());
    // Sometimes random only behind a good beginning.
    const std::size_t good = random() % 2 ? random() % 129 : 0;
    std::memcpy(said.data(), client.hello.data(), std::min(good, said.size()));
    std::vector<int> fds(random() % 6);
    for (int& fd : fds)
      fd = client.descriptors[random() % client.descriptors.size()];
    if (!said.empty())
      client.send(said.data(), said.size(), fds);
    server.poll();
  }
  server.check_unharmed();
}

BOOST_AUTO_TEST_SUITE_END()
