// SPDX-License-Identifier: BSL-1.0
// Reading sockaddrs, file names of IP endpoints, and TCP's rules for wildcards.
#include "socket_name.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <cstring>
#include <netinet/in.h>
#include <sys/un.h>

namespace shm {
namespace detail {
namespace {

constexpr unsigned char mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
const char v6_only_suffix[] = "-v6only";

sa_family_t family_of(const socket_address& address) noexcept
{
  sa_family_t family = AF_UNSPEC;
  if (address.size >= sizeof(family))
    std::memcpy(&family, address.data, sizeof(family));
  return family;
}

template <typename Sockaddr>
bool load(const socket_address& address, Sockaddr& result) noexcept
{
  if (address.size < sizeof(result))
    return false;
  std::memcpy(&result, address.data, sizeof(result));
  return true;
}

template <typename Sockaddr>
void store(const Sockaddr& value, socket_address& result) noexcept
{
  static_assert(sizeof(value) <= sizeof(result.data), "a socket_address holds every sockaddr");
  std::memcpy(result.data, &value, sizeof(value));
  result.size = sizeof(value);
}

bool is_mapped(const in6_addr& address) noexcept
{
  return std::memcmp(address.s6_addr, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

void assign_v6(ip_name& name, const in6_addr& address, std::uint32_t scope) noexcept
{
  if (is_mapped(address))
  {
    std::memcpy(name.bytes.data(), address.s6_addr + sizeof(mapped_prefix), 4);
    return;
  }
  name.v6 = true;
  std::memcpy(name.bytes.data(), address.s6_addr, name.bytes.size());
  name.scope = scope;
}

template <typename Integer>
bool read_number(const std::string& text, Integer& result)
{
  const std::from_chars_result end = std::from_chars(text.data(), text.data() + text.size(), result);
  return end.ec == std::errc() && end.ptr == text.data() + text.size();
}

ip_name wildcard(bool v6, std::uint16_t port, bool v6_only) noexcept
{
  ip_name result;
  result.v6 = v6;
  result.port = port;
  result.v6_only = v6_only;
  return result;
}

} // namespace

bool ip_name::is_wildcard() const noexcept
{
  return std::all_of(bytes.begin(), bytes.end(), [](unsigned char byte) { return byte == 0; });
}

bool ip_name::is_loopback() const noexcept
{
  if (!v6)
    return bytes[0] == 127;
  return bytes[15] == 1 && std::all_of(bytes.begin(), bytes.end() - 1, [](unsigned char byte) { return byte == 0; });
}

std::string ip_name::file_name() const
{
  char text[INET6_ADDRSTRLEN];
  ::inet_ntop(v6 ? AF_INET6 : AF_INET, bytes.data(), text, sizeof(text));
  std::string result(text);
  if (v6)
  {
    if (scope != 0)
      result += "%" + std::to_string(scope);
    result = "[" + result + "]";
  }
  result += ":" + std::to_string(port);
  if (v6_only)
    result += v6_only_suffix;
  return result;
}

bool ip_name::parse(const std::string& file_name, ip_name& result)
{
  ip_name name;
  std::string text = file_name;
  const std::size_t suffix = sizeof(v6_only_suffix) - 1;
  if (text.size() > suffix && text.compare(text.size() - suffix, suffix, v6_only_suffix) == 0)
  {
    name.v6_only = true;
    text.resize(text.size() - suffix);
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || !read_number(text.substr(colon + 1), name.port))
    return false;
  text.resize(colon);
  if (text.size() > 2 && text.front() == '[' && text.back() == ']')
  {
    name.v6 = true;
    text = text.substr(1, text.size() - 2);
    const std::size_t percent = text.find('%');
    if (percent != std::string::npos)
    {
      if (!read_number(text.substr(percent + 1), name.scope))
        return false;
      text.resize(percent);
    }
  }
  if (::inet_pton(name.v6 ? AF_INET6 : AF_INET, text.c_str(), name.bytes.data()) != 1)
    return false;
  // Only what file_name() makes is a name of ours.
  if (name.file_name() != file_name || (name.v6_only && !(name.v6 && name.is_wildcard())))
    return false;
  result = name;
  return true;
}

bool ip_name::conflict(const ip_name& a, const ip_name& b) noexcept
{
  if (a.port != b.port)
    return false;
  if (a.v6 != b.v6)
  {
    const ip_name& six = a.v6 ? a : b;
    return six.is_wildcard() && !six.v6_only;
  }
  return a.is_wildcard() || b.is_wildcard() || (a.bytes == b.bytes && a.scope == b.scope);
}

std::array<ip_name, 2> ip_name::wildcards() const noexcept
{
  if (v6)
    return {wildcard(true, port, false), wildcard(true, port, true)};
  return {wildcard(false, port, false), wildcard(true, port, false)};
}

ip_name ip_name::destination() const noexcept
{
  ip_name result = *this;
  if (!is_wildcard())
    return result;
  result.scope = 0;
  result.v6_only = false;
  if (v6)
    result.bytes[15] = 1;
  else
  {
    result.bytes[0] = 127;
    result.bytes[3] = 1;
  }
  return result;
}

socket_name socket_name::parse(const socket_address& address, bool v6_only, boost::system::error_code& ec)
{
  socket_name result;
  sockaddr_in v4;
  sockaddr_in6 v6;
  ec.clear();
  switch (family_of(address))
  {
  case AF_INET:
    if (load(address, v4))
    {
      std::memcpy(result.ip.bytes.data(), &v4.sin_addr, 4);
      result.ip.port = ntohs(v4.sin_port);
      return result;
    }
    break;
  case AF_INET6:
    if (load(address, v6))
    {
      assign_v6(result.ip, v6.sin6_addr, v6.sin6_scope_id);
      result.ip.port = ntohs(v6.sin6_port);
      result.ip.v6_only = v6_only && result.ip.v6 && result.ip.is_wildcard();
      if (v6_only && !result.ip.v6)
        break;
      return result;
    }
    break;
  case AF_UNIX:
  {
    const std::size_t offset = offsetof(sockaddr_un, sun_path);
    const char* text = reinterpret_cast<const char*>(address.data) + offset;
    const std::size_t size = std::min(address.size, sizeof(sockaddr_un)) - offset;
    result.text.assign(text, size);
    result.what = result.text.find('/') == std::string::npos ? kind::short_name : kind::path;
    const std::string last = result.text.substr(result.text.rfind('/') + 1); // npos + 1 is 0
    if (last.empty() || last == "." || last == ".." || result.text.find('\0') != std::string::npos)
      break;
    return result;
  }
  default:
    ec = boost::asio::error::address_family_not_supported;
    return result;
  }
  ec = boost::asio::error::invalid_argument;
  return result;
}

void set_port(socket_address& address, std::uint16_t port) noexcept
{
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port), "one place for both");
  const std::uint16_t in_network_order = htons(port);
  std::memcpy(address.data + offsetof(sockaddr_in, sin_port), &in_network_order, sizeof(in_network_order));
}

socket_address local_end(const socket_address& peer) noexcept
{
  socket_address result;
  sockaddr_in v4;
  sockaddr_in6 v6;
  if (family_of(peer) == AF_INET && load(peer, v4))
  {
    v4.sin_port = 0;
    if (v4.sin_addr.s_addr == htonl(INADDR_ANY))
      v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    store(v4, result);
  }
  else if (family_of(peer) == AF_INET6 && load(peer, v6))
  {
    v6.sin6_port = 0;
    v6.sin6_flowinfo = 0;
    if (IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr))
      v6.sin6_addr = in6addr_loopback;
    else if (is_mapped(v6.sin6_addr) && std::memcmp(v6.sin6_addr.s6_addr + 12, in6addr_any.s6_addr, 4) == 0)
    {
      v6.sin6_addr.s6_addr[12] = 127;
      v6.sin6_addr.s6_addr[15] = 1;
    }
    store(v6, result);
  }
  else
  {
    const sa_family_t family = AF_UNIX;
    std::memcpy(result.data, &family, sizeof(family));
    result.size = sizeof(family);
  }
  return result;
}

socket_address with_address(const socket_address& peer, const ip_name& address) noexcept
{
  socket_address result = local_end(peer);
  sockaddr_in v4;
  sockaddr_in6 v6;
  if (family_of(result) == AF_INET && load(result, v4))
  {
    std::memcpy(&v4.sin_addr, address.bytes.data(), sizeof(v4.sin_addr));
    store(v4, result);
  }
  else if (family_of(result) == AF_INET6 && load(result, v6))
  {
    if (address.v6)
      std::memcpy(&v6.sin6_addr, address.bytes.data(), sizeof(v6.sin6_addr));
    else
      std::memcpy(v6.sin6_addr.s6_addr + sizeof(mapped_prefix), address.bytes.data(), 4);
    store(v6, result);
  }
  return result;
}

} // namespace detail
} // namespace shm
