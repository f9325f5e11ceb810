// SPDX-License-Identifier: BSL-1.0
// Very many connections on which nothing happens: what they hold, what they use, and how soon one of them is served.

#include "support/accepting_server.hpp"
#include "support/cpu_time.hpp"
#include "support/echo_session.hpp"
#include "support/idle_client.hpp"
#include "support/latency_histogram.hpp"
#include "support/process_usage.hpp"
#include "support/program.hpp"
#include "support/two_processes.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

namespace asio = boost::asio;
using boost::system::error_code;
using namespace shm::bench;
using stopwatch = std::chrono::steady_clock;

// Spinning programs are never idle.
using sleeping_transports = transport_list<tcp_transport, unix_transport, shm_transport, shm_no_polling_transport>;

constexpr std::size_t other_descriptors = 64; // of a process, beside those of its connections
constexpr std::size_t other_mappings = 1024;

// Whether the connections have to do with one descriptor each; throws where even those are too many.
template <class Transport>
bool needs_socket_doorbells(std::size_t connections)
{
  const auto expect = [connections](std::size_t limit, std::size_t others, const std::string& name)
  {
    if (connections > limit - std::min(limit, others))
      throw std::runtime_error(name + " is " + std::to_string(limit) + ", too little for " + std::to_string(connections)
        + " connections and " + std::to_string(others) + " for other things: raise it");
  };
  const std::size_t limit = raise_descriptor_limit();
  expect(limit, other_descriptors, "the hard limit RLIMIT_NOFILE");
  if constexpr (is_shm<Transport>)
    expect(mapping_limit(), other_mappings, "vm.max_map_count");
  return is_shm<Transport> && 3 * connections + other_descriptors > limit;
}

struct idle_figures
{
  double connecting_s = 0;
  memory_use held;             // by all connections, both sides together
  std::size_t descriptors = 0; // the same
  cpu_usage cpu;
  std::uint64_t switches_of_client = 0;
  std::uint64_t switches_of_server = 0;
  latency_histogram served;
};

// Connects all, leaves them alone for a while, then asks some of them, one at a time.
template <class Transport>
class idle_clients
{
public:
  using protocol = typename Transport::protocol;

  idle_clients(asio::io_context& io, const typename protocol::endpoint& endpoint, pid_t server, bool socket_doorbells,
    std::size_t count, double seconds, idle_figures& result)
    : io_(io), timer_(io), endpoint_(endpoint), server_(server), socket_doorbells_(socket_doorbells), count_(count),
      idle_time_(duration_of(seconds)), cpu_(::getpid(), server), result_(result), held_before_(held()),
      descriptors_before_(descriptors_of_both()), start_(stopwatch::now())
  {
    clients_.reserve(count);
    for (std::size_t i = 0; i < std::min(at_once, count); ++i)
      connect();
  }

private:
  static constexpr std::size_t at_once = 32; // well below every backlog
  static constexpr int probes = 50;
  static constexpr std::chrono::seconds settling_time{1};
  static constexpr std::chrono::milliseconds before_probe{20}; // both sides sleep by then

  memory_use held() const { return memory_of(::getpid()) + memory_of(server_); }
  std::size_t descriptors_of_both() const { return descriptors_of(::getpid()) + descriptors_of(server_); }

  void after(stopwatch::duration time, void (idle_clients::*step)())
  {
    timer_.expires_after(time);
    timer_.async_wait(
      [this, step](const error_code& error)
      {
        check(error, "timer");
        (this->*step)();
      });
  }

  void connect()
  {
    clients_.push_back(std::make_unique<idle_client<Transport>>(io_));
    clients_.back()->connect(endpoint_, socket_doorbells_,
      [this](stopwatch::duration)
      {
        ++connected_;
        if (clients_.size() < count_)
          connect();
        else if (connected_ == count_)
        {
          result_.connecting_s = std::chrono::duration<double>(stopwatch::now() - start_).count();
          after(settling_time, &idle_clients::begin);
        }
      });
  }

  void begin()
  {
    result_.held = held() - held_before_;
    result_.descriptors = descriptors_of_both() - descriptors_before_;
    result_.switches_of_client = context_switches_of(::getpid());
    result_.switches_of_server = context_switches_of(server_);
    cpu_.restart();
    after(idle_time_, &idle_clients::end);
  }

  void end()
  {
    result_.cpu = cpu_.usage();
    // The sleep until now is itself one switch of the client.
    result_.switches_of_client = context_switches_of(::getpid()) - result_.switches_of_client;
    result_.switches_of_server = context_switches_of(server_) - result_.switches_of_server;
    probe();
  }

  void probe()
  {
    std::uniform_int_distribution<std::size_t> any(0, clients_.size() - 1);
    clients_[any(random_)]->request(
      [this](stopwatch::duration time)
      {
        result_.served.add(time);
        if (result_.served.count() < probes)
          after(before_probe, &idle_clients::probe);
        else
          io_.stop();
      });
  }

  asio::io_context& io_;
  asio::steady_timer timer_;
  typename protocol::endpoint endpoint_;
  pid_t server_;
  bool socket_doorbells_;
  std::size_t count_;
  stopwatch::duration idle_time_;
  cpu_meter cpu_;
  idle_figures& result_;
  memory_use held_before_;
  std::size_t descriptors_before_;
  stopwatch::time_point start_;
  std::vector<std::unique_ptr<idle_client<Transport>>> clients_;
  std::size_t connected_ = 0;
  std::mt19937 random_{1};
};

template <class Transport>
void measure(std::size_t connections, double seconds, report& result)
{
  const bool socket_doorbells = needs_socket_doorbells<Transport>(connections);
  child_process server(
    [](channel& client)
    { return serve<Transport, echo_session<Transport>>(client, idle_client<Transport>::message_size); });
  const auto endpoint = receive_endpoint<typename Transport::protocol>(server.peer());

  idle_figures idle;
  {
    asio::io_context io;
    Transport::configure(io);
    const idle_clients<Transport> clients(io, endpoint, server.id(), socket_doorbells, connections, seconds, idle);
    Transport::run(io);
  }
  end(server);

  result.parameters["socket_doorbell"] = socket_doorbells;
  const auto each = [connections](double all) { return all / static_cast<double>(connections); };
  result.figures["rss_bytes_per_connection"] = each(idle.held.rss);
  result.figures["pss_bytes_per_connection"] = each(idle.held.pss);
  result.figures["virtual_bytes_per_connection"] = each(idle.held.virtual_size);
  result.figures["page_table_bytes_per_connection"] = each(idle.held.page_tables);
  result.figures["descriptors_per_connection"] = each(static_cast<double>(idle.descriptors));
  result.figures["cpu_s"] = idle.cpu.client_s + idle.cpu.server_s;
  result.figures["context_switches"] = idle.switches_of_client + idle.switches_of_server;
  result.figures["context_switches_of_server"] = idle.switches_of_server;
  result.figures["connecting_s"] = idle.connecting_s;
  result.figures["served_ns"] = idle.served.percentile(0.5);
  idle.served.add_figures(result.figures, "served_");
  result.cpu = idle.cpu;
}

int main(int argc, char* argv[])
{
  std::size_t connections = 1000;
  program bench("idle_connections", "Connections of one client process to one server process, idle for --seconds");
  bench.option("connections", connections, "how many");
  bench.set_time_to_spare(60);
  return bench.run(argc, argv,
    [&](report& result)
    {
      if (connections == 0)
        throw std::invalid_argument("connections: at least 1");
      with_transport(sleeping_transports(), bench.transport(),
        [&](auto transport) { measure<decltype(transport)>(connections, bench.seconds(), result); });
    });
}
