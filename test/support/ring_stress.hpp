// SPDX-License-Identifier: BSL-1.0
// The two loops that drive a ring as fast as they can, with data whose every byte is checked.
#ifndef ASIO_SHM_TEST_SUPPORT_RING_STRESS_HPP
#define ASIO_SHM_TEST_SUPPORT_RING_STRESS_HPP

#include "deadline.hpp"
#include "full_fence.hpp"
#include "pattern.hpp"
#include "segment_ring.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <sched.h>

namespace shm {
namespace test {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif
#else
inline constexpr bool sanitized = false;
#endif

/// How many bytes a stress test moves in this build.
constexpr std::uint64_t scaled(std::uint64_t bytes)
{
  return sanitized ? bytes / 10 : bytes;
}

/// Waits for the other side: spins a little, gives the core away, gives up after the time limit.
class spinner
{
public:
  void progress() { idle_ = 0; }

  /// @returns false when the other side has done nothing for too long.
  bool wait()
  {
    if (++idle_ < 100)
      detail::spin_pause();
    else
      ::sched_yield();
    if (idle_ == 1000)
      since_ = std::chrono::steady_clock::now();
    return idle_ % 1000 != 0 || std::chrono::steady_clock::now() - since_ < patience;
  }

private:
  std::uint64_t idle_ = 0;
  std::chrono::steady_clock::time_point since_;
};

/// Odd sizes up to a little more than two segments, small ones as often as large ones.
class odd_sizes
{
public:
  odd_sizes(std::uint64_t seed, const detail::ring_geometry& geometry)
    : random_(seed), small_(1, 200), large_(1, 2 * std::size_t{geometry.segment_size} + 1)
  {
  }

  std::size_t next() { return ((random_() & 1) ? small_(random_) : large_(random_)) | 1; }
  std::size_t largest() const { return std::max<std::size_t>(small_.max(), large_.max()) | 1; }

private:
  std::mt19937_64 random_;
  std::uniform_int_distribution<std::size_t> small_;
  std::uniform_int_distribution<std::size_t> large_;
};

/// Writes that many bytes and shuts down. @returns what went wrong, empty if nothing did.
inline std::string write_all(
    detail::ring_writer& writer, const detail::ring_geometry& geometry, std::uint64_t total, std::uint64_t seed)
{
  const pattern stream(seed);
  odd_sizes sizes(seed, geometry);
  std::vector<unsigned char> bytes(sizes.largest());
  spinner other;
  for (std::uint64_t position = 0; position < total;)
  {
    const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(sizes.next(), total - position));
    stream.fill(bytes.data(), size, position);
    writer.streaming((size & 2) != 0); // large writes past the cache, every other of them
    for (std::size_t done = 0; done < size;)
    {
      // In two views, split at an arbitrary place.
      const std::size_t half = (size - done) / 3;
      const detail::const_view views[] = {{&bytes[done], half}, {&bytes[done + half], size - done - half}};
      detail::ring_status status;
      const std::size_t n = writer.write(views, 2, status);
      if (status != detail::ring_status::ok)
        return "the writer found corruption at " + std::to_string(position + done);
      done += n;
      if (n > 0)
        other.progress();
      else if (!other.wait())
        return "the reader stopped at " + std::to_string(position + done);
    }
    position += size;
  }
  writer.shut_down();
  return {};
}

/// Reads until the writer has shut down and checks every byte. @returns what went wrong, empty if nothing did.
inline std::string read_all(
    detail::ring_reader& reader, const detail::ring_geometry& geometry, std::uint64_t total, std::uint64_t seed)
{
  const pattern stream(seed);
  odd_sizes sizes(seed + 1, geometry);
  std::vector<unsigned char> bytes(sizes.largest());
  spinner other;
  for (std::uint64_t position = 0;;)
  {
    detail::ring_status status = detail::ring_status::ok;
    const bool last = reader.writer_shut_down(status); // before the look that finds nothing
    if (status != detail::ring_status::ok)
      return "the reader found a wrong end at " + std::to_string(position);
    const std::size_t size = sizes.next(), half = size / 3;
    const detail::mutable_view views[] = {{bytes.data(), half}, {&bytes[half], size - half}};
    const bool peek = size % 16 == 1;
    const std::size_t n = peek ? reader.peek(views, 2, status) : reader.read(views, 2, status);
    if (status != detail::ring_status::ok)
      return "the reader found corruption at " + std::to_string(position);
    if (!stream.matches(bytes.data(), n, position))
      return "wrong bytes at " + std::to_string(position) + ", " + std::to_string(n) + " of them";
    position += peek ? 0 : n;
    if (n > 0)
      other.progress();
    else if (last)
      return position == total ? "" : "the stream ended at " + std::to_string(position);
    else if (!other.wait())
      return "the writer stopped at " + std::to_string(position);
  }
}

} // namespace test
} // namespace shm

#endif
