// SPDX-License-Identifier: BSL-1.0
// First fit, with rest.
#include "slice_allocator.hpp"

#include "region_layout.hpp"

#include <algorithm>
#include <iterator>

namespace shm {
namespace partitiond {

slice_allocator::slice_allocator(std::uint64_t begin, std::uint64_t end)
{
  if (begin < end)
    free_.emplace(begin, end - begin);
  available_ = begin < end ? end - begin : 0;
}

std::optional<std::uint64_t> slice_allocator::allocate(std::uint64_t size, clock::time_point now)
{
  release_rested(now);
  if (size == 0 || size > available_)
    return std::nullopt;
  size = (size + page_size - 1) / page_size * page_size;
  const auto found
      = std::find_if(free_.begin(), free_.end(), [size](const auto& piece) { return piece.second >= size; });
  if (found == free_.end())
    return std::nullopt;
  const std::uint64_t offset = found->first, left = found->second - size;
  taken_.emplace(offset, size);
  free_.erase(found);
  if (left != 0)
    free_.emplace(offset + size, left);
  available_ -= size;
  return offset;
}

void slice_allocator::free(std::uint64_t offset, bool at_once, clock::time_point now)
{
  release_rested(now);
  if (taken_.count(offset) == 0)
    return;
  if (at_once)
    put_back(offset);
  else
    resting_.push_back({now + rest, offset});
}

std::uint64_t slice_allocator::largest() const noexcept
{
  std::uint64_t result = 0;
  for (const auto& piece : free_)
    result = std::max(result, piece.second);
  return result;
}

void slice_allocator::release_rested(clock::time_point now)
{
  // All rest for the same time, so the first one is the next one.
  for (; !resting_.empty() && resting_.front().until <= now; resting_.pop_front())
    put_back(resting_.front().offset);
}

void slice_allocator::put_back(std::uint64_t offset)
{
  const auto taken = taken_.find(offset);
  const std::uint64_t size = taken->second;
  taken_.erase(taken);
  available_ += size;
  const auto piece = free_.emplace(offset, size).first;
  const auto next = std::next(piece);
  if (next != free_.end() && piece->first + piece->second == next->first)
  {
    piece->second += next->second;
    free_.erase(next);
  }
  if (piece == free_.begin())
    return;
  const auto before = std::prev(piece);
  if (before->first + before->second == piece->first)
  {
    before->second += piece->second;
    free_.erase(piece);
  }
}

} // namespace partitiond
} // namespace shm
