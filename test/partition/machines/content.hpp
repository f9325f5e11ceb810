// SPDX-License-Identifier: BSL-1.0
// Bytes that both ends of a connection can compute, and SHA-256 of those that came.
#ifndef ASIO_SHM_TEST_PARTITION_MACHINES_CONTENT_HPP
#define ASIO_SHM_TEST_PARTITION_MACHINES_CONTENT_HPP

#include <openssl/evp.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>

namespace machines {

/// A sequence without period for each seed, in words, because it has to be fast in an emulated processor.
class content
{
public:
  explicit content(std::uint64_t seed) : seed_(seed * 0xd1342543de82ef95u + 1) {}

  /// The bytes at [position, position + size).
  void fill(char* data, std::size_t size, std::uint64_t position) const
  {
    while (size != 0)
    {
      const std::uint64_t value = word(position / 8);
      const std::size_t skipped = position % 8;
      const std::size_t n = std::min(size, 8 - skipped);
      std::memcpy(data, reinterpret_cast<const char*>(&value) + skipped, n);
      data += n;
      size -= n;
      position += n;
    }
  }

  bool matches(const char* data, std::size_t size, std::uint64_t position) const
  {
    char expected[4096];
    while (size != 0)
    {
      const std::size_t n = std::min(size, sizeof(expected));
      fill(expected, n, position);
      if (std::memcmp(data, expected, n) != 0)
        return false;
      data += n;
      size -= n;
      position += n;
    }
    return true;
  }

private:
  std::uint64_t word(std::uint64_t number) const
  {
    std::uint64_t x = seed_ + number * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
    return x ^ (x >> 29);
  }

  std::uint64_t seed_;
};

class sha256
{
public:
  sha256() { check(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr)); }

  void add(const char* data, std::size_t size) { check(EVP_DigestUpdate(context_.get(), data, size)); }

  /// Once, at the end.
  std::string hex()
  {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    check(EVP_DigestFinal_ex(context_.get(), bytes, &size));
    std::string result;
    for (unsigned i = 0; i != size; ++i)
    {
      result += "0123456789abcdef"[bytes[i] >> 4];
      result += "0123456789abcdef"[bytes[i] & 15];
    }
    return result;
  }

private:
  static void check(int result)
  {
    if (result != 1)
      throw std::runtime_error("SHA-256 does not work");
  }

  struct free_context
  {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };

  std::unique_ptr<EVP_MD_CTX, free_context> context_{EVP_MD_CTX_new()};
};

} // namespace machines

#endif
