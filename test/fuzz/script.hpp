// SPDX-License-Identifier: BSL-1.0
// The bytes of a fuzzer as a list of steps and their arguments.

#ifndef ASIO_SHM_TEST_FUZZ_SCRIPT_HPP
#define ASIO_SHM_TEST_FUZZ_SCRIPT_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace shm::fuzz {

/// Ends the program, so that the fuzzer reports the script.
inline void require(bool condition, const char* what)
{
  if (condition)
    return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

class script
{
public:
  script(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}

  bool done() const { return left_ == 0; }

  /// Zeros follow the end.
  template <typename Unsigned = std::uint8_t>
  Unsigned take()
  {
    Unsigned value{};
    const std::size_t n = std::min(left_, sizeof value);
    std::memcpy(&value, data_, n);
    skip(n);
    return value;
  }

  /// At most that many of the bytes to come.
  std::size_t take_bytes(const std::uint8_t*& at, std::size_t most)
  {
    at = data_;
    const std::size_t n = std::min(most, left_);
    skip(n);
    return n;
  }

  /// Another value for a word: near the one that it has, near what limits it, or any.
  std::uint64_t take_value(std::uint64_t now)
  {
    const auto how = take();
    const std::uint64_t near = how >> 4;
    switch (how & 7)
    {
    case 0: return near;
    case 1: return now + near;
    case 2: return now - near;
    case 3: return now + 64 * near;
    case 4: return now - 64 * near;
    case 5: return (std::uint64_t{1} << 63) + now - near;
    case 6: return ~std::uint64_t{0} - near;
    default: return take<std::uint64_t>();
    }
  }

private:
  void skip(std::size_t n)
  {
    data_ += n;
    left_ -= n;
  }

  const std::uint8_t* data_;
  std::size_t left_;
};

} // namespace shm::fuzz

#endif
