// SPDX-License-Identifier: BSL-1.0
// Which ports of this partition have a listener that other partitions can reach.
#ifndef ASIO_SHM_SRC_PARTITIOND_LISTENERS_WATCH_HPP
#define ASIO_SHM_SRC_PARTITIOND_LISTENERS_WATCH_HPP

#include "socket_name.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>

#include <cstdint>
#include <functional>
#include <vector>

namespace shm {
namespace partitiond {

/// Looks into "ip" of one user's runtime directory whenever something changes there. Files of killed listeners count
/// until the next bind replaces them: the table is for information. Not thread safe.
class listeners_watch
{
public:
  using handler = std::function<void(const std::vector<std::uint16_t>& ports)>;

  /// @param directory The runtime directory; outlives this. @param own The address of this partition. @param changed
  /// Is called with all ports, in their order, each once; for the first time soon.
  listeners_watch(boost::asio::io_context& context, int directory, const detail::ip_name& own, handler changed,
      boost::system::error_code& ec);

private:
  void wait_for_event();
  void look_soon();
  void look();

  int directory_;
  detail::ip_name own_;
  handler changed_;
  boost::asio::posix::stream_descriptor events_;
  boost::asio::steady_timer timer_;
  bool soon_ = false;
  bool watching_ = false; // "ip" itself; else for its being made
  std::vector<std::uint16_t> ports_;
};

} // namespace partitiond
} // namespace shm

#endif
