// SPDX-License-Identifier: BSL-1.0
// What applications of this partition ask the daemon for, until each request is complete.
#ifndef ASIO_SHM_SRC_PARTITIOND_LOCAL_REQUESTS_HPP
#define ASIO_SHM_SRC_PARTITIOND_LOCAL_REQUESTS_HPP

#include "descriptor.hpp"
#include "hello.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>

namespace shm {
namespace partitiond {

/// Accepts applications and reads one HELLO of each, which has to want memory. Others are refused; silent ones are
/// dropped; of too many that are not complete, the oldest. Not thread safe.
class local_requests
{
public:
  static constexpr std::size_t most_incomplete = 64;
  static constexpr std::chrono::seconds patience{5};

  /// Whether the process at the other end of a socket may ask.
  using gate = std::function<bool(int socket)>;
  using handler = std::function<void(detail::descriptor socket, const detail::hello& request)>;

  /// @param listening Non-blocking.
  local_requests(boost::asio::io_context& context, detail::descriptor listening, gate admits, handler handle);
  ~local_requests();

private:
  struct client;
  using clients = std::list<std::shared_ptr<client>>;

  void wait_for_client();
  void accept();
  void read(const std::shared_ptr<client>& from);
  void drop(const std::shared_ptr<client>& from);

  boost::asio::posix::stream_descriptor listening_;
  boost::asio::steady_timer pause_;
  gate admits_;
  handler handle_;
  clients clients_; // the oldest first
};

} // namespace partitiond
} // namespace shm

#endif
