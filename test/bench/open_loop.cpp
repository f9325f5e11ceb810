// SPDX-License-Identifier: BSL-1.0
// Latency against offered rate: requests at fixed times, whether or not the ones before have been answered.

#include "support/accepting_server.hpp"
#include "support/cpu_time.hpp"
#include "support/echo_session.hpp"
#include "support/latency_histogram.hpp"
#include "support/program.hpp"
#include "support/send_schedule.hpp"
#include "support/two_processes.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <vector>

#include <unistd.h>

namespace asio = boost::asio;
using boost::system::error_code;
using namespace shm::bench;
using std::chrono::nanoseconds;
using stopwatch = std::chrono::steady_clock;

// The time travels with the request: the answers need no bookkeeping.
struct request
{
  std::uint64_t number;
  std::int64_t sent_ns; // since the start
  std::array<char, 48> rest;
};
static_assert(sizeof(request) == 64);

constexpr std::size_t largest_batch = 1024; // requests in one write

template <class Transport>
class open_loop_client
{
public:
  using protocol = typename Transport::protocol;

  open_loop_client(asio::io_context& io, const typename protocol::endpoint& server, pid_t server_process,
    const send_schedule& plan, nanoseconds tick)
    : socket_(io), timer_(io), cpu_(::getpid(), server_process), plan_(plan), tick_(tick)
  {
    socket_.async_connect(server,
      [this](const error_code& error)
      {
        check(error, "connect");
        Transport::configure(socket_);
        start_ = stopwatch::now();
        receive();
        pace();
      });
  }

  latency_histogram latency;   // from the time at which the request had to be sent
  latency_histogram unqueued;  // from the time at which it was sent
  latency_histogram lateness;  // between both
  std::uint64_t answered_in_time = 0;
  std::uint64_t unanswered = 0;
  cpu_usage cpu;

private:
  nanoseconds now() const { return stopwatch::now() - start_; }

  // Sends what is due and sleeps until something else is. The same for every transport: neither answers nor the
  // speed of the transport decide when it wakes up.
  void pace()
  {
    const nanoseconds time = now();
    if (!measuring_ && time >= warm_up)
    {
      measuring_ = true;
      cpu_.restart();
    }
    if (time >= plan_.end())
      return end_of_window();

    due_ = plan_.until(time + nanoseconds(1));
    send();
    timer_.expires_at(start_ + std::min(plan_.end(), std::max(plan_.time_of(due_), time + tick_)));
    timer_.async_wait(
      [this](const error_code& error)
      {
        check(error, "timer");
        pace();
      });
  }

  // All that is due goes into one write, as a client would do that is late.
  void send()
  {
    const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(due_ - sent_, largest_batch));
    if (writing_ || count == 0)
      return;
    writing_ = true;
    const nanoseconds time = now();
    for (std::size_t i = 0; i < count; ++i, ++sent_)
    {
      batch_[i].number = sent_;
      batch_[i].sent_ns = time.count();
      if (plan_.counts(sent_))
        lateness.add(time - plan_.time_of(sent_));
    }
    asio::async_write(socket_, asio::buffer(batch_.data(), count * sizeof(request)),
      [this](const error_code& error, std::size_t)
      {
        if (finished_)
          return;
        check(error, "write");
        writing_ = false;
        send();
      });
  }

  void receive()
  {
    char* const input = reinterpret_cast<char*>(answers_.data());
    socket_.async_read_some(asio::buffer(input + filled_, answers_.size() * sizeof(request) - filled_),
      [this, input](const error_code& error, std::size_t length)
      {
        if (finished_)
          return;
        check(error, "read");
        const nanoseconds time = now();
        filled_ += length;
        const std::size_t count = filled_ / sizeof(request);
        for (std::size_t i = 0; i < count; ++i)
          take(answers_[i], time);
        filled_ -= count * sizeof(request);
        std::memmove(input, input + count * sizeof(request), filled_);

        if (received_ < plan_.total())
          receive();
        else if (ended_)
          finish();
      });
  }

  void take(const request& answer, nanoseconds time)
  {
    if (answer.number != received_)
      throw std::runtime_error("an answer is not the one to the next request");
    if (plan_.counts(received_))
    {
      latency.add(time - plan_.time_of(received_));
      unqueued.add(time - nanoseconds(answer.sent_ns));
      if (time < plan_.end())
        ++answered_in_time;
    }
    ++received_;
  }

  void end_of_window()
  {
    cpu = cpu_.usage();
    ended_ = true;
    due_ = plan_.total();
    if (received_ == plan_.total())
      return finish();
    send();
    timer_.expires_after(std::chrono::seconds(1));
    timer_.async_wait(
      [this](const error_code& error)
      {
        if (!error)
          finish();
      });
  }

  // What has not been answered counts with the time that it has waited: leaving it out would flatter the slow.
  void finish()
  {
    finished_ = true;
    const nanoseconds time = now();
    for (std::uint64_t number = received_; number < plan_.total(); ++number)
      if (plan_.counts(number))
      {
        latency.add(time - plan_.time_of(number));
        ++unanswered;
      }
    timer_.cancel();
    socket_.close();
  }

  typename protocol::socket socket_;
  asio::steady_timer timer_;
  cpu_meter cpu_;
  send_schedule plan_;
  nanoseconds tick_;
  stopwatch::time_point start_;
  bool measuring_ = false;
  bool writing_ = false;
  bool ended_ = false;
  bool finished_ = false;
  std::uint64_t due_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  std::vector<request> batch_{largest_batch};
  std::vector<request> answers_{largest_batch};
  std::size_t filled_ = 0;
};

template <class Transport>
void measure(double rate, double tick_us, double seconds, report& result)
{
  constexpr std::size_t echo_size = largest_batch * sizeof(request);
  child_process server(
    [](channel& client) { return serve<Transport, echo_session<Transport>>(client, echo_size); });
  const auto endpoint = receive_endpoint<typename Transport::protocol>(server.peer());

  asio::io_context io;
  Transport::configure(io);
  const send_schedule plan(rate, seconds);
  open_loop_client<Transport> client(io, endpoint, server.id(), plan, duration_of(tick_us / 1e6));
  Transport::run(io);
  end(server);

  result.add(client.latency);
  client.unqueued.add_figures(result.figures, "from_sending_");
  client.lateness.add_figures(result.figures, "sent_late_");
  result.figures["offered_per_second"] = static_cast<double>(plan.counted()) / seconds;
  result.figures["achieved_per_second"] = static_cast<double>(client.answered_in_time) / seconds;
  result.figures["unanswered"] = client.unanswered;
  result.figures["client_cpu_s_per_s"] = client.cpu.client_s / seconds;
  result.figures["server_cpu_s_per_s"] = client.cpu.server_s / seconds;
  result.figures["cpu_s_per_s"] = (client.cpu.client_s + client.cpu.server_s) / seconds;
  result.cpu = client.cpu;
}

int main(int argc, char* argv[])
{
  double rate = 10000;
  double tick_us = 50;
  program bench("open_loop", "Requests of 64 bytes at fixed times over one connection, answered by an echo server");
  bench.option("rate", rate, "requests a second");
  bench.option("tick-us", tick_us, "microseconds that the sender sleeps at least; what is due then is one write");
  return bench.run(argc, argv,
    [&](report& result)
    {
      if (!(rate >= 1 && rate <= 1e7 && tick_us >= 0 && tick_us <= 1e6))
        throw std::invalid_argument("rate: 1 to 10 million; tick-us: 0 to a million");
      with_transport(transports(), bench.transport(),
        [&](auto transport) { measure<decltype(transport)>(rate, tick_us, bench.seconds(), result); });
    });
}
