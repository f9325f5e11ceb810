// SPDX-License-Identifier: BSL-1.0
// The loop around a partition.
#include "daemon.hpp"

#include "log.hpp"
#include "partition.hpp"
#include "rendezvous.hpp"
#include "service_manager.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <fcntl.h>
#include <signal.h>
#include <string>
#include <sys/signalfd.h>
#include <utility>

namespace shm {
namespace partitiond {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// Between attempts to find the region again.
constexpr std::chrono::milliseconds first_pause{100};
constexpr std::chrono::milliseconds longest_pause{5000};

// Signals are read, so that none is missed and none comes in the midst of anything.
detail::descriptor take_signals(error_code& ec)
{
  sigset_t end;
  ::sigemptyset(&end);
  ::sigaddset(&end, SIGTERM);
  ::sigaddset(&end, SIGINT);
  struct sigaction hang_up{};
  if (::sigaction(SIGHUP, nullptr, &hang_up) == 0 && hang_up.sa_handler != SIG_IGN) // as nohup(1) has it
    ::sigaddset(&end, SIGHUP);
  ::pthread_sigmask(SIG_BLOCK, &end, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  detail::descriptor result(::signalfd(-1, &end, SFD_NONBLOCK | SFD_CLOEXEC));
  ec = result.valid() ? error_code() : detail::last_error();
  return result;
}

/// Watches a descriptor that stays open afterwards.
class borrowed
{
public:
  borrowed(asio::io_context& context, int fd) : stream_(context, fd) {}
  ~borrowed() { stream_.release(); }
  asio::posix::stream_descriptor& operator*() noexcept { return stream_; }

private:
  asio::posix::stream_descriptor stream_;
};

} // namespace

int daemon::run()
{
  if (!prepare())
    return 1;
  bool was_there = false;
  std::chrono::milliseconds pause{0};
  for (;;)
  {
    outcome result = take_part();
    if (result == outcome::lost)
    {
      was_there = true;
      pause = first_pause;
    }
    else if (result == outcome::unavailable)
    {
      // A server may be started later; a device or a file that is not right stays so.
      if (!was_there && wanted_.from != options::source::attach)
        return 1;
      pause = std::clamp(2 * pause, first_pause, longest_pause);
    }
    if (result != outcome::told_to_end)
      result = stay_away(pause);
    if (result == outcome::told_to_end)
    {
      log(level::info, "ends");
      return 0;
    }
  }
}

bool daemon::prepare()
{
  error_code ec;
  signals_ = take_signals(ec);
  if (!ec)
    place_ = std::make_unique<daemon_place>(ec);
  if (ec == asio::error::address_in_use)
  {
    log(level::error, "another daemon is there already, in " + place_->directory().path());
    return false;
  }
  if (!ec)
    listening_ = place_->listen(ec);
  if (ec)
  {
    log(level::error, "the runtime directory cannot be used: " + ec.message());
    return false;
  }
  attachments_ = std::make_unique<attachments>(wanted_, ec);
  if (ec)
    log(level::error, wanted_.path + " cannot be served: " + ec.message());
  return !ec;
}

// Everything of one time in the region lives in here, and nothing outlives its context.
daemon::outcome daemon::take_part()
{
  error_code ec;
  const std::unique_ptr<attachment> bells = attachments_->open(signals_.get(), ec);
  if (ec == asio::error::operation_aborted)
    return outcome::told_to_end;
  asio::io_context context(1);
  outcome result = outcome::unavailable;
  std::unique_ptr<partition> self;
  if (!ec)
    self = std::make_unique<partition>(
        context, *bells, *place_, wanted_,
        [&](const error_code& why)
        {
          log(level::error, "the region is lost: " + why.message());
          result = outcome::lost;
          context.stop();
        },
        ec);
  if (ec)
  {
    log(level::error, "the region cannot be joined: " + ec.message());
    return outcome::unavailable;
  }
  say_ready(*self);
  run_context(context, result,
      [&](detail::descriptor socket, const detail::hello& wanted) { self->request(std::move(socket), wanted); });
  return result;
}

// Refuses applications meanwhile.
daemon::outcome daemon::stay_away(std::chrono::milliseconds pause)
{
  error_code ignored;
  place_->write_hosts(std::string(), ignored);
  tell_ready("waiting for the region");
  asio::io_context context(1);
  outcome result = outcome::unavailable;
  asio::steady_timer timer(context, pause);
  timer.async_wait([&](const error_code&) { context.stop(); });
  run_context(context, result,
      [](detail::descriptor socket, const detail::hello&)
      { detail::send_refused(socket.get(), asio::error::host_unreachable); });
  return result;
}

void daemon::run_context(asio::io_context& context, outcome& result, local_requests::handler handle)
{
  borrowed signals(context, signals_.get());
  (*signals).async_wait(asio::posix::stream_descriptor::wait_read,
      [&](const error_code&)
      {
        result = outcome::told_to_end;
        context.stop();
      });
  detail::descriptor listening(::fcntl(listening_.get(), F_DUPFD_CLOEXEC, 0));
  if (!listening.valid())
    throw boost::system::system_error(detail::last_error(), "the daemon's socket");
  const local_requests requests(
      context, std::move(listening),
      [this](int socket) { return place_->admits(socket); }, std::move(handle));
  context.run();
}

void daemon::say_ready(const partition& self)
{
  const std::string who =
      "partition " + std::to_string(self.id()) + ", " + self.own().name + ", at " + to_string(self.own().address);
  log(level::info, "ready: " + who);
  tell_ready(who);
}

// Ready is who answers applications, if only by refusing them.
void daemon::tell_ready(const std::string& status)
{
  tell_service_manager((told_ready_ ? "STATUS=" : "READY=1\nSTATUS=") + status);
  told_ready_ = true;
}

} // namespace partitiond
} // namespace shm
