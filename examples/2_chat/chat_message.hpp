// SPDX-License-Identifier: BSL-1.0
// How a chat message travels: four decimal digits that count the bytes of the text, then the text.
#ifndef ASIO_SHM_EXAMPLES_2_CHAT_CHAT_MESSAGE_HPP
#define ASIO_SHM_EXAMPLES_2_CHAT_CHAT_MESSAGE_HPP

#include <array>
#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

using message_header = std::array<char, 4>;
constexpr std::size_t max_text = 9999;

// The bytes to send; a text that is too long is cut.
inline std::string encode(std::string_view text)
{
  text = text.substr(0, max_text);
  const std::string digits = std::to_string(text.size());
  std::string bytes(message_header().size() - digits.size(), '0');
  return bytes.append(digits).append(text);
}

// Reads a header; false if it is not a number of four digits.
inline bool decode(const message_header& header, std::size_t& length)
{
  const char* const end = header.data() + header.size();
  const auto [stop, error] = std::from_chars(header.data(), end, length);
  return error == std::errc() && stop == end;
}

#endif
