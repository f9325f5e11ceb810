// SPDX-License-Identifier: BSL-1.0
// Many busy pairs of processes at once, more than there are processors: what all of them get done together, and how
// fairly it is shared.

#include "support/echo_server.hpp"
#include "support/one_way.hpp"
#include "support/program.hpp"
#include "support/round_trips.hpp"
#include "support/transports.hpp"
#include "support/two_processes.hpp"

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

namespace asio = boost::asio;
using namespace shm::bench;

namespace {

// Until all processes are there and connected.
constexpr std::chrono::milliseconds start_of_all{500};

struct parameters
{
  std::size_t pairs = 8;
  std::size_t size = 64;
  std::string traffic = "round_trips";
};

struct pair_result
{
  double messages = 0;
  double p50_ns = 0;
  double p99_ns = 0;
  cpu_usage cpu;
};

template <class Transport>
pair_result measure_round_trips(std::size_t size, const interval& when)
{
  child_process server(&serve_echo<Transport>);
  cpu_meter cpu(::getpid(), server.id());
  asio::io_context io;
  Transport::configure(io);
  auto socket = connect_one<Transport>(io, server.peer());
  round_trips<Transport> trips(socket, size);
  pair_result result;
  trips.start(when, [&] { cpu.restart(); },
    [&]
    {
      result.cpu = cpu.usage();
      socket.close();
    });
  Transport::run(io);
  expect_success(server);
  const latency_histogram& times = trips.times();
  result.messages = 2 * static_cast<double>(times.count()); // there and back
  result.p50_ns = times.percentile(0.5);
  result.p99_ns = times.percentile(0.99);
  return result;
}

template <class Transport>
pair_result measure_messages(std::size_t size, const interval& when)
{
  const throughput measured = measure_one_way<Transport>(size, 64 * 1024, when);
  pair_result result;
  result.messages = static_cast<double>(measured.bytes) / static_cast<double>(size);
  result.cpu = measured.cpu;
  return result;
}

template <class Transport>
void measure(const parameters& wanted, double seconds, report& result)
{
  const interval when = measured_interval(seconds, start_of_all);
  std::vector<std::unique_ptr<child_process>> pairs;
  for (std::size_t i = 0; i < wanted.pairs; ++i)
    pairs.push_back(std::make_unique<child_process>(
      [&](channel& parent)
      {
        parent.send(wanted.traffic == "messages" ? measure_messages<Transport>(wanted.size, when)
                                                 : measure_round_trips<Transport>(wanted.size, when));
        return 0;
      }));

  std::vector<pair_result> results;
  double messages = 0;
  for (auto& pair : pairs)
  {
    results.push_back(pair->peer().template receive<pair_result>());
    expect_success(*pair);
    messages += results.back().messages;
    result.cpu.client_s += results.back().cpu.client_s;
    result.cpu.server_s += results.back().cpu.server_s;
  }
  const auto [slowest, fastest] = std::minmax_element(results.begin(), results.end(),
    [](const pair_result& a, const pair_result& b) { return a.messages < b.messages; });
  result.figures["messages_per_second"] = messages / seconds;
  result.figures["messages_per_second_slowest_pair"] = slowest->messages / seconds;
  result.figures["messages_per_second_fastest_pair"] = fastest->messages / seconds;
  if (wanted.traffic == "round_trips")
  {
    result.figures["p50_ns_slowest_pair"] = slowest->p50_ns;
    result.figures["p99_ns_slowest_pair"] = slowest->p99_ns;
  }
}

} // namespace

int main(int argc, char* argv[])
{
  parameters wanted;
  program bench("oversubscription", "Busy pairs of processes, all at once on the processors that the program may use");
  bench.option("pairs", wanted.pairs, "of a client and a server, each a process");
  bench.option("size", wanted.size, "bytes in a message");
  bench.option("traffic", wanted.traffic, "round_trips, or messages one way");
  return bench.run(argc, argv,
    [&](report& result)
    {
      if (wanted.traffic != "round_trips" && wanted.traffic != "messages")
        throw std::invalid_argument("no traffic " + wanted.traffic);
      if (wanted.pairs == 0 || wanted.size == 0)
        throw std::invalid_argument("pairs and size: at least 1");
      with_transport(transports(), bench.transport(),
        [&](auto transport) { measure<decltype(transport)>(wanted, bench.seconds(), result); });
    });
}
