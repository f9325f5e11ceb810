// SPDX-License-Identifier: BSL-1.0
// Taking part in a region: what happens when.
#include "partition.hpp"

#include "log.hpp"
#include "shared_eventfd.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <string>
#include <utility>

namespace shm {
namespace partitiond {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// Without vectors nobody rings. The pause is doubled while nothing happens.
constexpr std::chrono::microseconds shortest_pause{50};
constexpr std::chrono::microseconds longest_pause_with_connections{5'000};
constexpr std::chrono::microseconds longest_pause{20'000};

} // namespace

partition::partition(asio::io_context& context, attachment& bells, daemon_place& place, const options& wanted,
    end_handler on_end, error_code& ec)
  : context_(context),
    bells_(bells),
    place_(place),
    on_end_(std::move(on_end)),
    bell_(context),
    watched_(context),
    beat_timer_(context),
    poll_timer_(context)
{
  make_parts(wanted, ec);
  if (!ec && bells_.vectors() != 0)
    open_bell(ec);
  if (!ec && bells_.watched() >= 0)
    watched_.assign(bells_.watched(), ec);
  if (ec)
    return;
  bells_.set_peer_handler(
      [this](std::uint32_t peer, bool)
      {
        links_->on_peer(peer);
        look();
      });
  if (watched_.is_open())
    wait_for_watched();
  if (bell_.is_open())
    wait_for_bell();
  else
    poll();
  write_hosts();
  beat();
}

partition::~partition()
{
  ended_ = true;
  bells_.set_peer_handler(nullptr);
  if (watched_.is_open())
    watched_.release();
  if (links_)
    links_->drop_all();
  if (own_)
    own_->leave();
}

void partition::make_parts(const options& wanted, error_code& ec)
{
  region_ = region::open(bells_.memory(), ec);
  if (ec)
    return;
  const std::uint32_t id = bells_.id();
  const region_geometry geometry = region_.geometry();
  if (id >= geometry.partitions)
  {
    log(level::error, "there is no room for partition " + std::to_string(id) + " in the region");
    ec = asio::error::invalid_argument;
    return;
  }
  known_partition self = {default_address(geometry.region_id, id), wanted.name};
  if (!wanted.address.empty())
    parse_address(wanted.address, self.address);
  if (self.name.empty())
    self.name = default_name(id);
  known_ = std::make_unique<known_partitions>(id, self);

  slices_ = std::make_unique<slice_allocator>(slices_offset(geometry.partitions), geometry.area_size);
  // Its end may have been an orderly one: others can have the memory mapped all the same.
  const bool after_another = region_.header_of(id).joined.load(std::memory_order_acquire) != 0
      || region_.header_of(id).heartbeat.load(std::memory_order_acquire) != 0;
  own_ = std::make_unique<own_area>(region_, id);
  std::vector<link_places> places(geometry.partitions);
  others_.resize(geometry.partitions);
  for (std::uint32_t other = 0; other < geometry.partitions; ++other)
    if (other != id)
    {
      others_[other] = std::make_unique<other_area>(region_, other, wanted.dead_after);
      places[other] = {&region_.block(id, other), &region_.block(other, id)};
    }
  const area_places areas = {region_.base(), geometry.area_size, geometry.partitions};
  exchange& others = *this;
  connections_ = std::make_unique<connections>(context_, others, bells_, *slices_, areas, after_another);
  links::handlers handlers;
  handlers.alive = [this](std::uint32_t peer) { return others_[peer]->alive(); };
  handlers.changed = [this](std::uint32_t peer, bool up) { on_link(peer, up); };
  handlers.received = [this](std::uint32_t peer, const mail& message) { return connections_->on_mail(peer, message); };
  links_ = std::make_unique<links>(bells_, places, std::move(handlers));
  own_->join(to_identity(self));
  if (place_.directory().get() < 0)
    return;
  error_code unwatched; // the table of listeners is for information
  listeners_ = std::make_unique<listeners_watch>(
      context_, place_.directory().get(), self.address,
      [this](const std::vector<std::uint16_t>& ports) { own_->set_listeners(ports); }, unwatched);
  if (unwatched)
    log(level::warning, "listeners are not watched: " + unwatched.message());
}

void partition::open_bell(error_code& ec)
{
  detail::descriptor bell = bells_.listen(0, ec);
  if (!ec)
    bell_.assign(bell.get(), ec);
  if (!ec)
    bell.release();
}

void partition::wait_for_bell()
{
  bell_.async_wait(asio::posix::stream_descriptor::wait_read,
      [this](const error_code& ec)
      {
        if (ec || ended_)
          return;
        detail::drain_eventfd(bell_.native_handle());
        look();
        wait_for_bell();
      });
}

void partition::wait_for_watched()
{
  watched_.async_wait(asio::posix::stream_descriptor::wait_read,
      [this](const error_code& ec)
      {
        if (ec || ended_)
          return;
        error_code lost;
        bells_.on_watched(lost);
        if (lost == asio::error::connection_reset)
        {
          server_gone_ = true;
          log(level::warning, "the region's server has gone: nobody can join until there is another one");
        }
        else if (lost)
          end(lost);
        else
          wait_for_watched();
      });
}

void partition::beat()
{
  if (server_gone_ && bells_.replaced())
  {
    end(asio::error::connection_reset);
    return;
  }
  own_->beat();
  look();
  links_->nudge();
  beat_timer_.expires_after(beat_interval);
  beat_timer_.async_wait(
      [this](const error_code& ec)
      {
        if (!ec && !ended_)
          beat();
      });
}

void partition::poll()
{
  const std::uint64_t before = links_->received();
  look();
  const bool happened = links_->received() != before || rung_;
  const std::chrono::microseconds longest = connections_->relays() ? longest_pause_with_connections : longest_pause;
  poll_pause_ = happened ? shortest_pause : std::clamp(2 * poll_pause_, shortest_pause, longest);
  poll_timer_.expires_after(poll_pause_);
  poll_timer_.async_wait(
      [this](const error_code& ec)
      {
        if (!ec && !ended_)
          poll();
      });
}

void partition::look()
{
  const bool more = links_->look();
  rung_ = connections_->relay_rings() != 0;
  if (hosts_changed_)
    write_hosts();
  if (!more || looking_again_)
    return;
  looking_again_ = true;
  asio::post(context_,
      [this]
      {
        looking_again_ = false;
        if (!ended_)
          look();
      });
}

void partition::on_link(std::uint32_t peer, bool up)
{
  hosts_changed_ = true;
  const known_partition* known = known_->get(peer);
  if (up)
    known = &known_->add(peer, others_[peer]->identity());
  const std::string who = "partition " + std::to_string(peer) + (known ? " (" + known->name + ")" : "");
  if (!up)
  {
    if (!ended_)
      log(level::info, who + " is gone");
    connections_->on_link_down(peer);
    known_->remove(peer);
  }
  else if (known->address.is_wildcard())
    log(level::warning, who + " has no address of its own");
  else
    log(level::info, who + " is there, at " + to_string(known->address));
}

std::optional<std::uint32_t> partition::find(const detail::ip_name& address) const
{
  const std::optional<std::uint32_t> peer = known_->find(address);
  return peer && links_->up(*peer) ? peer : std::nullopt;
}

const detail::ip_name& partition::address_of(std::uint32_t peer) const
{
  static const detail::ip_name none;
  const known_partition* const known = known_->get(peer);
  return known ? known->address : none;
}

void partition::write_hosts()
{
  hosts_changed_ = false;
  error_code ec;
  place_.write_hosts(known_->hosts(), ec);
  if (ec)
    log(level::error, "the list of partitions cannot be written: " + ec.message());
}

void partition::end(const error_code& why)
{
  if (ended_)
    return;
  ended_ = true;
  on_end_(why);
}

} // namespace partitiond
} // namespace shm
