// SPDX-License-Identifier: BSL-1.0
// Asynchronous, composed, zero-copy, blocking operations and coroutines, as a program would use them.
#include "streams.hpp"

#include <shm/zero_copy.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>

namespace shm::test::soak {

// --- receiver ---

bool receiver::due() const
{
  const end_record& here = session_.mine();
  const end_record& there = session_.other();
  return there.sent > here.received || there.has(finished) || session_.other_is_gone();
}

void receiver::take(const void* data, std::size_t n)
{
  if (!bytes_of_stream_.matches(data, n, session_.mine().received))
    session_.fail("wrong bytes");
  session_.mine().received += n;
  moved(n);
}

bool receiver::goes_on(error_code ec)
{
  if (!ec || cancelled(ec))
    return true;
  if (ec == asio::error::eof)
    session_.mine().flags |= saw_eof;
  else if (ec == asio::error::connection_reset)
    session_.mine().flags |= saw_reset;
  else if (!session_.ending())
    session_.fail("receive: " + ec.message());
  over();
  return false;
}

void receiver::launch()
{
  const std::size_t n = size();
  if (how_ == manner::zero_copy)
    initiate([this](auto&& handler)
        { session_.socket().async_wait(tcp::socket::wait_read, std::forward<decltype(handler)>(handler)); },
        [this](error_code ec, std::size_t) { goes_on(ec) ? read_in_place() : void(); });
  else if (how_ == manner::whole)
    read_whole(n);
  else
    initiate(
        [this, buffer = asio::buffer(room(n), n)](auto&& handler)
        { session_.socket().async_read_some(buffer, std::forward<decltype(handler)>(handler)); },
        [this](error_code ec, std::size_t got)
        {
          take(bytes_.data(), got);
          if (goes_on(ec))
            next();
        });
}

void receiver::read_whole(std::size_t n)
{
  const std::uint64_t before = session_.mine().received;
  const auto look = [this, before](std::size_t total)
  {
    const std::size_t seen = static_cast<std::size_t>(session_.mine().received - before);
    take(bytes_.data() + seen, total - seen);
  };
  initiate(
      [this, look, n, buffer = asio::buffer(room(n), n)](auto&& handler)
      {
        const auto missing = [look, n](error_code ec, std::size_t total) -> std::size_t
        {
          look(total);
          return ec ? 0 : n - total;
        };
        asio::async_read(session_.socket(), buffer, missing, std::forward<decltype(handler)>(handler));
      },
      [this, look](error_code ec, std::size_t total)
      {
        look(total);
        if (goes_on(ec))
          next();
      });
}

void receiver::read_in_place()
{
  error_code ec;
  for (std::size_t left = size(); left != 0 && !ec;)
  {
    std::size_t n = 0;
    {
      const std::lock_guard<std::mutex> lock(session_.mutex());
      const asio::const_buffer shown = shm::data(session_.socket(), ec);
      n = std::min(shown.size(), left);
      if (n != 0 && !bytes_of_stream_.matches(shown.data(), n, session_.mine().received))
        session_.fail("wrong bytes in place");
      if (n != 0)
        shm::consume(session_.socket(), n, ec);
    }
    session_.mine().received += n;
    moved(n);
    left -= n;
  }
  if (ec == asio::error::would_block || goes_on(ec))
    next();
}

bool receiver::block()
{
  const std::size_t n = size();
  error_code ec;
  begin();
  const std::size_t got = session_.socket().read_some(asio::buffer(room(n), n), ec);
  end();
  take(bytes_.data(), got);
  return goes_on(ec);
}

asio::awaitable<bool> receiver::await()
{
  const std::size_t n = size();
  error_code ec;
  begin();
  const std::size_t got = co_await session_.socket().async_read_some(
      asio::buffer(room(n), n), asio::redirect_error(asio::use_awaitable, ec));
  end();
  take(bytes_.data(), got);
  co_return goes_on(ec);
}

// --- sender ---

bool sender::due() const
{
  const end_record& here = session_.mine();
  return here.sent - session_.other().received <= here.room || session_.other_is_gone();
}

std::size_t sender::prepare()
{
  end_record& here = session_.mine();
  const std::uint64_t all = session_.around().stopping() ? here.sent.load() : session_.quota();
  const std::uint64_t n = std::min(all - std::min(all, here.sent.load()), size());
  if (n == 0)
  {
    shut_down();
    return 0;
  }
  if (how_ != manner::zero_copy)
    bytes_of_stream_.fill(room(n), n, here.sent);
  here.tried = here.sent + n;
  return n;
}

void sender::sent(std::uint64_t position)
{
  end_record& here = session_.mine();
  const std::uint64_t n = position - here.sent;
  here.sent = position;
  moved(n);
}

bool sender::goes_on(error_code ec)
{
  session_.mine().tried = session_.mine().sent.load();
  if (!ec || cancelled(ec))
    return true;
  if (ec == asio::error::broken_pipe || ec == asio::error::connection_reset)
    session_.mine().flags |= write_failed;
  else if (!session_.ending())
    session_.fail("send: " + ec.message());
  over();
  return false;
}

void sender::shut_down()
{
  error_code ec;
  session_.mine().flags |= finishing;
  {
    const std::lock_guard<std::mutex> lock(session_.mutex());
    session_.socket().shutdown(tcp::socket::shutdown_send, ec);
  }
  if (!ec)
    session_.mine().flags |= finished;
  else if (!session_.ending())
    session_.fail("shutdown: " + ec.message());
  over();
}

void sender::launch()
{
  const std::size_t n = prepare();
  if (n == 0)
    return;
  if (how_ == manner::zero_copy)
    initiate([this](auto&& handler)
        { session_.socket().async_wait(tcp::socket::wait_write, std::forward<decltype(handler)>(handler)); },
        [this](error_code ec, std::size_t) { goes_on(ec) ? write_in_place() : void(); });
  else if (how_ == manner::whole)
    write_whole(n);
  else
    initiate(
        [this, buffer = asio::buffer(bytes_.data(), n)](auto&& handler)
        { session_.socket().async_write_some(buffer, std::forward<decltype(handler)>(handler)); },
        [this](error_code ec, std::size_t taken)
        {
          sent(session_.mine().sent + taken);
          if (goes_on(ec))
            next();
        });
}

void sender::write_whole(std::size_t n)
{
  const std::uint64_t before = session_.mine().sent;
  initiate(
      [this, n, before, buffer = asio::buffer(bytes_.data(), n)](auto&& handler)
      {
        const auto missing = [this, n, before](error_code ec, std::size_t total) -> std::size_t
        {
          sent(before + total);
          return ec ? 0 : n - total;
        };
        asio::async_write(session_.socket(), buffer, missing, std::forward<decltype(handler)>(handler));
      },
      [this, before](error_code ec, std::size_t total)
      {
        sent(before + total);
        if (goes_on(ec))
          next();
      });
}

void sender::write_in_place()
{
  end_record& here = session_.mine();
  error_code ec;
  for (std::size_t left = std::min<std::uint64_t>(size(), session_.quota() - here.sent); left != 0 && !ec;)
  {
    std::size_t n = 0;
    {
      const std::lock_guard<std::mutex> lock(session_.mutex());
      const asio::mutable_buffer space = shm::prepare(session_.socket(), left, ec);
      n = space.size();
      bytes_of_stream_.fill(space.data(), n, here.sent);
      here.tried = here.sent + n;
      // Sometimes less than was prepared.
      n = n > 1 && chance_.one_in(8) ? n / 2 : n;
      if (!ec)
        shm::commit(session_.socket(), n, ec);
      if (ec)
        n = 0;
    }
    sent(here.sent + n);
    left -= std::max<std::size_t>(n, ec ? 0 : 1);
  }
  if (ec == asio::error::would_block)
    ec.clear();
  if (goes_on(ec))
    next();
}

bool sender::block()
{
  const std::size_t n = prepare();
  if (n == 0)
    return false;
  error_code ec;
  begin();
  const std::size_t taken = session_.socket().write_some(asio::buffer(bytes_.data(), n), ec);
  end();
  sent(session_.mine().sent + taken);
  return goes_on(ec);
}

asio::awaitable<bool> sender::await()
{
  const std::size_t n = prepare();
  if (n == 0)
    co_return false;
  error_code ec;
  begin();
  const std::size_t taken = co_await session_.socket().async_write_some(
      asio::buffer(bytes_.data(), n), asio::redirect_error(asio::use_awaitable, ec));
  end();
  sent(session_.mine().sent + taken);
  co_return goes_on(ec);
}

} // namespace shm::test::soak
