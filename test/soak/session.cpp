// SPDX-License-Identifier: BSL-1.0
// How a session goes on and how it ends.
#include "session.hpp"

#include "streams.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <exception>
#include <sstream>

namespace shm::test::soak {
namespace {

// A writer gets space back by whole segments, of which a ring has 16. What is unread may lie in two more of them than
// its size tells.
constexpr std::uint64_t segments = 16;
constexpr std::uint64_t segments_in_doubt = 3;

std::uint64_t sure_room(tcp::socket& socket)
{
  tcp::socket::send_buffer_size capacity;
  error_code ec;
  socket.get_option(capacity, ec);
  const auto bytes = static_cast<std::uint64_t>(capacity.value());
  return ec ? 0 : bytes / segments * (segments - segments_in_doubt);
}

manner any_manner(dice& chance, const session_kind& kind)
{
  const auto result = static_cast<manner>(chance.between(0, 4));
  // What starts operations by itself, without the mutex of the session, needs a strand.
  return (result == manner::coroutine || result == manner::whole) && !kind.serial ? manner::some : result;
}

} // namespace

direction::direction(session& owner, manner how, dice chance)
  : session_(owner),
    how_(how),
    chance_(chance),
    largest_(owner.largest()),
    pause_timer_(owner.around().context()),
    cancel_timer_(owner.around().context())
{
}

void direction::start()
{
  const auto alive = session_.shared_from_this();
  if (how_ == manner::blocking)
    session_.around().spawn(
        [alive, this]
        {
          thread_ = thread_id();
          while (block())
          {
            ::usleep(static_cast<useconds_t>(pause().count()));
            chance_.stumble();
          }
          thread_ = 0;
        });
  else if (how_ == manner::coroutine)
    asio::co_spawn(session_.kind().executor, converse(alive, *this),
        [](std::exception_ptr failure)
        {
          if (failure)
            std::rethrow_exception(failure);
        });
  else
    // Not by whoever started the session: handlers are on the executor from the first on.
    asio::post(session_.kind().executor, [alive, this] { next(); });
}

std::chrono::microseconds direction::pause()
{
  const unsigned rarely = session_.around().calm() && how_ != manner::blocking ? 0 : 1;
  if (rarely == 0 || session_.around().stopping())
    return {};
  std::chrono::milliseconds result{0};
  if (chance_.one_in(300))
    result = std::chrono::milliseconds(chance_.between(100, 400));
  else if (chance_.one_in(20))
    result = std::chrono::milliseconds(chance_.between(1, 30));
  if (result.count() != 0)
    ++session_.around().count().pauses;
  return result;
}

void direction::next()
{
  const auto length = pause();
  if (length.count() == 0)
    return launch();
  pause_timer_.expires_after(length);
  pause_timer_.async_wait(asio::bind_executor(
      session_.kind().executor, [alive = session_.shared_from_this(), this](error_code) { launch(); }));
}

asio::awaitable<void> direction::converse(std::shared_ptr<session>, direction& d)
{
  do
  {
    const auto length = d.pause();
    if (length.count() != 0)
    {
      error_code ignored;
      d.pause_timer_.expires_after(length);
      co_await d.pause_timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    d.chance_.stumble();
  } while (co_await d.await());
}

void direction::cancel_soon()
{
  cancel_timer_.expires_after(std::chrono::microseconds(chance_.any_size(1, 5000)));
  const bool this_one = session_.kind().serial && chance_.one_in(2);
  static constexpr asio::cancellation_type types[]
      = {asio::cancellation_type::total, asio::cancellation_type::partial, asio::cancellation_type::terminal};
  const auto type = types[chance_.between(0, 2)];
  cancel_timer_.async_wait(asio::bind_executor(session_.kind().executor,
      [alive = session_.shared_from_this(), this, this_one, type](error_code ec)
      {
        if (ec)
          return;
        if (this_one)
        {
          signal_.emit(type);
          return;
        }
        const std::lock_guard<std::mutex> lock(session_.mutex());
        session_.socket().cancel(ec);
      }));
}

void direction::begin()
{
  ++session_.around().count().operations;
  ++steps_;
  pending_ = true;
}

void direction::end()
{
  pending_ = false;
  ++steps_;
}

void direction::moved(std::uint64_t bytes)
{
  if (bytes == 0)
    return;
  ++steps_;
  session_.moved(bytes);
}

bool direction::cancelled(error_code ec)
{
  if (ec != asio::error::operation_aborted || session_.ending())
    return false;
  ++session_.around().count().cancels;
  return true;
}

void direction::over()
{
  pending_ = false;
  session_.direction_over();
}

session::session(surroundings& around, socket_type&& socket, session_kind kind, std::size_t number, int side)
  : around_(around),
    socket_(std::move(socket)),
    kind_(std::move(kind)),
    number_(number),
    side_(side),
    mine_(around.shared().connection[number].ends[static_cast<std::size_t>(side)]),
    other_(around.shared().connection[number].ends[static_cast<std::size_t>(1 - side)]),
    chance_(around.wanted().seed, number, side, 0),
    quota_(chance_.any_size(1, around.wanted().quota)),
    largest_(chance_.any_size(1000, around.wanted().size)),
    close_after_(chance_.one_in(8) ? chance_.any_size(1, 2 * around.wanted().quota) : ~std::uint64_t{0})
{
  mine_.room = sure_room(socket_);
  mine_.life = around.life();
  receiving_ = std::make_unique<receiver>(*this, any_manner(chance_, kind_), dice(around.wanted().seed, number, side, 1));
  sending_ = std::make_unique<sender>(*this, any_manner(chance_, kind_), dice(around.wanted().seed, number, side, 2));
}

void session::start()
{
  receiving_->start();
  sending_->start();
}

void session::moved(std::uint64_t bytes)
{
  if (moved_.fetch_add(bytes) + bytes >= close_after_ && !leaving_)
  {
    ++around_.count().closes;
    leave();
  }
}

void session::direction_over()
{
  if (directions_.fetch_sub(1) != 1)
    return;
  asio::dispatch(kind_.executor,
      [alive = shared_from_this(), this]
      {
        if (!ending())
          close();
        around_.remove(this);
      });
}

void session::leave()
{
  if (leaving_.exchange(true))
    return;
  const auto work = [alive = shared_from_this(), this]
  {
    mine_.flags |= early;
    // A thread that is about to block may not meet a close: it is one socket. A shutdown it may.
    if (receiving_->how() != manner::blocking && sending_->how() != manner::blocking)
      return close();
    error_code ignored; // the other end may have gone
    const std::lock_guard<std::mutex> lock(mutex_);
    socket_.shutdown(tcp::socket::shutdown_both, ignored);
  };
  // In its turn: a coroutine may be starting an operation.
  asio::dispatch(kind_.executor, work);
}

void session::close()
{
  mine_.flags |= closing;
  error_code ec;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    socket_.close(ec);
  }
  mine_.flags |= closed;
  if (ec)
    fail("close: " + ec.message());
}

void session::fail(const std::string& why)
{
  mine_.flags |= given_up;
  ++around_.count().failures;
  around_.report(why + "; " + state());
}

void session::give_up()
{
  mine_.flags |= given_up;
  leave();
}

std::string session::state()
{
  std::ostringstream text;
  text << "connection " << number_ << (side_ == 0 ? ", connector: " : ", acceptor: ");
  text << "receives (" << name_of(receiving_->how()) << (receiving_->pending() ? ", pending" : "") << ") "
       << mine_.received << " of " << other_.sent << ".." << other_.tried << ", sends (" << name_of(sending_->how())
       << (sending_->pending() ? ", pending" : "") << ") " << mine_.sent << ".." << mine_.tried << " of " << quota_
       << ", read there " << other_.received << ", sure room " << mine_.room << ", flags " << mine_.flags << " and "
       << other_.flags << ", other process " << other_.life << (other_is_gone() ? " gone" : "");
  return text.str();
}

} // namespace shm::test::soak
