// SPDX-License-Identifier: BSL-1.0
// Fuzzes a live connection: between the steps of both ends the script changes words and data, sends over the
// rendezvous socket, and punches holes into the memory.
#include "connection.hpp"
#include "pattern.hpp"
#include "rendezvous.hpp"
#include "script.hpp"

#include <shm/error.hpp>

#include <boost/asio/error.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace shm::detail;
using boost::system::error_code;
using shm::fuzz::require;
using shm::fuzz::script;

namespace {

constexpr connection_geometry geometry = {{64, 2}, {64, 4}};

bool is_known(const error_code& ec)
{
  namespace asio_error = boost::asio::error;
  return !ec || ec.category() == shm::error::get_category() || ec == asio_error::connection_reset
      || ec == asio_error::broken_pipe || ec == asio_error::in_progress || ec == asio_error::invalid_argument;
}

/// One end, and what is known of its streams.
struct end
{
  std::optional<connection> self;
  shm::test::pattern stream{3};
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  bool corrupted = false;
};

class game
{
public:
  explicit game(std::uint8_t kind)
  {
    error_code ec;
    established ends[2];
    ends[1].side = connection_side::acceptor;
    ends[0].memory = connection_memory::create(geometry, memory_, ec);
    require(!ec, "memory");
    ends[1].memory = connection_memory::attach(geometry, memory_, ec);
    require(!ec, "attached");
    words_ = connection_memory::attach(geometry, memory_, ec);
    auto sockets = open_rendezvous_pair(ec);
    require(!ec, "sockets");
    for (int i = 0; i < 2; ++i)
      ends[i].rendezvous = std::move(sockets[static_cast<std::size_t>(i)]);
    if (kind & 1)
    {
      const descriptor bells[] = {open_eventfd(ec), open_eventfd(ec)};
      for (int i = 0; i < 2; ++i)
        ends[i].bell = doorbell(descriptor(::dup(bells[i].get())), descriptor(::dup(bells[1 - i].get())),
            kind & 16 ? doorbell::holders::anybody : doorbell::holders::peer);
    }
    for (int i = 0; i < 2; ++i)
      ends_[i].self.emplace(std::move(ends[i]));
  }

  void step(script& steps)
  {
    const std::uint8_t what = steps.take();
    const std::size_t size = steps.take();
    end& self = ends_[what >> 7];
    if (!self.self)
      return;
    switch ((what & 127) % 18)
    {
    case 0:
    case 1: return receive(self, size, false);
    case 2: return receive(self, size, true);
    case 3:
    case 4: return send(self, size);
    case 5: return prepare_and_commit(self, size, steps.take());
    case 6: return look_and_consume(self, size);
    case 7: {
      error_code ec;
      require(self.self->available(ec) <= self.self->receive_capacity(), "what a ring holds");
      return check(self, ec);
    }
    case 8: return self.self->arm(size & 1, size & 2);
    case 9: return self.self->disarm();
    case 10: return size & 1 ? self.self->shutdown_send() : self.self->shutdown_receive();
    case 11: return self.self->on_rendezvous(size & 1);
    case 12:
      self.self->readable();
      self.self->writable();
      self.self->shares_cpu_with_peer();
      self.self->drain_doorbell();
      self.self->look_for_hang_up(size & 1);
      return;
    case 13: return self.self.reset();
    case 14: {
      honest_ = false;
      const std::uint8_t* at = nullptr;
      const std::size_t n = steps.take_bytes(at, size % 16);
      ::send(self.self->rendezvous(), at, n, MSG_DONTWAIT | MSG_NOSIGNAL);
      return;
    }
    case 15: {
      honest_ = false;
      const off_t page = static_cast<off_t>(size) % 8 * 4096;
      ::fallocate(memory_.native_handle(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page, size & 128 ? 4096 : 65536);
      return;
    }
    default: {
      honest_ = false;
      auto& word = word_of(what >> 7 ? words_.acceptor_control() : words_.connector_control(), size);
      word.store(steps.take_value(word.load()));
    }
    }
  }

private:
  std::atomic<std::uint64_t>& word_of(control_segment& control, std::size_t which) const
  {
    switch (which & 15)
    {
    case 0: return control.newest;
    case 1: return control.oldest;
    case 2: return control.shut_down;
    case 3: return control.reader_wait;
    case 4: return control.writer_wait;
    case 5: return words_.connector_cpu();
    case 6: return words_.acceptor_cpu();
    case 7:
    case 8: return control.begin[(which >> 4) % 5];
    default: return control.end[(which >> 4) % 5];
    }
  }

  void check(end& self, const error_code& ec)
  {
    require(is_known(ec), "an error that is documented");
    require(!honest_ || ec != shm::error::corrupted, "no corruption without a wrong word");
    require(!self.corrupted || ec == shm::error::corrupted || ec == boost::asio::error::in_progress
            || ec == boost::asio::error::invalid_argument || ec.category() == shm::error::get_category(),
        "corruption is the end");
    self.corrupted = self.corrupted || ec == shm::error::corrupted;
  }

  void receive(end& self, std::size_t size, bool peek)
  {
    // Exactly as large as it is said to be, so that an overrun is seen.
    const std::unique_ptr<unsigned char[]> room(new unsigned char[size + 1]);
    const std::size_t half = size / 2;
    const std::unique_ptr<unsigned char[]> first(new unsigned char[half + 1]);
    const mutable_view views[] = {{first.get(), half}, {room.get(), size - half}};
    std::size_t n = 0;
    error_code ec;
    if (!self.self->try_receive(views, 2, peek, n, ec))
      return;
    require(n <= size, "no more than there is room for");
    check(self, ec);
    if (honest_)
      require(self.stream.matches(first.get(), std::min(n, half), self.received)
              && self.stream.matches(room.get(), n - std::min(n, half), self.received + std::min(n, half)),
          "the bytes that were sent");
    self.received += peek ? 0 : n;
  }

  void send(end& self, std::size_t size)
  {
    const auto bytes = self.stream.bytes(size, self.sent);
    const const_view view = {bytes.data(), bytes.size()};
    std::size_t n = 0;
    error_code ec;
    if (!self.self->try_send(&view, 1, n, ec))
      return;
    require(n <= size, "no more than there was");
    self.sent += n;
    check(self, ec);
  }

  void prepare_and_commit(end& self, std::size_t size, std::size_t used)
  {
    mutable_view space{};
    error_code ec;
    self.self->prepare(size, space, ec);
    check(self, ec);
    require(space.size <= size && space.size <= 64, "within a segment");
    const auto bytes = self.stream.bytes(space.size, self.sent);
    if (space.size != 0)
      std::memcpy(space.data, bytes.data(), space.size);
    self.self->commit(used, ec);
    require(is_known(ec), "an error that is documented");
    if (!ec)
      self.sent += used;
    else
      self.self->commit(0, ec);
  }

  void look_and_consume(end& self, std::size_t size)
  {
    const_view view{};
    error_code ec;
    if (!self.self->look(view, ec))
      return;
    check(self, ec);
    require(view.size <= 64, "within a segment");
    require(!honest_ || self.stream.matches(static_cast<const unsigned char*>(view.data), view.size, self.received),
        "the bytes that were sent");
    self.self->consume(size, ec);
    require(is_known(ec), "an error that is documented");
    if (!ec)
      self.received += size;
  }

  memfd memory_;
  connection_memory words_;
  end ends_[2];
  bool honest_ = true;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  script steps(data, size);
  game play(steps.take());
  while (!steps.done())
    play.step(steps);
  return 0;
}
