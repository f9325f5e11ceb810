// SPDX-License-Identifier: BSL-1.0
// Bytes that depend on their position in a stream, and the check that they arrived.

#ifndef ASIO_SHM_TEST_SUPPORT_PATTERN_HPP
#define ASIO_SHM_TEST_SUPPORT_PATTERN_HPP

#include <cstddef>
#include <cstdint>
#include <vector>

namespace shm::test {

/// One stream of bytes: lost, repeated, swapped and foreign bytes all show, because
/// the sequence has no short period and each seed gives another one.
class pattern
{
public:
  explicit pattern(std::uint64_t seed) : seed_(seed * 0x9fb21c651e98df25u) {}

  unsigned char at(std::uint64_t position) const
  {
    return static_cast<unsigned char>((seed_ + position * 0x9e3779b97f4a7c15u) >> 56);
  }

  /// The bytes at [position, position + size).
  void fill(void* data, std::size_t size, std::uint64_t position) const
  {
    auto* out = static_cast<unsigned char*>(data);
    for (std::size_t i = 0; i != size; ++i)
      out[i] = at(position + i);
  }

  std::vector<unsigned char> bytes(std::size_t size, std::uint64_t position = 0) const
  {
    std::vector<unsigned char> result(size);
    fill(result.data(), size, position);
    return result;
  }

  bool matches(const void* data, std::size_t size, std::uint64_t position = 0) const
  {
    const auto* in = static_cast<const unsigned char*>(data);
    for (std::size_t i = 0; i != size; ++i)
      if (in[i] != at(position + i))
        return false;
    return true;
  }

  bool matches(const std::vector<unsigned char>& data, std::uint64_t position = 0) const
  {
    return matches(data.data(), data.size(), position);
  }

private:
  std::uint64_t seed_;
};

} // namespace shm::test

#endif
