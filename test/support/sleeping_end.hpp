// SPDX-License-Identifier: BSL-1.0
// One end of a connection without a reactor: it sleeps in poll(2) as the protocol says, and only its peer wakes it.
#ifndef ASIO_SHM_TEST_SUPPORT_SLEEPING_END_HPP
#define ASIO_SHM_TEST_SUPPORT_SLEEPING_END_HPP

#include "connection.hpp"
#include "deadline.hpp"
#include "pattern.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>

namespace shm {
namespace test {

/// One end of a connection whose calls block: asleep in poll(2) whenever there is nothing to do, without spinning.
class sleeping_end
{
public:
  /// @param step Called between any two steps that the other side could come between.
  sleeping_end(detail::established&& from, std::uint64_t seed, std::function<void()> step = [] {})
    : step_(std::move(step)),
      out_(seed + static_cast<std::uint64_t>(from.side)),
      in_(seed + 1 - static_cast<std::uint64_t>(from.side)),
      end_(std::move(from))
  {
  }

  /// Sends that many bytes of the stream. @returns false when failure() says what went wrong.
  bool send(std::size_t size)
  {
    const std::vector<unsigned char> bytes = out_.bytes(size, sent_);
    for (std::size_t done = 0, n = 0; done < size; done += n)
    {
      const detail::const_view view = {&bytes[done], size - done};
      boost::system::error_code ec;
      step_();
      while (!end_.try_send(&view, 1, n, ec))
        if (!sleep(false, true))
          return false;
      if (ec)
        return fail("send: " + ec.message());
    }
    sent_ += size;
    return true;
  }

  /// Receives up to that many bytes. @returns how many, 0 at the end of the stream or when failure() says more.
  std::size_t receive(std::size_t size)
  {
    const std::uint64_t before = received_;
    while (!receive_some(size))
      if (!sleep(true, false))
        return 0;
    return static_cast<std::size_t>(received_ - before);
  }

  /// Sends so many bytes and shuts down, and receives until the other end does: whatever can be done first. The sizes
  /// are those of one step each.
  template <class Sizes>
  void exchange(std::uint64_t total, Sizes sizes)
  {
    for (bool sending = true, receiving = true; (sending || receiving) && failure_.empty();)
    {
      bool done = false;
      if (sending)
        done = send_some(std::min<std::uint64_t>(sizes(), total - sent_));
      if (sending && sent_ == total)
      {
        sending = false;
        step_();
        end_.shutdown_send();
      }
      if (receiving)
      {
        step_();
        const std::uint64_t before = received_;
        if (receive_some(sizes()))
        {
          done = true;
          receiving = received_ != before;
        }
      }
      if (!done && (sending || receiving) && !sleep(receiving, sending))
        return;
    }
  }

  bool receive_exactly(std::size_t size)
  {
    for (std::size_t n = 1; size > 0 && n > 0; size -= n)
      n = receive(size);
    return size == 0 && failure_.empty();
  }

  void shutdown_send() { end_.shutdown_send(); }
  std::uint64_t received() const { return received_; }
  std::uint64_t sleeps() const { return sleeps_; }

  std::string failure() const
  {
    const std::string at = " at " + std::to_string(sent_) + " sent, " + std::to_string(received_) + " received";
    return failure_.empty() ? "" : failure_ + at;
  }

private:
  // Returns whether something was done.
  bool send_some(std::uint64_t size)
  {
    const std::vector<unsigned char> bytes = out_.bytes(static_cast<std::size_t>(size), sent_);
    const detail::const_view view = {bytes.data(), bytes.size()};
    std::size_t n = 0;
    boost::system::error_code ec;
    const bool result = end_.try_send(&view, 1, n, ec);
    if (ec)
      fail("send: " + ec.message());
    sent_ += n;
    return result;
  }

  // Returns whether something was done: nothing was received at the end of the stream.
  bool receive_some(std::size_t size)
  {
    bytes_.resize(size);
    const detail::mutable_view view = {bytes_.data(), size};
    std::size_t n = 0;
    boost::system::error_code ec;
    const bool result = end_.try_receive(&view, 1, false, n, ec);
    if (ec && ec != boost::asio::error::eof)
      fail("receive: " + ec.message());
    if (!in_.matches(bytes_.data(), n, received_))
      fail("wrong bytes");
    received_ += n;
    return result;
  }

  bool fail(const std::string& why)
  {
    failure_ = why;
    return false;
  }

  // Arm, look again, sleep.
  bool sleep(bool to_receive, bool to_send)
  {
    bool rung = true;
    step_();
    end_.arm(to_receive, to_send);
    step_();
    if (!(to_receive && end_.readable()) && !(to_send && end_.writable()))
    {
      ++sleeps_;
      step_();
      pollfd polled[2] = {{end_.own_doorbell(), POLLIN, 0}, {end_.rendezvous(), POLLIN | POLLRDHUP, 0}};
      int n;
      do
        n = ::poll(polled, 2, 1000 * static_cast<int>(patience.count()));
      while (n < 0 && errno == EINTR);
      rung = n > 0;
      step_();
      if (polled[0].revents != 0)
        end_.drain_doorbell();
      step_();
      if (polled[1].revents != 0)
        end_.on_rendezvous((polled[1].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0);
      step_();
    }
    end_.disarm();
    step_();
    return rung || fail("not rung");
  }

  std::function<void()> step_;
  pattern out_;
  pattern in_;
  std::vector<unsigned char> bytes_;
  detail::connection end_;
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t sleeps_ = 0;
  std::string failure_;
};

} // namespace test
} // namespace shm

#endif
