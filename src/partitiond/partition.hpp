// SPDX-License-Identifier: BSL-1.0
// One partition taking part in a region: what ties links, connections, hosts and listeners together.
#ifndef ASIO_SHM_SRC_PARTITIOND_PARTITION_HPP
#define ASIO_SHM_SRC_PARTITIOND_PARTITION_HPP

#include "area.hpp"
#include "attachment.hpp"
#include "connections.hpp"
#include "daemon_place.hpp"
#include "known_partitions.hpp"
#include "links.hpp"
#include "listeners_watch.hpp"
#include "options.hpp"
#include "region.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace shm {
namespace partitiond {

/// Takes part as long as it lives. It looks at the links whenever another partition rings it, when partitions come and
/// go, and 5 times a second; without vectors, more often. Not thread safe. The context must not run any more when this
/// is destroyed.
class partition : private exchange
{
public:
  static constexpr std::chrono::milliseconds beat_interval{200};

  /// Called once, when the region or the other partitions cannot be reached any more.
  using end_handler = std::function<void(const boost::system::error_code& why)>;

  /// Maps the region and joins it. @param bells, place Outlive this. @param ec error::protocol_error and others of
  /// region::open, or the system's error.
  partition(boost::asio::io_context& context, attachment& bells, daemon_place& place, const options& wanted,
      end_handler on_end, boost::system::error_code& ec);

  /// Leaves the region: the others learn of it at once.
  ~partition() override;

  /// An application wants a connection.
  void request(detail::descriptor socket, const detail::hello& wanted)
  {
    connections_->request(std::move(socket), wanted);
  }

  const known_partition& own() const { return known_->own(); }
  std::uint32_t id() const noexcept { return bells_.id(); }

private:
  std::optional<std::uint32_t> find(const detail::ip_name& address) const override;
  const detail::ip_name& address_of(std::uint32_t partition) const override;
  const detail::ip_name& own_address() const override { return known_->own().address; }
  void send(std::uint32_t peer, const mail& message) override { links_->send(peer, message); }

  void make_parts(const options& wanted, boost::system::error_code& ec);
  void open_bell(boost::system::error_code& ec);
  void wait_for_bell();
  void wait_for_watched();
  void beat();
  void poll();
  void look();
  void on_link(std::uint32_t peer, bool up);
  void write_hosts();
  void end(const boost::system::error_code& why);

  boost::asio::io_context& context_;
  attachment& bells_;
  daemon_place& place_;
  end_handler on_end_;
  boost::asio::posix::stream_descriptor bell_;    // of vector 0
  boost::asio::posix::stream_descriptor watched_; // of the attachment's; not ours to close
  boost::asio::steady_timer beat_timer_;
  boost::asio::steady_timer poll_timer_;
  std::chrono::microseconds poll_pause_{0};
  bool ended_ = false;
  bool server_gone_ = false; // nobody can come, but those who are there go on
  bool looking_again_ = false;
  bool hosts_changed_ = true;
  bool rung_ = false; // an application, by the last look

  region region_;
  std::unique_ptr<slice_allocator> slices_;
  std::unique_ptr<own_area> own_;
  std::vector<std::unique_ptr<other_area>> others_; // by number; none for this one
  std::unique_ptr<known_partitions> known_;
  std::unique_ptr<connections> connections_;
  std::unique_ptr<links> links_;
  std::unique_ptr<listeners_watch> listeners_;
};

} // namespace partitiond
} // namespace shm

#endif
