// SPDX-License-Identifier: BSL-1.0
// Memory and doorbells of a new connection, and a spare set for programs that connect often.
#ifndef ASIO_SHM_SRC_PREPARED_CONNECTION_HPP
#define ASIO_SHM_SRC_PREPARED_CONNECTION_HPP

#include "connection_memory.hpp"
#include "doorbell.hpp"
#include "memfd.hpp"

#include <boost/system/error_code.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <optional>

namespace shm {
namespace detail {

/// What a connector makes before it sends HELLO, for both sides.
struct prepared_connection
{
  connection_memory memory;
  memfd memory_descriptor;
  descriptor acceptor_eventfd;  ///< Only with eventfd doorbells, as the next one.
  descriptor connector_eventfd;
  doorbell_kind kind = doorbell_kind::eventfd;
  std::size_t identity = 0; ///< For ThreadSanitizer.

  static prepared_connection make(
      const connection_geometry& geometry, doorbell_kind kind, boost::system::error_code& ec);
};

/// Making the set takes longer than all the rest of connecting. A program that connects again and again has the next
/// one made while the server is busy with the last. Only what was never sent to anyone is kept. Thread safe.
class spare_connection
{
public:
  /// The spare set if it is of this kind, or a new one.
  prepared_connection take(const connection_geometry& geometry, doorbell_kind kind, boost::system::error_code& ec);

  /// Makes another set like the last one if sets are taken often. To be called when there is time to wait anyway.
  void refill() noexcept;

  /// Whether refill() would do something.
  bool wanted() const noexcept { return wanted_.load(std::memory_order_relaxed); }

  /// Frees the spare set.
  void clear() noexcept;

  using clock = std::chrono::steady_clock;

  /// So long a spare set is kept without another connect.
  static constexpr std::chrono::milliseconds idle_time{100};

  /// Frees the spare set if nobody has connected for so long. @returns false if it is kept.
  bool expire(clock::time_point now) noexcept;

private:

  std::atomic<bool> wanted_{false};
  std::mutex mutex_; // guards what follows
  std::optional<prepared_connection> spare_;
  long owner_ = 0; // the process that made it: after a fork the parent has the same set
  clock::time_point taken_{};
  connection_geometry geometry_{};
  doorbell_kind kind_ = doorbell_kind::eventfd;
};

} // namespace detail
} // namespace shm

#endif
