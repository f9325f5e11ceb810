// SPDX-License-Identifier: BSL-1.0
// Fuzzes what reads the handshake's messages: HELLO and its geometry, and the replies.
#include "hello.hpp"
#include "script.hpp"

#include <shm/error.hpp>

#include <boost/asio/error.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>

using namespace shm::detail;
using shm::fuzz::require;

namespace {

void check_hello(const std::uint8_t* data, std::size_t size)
{
  hello_bytes bytes{};
  // Short inputs begin behind these, for most mutations of them lead nowhere.
  const unsigned char start[] = {'A', 'S', 'I', 'O', 'S', 'H', 'M', '?', 1, 0, 0, 0};
  const bool whole = size >= bytes.size();
  if (!whole)
    std::copy(std::begin(start), std::end(start), bytes.begin());
  const std::size_t from = whole ? 0 : sizeof start;
  std::memcpy(bytes.data() + from, data, std::min(size, bytes.size() - from));

  boost::system::error_code ec;
  const auto message = decode(bytes, ec);
  require(message.has_value() == !ec, "an error or a message");
  if (!message)
  {
    require(ec.category() == shm::error::get_category(), "an error that can be sent back");
    return;
  }
  require(message->geometry.valid(), "a valid geometry");
  require(message->geometry.size() <= max_region_size, "a region within the limit");
  require(message->geometry.connector.capacity() + message->geometry.acceptor.capacity() < message->geometry.size(),
      "rings within their region");
  const std::size_t descriptors = message->descriptors();
  require(message->memory == memory_kind::wanted ? descriptors == 0 : descriptors == 1 || descriptors == 3,
      "one or three descriptors, or none yet");
  require(message->memory == memory_kind::slice || message->offset == 0, "an offset in what it is a part of");
  require(message->offset % page_size == 0 && message->offset + message->geometry.size() >= message->offset
          && message->offset + message->geometry.size() <= ~std::uint64_t{0} >> 1,
      "a range that mmap takes");
  const auto again = decode(encode(*message), ec);
  require(again && !ec, "what was decoded can be sent");
  require(again->geometry == message->geometry && again->doorbell == message->doorbell
          && again->memory == message->memory && again->offset == message->offset,
      "the same message");
  require(again->connector.size == message->connector.size && again->acceptor.size == message->acceptor.size
          && std::memcmp(again->connector.data, message->connector.data, message->connector.size) == 0
          && std::memcmp(again->acceptor.data, message->acceptor.data, message->acceptor.size) == 0,
      "the same endpoints");
}

void check_replies(const std::uint8_t* data, std::size_t size)
{
  shm::fuzz::script pieces(data, size);
  const std::size_t step = pieces.take() % 7 + 1;
  const std::uint8_t* at = nullptr;
  reply_parser parser, at_once;
  for (std::size_t n; (n = pieces.take_bytes(at, step)) != 0;)
    parser.feed(at, n);
  if (size != 0)
    at_once.feed(data + 1, size - 1);
  require(parser.refused() == at_once.refused(), "the same however it comes");
  const boost::system::error_code& reason = parser.refused();
  require(!reason || reason.category() == shm::error::get_category()
          || (reason != boost::asio::error::would_block && reason != boost::asio::error::interrupted),
      "a reason that ends a connection");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  check_hello(data, size);
  check_replies(data, size);
  return 0;
}
