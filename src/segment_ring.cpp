// SPDX-License-Identifier: BSL-1.0
// Writing and reading one direction's data segments; every value of the other side is checked before use.
#include "segment_ring.hpp"

#include "stream_copy.hpp"
#include "untrusted.hpp"

#include <algorithm>
#include <cstring>

namespace shm {
namespace detail {
namespace {

// Walks through a sequence of views while segments are filled or emptied.
template <typename View>
class view_cursor
{
public:
  view_cursor(const View* views, std::size_t count) noexcept : view_(views), last_(views + count) { skip_empty(); }

  bool done() const noexcept { return view_ == last_; }

  template <typename Copy>
  std::size_t transfer(std::size_t room, Copy copy) noexcept
  {
    std::size_t total = 0;
    while (room > 0 && !done())
    {
      const std::size_t n = std::min(room, view_->size - offset_);
      copy(view_->data, offset_, total, n);
      total += n;
      room -= n;
      offset_ += n;
      if (offset_ == view_->size)
      {
        ++view_;
        offset_ = 0;
        skip_empty();
      }
    }
    return total;
  }

private:
  void skip_empty() noexcept
  {
    while (view_ != last_ && view_->size == 0)
      ++view_;
  }

  const View* view_;
  const View* last_;
  std::size_t offset_ = 0;
};

std::size_t slot_of(std::uint64_t number, const ring_geometry& geometry) noexcept
{
  return static_cast<std::size_t>(number & (geometry.segment_count - 1u));
}

// From this size on it pays to keep the data out of this core's cache, if the reader runs on another one.
constexpr std::size_t stream_copy_size = 8192;

std::size_t copy_in(view_cursor<const_view>& from, unsigned char* to, std::size_t room, bool streaming) noexcept
{
  return from.transfer(room, [to, streaming](const void* data, std::size_t offset, std::size_t done, std::size_t n) {
    const unsigned char* source = static_cast<const unsigned char*>(data) + offset;
    if (streaming && n >= stream_copy_size)
      stream_copy(to + done, source, n);
    else
      std::memcpy(to + done, source, n);
  });
}

std::size_t copy_out(view_cursor<mutable_view>& to, const unsigned char* from, std::size_t room) noexcept
{
  return to.transfer(room, [from](void* data, std::size_t offset, std::size_t done, std::size_t n) {
    std::memcpy(static_cast<unsigned char*>(data) + offset, from + done, n);
  });
}

} // namespace

ring_writer::ring_writer(control_segment& control, unsigned char* data, ring_geometry geometry) noexcept
  : control_(&control), data_(data), geometry_(geometry), limit_(geometry.segment_size)
{
}

bool ring_writer::segment_free(ring_status& status) noexcept
{
  if (newest_ - oldest_ + 1 < geometry_.segment_count)
    return true;
  // Acquire: partner is the reader's release of oldest. Without it our stores into the segment could overtake the
  // reader's last loads from it.
  if (!untrusted(control_->oldest).within(oldest_, newest_, oldest_))
  {
    status = ring_status::corrupted;
    return false;
  }
  return newest_ - oldest_ + 1 < geometry_.segment_count;
}

mutable_view ring_writer::space(ring_status& status) noexcept
{
  status = ring_status::ok;
  const bool next = position_ == limit_;
  if (next && !segment_free(status))
    return {nullptr, 0};
  const std::size_t slot = slot_of(newest_ + (next ? 1 : 0), geometry_);
  const std::size_t room = next ? geometry_.segment_size : static_cast<std::size_t>(limit_ - position_);
  return {data_ + slot * geometry_.segment_size + (geometry_.segment_size - room), room};
}

void ring_writer::publish(std::size_t n) noexcept
{
  const bool next = position_ == limit_;
  const std::uint64_t number = newest_ + (next ? 1 : 0);
  position_ += n;
  // Release: partner is the reader's acquire of end. Without it the reader could see the new end and old bytes.
  control_->end[slot_of(number, geometry_)].store(position_, std::memory_order_release);
  if (!next)
    return;
  newest_ = number;
  limit_ += geometry_.segment_size;
  // Release: partner is the reader's acquire of newest. Without it the reader could enter the segment and find
  // the end that the slot had a lap ago.
  control_->newest.store(newest_, std::memory_order_release);
}

std::size_t ring_writer::write(const const_view* views, std::size_t count, ring_status& status) noexcept
{
  status = ring_status::ok;
  view_cursor<const_view> from(views, count);
  std::size_t total = 0;
  while (!from.done())
  {
    const mutable_view to = space(status);
    if (to.size == 0)
      break;
    const std::size_t n = copy_in(from, static_cast<unsigned char*>(to.data), to.size, streaming_);
    publish(n);
    total += n;
  }
  return total;
}

bool ring_writer::writable(ring_status& status) noexcept
{
  status = ring_status::ok;
  return position_ != limit_ || segment_free(status);
}

void ring_writer::shut_down() noexcept
{
  // Release: partner is writer_shut_down()'s acquire. Without it the reader could see the flag before the last end.
  control_->shut_down.store(1, std::memory_order_release);
}

bool ring_writer::unread() const noexcept
{
  const std::uint64_t oldest = untrusted(control_->oldest).any();
  return !untrusted(control_->begin[slot_of(oldest, geometry_)]).is(position_);
}

ring_reader::ring_reader(control_segment& control, const unsigned char* data, ring_geometry geometry) noexcept
  : control_(&control), data_(data), geometry_(geometry), limit_(geometry.segment_size)
{
}

std::uint64_t ring_reader::end_of_oldest(ring_status& status) noexcept
{
  const std::size_t slot = slot_of(oldest_, geometry_);
  // The line of the next byte comes from the other core along with the line of end, and not after it.
  __builtin_prefetch(
      data_ + (slot + 1) * geometry_.segment_size - static_cast<std::size_t>(limit_ - position_));
  // Acquire: partner is the writer's release of end, see there.
  if (!untrusted(control_->end[slot]).within(end_, limit_, end_))
    status = ring_status::corrupted;
  return end_;
}

std::uint64_t ring_reader::check_newest(ring_status& status) noexcept
{
  // Acquire: partner is the writer's release of newest, see there.
  if (!untrusted(control_->newest).within(newest_, oldest_ + (geometry_.segment_count - 1u), newest_))
    status = ring_status::corrupted;
  return newest_;
}

// Called with everything known of segment oldest_ read. Leaves it if the writer has; says whether there is more.
bool ring_reader::leave_segment(ring_status& status) noexcept
{
  if (newest_ == oldest_ && check_newest(status) == oldest_)
    return false;
  if (status != ring_status::ok)
    return false;
  // Only now, with newest seen beyond this segment, is its end final.
  if (position_ != end_of_oldest(status))
    return status == ring_status::ok;
  if (status != ring_status::ok)
    return false;
  if (position_ != limit_)
  {
    status = ring_status::corrupted; // a segment is left only when it is full
    return false;
  }
  ++oldest_;
  end_ = limit_;
  limit_ += geometry_.segment_size;
  control_->begin[slot_of(oldest_, geometry_)].store(position_, std::memory_order_relaxed);
  // Release: partner is the writer's acquire of oldest, see there.
  control_->oldest.store(oldest_, std::memory_order_release);
  freed_ = true;
  return true;
}

bool ring_reader::readable(ring_status& status) noexcept
{
  status = ring_status::ok;
  while (position_ == end_of_oldest(status) && status == ring_status::ok)
    if (!leave_segment(status))
      return false;
  return status == ring_status::ok;
}

const_view ring_reader::data(ring_status& status) noexcept
{
  if (!readable(status))
    return {nullptr, 0};
  const unsigned char* segment = data_ + slot_of(oldest_, geometry_) * geometry_.segment_size;
  const std::size_t from = geometry_.segment_size - static_cast<std::size_t>(limit_ - position_);
  return {segment + from, static_cast<std::size_t>(end_ - position_)};
}

void ring_reader::consume(std::size_t n, ring_status& status) noexcept
{
  position_ += n;
  // Release: partner is unread()'s acquire; orders our loads of the data before it for whoever looks at the ring.
  control_->begin[slot_of(oldest_, geometry_)].store(position_, std::memory_order_release);
  if (position_ == limit_)
    leave_segment(status);
}

std::size_t ring_reader::read(const mutable_view* views, std::size_t count, ring_status& status) noexcept
{
  status = ring_status::ok;
  view_cursor<mutable_view> to(views, count);
  std::size_t total = 0;
  while (!to.done())
  {
    const const_view from = data(status);
    if (from.size == 0)
      break;
    const std::size_t n = copy_out(to, static_cast<const unsigned char*>(from.data), from.size);
    consume(n, status);
    total += n;
  }
  return total;
}

std::size_t ring_reader::peek(const mutable_view* views, std::size_t count, ring_status& status) noexcept
{
  if (!readable(status))
    return 0;
  view_cursor<mutable_view> to(views, count);
  std::size_t total = 0;
  std::uint64_t position = position_;
  std::uint64_t limit = limit_;
  const std::uint64_t newest = check_newest(status);
  for (std::uint64_t number = oldest_; status == ring_status::ok && number <= newest && !to.done(); ++number)
  {
    const std::size_t slot = slot_of(number, geometry_);
    // A segment that was left is full.
    std::uint64_t end = limit;
    if (!untrusted(control_->end[slot]).within(number == newest ? position : limit, limit, end))
    {
      status = ring_status::corrupted;
      break;
    }
    const std::size_t from = geometry_.segment_size - static_cast<std::size_t>(limit - position);
    const std::size_t n = copy_out(
        to, data_ + slot * geometry_.segment_size + from, static_cast<std::size_t>(end - position));
    total += n;
    position += n;
    limit += geometry_.segment_size;
  }
  return total;
}

std::size_t ring_reader::available(ring_status& status) noexcept
{
  if (!readable(status))
    return 0;
  const std::uint64_t newest = check_newest(status);
  if (status != ring_status::ok)
    return 0;
  const std::uint64_t limit = limit_ + (newest - oldest_) * geometry_.segment_size;
  std::uint64_t end = position_;
  if (!untrusted(control_->end[slot_of(newest, geometry_)])
           .within(newest == oldest_ ? end_ : limit - geometry_.segment_size, limit, end))
  {
    status = ring_status::corrupted;
    return 0;
  }
  return static_cast<std::size_t>(end - position_);
}

bool ring_reader::writer_shut_down(ring_status& status) noexcept
{
  // Acquire: partner is shut_down()'s release, see there.
  if (!untrusted(control_->shut_down).within(shut_down_, 1, shut_down_))
    status = ring_status::corrupted;
  return shut_down_ != 0;
}

} // namespace detail
} // namespace shm
