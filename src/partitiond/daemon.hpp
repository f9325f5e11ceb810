// SPDX-License-Identifier: BSL-1.0
// The life of the daemon: it takes part in the region, loses it, finds it again, until it is told to end.
#ifndef ASIO_SHM_SRC_PARTITIOND_DAEMON_HPP
#define ASIO_SHM_SRC_PARTITIOND_DAEMON_HPP

#include "daemon_place.hpp"
#include "local_requests.hpp"
#include "open_attachment.hpp"
#include "options.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <memory>

namespace shm {
namespace partitiond {

class partition;

/// Applications that ask while there is no region are refused at once. Not thread safe.
class daemon
{
public:
  explicit daemon(const options& wanted) : wanted_(wanted) {}

  /// Blocks until SIGTERM, SIGINT or SIGHUP, which it takes for itself and for threads that are started later.
  /// @returns the exit code of the process; what went wrong has been logged.
  int run();

private:
  enum class outcome
  {
    told_to_end,
    lost,       ///< The region was there, and is not any more.
    unavailable ///< It could not be joined.
  };

  bool prepare();
  outcome take_part();
  outcome stay_away(std::chrono::milliseconds pause);
  void run_context(boost::asio::io_context& context, outcome& result, local_requests::handler handle);
  void say_ready(const partition& self);
  void tell_ready(const std::string& status);

  options wanted_;
  detail::descriptor signals_;
  std::unique_ptr<daemon_place> place_;
  detail::descriptor listening_;
  std::unique_ptr<attachments> attachments_;
  bool told_ready_ = false;
};

} // namespace partitiond
} // namespace shm

#endif
