// SPDX-License-Identifier: BSL-1.0
// Who is who.
#include "known_partitions.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <strings.h>
#include <unistd.h>

namespace shm {
namespace partitiond {
namespace {

using detail::ip_name;

bool same_address(const ip_name& a, const ip_name& b) noexcept
{
  return a.v6 == b.v6 && a.bytes == b.bytes;
}

ip_name read_address(const partition_identity& identity) noexcept
{
  ip_name result;
  result.v6 = identity.family == 6;
  if (identity.family == 4 || identity.family == 6)
    std::copy_n(identity.address, result.v6 ? 16 : 4, result.bytes.begin());
  return result;
}

std::string read_name(const partition_identity& identity)
{
  return std::string(identity.name, std::min<std::size_t>(identity.name_size, sizeof(identity.name)));
}

// As for names of hosts, letters of either case are the same.
bool same_name(const std::string& a, const std::string& b) noexcept
{
  return ::strcasecmp(a.c_str(), b.c_str()) == 0;
}

// The machine's own name is that of its own partition, if any.
bool is_this_host(const std::string& name)
{
  char host[256] = "";
  ::gethostname(host, sizeof(host) - 1);
  const std::string full(host);
  return same_name(name, full.substr(0, full.find('.')));
}

// As a name would be looked up before it is read as an address.
bool is_number(const std::string& name) noexcept
{
  in_addr ignored;
  return ::inet_aton(name.c_str(), &ignored) == 1 // hexadecimal, too
      || std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

} // namespace

bool is_fit(const ip_name& address) noexcept
{
  if (address.is_wildcard() || address.is_loopback())
    return false;
  const unsigned char first = address.bytes[0];
  if (!address.v6)
    return first != 0 && first < 224; // "this network", multicast and what is reserved
  static constexpr std::array<unsigned char, 12> mapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  const bool link_local = first == 0xfe && (address.bytes[1] & 0xc0) == 0x80; // would need a scope
  return first != 0xff && !link_local && !std::equal(mapped.begin(), mapped.end(), address.bytes.begin());
}

// One label: a partition cannot take the place of a host of the network.
bool is_fit(const std::string& name) noexcept
{
  const auto fit = [](char c)
  { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; };
  return !name.empty() && name.size() <= sizeof(partition_identity::name) && name[0] != '-' &&
         !same_name(name, "localhost") && std::all_of(name.begin(), name.end(), fit) && !is_number(name);
}

std::string to_string(const ip_name& address)
{
  char text[INET6_ADDRSTRLEN] = "?";
  ::inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), text, sizeof(text));
  return text;
}

bool parse_address(const std::string& text, ip_name& result)
{
  result = ip_name();
  if (::inet_pton(AF_INET, text.c_str(), result.bytes.data()) == 1)
    return true;
  result.v6 = ::inet_pton(AF_INET6, text.c_str(), result.bytes.data()) == 1;
  return result.v6;
}

ip_name default_address(std::uint64_t region_id, std::uint32_t id) noexcept
{
  const std::uint32_t number =
      (198u << 24 | 18u << 16) + (static_cast<std::uint32_t>(region_id % 512) << 8) + id % max_partitions + 1;
  ip_name result;
  for (unsigned i = 0; i < 4; ++i)
    result.bytes[i] = static_cast<unsigned char>(number >> (24 - 8 * i));
  return result;
}

std::string default_name(std::uint32_t id)
{
  return "partition-" + std::to_string(id);
}

partition_identity to_identity(const known_partition& known) noexcept
{
  partition_identity result{};
  result.family = known.address.v6 ? 6 : 4;
  std::copy_n(known.address.bytes.begin(), known.address.v6 ? 16 : 4, result.address);
  const std::size_t size = std::min(known.name.size(), sizeof(result.name));
  result.name_size = static_cast<std::uint32_t>(size);
  std::memcpy(result.name, known.name.data(), size);
  return result;
}

const known_partition& known_partitions::add(std::uint32_t id, const partition_identity& identity)
{
  known_partition added = {read_address(identity), read_name(identity)};
  bool name_taken = false;
  bool address_taken = false;
  for (const auto& other : all_)
    if (other.first != id)
    {
      name_taken = name_taken || same_name(other.second.name, added.name);
      address_taken = address_taken || same_address(other.second.address, added.address);
    }
  if (name_taken || !is_fit(added.name) || is_this_host(added.name))
    added.name = default_name(id);
  if (address_taken || !is_fit(added.address))
    added.address = ip_name();
  return all_[id] = added;
}

const known_partition* known_partitions::get(std::uint32_t id) const noexcept
{
  const auto found = all_.find(id);
  return found == all_.end() ? nullptr : &found->second;
}

std::optional<std::uint32_t> known_partitions::find(const ip_name& address) const noexcept
{
  for (const auto& one : all_)
    if (one.first != own_id_ && !one.second.address.is_wildcard() && same_address(one.second.address, address))
      return one.first;
  return std::nullopt;
}

std::string known_partitions::hosts() const
{
  std::string text;
  for (const auto& one : all_)
    if (!one.second.address.is_wildcard())
      text += to_string(one.second.address) + " " + one.second.name + " " + std::to_string(one.first) +
              (one.first == own_id_ ? " self\n" : "\n");
  return text;
}

} // namespace partitiond
} // namespace shm
