// SPDX-License-Identifier: BSL-1.0
// The connections between applications here and in other partitions, as long as one end of them is open.
#ifndef ASIO_SHM_SRC_PARTITIOND_CONNECTIONS_HPP
#define ASIO_SHM_SRC_PARTITIOND_CONNECTIONS_HPP

#include "attachment.hpp"
#include "connection_end.hpp"
#include "mail.hpp"
#include "slice_allocator.hpp"
#include "socket_name.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

namespace shm {
namespace partitiond {

/// What connections need to know of the partitions.
class exchange
{
public:
  virtual ~exchange() = default;

  /// The other partition that has this address, if the link to it is up.
  virtual std::optional<std::uint32_t> find(const detail::ip_name& address) const = 0;

  /// The address of a partition whose link is up.
  virtual const detail::ip_name& address_of(std::uint32_t partition) const = 0;
  virtual const detail::ip_name& own_address() const = 0;

  /// Sends mail, when there is room for it, if the link is up.
  virtual void send(std::uint32_t peer, const mail& message) = 0;
};

/// Where the areas are, in the daemon's own mapping.
struct area_places
{
  unsigned char* region = nullptr;
  std::uint64_t area_size = 0;
  std::uint32_t partitions = 0;

  unsigned char* area(std::uint32_t partition) const noexcept { return region + offset(partition); }
  std::uint64_t offset(std::uint32_t partition) const noexcept { return header_size + partition * area_size; }
};

/// Opens, watches and ends them. The daemon never touches their data: it holds an AF_UNIX socket to the application, by
/// which each learns of the other's end.
///
///   connector's application    daemon           daemon of the peer    acceptor's application
///          HELLO wanted   -->  asks, CONNECT -->  looks for a listener
///                              open       <-- ACCEPTED, open        --> HELLO slice
///          HELLO slice    <--
///                              ... or ...     <-- REFUSED: forgotten by both
///          closes         -->  CLOSED    -->    half-closes the socket -->
///                              forgotten  <-- CLOSED                <-- closes
///
/// Each side sends one CLOSED and forgets the connection when it has got the other's as well. The memory is free then.
/// Without the link, the application's end is enough, and the memory rests for a while.
///
/// Not thread safe. The context must not run any more when this is destroyed.
class connections
{
public:
  /// Connections that one other partition may open at a time.
  static constexpr std::size_t most_from_peer = 1024;

  /// After an earlier daemon, its applications, and those that they were connected to, may not know yet that their
  /// connections have ended: so long their memory is given to nobody else.
  static constexpr std::chrono::seconds settling = slice_allocator::rest;

  /// Connections of all partitions, in either direction.
  static constexpr std::size_t most = 16384;

  /// @param after_another Whether this partition had a daemon before, which may have given memory out.
  connections(boost::asio::io_context& context, exchange& others, attachment& bells, slice_allocator& slices,
      const area_places& places, bool after_another);
  ~connections();

  /// An application wants one.
  void request(detail::descriptor socket, const detail::hello& wanted);

  /// Mail of another partition. @returns false for what no correct partition sends.
  bool on_mail(std::uint32_t peer, const mail& message);

  /// All connections with that partition end.
  void on_link_down(std::uint32_t peer);

  /// Rings the applications that the daemon has to ring. @returns how many were due.
  std::size_t relay_rings();

  /// Whether there are applications that the daemon has to ring.
  bool relays() const noexcept { return !relayed_.empty(); }

  std::size_t size() const noexcept { return ends_.size() + unlinked_.size() + waiting_requests_; }

private:
  using end = connection_end;
  using pointer = std::shared_ptr<end>;
  using key = std::tuple<std::uint32_t, bool, std::uint64_t>; // peer, connector, number

  // connections.cpp: of both sides
  pointer find(std::uint32_t peer, bool connector, std::uint64_t number) const;
  unsigned char* memory(const end& which) const noexcept;
  detail::descriptor open_own_doorbell(end& which, boost::system::error_code& ec);
  void send_slice(end& which, boost::system::error_code& ec);
  void watch(const pointer& which);
  void send(const end& which, mail_kind kind, std::uint32_t reason = 0);
  void on_application_end(const pointer& which);
  void forget_if_over(const pointer& which);
  bool on_closed(std::uint32_t peer, const mail& message);

  // connecting.cpp: the connector is here
  struct waiting_request;
  using waiting_pointer = std::shared_ptr<waiting_request>;
  void try_request(const waiting_pointer& which);
  void try_again_at(const waiting_pointer& which, slice_allocator::clock::time_point when);
  bool memory_comes_back() const;
  pointer prepare(const detail::hello& wanted, boost::system::error_code& ec);
  void begin(const pointer& which, detail::descriptor socket);
  std::uint64_t room_for(std::uint32_t peer) const;
  bool allocate(end& which, const detail::connection_geometry& wanted);
  bool on_accepted(std::uint32_t peer, const mail& message);
  bool on_refused(std::uint32_t peer, const mail& message);
  void answer(const pointer& which);
  void refuse(const pointer& which, const boost::system::error_code& reason);

  // accepting.cpp: the acceptor is here
  bool on_connect(std::uint32_t peer, const mail& message);
  void try_listener(const pointer& which);
  void reach_listener(end& which, boost::system::error_code& ec);
  void wait_no_longer(end& which);
  void refuse_peer(const pointer& which, const boost::system::error_code& reason);

  boost::asio::io_context& context_;
  exchange& others_;
  attachment& bells_;
  slice_allocator& slices_;
  area_places places_;
  slice_allocator::clock::time_point settled_;
  std::size_t waiting_requests_ = 0; // for that, or for memory
  std::uint64_t last_number_; // of a connection from here
  std::vector<unsigned> free_vectors_;
  std::map<key, pointer> ends_;
  std::set<pointer> unlinked_; // whose link went down, until the application has closed
  std::set<pointer> relayed_;
  std::map<std::uint32_t, std::size_t> accepted_from_;
  std::map<std::uint32_t, int> waiting_from_; // of these, those that wait for a listener
  std::map<std::uint32_t, std::uint64_t> kept_by_; // bytes of slices that are closed here, and not yet there
};

} // namespace partitiond
} // namespace shm

#endif
