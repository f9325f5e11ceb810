// SPDX-License-Identifier: BSL-1.0
// The only way in which the library reads a word that its peer can write.
#ifndef ASIO_SHM_SRC_UNTRUSTED_HPP
#define ASIO_SHM_SRC_UNTRUSTED_HPP

#include <atomic>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace shm {
namespace detail {

/// A word in shared memory. It is read once, and what was read is checked before anything is done with it: the word
/// itself may be another one a moment later. Whoever reads it says what a correct peer can have written.
class untrusted
{
public:
  explicit untrusted(const std::atomic<std::uint64_t>& word) noexcept : word_(word) {}

  /// @param value receives the word if it lies in [@p least, @p most], else it stays. @returns whether it does.
  /// Acquire: what the peer wrote before it released the word is seen by whoever has got it.
  bool within(std::uint64_t least, std::uint64_t most, std::uint64_t& value) const noexcept
  {
    const std::uint64_t read = word_.load(std::memory_order_acquire);
    if (read < least || read > most)
      return false;
    value = read;
    return true;
  }

  /// Whether it is exactly that. For words that decide nothing but how an end is called.
  bool is(std::uint64_t value) const noexcept { return word_.load(std::memory_order_acquire) == value; }

  /// A word of which every value is right: a number of a sleep, the number of a slot once it is masked, a hint. Nothing
  /// but a ring, a spin or the name of an error may follow from it.
  std::uint64_t any() const noexcept { return word_.load(std::memory_order_acquire); }

  /// The same, not ordered with anything.
  std::uint64_t hint() const noexcept { return word_.load(std::memory_order_relaxed); }

private:
  const std::atomic<std::uint64_t>& word_;
};

/// What lies in shared memory, read once: what is checked is what is used.
template <typename Plain>
Plain untrusted_copy(const Plain& shared) noexcept
{
  static_assert(std::is_trivially_copyable<Plain>::value, "bytes without a meaning of their own");
  Plain copy;
  std::memcpy(&copy, &shared, sizeof(copy));
  std::atomic_signal_fence(std::memory_order_acquire); // the compiler does not go back for it
  return copy;
}

} // namespace detail
} // namespace shm

#endif
