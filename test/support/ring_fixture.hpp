// SPDX-License-Identifier: BSL-1.0
// Both ends of one ring in ordinary memory, with margins that show an overrun.
#ifndef ASIO_SHM_TEST_SUPPORT_RING_FIXTURE_HPP
#define ASIO_SHM_TEST_SUPPORT_RING_FIXTURE_HPP

#include "pattern.hpp"
#include "segment_ring.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define ASIO_SHM_TEST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASIO_SHM_TEST_ASAN 1
#endif
#endif
#if defined(ASIO_SHM_TEST_ASAN)
#include <sanitizer/asan_interface.h>
#endif

namespace shm {
namespace test {

/// Memory that ends at a page without access and begins behind a page that must not change.
///
///   | page of 0xa5 (poisoned under ASan) ... | the memory, page-aligned if its size is | page without access |
class guarded_memory
{
public:
  explicit guarded_memory(std::size_t size) : size_(size)
  {
    body_ = (size + page - 1) / page * page;
    void* const mapped
        = ::mmap(nullptr, page + body_ + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED)
      throw std::bad_alloc();
    base_ = static_cast<unsigned char*>(mapped);
    std::memset(base_, margin, margin_size());
    ::mprotect(base_ + page + body_, page, PROT_NONE);
    poison(true);
  }

  guarded_memory(const guarded_memory&) = delete;
  guarded_memory& operator=(const guarded_memory&) = delete;

  ~guarded_memory()
  {
    poison(false);
    ::munmap(base_, page + body_ + page);
  }

  unsigned char* data() const { return base_ + margin_size(); }

  /// Whether nothing has been written before the memory; behind it there is no access.
  bool intact() const
  {
    poison(false);
    const bool result = std::all_of(base_, data(), [](unsigned char byte) { return byte == margin; });
    poison(true);
    return result;
  }

private:
  static constexpr std::size_t page = 4096;
  static constexpr unsigned char margin = 0xa5;

  std::size_t margin_size() const { return page + body_ - size_; }

  void poison([[maybe_unused]] bool on) const
  {
#if defined(ASIO_SHM_TEST_ASAN)
    if (on)
      ASAN_POISON_MEMORY_REGION(base_, margin_size());
    else
      ASAN_UNPOISON_MEMORY_REGION(base_, margin_size());
#endif
  }

  std::size_t size_;
  std::size_t body_ = 0;
  unsigned char* base_ = nullptr;
};

/// A writer and a reader whose stream is a pattern, so that what comes out is known.
class ring_fixture
{
public:
  explicit ring_fixture(detail::ring_geometry shape)
    : geometry(shape),
      control_memory_(sizeof(detail::control_segment)),
      data_memory_(static_cast<std::size_t>(shape.capacity())),
      room_size_(4096 + 2 * static_cast<std::size_t>(shape.capacity())),
      room_(room_size_),
      control(*new (control_memory_.data()) detail::control_segment{}),
      writer(control, data_memory_.data(), shape),
      reader(control, data_memory_.data(), shape)
  {
  }

  /// Writes the next @p size bytes of the stream. @returns how many of them were taken.
  std::size_t write(std::size_t size)
  {
    const std::vector<unsigned char> bytes = stream.bytes(size, written);
    const detail::const_view view = {bytes.data(), bytes.size()};
    const std::size_t n = writer.write(&view, 1, status);
    written += n;
    return n;
  }

  /// Reads up to @p size bytes. @returns how many came; correct says whether they were the right ones.
  std::size_t read(std::size_t size)
  {
    const detail::mutable_view view = room_for(size);
    const std::size_t n = reader.read(&view, 1, status);
    check(view, n);
    consumed += n;
    return n;
  }

  std::size_t peek(std::size_t size)
  {
    const detail::mutable_view view = room_for(size);
    const std::size_t n = reader.peek(&view, 1, status);
    check(view, n);
    return n;
  }

  std::size_t available() { return reader.available(status); }
  bool readable() { return reader.readable(status); }
  bool writable() { return writer.writable(status); }
  const unsigned char* data() const { return data_memory_.data(); }
  bool ok() const { return status == detail::ring_status::ok; }
  bool intact() const { return control_memory_.intact() && data_memory_.intact(); }

  std::size_t slot(std::uint64_t number) const { return static_cast<std::size_t>(number % geometry.segment_count); }

  /// The control segment in a line: for each slot O and N where oldest and newest point, begin (of oldest only, the
  /// others begin where they start) and end; "-" for a slot whose words do not count.
  ///
  ///   "O[3,64) N[..70) -"   segment 0 has been read up to 3, segment 1 written up to 70
  std::string strip() const
  {
    const std::uint64_t oldest = control.oldest.load(), newest = control.newest.load();
    std::vector<std::string> slots(geometry.segment_count, "-");
    for (std::uint64_t number = oldest; number <= newest; ++number)
    {
      std::string& text = slots[slot(number)];
      text = number == oldest ? "O" : "";
      text += number == newest ? "N[" : "[";
      text += number == oldest ? std::to_string(control.begin[slot(number)].load()) + "," : "..";
      text += std::to_string(control.end[slot(number)].load()) + ")";
    }
    std::string result;
    for (const std::string& text : slots)
      result += (result.empty() ? "" : " ") + text;
    return result;
  }

  detail::ring_geometry geometry;
  pattern stream{7};
  detail::ring_status status = detail::ring_status::ok;
  std::uint64_t written = 0;
  std::uint64_t consumed = 0;
  bool correct = true;

private:
  // Flush with the page without access; a byte in front of it shows what is written before it.
  detail::mutable_view room_for(std::size_t size)
  {
    unsigned char* const at = room_.data() + room_size_ - size;
    at[-1] = 0xa5;
    return {at, size};
  }

  void check(const detail::mutable_view& view, std::size_t n)
  {
    const auto* const at = static_cast<const unsigned char*>(view.data);
    correct = n <= view.size && at[-1] == 0xa5 && stream.matches(at, n, consumed);
  }

  guarded_memory control_memory_;
  guarded_memory data_memory_;
  std::size_t room_size_;
  guarded_memory room_;

public:
  detail::control_segment& control;
  detail::ring_writer writer;
  detail::ring_reader reader;
};

} // namespace test
} // namespace shm

#endif
