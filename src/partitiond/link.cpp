// SPDX-License-Identifier: BSL-1.0
// Epochs and mailboxes of a link.
#include "link.hpp"

#include "untrusted.hpp"

#include <cstring>

namespace shm {
namespace partitiond {

using detail::untrusted;

link::link(link_block& mine, link_block& theirs, std::uint64_t fresh) noexcept : mine_(mine), theirs_(theirs)
{
  drop(fresh);
}

void link::drop(std::uint64_t fresh) noexcept
{
  up_ = freed_ = false;
  seen_ = sent_ = received_ = taken_by_peer_ = 0;
  // What belongs to the new epoch is there before it: whoever sees the epoch sees an empty mailbox and nothing taken.
  mine_.seen.store(0, std::memory_order_release);
  mine_.sent.store(0, std::memory_order_release);
  mine_.received.store(0, std::memory_order_release);
  epoch_ = fresh;
  mine_.epoch.store(fresh, std::memory_order_release);
}

link::change link::update(bool alive, std::uint64_t fresh) noexcept
{
  // Their `seen` first: with the epoch that it stands for, or a later one, is what is loaded next. The other way round,
  // an old epoch could be taken together with a new `seen`.
  const bool seen_by_them = untrusted(theirs_.seen).is(epoch_);
  const std::uint64_t theirs = untrusted(theirs_.epoch).any();
  if (up_)
  {
    if (alive && seen_by_them && theirs == seen_)
      return change::none;
    drop(fresh);
    return change::down;
  }
  if (!alive)
    return change::none;
  if (theirs != seen_)
  {
    seen_ = theirs;
    mine_.seen.store(seen_, std::memory_order_release);
    // Not up yet: they may have seen us with an epoch before this one. Up at once, one side would drop the link when it
    // finds out, and the other one then, and so on.
    return change::seen;
  }
  up_ = seen_by_them && seen_ != 0;
  return up_ ? change::up : change::none;
}

// Whoever drops the link takes back `seen` before the numbers, and sees our epoch again only with a new one of its own.
bool link::is_dropped_there() const noexcept
{
  return !untrusted(theirs_.seen).is(epoch_) || !untrusted(theirs_.epoch).is(seen_);
}

bool link::send(const mail_bytes& message, bool& wrong) noexcept
{
  wrong = false;
  if (!up_)
    return false;
  if (sent_ - taken_by_peer_ >= mailbox_slots)
  {
    // Acquire: the slot is read before it is written again.
    if (!untrusted(theirs_.received).within(taken_by_peer_, sent_, taken_by_peer_))
    {
      wrong = !is_dropped_there();
      return false;
    }
    if (sent_ - taken_by_peer_ >= mailbox_slots)
      return false;
  }
  std::memcpy(mine_.slots[sent_ % mailbox_slots], message.data(), message.size());
  // Release: partner is receive()'s acquire.
  mine_.sent.store(++sent_, std::memory_order_release);
  return true;
}

bool link::receive(mail_bytes& message, bool& wrong) noexcept
{
  wrong = false;
  if (!up_)
    return false;
  std::uint64_t sent = 0;
  if (!untrusted(theirs_.sent).within(received_, received_ + mailbox_slots, sent))
  {
    wrong = !is_dropped_there();
    return false;
  }
  if (sent == received_)
    return false;
  freed_ = freed_ || sent - received_ > mailbox_slots / 2;
  message = detail::untrusted_copy(*reinterpret_cast<const mail_bytes*>(theirs_.slots[received_ % mailbox_slots]));
  // Release: partner is send()'s acquire.
  mine_.received.store(++received_, std::memory_order_release);
  return true;
}

bool link::take_freed() noexcept
{
  const bool result = freed_;
  freed_ = false;
  return result;
}

} // namespace partitiond
} // namespace shm
