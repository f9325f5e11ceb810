// SPDX-License-Identifier: BSL-1.0
// Data transfer, sleeping, waking and the end of a connection.
#include "connection.hpp"

#include "full_fence.hpp"
#include "shared_eventfd.hpp"
#include "tsan.hpp"
#include "untrusted.hpp"

#include <shm/error.hpp>

#include <boost/asio/error.hpp>

#include <algorithm>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <utility>

namespace shm {
namespace detail {
namespace {

// How often a program that never runs its context looks for a hang-up while it writes.
constexpr std::chrono::microseconds look_interval{100};

// One recv of a wake; a correct peer has at most one ring in the socket for each of our sleeps.
constexpr std::size_t drain_size = 256;

} // namespace

connection::connection(established&& from) noexcept
  : side_(from.side),
    memory_(std::move(from.memory)),
    rendezvous_(std::move(from.rendezvous)),
    bell_(std::move(from.bell)),
    local_(from.local),
    remote_(from.remote),
    send_control_(side_ == connection_side::connector ? memory_.connector_control() : memory_.acceptor_control()),
    receive_control_(side_ == connection_side::connector ? memory_.acceptor_control() : memory_.connector_control()),
    own_cpu_(side_ == connection_side::connector ? memory_.connector_cpu() : memory_.acceptor_cpu()),
    peer_cpu_(side_ == connection_side::connector ? memory_.acceptor_cpu() : memory_.connector_cpu()),
    other_system_(from.other_system),
    writer_(side_ == connection_side::connector
            ? ring_writer(send_control_, memory_.connector_data(), memory_.geometry().connector)
            : ring_writer(send_control_, memory_.acceptor_data(), memory_.geometry().acceptor)),
    reader_(side_ == connection_side::connector
            ? ring_reader(receive_control_, memory_.acceptor_data(), memory_.geometry().acceptor)
            : ring_reader(receive_control_, memory_.connector_data(), memory_.geometry().connector)),
    identity_(from.identity)
{
}

std::uint64_t connection::send_capacity() const noexcept
{
  const connection_geometry& geometry = memory_.geometry();
  return (side_ == connection_side::connector ? geometry.connector : geometry.acceptor).capacity();
}

std::uint64_t connection::receive_capacity() const noexcept
{
  const connection_geometry& geometry = memory_.geometry();
  return (side_ == connection_side::connector ? geometry.acceptor : geometry.connector).capacity();
}

void connection::ring_sleeper(const std::atomic<std::uint64_t>& wait_word, std::uint64_t& rung) noexcept
{
  // Called between a publication and this look, so that of "we publish, we look" and "the peer falls asleep, the peer
  // looks" at least one sees the other. Partner: the fence in arm().
  full_fence();
  const std::uint64_t word = untrusted(wait_word).hint();
  if ((word & 1) == 0 || word == rung)
    return;
  rung = word;
  bell_.ring(rendezvous_.get());
}

void connection::corrupted() noexcept
{
  failure_ = error::corrupted;
  ::shutdown(rendezvous_.get(), SHUT_RDWR); // the peer learns that this connection is over
}

bool connection::receive_some(const mutable_view* views, std::size_t count, bool peek, std::size_t& n,
    boost::system::error_code& ec) noexcept
{
  ring_status status;
  n = peek ? reader_.peek(views, count, status) : reader_.read(views, count, status);
  shown_ = peek ? shown_ : 0;
  if (n > 0)
  {
    tsan_observe(2 * identity_ + (side_ == connection_side::connector ? 1 : 0));
    tell_of_freed_segment();
    ec.clear();
    return true;
  }
  tell_of_freed_segment();
  if (status == ring_status::corrupted)
  {
    corrupted();
    ec = failure_;
    return true;
  }
  return false;
}

// Why no byte will come any more, if that is so. To be followed by one more look at the ring.
bool connection::end_of_stream(boost::system::error_code& ec) noexcept
{
  ring_status status = ring_status::ok;
  if (reset_)
    ec = boost::asio::error::connection_reset;
  else if (reader_.writer_shut_down(status) || hung_up_ || receive_shut_down_)
    ec.clear(); // 0 bytes without an error are the end, as with recv(2)
  else if (status == ring_status::ok)
    return false;
  if (status == ring_status::corrupted)
  {
    corrupted();
    ec = failure_;
  }
  return true;
}

bool connection::try_receive(
    const mutable_view* views, std::size_t count, bool peek, std::size_t& n, boost::system::error_code& ec) noexcept
{
  n = 0;
  if (failure_)
  {
    ec = failure_;
    return true;
  }
  if (receive_some(views, count, peek, n, ec))
    return true;
  boost::system::error_code end;
  if (!end_of_stream(end))
    return false;
  // The shutdown flag and the hang-up follow the last byte: bytes published just before them may have come in between.
  if (receive_some(views, count, peek, n, ec))
    return true;
  reset_ = false;
  ec = end;
  return true;
}

// Why nothing can be sent any more, or not now.
bool connection::refuses_send(boost::system::error_code& ec) noexcept
{
  if (failure_)
    ec = failure_;
  else if (send_shut_down_)
    ec = boost::asio::error::broken_pipe;
  else if (hung_up_)
  {
    ec = reset_ ? boost::asio::error::connection_reset : boost::asio::error::broken_pipe;
    reset_ = false;
  }
  else
    return false;
  prepared_ = 0;
  return true;
}

bool connection::try_send(
    const const_view* views, std::size_t count, std::size_t& n, boost::system::error_code& ec) noexcept
{
  n = 0;
  if (refuses_send(ec))
    return true;
  if (prepared_ != 0)
  {
    ec = boost::asio::error::in_progress;
    return true;
  }
  tsan_publish(2 * identity_ + (side_ == connection_side::connector ? 0 : 1));
  ring_status status;
  if (count == 0 || views->size < copy_choice::measured_size || shares_cpu_)
    n = writer_.write(views, count, status);
  else
  {
    const auto start = std::chrono::steady_clock::now();
    writer_.streaming(copies_.streaming());
    n = writer_.write(views, count, status);
    writer_.streaming(false);
    if (n >= copy_choice::measured_size)
      copies_.note(n, start, std::chrono::steady_clock::now(), waited_for_space_);
  }
  waited_for_space_ = n == 0;
  if (n > 0)
  {
    ring_sleeper(send_control_.reader_wait, reader_wait_rung_);
    ec.clear();
    return true;
  }
  if (status == ring_status::ok)
    return false;
  corrupted();
  ec = failure_;
  return true;
}

bool connection::prepare(std::size_t n, mutable_view& space, boost::system::error_code& ec) noexcept
{
  space = {nullptr, 0};
  ec.clear();
  if (refuses_send(ec))
    return true;
  ring_status status;
  space = writer_.space(status);
  if (status == ring_status::corrupted)
  {
    corrupted();
    ec = failure_;
    return true;
  }
  space.size = prepared_ = std::min(n, space.size);
  return prepared_ != 0 || n == 0;
}

void connection::commit(std::size_t n, boost::system::error_code& ec) noexcept
{
  ec.clear();
  if (refuses_send(ec))
    return;
  if (n > prepared_)
  {
    ec = boost::asio::error::invalid_argument;
    return;
  }
  prepared_ = 0;
  if (n == 0)
    return;
  tsan_publish(2 * identity_ + (side_ == connection_side::connector ? 0 : 1));
  writer_.publish(n);
  ring_sleeper(send_control_.reader_wait, reader_wait_rung_);
}

bool connection::look_once(const_view& view, boost::system::error_code& ec) noexcept
{
  ring_status status;
  view = reader_.data(status);
  tell_of_freed_segment();
  shown_ = view.size;
  if (status == ring_status::corrupted)
  {
    corrupted();
    ec = failure_;
  }
  if (view.size > 0)
    tsan_observe(2 * identity_ + (side_ == connection_side::connector ? 1 : 0));
  return view.size > 0 || ec;
}

bool connection::look(const_view& view, boost::system::error_code& ec) noexcept
{
  view = {nullptr, 0};
  ec = failure_;
  if (failure_ || look_once(view, ec))
    return true;
  boost::system::error_code end;
  if (!end_of_stream(end))
    return false;
  // As in try_receive().
  if (look_once(view, ec))
    return true;
  reset_ = false;
  ec = end;
  return true;
}

void connection::consume(std::size_t n, boost::system::error_code& ec) noexcept
{
  ec = failure_;
  if (failure_)
    return;
  if (n > shown_)
  {
    ec = boost::asio::error::invalid_argument;
    return;
  }
  shown_ -= n;
  if (n == 0)
    return;
  ring_status status = ring_status::ok;
  reader_.consume(n, status);
  tell_of_freed_segment();
  if (status == ring_status::corrupted)
    corrupted(); // what was consumed is; the next look reports it
}

// Looking at the ring can leave a segment that has been read before.
void connection::tell_of_freed_segment() noexcept
{
  if (reader_.take_freed())
    ring_sleeper(receive_control_.writer_wait, writer_wait_rung_);
}

bool connection::readable() noexcept
{
  boost::system::error_code ec;
  ring_status status = ring_status::ok;
  const bool result = failure_ || reader_.readable(status) || end_of_stream(ec);
  tell_of_freed_segment();
  if (status == ring_status::corrupted)
    corrupted();
  return result || failure_;
}

bool connection::writable() noexcept
{
  ring_status status;
  if (failure_ || send_shut_down_ || hung_up_ || writer_.writable(status))
    return true;
  if (status == ring_status::corrupted)
    corrupted();
  return failure_.failed();
}

std::size_t connection::available(boost::system::error_code& ec) noexcept
{
  ec = failure_;
  if (failure_)
    return 0;
  ring_status status;
  const std::size_t n = reader_.available(status);
  tell_of_freed_segment();
  if (status == ring_status::corrupted)
  {
    corrupted();
    ec = failure_;
  }
  return n;
}

void connection::shutdown_send() noexcept
{
  if (send_shut_down_)
    return;
  send_shut_down_ = true;
  prepared_ = 0;
  writer_.shut_down();
  ring_sleeper(send_control_.reader_wait, reader_wait_rung_);
}

void connection::arm(bool receive, bool send) noexcept
{
  // Every sleep has an odd value of its own: the peer remembers which one it has rung.
  if (receive)
  {
    reader_wait_ += (reader_wait_ & 1) ? 2 : 1;
    receive_control_.reader_wait.store(reader_wait_, std::memory_order_relaxed);
  }
  if (send)
  {
    writer_wait_ += (writer_wait_ & 1) ? 2 : 1;
    send_control_.writer_wait.store(writer_wait_, std::memory_order_relaxed);
  }
  // Before the caller looks again. Partner: the fence in ring_sleeper().
  full_fence();
}

void connection::disarm() noexcept
{
  if (reader_wait_ & 1)
    receive_control_.reader_wait.store(++reader_wait_, std::memory_order_relaxed);
  if (writer_wait_ & 1)
    send_control_.writer_wait.store(++writer_wait_, std::memory_order_relaxed);
}

bool connection::shares_cpu_with_peer() noexcept
{
  if (other_system_)
    return false;
  const std::uint64_t cpu = static_cast<std::uint64_t>(::sched_getcpu()) + 1; // 0 where the kernel cannot tell
  if (cpu != own_cpu_value_)
  {
    own_cpu_value_ = cpu;
    own_cpu_.store(cpu, std::memory_order_relaxed); // a hint: nothing is ordered by it, on either side
  }
  const bool shared = cpu != 0 && untrusted(peer_cpu_).hint() == cpu;
  shares_cpu_ = shared;
  return shared;
}

void connection::drain_doorbell() noexcept
{
  if (bell_.kind() == doorbell_kind::eventfd)
    drain_eventfd(bell_.own());
}

void connection::on_rendezvous(bool hang_up) noexcept
{
  // Nobody rings who is awake: the byte is old, or after a fork it is for the other process, which sleeps on it.
  if (!hang_up && !asleep())
    return;
  unsigned char bytes[drain_size];
  const ssize_t n = ::recv(rendezvous_.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
  if (n > 0)
  {
    replies_.feed(bytes, static_cast<std::size_t>(n));
    if (replies_.refused() == boost::asio::error::connection_reset)
      hang_up = torn_ = true;
    else if (replies_.refused() && !failure_)
      failure_ = replies_.refused();
  }
  else if (n == 0 || (errno != EAGAIN && errno != EINTR))
    hang_up = true;
  if (hang_up)
    latch_hang_up();
}

void connection::latch_hang_up() noexcept
{
  if (hung_up_)
    return;
  hung_up_ = true;
  // As a TCP stack does for data that the application never read, or a connection that nobody accepted.
  reset_ = torn_ || writer_.unread() || (side_ == connection_side::connector && !memory_.attached());
}

void connection::look_for_hang_up(bool now) noexcept
{
  if (hung_up_)
    return;
  if (!now)
  {
    const auto time = std::chrono::steady_clock::now();
    if (time - looked_ < look_interval)
      return;
    looked_ = time;
  }
  pollfd p{};
  p.fd = rendezvous_.get();
  p.events = POLLRDHUP;
  if (::poll(&p, 1, 0) > 0)
    on_rendezvous(true);
}

} // namespace detail
} // namespace shm
