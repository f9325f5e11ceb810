// SPDX-License-Identifier: BSL-1.0
// The part of a run that counts: after the warm-up, for as long as was asked for.
#ifndef ASIO_SHM_TEST_BENCH_SUPPORT_MEASURED_WINDOW_HPP
#define ASIO_SHM_TEST_BENCH_SUPPORT_MEASURED_WINDOW_HPP

#include "cpu_time.hpp"
#include "program.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <functional>
#include <utility>

#include <unistd.h>

namespace shm::bench {

/// Runs beside the clients in their context: calls on_begin and on_end, and stops the context after that.
class measured_window
{
public:
  measured_window(boost::asio::io_context& io, pid_t server, double seconds, std::function<void()> on_begin,
    std::function<void()> on_end = [] {})
    : io_(io), timer_(io), cpu_(::getpid(), server), wanted_(duration_of(seconds)), on_begin_(std::move(on_begin)),
      on_end_(std::move(on_end))
  {
    after(warm_up, &measured_window::begin);
  }

  /// Counted events, by the time that the window was open for.
  double per_second(double count) const { return count / seconds_; }

  cpu_usage cpu() const { return used_; }

private:
  using clock = std::chrono::steady_clock;

  void after(clock::duration time, void (measured_window::*step)())
  {
    timer_.expires_after(time);
    timer_.async_wait(
      [this, step](const boost::system::error_code& error)
      {
        if (!error)
          (this->*step)();
      });
  }

  void begin()
  {
    cpu_.restart();
    begin_ = clock::now();
    on_begin_();
    after(wanted_, &measured_window::end);
  }

  void end()
  {
    on_end_();
    seconds_ = std::chrono::duration<double>(clock::now() - begin_).count();
    used_ = cpu_.usage();
    io_.stop();
  }

  boost::asio::io_context& io_;
  boost::asio::steady_timer timer_;
  cpu_meter cpu_;
  clock::duration wanted_;
  std::function<void()> on_begin_;
  std::function<void()> on_end_;
  clock::time_point begin_;
  double seconds_ = 0;
  cpu_usage used_;
};

} // namespace shm::bench

#endif
