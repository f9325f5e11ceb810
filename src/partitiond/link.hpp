// SPDX-License-Identifier: BSL-1.0
// One side of the link between two partitions: who is there, since when, and the messages in both directions. No I/O.
#ifndef ASIO_SHM_SRC_PARTITIOND_LINK_HPP
#define ASIO_SHM_SRC_PARTITIOND_LINK_HPP

#include "mail.hpp"
#include "region_layout.hpp"

#include <cstdint>

namespace shm {
namespace partitiond {

/// The link is up while each side has seen the epoch of the other. Whoever drops it takes a new epoch, which the other
/// side notices; both end all connections of the link then, and it comes up again by itself.
///
///   here                                    there
///   drop: seen = 0; sent = received = 0;
///         epoch = new (release)       -->   epoch is not the one seen: drop, likewise
///   seen = epoch of there (release)   <-->  seen = epoch of here
///   seen of there (acquire) is our epoch, then epoch of there (acquire) is the one we have seen before: up
///
/// `sent` of a side counts from its epoch on, `received` from the other's. No word is read before the epoch that it
/// belongs to has been seen.
///
/// The other side is not trusted: it can end the link, and nothing else.
class link
{
public:
  enum class change
  {
    none,
    seen, ///< A new epoch of the other side was taken note of: it has to look.
    up,
    down
  };

  /// @param mine The block of this partition's area for the other one. Its old contents mean nothing: the link is down.
  /// @param theirs The block of the other partition's area for this one.
  /// @param fresh A number that was not used for the epoch before, not 0. Best by chance.
  link(link_block& mine, link_block& theirs, std::uint64_t fresh) noexcept;

  /// Looks at the other side's epochs. @param alive Whether its daemon is there and runs. @param fresh As above, in
  /// case that the link has to be dropped.
  change update(bool alive, std::uint64_t fresh) noexcept;

  bool is_up() const noexcept { return up_; }

  /// Drops the link now, for a reason of the caller.
  void drop(std::uint64_t fresh) noexcept;

  /// Puts a message into the mailbox. @returns false if there is no room; @p wrong if the other side's words are.
  bool send(const mail_bytes& message, bool& wrong) noexcept;

  /// Takes the next message. @returns false if there is none; @p wrong if the other side's words are.
  bool receive(mail_bytes& message, bool& wrong) noexcept;

  /// Whether the other side may wait for room in its mailbox: its mailbox was more than half full when a message was
  /// taken, since this was asked last.
  bool take_freed() noexcept;

private:
  bool is_dropped_there() const noexcept;

  link_block& mine_;
  link_block& theirs_;
  std::uint64_t epoch_ = 0;
  std::uint64_t seen_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t taken_by_peer_ = 0; // their `received`, as last believed
  bool up_ = false;
  bool freed_ = false;
};

} // namespace partitiond
} // namespace shm

#endif
