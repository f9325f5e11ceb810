// SPDX-License-Identifier: BSL-1.0
// The endpoint of a connection through shared memory: an address and port, a file-system path or a short name.
#ifndef ASIO_SHM_ENDPOINT_HPP
#define ASIO_SHM_ENDPOINT_HPP

#include <boost/asio/detail/socket_types.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/system/system_error.hpp>
#include <boost/throw_exception.hpp>

#include <cstddef>
#include <cstring>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>

namespace shm {

/// Where a listener is found: both a boost::asio::ip::basic_endpoint and a boost::asio::local::basic_endpoint.
/**
 * An endpoint is one of
 * @li an IPv4 or IPv6 address and a port. Such endpoints form an emulated network of the user's own processes: the
 *   kernel's network is not involved and any address may be bound;
 * @li a file-system path, if it contains a '/';
 * @li a short name otherwise: a file in the runtime directory. Names that no file can have (".", "..", a name with a
 *   NUL byte, the empty name) are refused with @c invalid_argument by bind and connect, not here.
 *
 * It stores a real @c sockaddr. No member function blocks.
 *
 * @par Thread Safety
 * @e Distinct @e objects: Safe.@n
 * @e Shared @e objects: Unsafe.
 */
template <typename Protocol>
class basic_endpoint
{
public:
  /// The protocol type associated with the endpoint.
  using protocol_type = Protocol;

  /// The type of the endpoint structure.
  using data_type = boost::asio::detail::socket_addr_type;

  /// The IPv4 wildcard address and port 0.
  basic_endpoint() noexcept { set_ip(AF_INET, 0); }

  /// The wildcard address of the protocol's family and @p port_num, in the host's byte order.
  /**
   * With @c Protocol::local() the endpoint is the empty path and @p port_num has no meaning.
   */
  basic_endpoint(const Protocol& protocol, unsigned short port_num) noexcept
  {
    if (protocol.family() == AF_UNIX)
      set_local();
    else
      set_ip(protocol.family(), port_num);
  }

  /// An address and a port, in the host's byte order.
  basic_endpoint(const boost::asio::ip::address& addr, unsigned short port_num) noexcept { set_ip(addr, port_num); }

  /// A file-system path or a short name.
  /**
   * @throws boost::system::system_error with @c boost::asio::error::name_too_long beyond 107 bytes.
   */
  basic_endpoint(const char* path_name) { path(std::string_view(path_name)); }

  /// @copydoc basic_endpoint(const char*)
  basic_endpoint(const std::string& path_name) { path(std::string_view(path_name)); }

  /// @copydoc basic_endpoint(const char*)
  basic_endpoint(std::string_view path_name) { path(path_name); }

  /// The protocol of the endpoint's family.
  protocol_type protocol() const noexcept
  {
    if (is_local())
      return Protocol::local();
    return is_v6() ? Protocol::v6() : Protocol::v4();
  }

  /// The underlying sockaddr.
  data_type* data() noexcept { return &data_.base; }

  /// The underlying sockaddr.
  const data_type* data() const noexcept { return &data_.base; }

  /// The size of the sockaddr in bytes; for a path or a name without a terminating NUL byte.
  std::size_t size() const noexcept
  {
    if (is_local())
      return path_offset + local_length();
    return is_v6() ? sizeof(data_.v6) : sizeof(data_.v4);
  }

  /// Says how many bytes were or will be written through data().
  /**
   * @throws boost::system::system_error with @c boost::asio::error::invalid_argument beyond capacity().
   */
  void resize(std::size_t new_size)
  {
    if (new_size > capacity())
      boost::throw_exception(boost::system::system_error(boost::asio::error::invalid_argument, "resize"));
    length_ = new_size;
    resized_ = true;
  }

  /// The number of bytes that may be written through data().
  std::size_t capacity() const noexcept { return sizeof(data_.local); }

  /// Whether the endpoint is an address and a port.
  bool is_ip() const noexcept { return !is_local(); }

  /// Whether the endpoint is a path or a short name.
  bool is_local() const noexcept { return data_.base.sa_family == AF_UNIX; }

  /// The port in the host's byte order; 0 for a path or a name.
  unsigned short port() const noexcept
  {
    if (is_local())
      return 0;
    return is_v6() ? ntohs(data_.v6.sin6_port) : ntohs(data_.v4.sin_port);
  }

  /// Sets the port, in the host's byte order. No effect on a path or a name.
  void port(unsigned short port_num) noexcept
  {
    if (is_local())
      return;
    if (is_v6())
      data_.v6.sin6_port = htons(port_num);
    else
      data_.v4.sin_port = htons(port_num);
  }

  /// The address; a default-constructed one for a path or a name.
  boost::asio::ip::address address() const noexcept
  {
    if (is_local())
      return boost::asio::ip::address();
    if (is_v6())
    {
      boost::asio::ip::address_v6::bytes_type bytes;
      std::memcpy(bytes.data(), &data_.v6.sin6_addr, bytes.size());
      return boost::asio::ip::address_v6(bytes, data_.v6.sin6_scope_id);
    }
    return boost::asio::ip::address_v4(ntohl(data_.v4.sin_addr.s_addr));
  }

  /// Sets the address and keeps the port. A path or a name becomes an address with port 0.
  void address(const boost::asio::ip::address& addr) noexcept { set_ip(addr, port()); }

  /// The file-system path or the short name; empty for an address.
  std::string path() const { return std::string(path_view()); }

  /// Makes the endpoint a file-system path or a short name.
  /**
   * @throws boost::system::system_error with @c boost::asio::error::name_too_long beyond 107 bytes.
   */
  void path(std::string_view path_name)
  {
    if (path_name.size() >= sizeof(data_.local.sun_path))
      boost::throw_exception(boost::system::system_error(boost::asio::error::name_too_long, "endpoint"));
    // A copy first: the view may look into this endpoint.
    char copy[sizeof(data_.local.sun_path)];
    std::memcpy(copy, path_name.data(), path_name.size());
    set_local();
    std::memcpy(data_.local.sun_path, copy, path_name.size());
    length_ = path_offset + path_name.size();
  }

  /// Compares family, address, port, or path.
  friend bool operator==(const basic_endpoint& a, const basic_endpoint& b) noexcept { return a.compare(b) == 0; }

  /// @copydoc operator==
  friend bool operator!=(const basic_endpoint& a, const basic_endpoint& b) noexcept { return a.compare(b) != 0; }

  /// Orders IPv4 before IPv6 before paths and names; addresses before ports.
  friend bool operator<(const basic_endpoint& a, const basic_endpoint& b) noexcept { return a.compare(b) < 0; }

  /// @copydoc operator<
  friend bool operator>(const basic_endpoint& a, const basic_endpoint& b) noexcept { return a.compare(b) > 0; }

  /// @copydoc operator<
  friend bool operator<=(const basic_endpoint& a, const basic_endpoint& b) noexcept { return a.compare(b) <= 0; }

  /// @copydoc operator<
  friend bool operator>=(const basic_endpoint& a, const basic_endpoint& b) noexcept { return a.compare(b) >= 0; }

private:
  friend struct std::hash<basic_endpoint>;

  static constexpr std::size_t path_offset = offsetof(boost::asio::detail::sockaddr_un_type, sun_path);

  bool is_v6() const noexcept { return data_.base.sa_family == AF_INET6; }

  void set_ip(int family, unsigned short port_num) noexcept
  {
    data_ = storage();
    data_.base.sa_family = family == AF_INET6 ? AF_INET6 : AF_INET;
    length_ = size();
    resized_ = false;
    port(port_num);
  }

  void set_ip(const boost::asio::ip::address& addr, unsigned short port_num) noexcept
  {
    set_ip(addr.is_v6() ? AF_INET6 : AF_INET, port_num);
    if (addr.is_v6())
    {
      const boost::asio::ip::address_v6 v6 = addr.to_v6();
      const boost::asio::ip::address_v6::bytes_type bytes = v6.to_bytes();
      std::memcpy(&data_.v6.sin6_addr, bytes.data(), bytes.size());
      data_.v6.sin6_scope_id = static_cast<decltype(data_.v6.sin6_scope_id)>(v6.scope_id());
    }
    else
      data_.v4.sin_addr.s_addr = htonl(addr.to_v4().to_uint());
  }

  void set_local() noexcept
  {
    data_ = storage();
    data_.base.sa_family = AF_UNIX;
    length_ = path_offset;
    resized_ = false;
  }

  // Looked up on use, because the bytes may be copied in before or after resize().
  std::size_t local_length() const noexcept
  {
    std::size_t length = length_ > path_offset ? length_ - path_offset : 0;
    if (resized_ && length > 0 && data_.local.sun_path[length - 1] == '\0')
      --length;
    return length;
  }

  std::string_view path_view() const noexcept
  {
    return is_local() ? std::string_view(data_.local.sun_path, local_length()) : std::string_view();
  }

  int rank() const noexcept { return is_local() ? 2 : is_v6() ? 1 : 0; }

  int compare(const basic_endpoint& other) const noexcept
  {
    if (rank() != other.rank())
      return rank() < other.rank() ? -1 : 1;
    if (is_local())
      return path_view().compare(other.path_view());
    const boost::asio::ip::address a = address(), b = other.address();
    if (a != b)
      return a < b ? -1 : 1;
    return int(port()) - int(other.port());
  }

  // The largest comes first: storage() then zeroes all bytes.
  union storage
  {
    boost::asio::detail::sockaddr_un_type local;
    boost::asio::detail::sockaddr_in6_type v6;
    boost::asio::detail::sockaddr_in4_type v4;
    data_type base;
  };

  storage data_;
  std::size_t length_;
  bool resized_; // The length is the caller's, who may have counted a terminating NUL byte.
};

/// Writes "127.0.0.1:80", "[::1]:80", the path or the name.
template <typename Elem, typename Traits, typename Protocol>
std::basic_ostream<Elem, Traits>& operator<<(
    std::basic_ostream<Elem, Traits>& os, const basic_endpoint<Protocol>& endpoint)
{
  std::string text;
  if (endpoint.is_local())
    text = endpoint.path();
  else
  {
    const boost::asio::ip::address address = endpoint.address();
    text = address.is_v6() ? "[" + address.to_string() + "]" : address.to_string();
    text += ":" + std::to_string(endpoint.port());
  }
  return os << text.c_str();
}

} // namespace shm

/// Hashes what operator== compares.
template <typename Protocol>
struct std::hash<shm::basic_endpoint<Protocol>>
{
  std::size_t operator()(const shm::basic_endpoint<Protocol>& endpoint) const noexcept
  {
    if (endpoint.is_local())
      return std::hash<std::string_view>()(endpoint.path_view());
    const std::size_t value = std::hash<boost::asio::ip::address>()(endpoint.address());
    // The odd factor spreads the ports, which differ in few low bits, over the whole word.
    return value ^ (static_cast<std::size_t>(endpoint.port()) + 1) * static_cast<std::size_t>(0x9e3779b97f4a7c15u);
  }
};

#endif
