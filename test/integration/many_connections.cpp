// SPDX-License-Identifier: BSL-1.0
// A thousand connections at once in one process; ASIO_SHM_TEST_CONNECTIONS says how many others, ten thousand for instance.
#define BOOST_TEST_MODULE many_connections
#include "socket_test.hpp"

#include "limits.hpp"
#include "open_resources.hpp"

#include <shm/doorbell.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <vector>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

constexpr rlim_t others = 100; // descriptors

std::size_t wanted()
{
  const char* const text = std::getenv("ASIO_SHM_TEST_CONNECTIONS");
  return static_cast<std::size_t>(text ? std::max(1L, std::atol(text)) : 1'000);
}

/// How many there can be, and how they are woken.
struct plan
{
  std::size_t count = wanted();
  bool socket_doorbells = false;
  rlim_t descriptors = 0;

  plan()
  {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const rlim_t most = limit.rlim_max - others;
    // Three at each end, with a doorbell of its own and the peer's; or the rendezvous socket alone.
    socket_doorbells = count > most / 6;
    const rlim_t each = socket_doorbells ? 2 : 6;
    count = std::min<std::size_t>(count, most / each);
    descriptors = each * count + others;
  }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(many_connections, watchdog)

BOOST_AUTO_TEST_CASE(all_carry_data_both_ways)
{
  const plan p;
  const std::size_t count = p.count;
  if (count < wanted())
    std::cout << "many_connections: " << count << " only, the limit on descriptors allows no more" << std::endl;
  const scoped_limit limit(RLIMIT_NOFILE, p.descriptors);
  const open_resources before = open_resources::now();
  const auto start = std::chrono::steady_clock::now();
  {
    asio::io_context context;
    tcp::acceptor acceptor(context, loopback<tcp>());
    std::vector<tcp::socket> clients;
    std::vector<tcp::socket> servers;
    for (std::size_t i = 0; i != count; ++i)
    {
      tcp::socket client(context);
      client.open(tcp::v4());
      client.set_option(tcp::socket::send_buffer_size(65'536));
      client.set_option(tcp::socket::receive_buffer_size(65'536));
      client.set_option(shm::socket_doorbell(p.socket_doorbells));
      client.connect(acceptor.local_endpoint());
      clients.push_back(std::move(client));
      servers.push_back(acceptor.accept());
    }
    std::vector<std::uint64_t> at_server(count);
    std::vector<std::uint64_t> at_client(count);
    std::vector<std::uint64_t> numbers(count);
    std::size_t right = 0;
    for (std::size_t i = 0; i != count; ++i)
    {
      numbers[i] = i * 0x9e3779b97f4a7c15u;
      asio::async_read(servers[i], asio::buffer(&at_server[i], sizeof at_server[i]),
          [&, i](error_code ec, std::size_t)
          {
            if (!ec)
              asio::async_write(servers[i], asio::buffer(&at_server[i], sizeof at_server[i]), [](error_code, std::size_t) {});
          });
      asio::async_read(clients[i], asio::buffer(&at_client[i], sizeof at_client[i]),
          [&, i](error_code ec, std::size_t) { right += !ec && at_client[i] == numbers[i] ? 1 : 0; });
    }
    run_ready(context); // they sleep, all of them
    for (std::size_t i = 0; i != count; ++i)
      asio::async_write(clients[i], asio::buffer(&numbers[i], sizeof numbers[i]), [](error_code, std::size_t) {});
    run_out(context);
    BOOST_TEST(right == count);
  }
  BOOST_TEST(open_resources::now() == before);
  std::cout << "many_connections: " << count << " connections with " << (p.socket_doorbells ? "socket" : "eventfd") << " doorbells in "
            << std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() << " s" << std::endl;
}

BOOST_AUTO_TEST_SUITE_END()
