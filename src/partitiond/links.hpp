// SPDX-License-Identifier: BSL-1.0
// The links of one partition to all others, with what waits for room in their mailboxes.
#ifndef ASIO_SHM_SRC_PARTITIOND_LINKS_HPP
#define ASIO_SHM_SRC_PARTITIOND_LINKS_HPP

#include "attachment.hpp"
#include "link.hpp"
#include "mail.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <vector>

namespace shm {
namespace partitiond {

/// Where the blocks of two partitions for each other lie.
struct link_places
{
  link_block* mine = nullptr;
  link_block* theirs = nullptr;
};

/// Looks at links, moves mail, and rings the other daemons where they have to look. Not thread safe.
class links
{
public:
  /// What is kept for a partition that takes no mail. One that never does is dropped.
  static constexpr std::size_t most_waiting = 8192;

  /// Messages taken from one partition in one look: nobody keeps this daemon busy for long.
  static constexpr unsigned most_at_once = 64;

  struct handlers
  {
    /// Whether the partition is there, and its daemon runs.
    std::function<bool(std::uint32_t peer)> alive;
    std::function<void(std::uint32_t peer, bool up)> changed;
    /// @returns false for what no correct partition sends.
    std::function<bool(std::uint32_t peer, const mail& message)> received;
  };

  /// @param places By the number of the partition; those without blocks, as this one, are left out.
  links(attachment& bells, const std::vector<link_places>& places, handlers handle);

  /// Looks at all of them. @returns whether there is more to be taken at once.
  bool look();

  /// Rings those whose link is not up, or that may have missed a ring: from time to time.
  void nudge();

  bool up(std::uint32_t peer) const noexcept;
  std::size_t up_count() const noexcept;

  /// Messages received so far.
  std::uint64_t received() const noexcept { return received_; }

  /// Puts a message into the mailbox, or behind those that wait for room. Without the link it is lost.
  void send(std::uint32_t peer, const mail& message);

  /// The attachment says that the partition is new, or gone: its doorbell is not the one that was known.
  void on_peer(std::uint32_t peer) noexcept;

  /// Drops all links, so that the others need not find out by the heartbeat.
  void drop_all();

private:
  struct neighbour
  {
    explicit neighbour(const link_places& places, std::uint64_t fresh) : channel(*places.mine, *places.theirs, fresh) {}

    link channel;
    std::deque<mail_bytes> waiting;
    detail::descriptor bell;
    bool ring = false;     // it has to look
    bool overflow = false; // it has not for too long
    std::chrono::steady_clock::time_point up_since{};
    std::chrono::steady_clock::time_point shunned{}; // until then it is not looked at
    std::chrono::milliseconds pause{0};              // which it was made to wait the last time
  };

  bool alive(std::uint32_t peer, const neighbour& at) const;
  bool look_at(std::uint32_t peer, neighbour& at);
  bool receive(std::uint32_t peer, neighbour& at);
  void flush(std::uint32_t peer, neighbour& at);
  void drop(std::uint32_t peer, neighbour& at, const char* why);
  void on_down(std::uint32_t peer, neighbour& at, std::chrono::milliseconds shortest_pause);
  void ring_if_due(std::uint32_t peer, neighbour& at);
  std::uint64_t fresh();

  attachment& bells_;
  handlers handle_;
  std::mt19937_64 random_;
  std::uint64_t received_ = 0;
  std::map<std::uint32_t, std::unique_ptr<neighbour>> neighbours_;
};

} // namespace partitiond
} // namespace shm

#endif
