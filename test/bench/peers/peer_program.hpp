// SPDX-License-Identifier: BSL-1.0
// The scenarios that other libraries are measured with, templates on how a library sends and receives a message.
#ifndef ASIO_SHM_TEST_BENCH_PEERS_PEER_PROGRAM_HPP
#define ASIO_SHM_TEST_BENCH_PEERS_PEER_PROGRAM_HPP

#include "support/program.hpp"
#include "support/transports.hpp"
#include "support/two_processes.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

namespace shm::bench {

/// Which of the two processes this is: the server is the one that the other connects to.
enum class side
{
  client,
  server
};

// A peer is a class with
//   static constexpr const char* name;
//   Peer(side, const std::string& unique, std::size_t largest);  unique: the same word in both processes
//   void send(const void*, std::size_t);                         waits for space
//   std::size_t receive(void*, std::size_t);                     waits for a message
//   void met();                                                  both sides are there
// Messages keep their bounds, so one that is a byte longer than the others ends a phase, and one of two more ends all.

/// Tells the other process when this one is ready, so that neither talks to nobody.
inline void meet(channel& other)
{
  other.send(true);
  other.receive<bool>();
}

/// Sends back each message; those of a one-way scenario only at the end of a phase.
template <class Peer>
int serve(channel& client, const std::string& unique, std::size_t size, bool one_way)
{
  Peer peer(side::server, unique, size + 2);
  meet(client);
  peer.met();
  std::vector<char> message(size + 2);
  for (;;)
  {
    const std::size_t length = peer.receive(message.data(), message.size());
    if (length == size + 2)
      break;
    if (!one_way || length == size + 1)
      peer.send(message.data(), length);
  }
  meet(client);
  return 0;
}

/// The client's side of all scenarios.
template <class Peer>
class peer_client
{
public:
  using clock = std::chrono::steady_clock;

  peer_client(channel& server, const std::string& unique, std::size_t size)
    : peer_(side::client, unique, size + 2), size_(size), message_(size + 2), received_(size + 2)
  {
    meet(server);
    peer_.met();
  }

  void round_trips(clock::duration time, latency_histogram& times)
  {
    const clock::time_point end = clock::now() + time;
    for (clock::time_point start = clock::now(); start < end;)
    {
      change_message();
      peer_.send(message_.data(), size_);
      if (peer_.receive(received_.data(), received_.size()) != size_ ||
          !std::equal(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(size_), message_.begin()))
        throw std::runtime_error("a message came back changed");
      const clock::time_point now = clock::now();
      times.add(now - start);
      start = now;
    }
  }

  /// Messages in each second, from sending the first until the other side has received the last.
  double one_way(clock::duration time)
  {
    constexpr int messages_per_look = 16; // at the clock
    const clock::time_point start = clock::now();
    double count = 0;
    while (clock::now() - start < time)
    {
      for (int i = 0; i != messages_per_look; ++i)
        peer_.send(message_.data(), size_);
      count += messages_per_look;
    }
    peer_.send(message_.data(), size_ + 1);
    if (peer_.receive(received_.data(), received_.size()) != size_ + 1)
      throw std::runtime_error("the answer to the end is something else");
    return count / std::chrono::duration<double>(clock::now() - start).count();
  }

  void finish(channel& server)
  {
    peer_.send(message_.data(), size_ + 2);
    meet(server);
  }

private:
  void change_message()
  {
    ++count_;
    message_.front() = static_cast<char>(count_);
    message_[size_ - 1] = static_cast<char>(count_);
  }

  Peer peer_;
  const std::size_t size_;
  std::vector<char> message_;
  std::vector<char> received_;
  std::uint8_t count_ = 0;
};

template <class Peer>
void measure_peer(const std::string& scenario, std::size_t size, double seconds, report& result)
{
  const bool one_way = scenario != "round_trip";
  const std::string unique = std::string("asio_shm_bench_") + Peer::name + '_' + std::to_string(::getpid());
  // Before the library has any thread in this process.
  child_process server(
    [&](channel& client) -> int
    {
      // Unlike what a child's function returns, this lets the library tidy up what it has for the whole process.
      std::exit(serve<Peer>(client, unique, size, one_way));
    });
  peer_client<Peer> client(server.peer(), unique, size);
  cpu_meter cpu(::getpid(), server.id());
  if (one_way)
  {
    client.one_way(warm_up);
    cpu.restart();
    const double rate = client.one_way(duration_of(seconds));
    result.figures["messages_per_second"] = rate;
    result.figures["bytes_per_second"] = rate * static_cast<double>(size);
    result.cpu = cpu.usage();
  }
  else
  {
    latency_histogram warming;
    client.round_trips(warm_up, warming);
    latency_histogram times;
    cpu.restart();
    client.round_trips(duration_of(seconds), times);
    result.cpu = cpu.usage();
    result.add(times);
  }
  client.finish(server.peer());
  expect_success(server);
}

/// What main() of a peer does.
template <class Peer>
int peer_main(int argc, char* argv[])
{
  std::string scenario = "round_trip";
  std::size_t size = 64;
  program bench("peer", std::string("Round trips or one-way messages over ") + Peer::name, Peer::name);
  bench.option("scenario", scenario, "round_trip, stream or messages").option("size", size, "bytes in a message");
  return bench.run(argc, argv,
      [&](report& result)
      {
        if (scenario != "round_trip" && scenario != "stream" && scenario != "messages")
          throw unsupported_transport(Peer::name);
        if (size == 0)
          throw std::invalid_argument("size: at least 1");
        result.scenario = scenario;
        measure_peer<Peer>(scenario, size, bench.seconds(), result);
      });
}

} // namespace shm::bench

#endif
