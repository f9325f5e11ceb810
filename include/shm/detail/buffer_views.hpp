// SPDX-License-Identifier: BSL-1.0
// A buffer sequence as an array of views.
#ifndef ASIO_SHM_DETAIL_BUFFER_VIEWS_HPP
#define ASIO_SHM_DETAIL_BUFFER_VIEWS_HPP

#include <shm/detail/buffer_view.hpp>

#include <boost/asio/buffer.hpp>

#include <cstddef>

namespace shm {
namespace detail {

/// The first non-empty buffers of a sequence, at most max_views of them.
template <typename View, typename Buffer>
class buffer_views
{
public:
  template <typename BufferSequence>
  explicit buffer_views(const BufferSequence& buffers)
  {
    const auto end = boost::asio::buffer_sequence_end(buffers);
    for (auto it = boost::asio::buffer_sequence_begin(buffers); it != end && size_ < max_views; ++it)
    {
      const Buffer buffer(*it);
      if (buffer.size() != 0)
        views_[size_++] = {buffer.data(), buffer.size()};
    }
  }

  const View* data() const noexcept { return views_; }
  std::size_t size() const noexcept { return size_; }

private:
  View views_[max_views];
  std::size_t size_ = 0;
};

/// Whether there is no byte in a sequence. Looks no further than the first one: taking the next buffer of a composed
/// sequence can cost more than sending it.
template <typename Buffer, typename BufferSequence>
bool all_empty(const BufferSequence& buffers)
{
  const auto end = boost::asio::buffer_sequence_end(buffers);
  for (auto it = boost::asio::buffer_sequence_begin(buffers); it != end; ++it)
    if (Buffer(*it).size() != 0)
      return false;
  return true;
}

using mutable_views = buffer_views<mutable_view, boost::asio::mutable_buffer>;
using const_views = buffer_views<const_view, boost::asio::const_buffer>;

} // namespace detail
} // namespace shm

#endif
