// SPDX-License-Identifier: BSL-1.0
// Encoding and decoding of the handshake's messages.
#include "hello.hpp"

#include "message_bytes.hpp"

#include <shm/error.hpp>

#include <cerrno>
#include <cstring>

namespace shm {
namespace detail {
namespace {

constexpr unsigned char hello_magic[8] = {'A', 'S', 'I', 'O', 'S', 'H', 'M', '?'};

void put_ring(unsigned char* at, const ring_geometry& ring) noexcept
{
  put(at, ring.segment_size);
  put(at + 4, ring.segment_count);
}

ring_geometry get_ring(const unsigned char* at) noexcept
{
  return {get<std::uint32_t>(at), get<std::uint32_t>(at + 4)};
}

// What a slice begins at, so that it can be mapped.
bool valid_offset(const hello& message) noexcept
{
  if (message.memory != memory_kind::slice)
    return message.offset == 0;
  // A file offset of mmap(2) is not negative.
  return message.offset % page_size == 0 && message.offset <= (~std::uint64_t{0} >> 1) - message.geometry.size();
}

constexpr std::uint32_t system_reason = 0x10000;

// Not those that an operation could be meant to be repeated for.
bool may_be_told(int error_number) noexcept
{
  switch (error_number)
  {
  case EACCES:
  case ECONNREFUSED:
  case ECONNRESET:
  case EHOSTUNREACH:
  case ETIMEDOUT:
    return true;
  default:
    return false;
  }
}

} // namespace

hello_bytes encode(const hello& message) noexcept
{
  hello_bytes bytes{};
  std::memcpy(bytes.data(), hello_magic, sizeof(hello_magic));
  put(&bytes[8], protocol_version);
  put(&bytes[12], static_cast<std::uint32_t>(message.doorbell));
  put_ring(&bytes[16], message.geometry.connector);
  put_ring(&bytes[24], message.geometry.acceptor);
  put<std::uint64_t>(&bytes[32], message.offset);
  put<std::uint64_t>(&bytes[40], message.geometry.size());
  put_endpoint(&bytes[48], message.connector);
  put_endpoint(&bytes[48 + endpoint_size], message.acceptor);
  put(&bytes[112], static_cast<std::uint32_t>(message.memory));
  return bytes;
}

std::optional<hello> decode(const hello_bytes& bytes, boost::system::error_code& ec) noexcept
{
  hello message;
  const std::uint32_t kind = get<std::uint32_t>(&bytes[12]);
  message.doorbell = static_cast<doorbell_kind>(kind);
  const std::uint32_t memory = get<std::uint32_t>(&bytes[112]);
  message.memory = static_cast<memory_kind>(memory);
  message.offset = get<std::uint64_t>(&bytes[32]);
  message.geometry = {get_ring(&bytes[16]), get_ring(&bytes[24])};
  if (std::memcmp(bytes.data(), hello_magic, sizeof(hello_magic)) != 0)
    ec = error::protocol_error;
  else if (get<std::uint32_t>(&bytes[8]) != protocol_version)
    ec = error::version_mismatch;
  else if (kind > static_cast<std::uint32_t>(doorbell_kind::socket)
      || memory > static_cast<std::uint32_t>(memory_kind::wanted))
    ec = error::protocol_error;
  else if (!message.geometry.valid())
    ec = error::geometry_refused;
  else if (!valid_offset(message) || get<std::uint64_t>(&bytes[40]) != message.geometry.size()
      || !get_endpoint(&bytes[48], message.connector) || !get_endpoint(&bytes[48 + endpoint_size], message.acceptor))
    ec = error::protocol_error;
  else
    ec.clear();
  return ec ? std::nullopt : std::optional<hello>(message);
}

refused_bytes encode_refused(const boost::system::error_code& reason) noexcept
{
  refused_bytes bytes{};
  bytes[0] = 'R';
  std::uint32_t value = error::protocol_error;
  if (reason.category() == error::get_category())
    value = static_cast<std::uint32_t>(reason.value());
  else if (reason.category() == boost::system::system_category() && may_be_told(reason.value()))
    value = system_reason + static_cast<std::uint32_t>(reason.value());
  put(&bytes[1], value);
  return bytes;
}

boost::system::error_code decode_refused(const unsigned char* bytes) noexcept
{
  const std::uint32_t value = get<std::uint32_t>(bytes + 1);
  if (value >= error::corrupted && value <= error::no_memory)
    return static_cast<error::basic_errors>(value);
  if (value >= system_reason && may_be_told(static_cast<int>(value - system_reason)))
    return boost::system::error_code(static_cast<int>(value - system_reason), boost::system::system_category());
  return error::protocol_error;
}

void reply_parser::feed(const unsigned char* data, std::size_t size) noexcept
{
  for (std::size_t i = 0; i < size && have_ < refused_size; ++i)
  {
    if (have_ == 0 && data[i] != 'R')
      continue; // a ring
    bytes_[have_++] = data[i];
  }
  if (have_ == refused_size && !refused_)
    refused_ = decode_refused(bytes_.data());
}

} // namespace detail
} // namespace shm
