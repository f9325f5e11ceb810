// SPDX-License-Identifier: BSL-1.0
// Addresses and names of the partitions that are there.
#ifndef ASIO_SHM_SRC_PARTITIOND_KNOWN_PARTITIONS_HPP
#define ASIO_SHM_SRC_PARTITIOND_KNOWN_PARTITIONS_HPP

#include "region_layout.hpp"
#include "socket_name.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace shm {
namespace partitiond {

struct known_partition
{
  detail::ip_name address; ///< Port 0.
  std::string name;
};

/// "192.0.2.1" or "2001:db8::1", as it stands in the file of hosts.
std::string to_string(const detail::ip_name& address);

/// @param text An IPv4 or IPv6 address. @returns false for anything else.
bool parse_address(const std::string& text, detail::ip_name& result);

/// Whether an address can be a partition's: it does not mean something else on every machine, as loopback does.
bool is_fit(const detail::ip_name& address) noexcept;

/// Whether a name can be a partition's: up to 64 letters, digits, '-', '_', not a number, the first one no '-'; and not
/// "localhost" (in either case).
bool is_fit(const std::string& name) noexcept;

/// The address of a partition that was not given one: of 198.18.0.0/15, which is never an address of the internet.
detail::ip_name default_address(std::uint64_t region_id, std::uint32_t id) noexcept;

/// The name of a partition that has none, or none that is fit for a resolver.
std::string default_name(std::uint32_t id);

partition_identity to_identity(const known_partition& known) noexcept;

/// The own partition and those whose links are up. What others say of themselves is not trusted: nobody gets an address
/// or a name that somebody else has already, or an address that has a meaning of its own.
class known_partitions
{
public:
  known_partitions(std::uint32_t own_id, const known_partition& own) : own_id_(own_id) { all_[own_id] = own; }

  /// @param identity A copy of what the partition has written. @returns how it is known from now on; without an
  /// address it cannot be reached.
  const known_partition& add(std::uint32_t id, const partition_identity& identity);
  void remove(std::uint32_t id) { all_.erase(id); }

  const known_partition& own() const { return all_.at(own_id_); }
  const known_partition* get(std::uint32_t id) const noexcept;

  /// Another one that has the address.
  std::optional<std::uint32_t> find(const detail::ip_name& address) const noexcept;

  /// The text of the file of hosts: a line "<address> <name> <id>[ self]" for each.
  std::string hosts() const;

private:
  std::uint32_t own_id_;
  std::map<std::uint32_t, known_partition> all_;
};

} // namespace partitiond
} // namespace shm

#endif
