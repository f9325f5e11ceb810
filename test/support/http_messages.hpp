// SPDX-License-Identifier: BSL-1.0
// Requests and answers of the HTTP tests.

#ifndef ASIO_SHM_TEST_SUPPORT_HTTP_MESSAGES_HPP
#define ASIO_SHM_TEST_SUPPORT_HTTP_MESSAGES_HPP

#include "pattern.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <cstdint>
#include <string>
#include <utility>

namespace shm::test {

namespace beast = boost::beast;
namespace http = boost::beast::http;

using request = http::request<http::string_body>;
using response = http::response<http::string_body>;

inline request post(std::string body, unsigned version = 11)
{
  request result(http::verb::post, "/echo", version, std::move(body));
  result.set(http::field::host, "localhost");
  result.prepare_payload();
  return result;
}

inline response answer(const request& to)
{
  response result(http::status::ok, to.version(), std::string(to.target()) + ": " + to.body());
  result.keep_alive(to.keep_alive());
  result.prepare_payload();
  return result;
}

/// Text of that length in which every part is another one.
inline std::string text(std::size_t size, std::uint64_t seed = 1)
{
  std::string result(size, '\0');
  pattern(seed).fill(result.data(), size, 0);
  for (char& c : result)
    c = static_cast<char>('a' + (c & 15));
  return result;
}

/// The next response of a connection.
template <class Socket>
response receive(Socket& socket, beast::flat_buffer& buffer)
{
  http::response_parser<http::string_body> parser;
  parser.body_limit(64 << 20);
  http::read(socket, buffer, parser);
  return parser.release();
}

} // namespace shm::test

#endif
