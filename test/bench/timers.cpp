// SPDX-License-Identifier: BSL-1.0
// How late timers and posted functions are in a context that is busy with round trips.

#include "support/echo_server.hpp"
#include "support/latency_histogram.hpp"
#include "support/program.hpp"
#include "support/round_trips.hpp"
#include "support/transports.hpp"
#include "support/two_processes.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include <unistd.h>

namespace asio = boost::asio;
using namespace shm::bench;
using stopwatch = std::chrono::steady_clock;

namespace {

constexpr std::chrono::microseconds period{300};

struct parameters
{
  unsigned threads = 2;
  bool busy = true;
};

// A timer of the context, again and again.
class late_timers
{
public:
  late_timers(asio::io_context& io, const interval& when) : timer_(io), when_(when) {}

  void start()
  {
    timer_.expires_after(period);
    timer_.async_wait(
      [this](const boost::system::error_code& error)
      {
        const stopwatch::time_point now = stopwatch::now();
        check(error, "timer");
        if (timer_.expiry() >= when_.begin)
          delays_.add(now - timer_.expiry());
        if (now < when_.end)
          start();
      });
  }

  const latency_histogram& delays() const { return delays_; }

private:
  asio::steady_timer timer_;
  interval when_;
  latency_histogram delays_;
};

// Functions posted to the context by a thread that does not run it, one at a time.
class late_functions
{
public:
  late_functions(asio::io_context& io, const interval& when) : io_(io), work_(io.get_executor()), when_(when) {}

  ~late_functions()
  {
    own_io_.stop();
    if (thread_.joinable())
      thread_.join();
  }

  void start()
  {
    wait();
    thread_ = std::thread([this] { own_io_.run(); });
  }

  const latency_histogram& delays() const { return delays_; }

private:
  void wait()
  {
    timer_.expires_after(period);
    timer_.async_wait([this](const boost::system::error_code&) { post(); });
  }

  void post()
  {
    const stopwatch::time_point posted = stopwatch::now();
    asio::post(io_,
      [this, posted]
      {
        const stopwatch::time_point now = stopwatch::now();
        if (posted >= when_.begin)
          delays_.add(now - posted);
        if (now < when_.end)
          asio::post(own_io_, [this] { wait(); });
        else
          work_.reset();
      });
  }

  using work_guard = asio::executor_work_guard<asio::io_context::executor_type>;

  asio::io_context& io_;
  work_guard work_; // the context does not end before the last function
  asio::io_context own_io_;
  work_guard own_work_{own_io_.get_executor()};
  asio::steady_timer timer_{own_io_};
  interval when_;
  latency_histogram delays_;
  std::thread thread_;
};

// Runs the context in all threads; what one of them throws is thrown here.
template <class Transport>
void run_in_threads(asio::io_context& io, unsigned count)
{
  std::mutex mutex;
  std::exception_ptr failure;
  const auto run = [&]
  {
    try
    {
      Transport::run(io);
    }
    catch (...)
    {
      const std::lock_guard<std::mutex> lock(mutex);
      failure = std::current_exception();
      io.stop();
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < count; ++i)
    threads.emplace_back(run);
  run();
  for (std::thread& thread : threads)
    thread.join();
  if (failure)
    std::rethrow_exception(failure);
}

template <class Transport>
void measure(const parameters& wanted, double seconds, report& result)
{
  child_process server(&serve_echo<Transport>);
  cpu_meter cpu(::getpid(), server.id());
  asio::io_context io;
  Transport::configure(io);
  auto socket = connect_one<Transport>(io, server.peer());
  const interval when = measured_interval(seconds);
  round_trips<Transport> trips(socket, 64);
  late_timers timers(io, when);
  late_functions functions(io, when);
  if (wanted.busy)
    trips.start(when, nullptr, [] {});
  timers.start();
  functions.start();
  asio::steady_timer begin(io, when.begin);
  begin.async_wait([&](const boost::system::error_code&) { cpu.restart(); });
  run_in_threads<Transport>(io, wanted.threads);
  result.cpu = cpu.usage();
  socket.close();
  expect_success(server);

  result.add(timers.delays());
  functions.delays().add_figures(result.figures, "posted_");
  if (wanted.busy)
    trips.times().add_figures(result.figures, "round_trip_");
}

} // namespace

int main(int argc, char* argv[])
{
  parameters wanted;
  program bench("timers", "How late timers are, and functions posted by another thread (posted_), beside round trips");
  bench.option("threads", wanted.threads, "that run the client's context");
  bench.option("busy", wanted.busy, "0: the connection is idle, for comparison");
  return bench.run(argc, argv,
    [&](report& result)
    {
      if (wanted.threads == 0 || wanted.threads > 64)
        throw std::invalid_argument("threads: from 1 to 64");
      with_transport(transports(), bench.transport(),
        [&](auto transport) { measure<decltype(transport)>(wanted, bench.seconds(), result); });
    });
}
