// SPDX-License-Identifier: BSL-1.0
// Moving mail and following links up and down.
#include "links.hpp"

#include "log.hpp"
#include "shared_eventfd.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace shm {
namespace partitiond {

namespace {

// A partition whose link comes and goes all the time, on purpose or not, gets less attention each time.
constexpr std::chrono::milliseconds after_restart{100};
constexpr std::chrono::milliseconds after_nonsense{1000};
constexpr std::chrono::milliseconds longest_pause{5000};

// A link that was up for so long is none that comes and goes.
constexpr std::chrono::seconds lasting{10};

} // namespace

links::links(attachment& bells, const std::vector<link_places>& places, handlers handle)
  : bells_(bells), handle_(std::move(handle))
{
  std::random_device seed;
  std::seed_seq words = {seed(), seed(), seed(), seed()};
  random_.seed(words);
  for (std::size_t i = 0; i < places.size(); ++i)
    if (places[i].mine)
      neighbours_.emplace(static_cast<std::uint32_t>(i), std::make_unique<neighbour>(places[i], fresh()));
}

// A number that no earlier epoch had, but for a chance of one in 2^64.
std::uint64_t links::fresh()
{
  const std::uint64_t result = random_();
  return result != 0 ? result : 1;
}

bool links::look()
{
  bool more = false;
  for (auto& one : neighbours_)
    more = look_at(one.first, *one.second) || more;
  return more;
}

bool links::alive(std::uint32_t peer, const neighbour& at) const
{
  return handle_.alive(peer) && std::chrono::steady_clock::now() >= at.shunned;
}

bool links::look_at(std::uint32_t peer, neighbour& at)
{
  bool more = false;
  switch (at.channel.update(alive(peer, at), fresh()))
  {
  case link::change::up:
    at.ring = true;
    at.overflow = false;
    at.up_since = std::chrono::steady_clock::now();
    handle_.changed(peer, true);
    break;
  case link::change::down:
    on_down(peer, at, after_restart);
    break;
  case link::change::seen:
    at.ring = true;
    break;
  case link::change::none:
    break;
  }
  if (at.channel.is_up())
    more = receive(peer, at);
  if (at.channel.is_up())
    flush(peer, at);
  if (at.channel.is_up() && at.overflow)
    drop(peer, at, "it takes no mail");
  ring_if_due(peer, at);
  return more;
}

bool links::receive(std::uint32_t peer, neighbour& at)
{
  bool wrong = false;
  mail_bytes bytes;
  for (unsigned i = 0; i < most_at_once; ++i)
  {
    if (!at.channel.receive(bytes, wrong))
    {
      if (wrong)
        drop(peer, at, "its mailbox is not right");
      return false;
    }
    ++received_;
    const std::optional<mail> message = decode(bytes);
    if (!message || !handle_.received(peer, *message))
    {
      drop(peer, at, "it sent what makes no sense");
      return false;
    }
    if (at.channel.take_freed())
      at.ring = true;
  }
  return true;
}

void links::flush(std::uint32_t peer, neighbour& at)
{
  bool wrong = false;
  while (!at.waiting.empty() && at.channel.send(at.waiting.front(), wrong))
  {
    at.waiting.pop_front();
    at.ring = true;
  }
  if (wrong)
    drop(peer, at, "its mailbox is not right");
}

void links::send(std::uint32_t peer, const mail& message)
{
  const auto found = neighbours_.find(peer);
  if (found == neighbours_.end() || !found->second->channel.is_up())
    return;
  neighbour& at = *found->second;
  // It is dropped when it is looked at next: not here, where its connections are worked on.
  at.overflow = at.overflow || at.waiting.size() >= most_waiting;
  if (at.overflow)
    return;
  at.waiting.push_back(encode(message));
  bool wrong = false;
  while (!at.waiting.empty() && at.channel.send(at.waiting.front(), wrong))
  {
    at.waiting.pop_front();
    at.ring = true;
  }
  ring_if_due(peer, at);
}

void links::drop(std::uint32_t peer, neighbour& at, const char* why)
{
  log(level::warning, "partition " + std::to_string(peer) + " is dropped: " + why);
  at.channel.drop(fresh());
  on_down(peer, at, after_nonsense);
}

void links::on_down(std::uint32_t peer, neighbour& at, std::chrono::milliseconds shortest_pause)
{
  const auto now = std::chrono::steady_clock::now();
  at.pause = now - at.up_since >= lasting ? shortest_pause
                                          : std::clamp(2 * at.pause, shortest_pause, longest_pause);
  at.shunned = now + at.pause;
  at.waiting.clear();
  at.ring = true;
  handle_.changed(peer, false);
}

void links::drop_all()
{
  for (auto& one : neighbours_)
    if (one.second->channel.is_up())
    {
      one.second->channel.drop(fresh());
      one.second->waiting.clear();
      one.second->ring = true;
      handle_.changed(one.first, false);
      ring_if_due(one.first, *one.second);
    }
}

void links::nudge()
{
  for (auto& one : neighbours_)
    if (alive(one.first, *one.second))
    {
      one.second->ring = !one.second->channel.is_up() || !one.second->waiting.empty();
      ring_if_due(one.first, *one.second);
    }
}

void links::on_peer(std::uint32_t peer) noexcept
{
  const auto found = neighbours_.find(peer);
  if (found != neighbours_.end())
    found->second->bell.reset();
}

void links::ring_if_due(std::uint32_t peer, neighbour& at)
{
  if (!at.ring)
    return;
  boost::system::error_code ec;
  if (!at.bell.valid())
    at.bell = bells_.ringer(peer, 0, ec);
  if (ec)
    return; // not known yet: later
  at.ring = false;
  detail::ring_shared_eventfd(at.bell.get());
}

bool links::up(std::uint32_t peer) const noexcept
{
  const auto found = neighbours_.find(peer);
  return found != neighbours_.end() && found->second->channel.is_up();
}

std::size_t links::up_count() const noexcept
{
  return static_cast<std::size_t>(std::count_if(
      neighbours_.begin(), neighbours_.end(), [](const auto& one) { return one.second->channel.is_up(); }));
}

} // namespace partitiond
} // namespace shm
