// SPDX-License-Identifier: BSL-1.0
// What tcp::resolver asks: Asio's query, specialised so that names of partitions are found too.
#ifndef ASIO_SHM_DETAIL_RESOLVER_QUERY_HPP
#define ASIO_SHM_DETAIL_RESOLVER_QUERY_HPP

#include <shm/detail/partition_address.hpp>
#include <shm/stream_protocol.hpp>

#include <boost/asio/detail/socket_types.hpp>
#include <boost/asio/ip/basic_resolver_query.hpp>
#include <boost/asio/ip/resolver_query_base.hpp>

#include <string>

namespace shm {
namespace detail {

/// A host name and what the system is to be asked for in its place.
/**
 * To Asio it is a string, of which it makes the names in the results; only c_str(), which it passes to the system,
 * tells the other one.
 */
class asked_host_name : public std::string
{
public:
  asked_host_name() = default;
  asked_host_name(const std::string& name, bool numeric)
    : std::string(name), address_(partition_address(name, numeric))
  {
  }

  const char* c_str() const noexcept { return is_partition() ? address_.c_str() : std::string::c_str(); }
  bool is_partition() const noexcept { return !address_.empty(); }

private:
  std::string address_;
};

} // namespace detail
} // namespace shm

namespace boost {
namespace asio {
namespace ip {

/// The members are those of the primary template.
template <>
class basic_resolver_query<shm::stream_protocol> : public resolver_query_base
{
public:
  using protocol_type = shm::stream_protocol;

  basic_resolver_query(const std::string& service, flags resolve_flags = passive | address_configured)
    : basic_resolver_query(AF_UNSPEC, std::string(), service, resolve_flags)
  {
  }

  basic_resolver_query(
      const protocol_type& protocol, const std::string& service, flags resolve_flags = passive | address_configured)
    : basic_resolver_query(protocol.family(), std::string(), service, resolve_flags)
  {
  }

  basic_resolver_query(const std::string& host, const std::string& service, flags resolve_flags = address_configured)
    : basic_resolver_query(AF_UNSPEC, host, service, resolve_flags)
  {
  }

  basic_resolver_query(const protocol_type& protocol, const std::string& host, const std::string& service,
      flags resolve_flags = address_configured)
    : basic_resolver_query(protocol.family(), host, service, resolve_flags)
  {
  }

  const boost::asio::detail::addrinfo_type& hints() const { return hints_; }
  shm::detail::asked_host_name host_name() const { return host_name_; }
  std::string service_name() const { return service_name_; }

private:
  basic_resolver_query(int family, const std::string& host, const std::string& service, flags resolve_flags)
    : hints_(), host_name_(host, (resolve_flags & numeric_host) != flags()), service_name_(service)
  {
    // Whether the kernel has a network says nothing about the addresses of partitions, and it does not know their names.
    const int unwanted = host_name_.is_partition() ? int{address_configured} | int{canonical_name} : 0;
    const protocol_type any = protocol_type::v4();
    hints_.ai_flags = static_cast<int>(resolve_flags) & ~unwanted;
    hints_.ai_family = family;
    hints_.ai_socktype = any.type();
    hints_.ai_protocol = any.protocol();
  }

  boost::asio::detail::addrinfo_type hints_;
  shm::detail::asked_host_name host_name_;
  std::string service_name_;
};

} // namespace ip
} // namespace asio
} // namespace boost

#endif
