// SPDX-License-Identifier: BSL-1.0
// One end of a connection: a stream that it sends, a stream that it receives, and how it ends.

#ifndef ASIO_SHM_TEST_SOAK_SESSION_HPP
#define ASIO_SHM_TEST_SOAK_SESSION_HPP

#include "dice.hpp"
#include "pattern.hpp"
#include "surroundings.hpp"

#include <shm/stream_protocol.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace shm::test::soak {

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = shm::stream_protocol;

/// How a direction moves its bytes.
enum class manner
{
  some,      ///< async_read_some, async_write_some
  whole,     ///< async_read, async_write
  zero_copy, ///< async_wait, then shm::data, shm::prepare
  coroutine, ///< awaitable
  blocking   ///< in a thread of its own
};

inline const char* name_of(manner m)
{
  static const char* const names[] = {"some", "whole", "zero copy", "coroutine", "blocking"};
  return names[static_cast<int>(m)];
}

/// How the handlers of a session are kept apart.
struct session_kind
{
  asio::any_io_executor executor;
  bool serial = false; ///< No two handlers at once: a strand, or one thread.
};

/// What the late check remembers of a direction. Its thread's alone.
struct suspicion
{
  std::uint64_t steps = 0;
  unsigned score = 0;
  bool reported = false;
};

class session;

/// One direction at one end. Its handlers and its state are used by one thread at a time.
class direction
{
public:
  direction(session& owner, manner how, dice chance);
  virtual ~direction() = default;
  direction(const direction&) = delete;
  direction& operator=(const direction&) = delete;

  void start();

  // --- for the late check, from any thread ---

  /// Something should have happened by now, by what the other end says it has done.
  virtual bool due() const = 0;
  bool pending() const { return pending_.load(); }
  std::uint64_t steps() const { return steps_.load(); }
  /// The thread that blocks, 0 if it is the context's.
  long thread() const { return thread_.load(); }
  manner how() const { return how_; }
  suspicion suspected;

protected:
  virtual void launch() = 0;               ///< Starts one asynchronous operation.
  virtual bool block() = 0;                ///< One blocking operation. @returns false when the direction is over.
  virtual asio::awaitable<bool> await() = 0; ///< The same as a coroutine.

  /// The next asynchronous operation, at once or after a pause.
  void next();

  /// The direction has come to its end.
  void over();

  /// An operation begins, an operation has ended; progress within one.
  void begin();
  void end();
  void moved(std::uint64_t bytes);

  /// Whether the operation is to be tried again: it was cancelled and the session goes on.
  bool cancelled(error_code ec);

  /// Passes a completion token to the function that starts the operation, with the session's mutex held.
  template <class Start, class Handler>
  void initiate(Start start, Handler handler);

  std::uint64_t size() { return chance_.any_size(1, largest_); }
  unsigned char* room(std::size_t n)
  {
    if (bytes_.size() < n)
      bytes_.resize(n);
    return bytes_.data();
  }

  session& session_;
  const manner how_;
  dice chance_;
  const std::uint64_t largest_;
  std::vector<unsigned char> bytes_;

private:
  static asio::awaitable<void> converse(std::shared_ptr<session> alive, direction& d);
  std::chrono::microseconds pause();
  void cancel_soon();

  asio::steady_timer pause_timer_;
  asio::steady_timer cancel_timer_;
  asio::cancellation_signal signal_;
  std::atomic<bool> pending_{false};
  std::atomic<std::uint64_t> steps_{0};
  std::atomic<long> thread_{0};
};

class session : public std::enable_shared_from_this<session>
{
public:
  using socket_type = tcp::socket;

  session(surroundings& around, socket_type&& socket, session_kind kind, std::size_t number, int side);

  /// After it was added to its surroundings.
  void start();

  surroundings& around() { return around_; }
  const session_kind& kind() const { return kind_; }
  socket_type& socket() { return socket_; }
  std::mutex& mutex() { return mutex_; }
  end_record& mine() { return mine_; }
  const end_record& other() const { return other_; }
  std::uint64_t largest() const { return largest_; }

  /// Of the stream that this end sends, or the one that it receives.
  pattern bytes(bool sent) const { return pattern(2 * number_ + static_cast<std::size_t>(sent ? side_ : 1 - side_)); }
  std::uint64_t quota() const { return quota_; }

  bool ending() const { return mine_.has(closing); }
  void fail(const std::string& why);
  void direction_over();
  void moved(std::uint64_t bytes);
  void give_up();

  // --- for the late check ---

  bool other_is_gone() const
  {
    const std::uint32_t life = other_.life.load();
    return other_.has(closed) || (life != 0 && around_.shared().life[life].dead);
  }
  /// Whoever would have to do something, be it to accept the connection.
  bool other_is_stopped() const
  {
    const std::uint32_t life = other_.life.load();
    const board& all = around_.shared();
    return all.life[life != 0 ? life : all.holder[all.connection[number_].listener].load()].stopped;
  }
  direction& receiving() { return *receiving_; }
  direction& sending() { return *sending_; }
  std::string state();
  std::uint64_t steps_before = 0;
  unsigned looks_without_step = 0;

private:
  void leave();
  void close();

  surroundings& around_;
  socket_type socket_;
  std::mutex mutex_; // guards socket_ while operations are started
  const session_kind kind_;
  const std::size_t number_;
  const int side_;
  end_record& mine_;
  const end_record& other_;
  dice chance_;
  const std::uint64_t quota_;
  const std::uint64_t largest_;
  const std::uint64_t close_after_; // so many bytes both ways
  std::atomic<std::uint64_t> moved_{0};
  std::atomic<int> directions_{2};
  std::atomic<bool> leaving_{false};
  std::unique_ptr<direction> receiving_;
  std::unique_ptr<direction> sending_;
};

template <class Start, class Handler>
void direction::initiate(Start start, Handler handler)
{
  auto completion = [alive = session_.shared_from_this(), this, handler = std::move(handler)](
                        error_code ec, std::size_t n = 0) mutable
  {
    end();
    chance_.stumble();
    handler(ec, n);
  };
  if (!session_.around().calm() && chance_.one_in(16))
    cancel_soon();
  begin();
  // From here on the handler may run, in another thread.
  const auto alive = session_.shared_from_this();
  const std::lock_guard<std::mutex> lock(session_.mutex());
  if (session_.kind().serial)
    start(asio::bind_cancellation_slot(
        signal_.slot(), asio::bind_executor(session_.kind().executor, std::move(completion))));
  else
    start(asio::bind_executor(session_.kind().executor, std::move(completion)));
}

} // namespace shm::test::soak

#endif
