// SPDX-License-Identifier: BSL-1.0
// Fuzzes the whole handshake: clients of a listener that say what the script has them say, with any descriptors.
#include "doorbell.hpp"
#include "listener.hpp"
#include "script.hpp"
#include "send_descriptors.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

using namespace shm::detail;
using boost::system::error_code;
using shm::fuzz::require;
using shm::fuzz::script;

namespace {

constexpr connection_geometry geometry = {{64, 2}, {64, 4}};

socket_address loopback(std::uint16_t port)
{
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socket_address result;
  result.size = sizeof in;
  std::memcpy(result.data, &in, sizeof in);
  return result;
}

/// What lives as long as the program: the listening socket, and descriptors to send.
struct stage
{
  stage()
  {
    error_code ec;
    socket = open_rendezvous_socket(ec);
    sockaddr_un any{};
    any.sun_family = AF_UNIX;
    require(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any.sun_family) == 0, "bind");
    size = sizeof name;
    require(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &size) == 0, "getsockname");
    require(::listen(socket.get(), 64) == 0, "listen");
    memory = connection_memory::create(geometry, file, ec);
    require(!ec, "memory");
    for (descriptor& bell : bells)
      bell = open_eventfd(ec);
    int ends[2];
    require(::pipe(ends) == 0, "pipe");
    pipe = {descriptor(ends[0]), descriptor(ends[1])};
    unsealed.reset(::memfd_create("unsealed", MFD_CLOEXEC));
    numbers = {file.native_handle(), bells[0].get(), bells[1].get(), pipe[0].get(), pipe[1].get(), unsealed.get(),
        socket.get(), file.native_handle()};
    message.geometry = geometry;
    message.connector = loopback(50000);
    message.acceptor = loopback(8080);
  }

  descriptor socket;
  sockaddr_un name{};
  socklen_t size = 0;
  memfd file;
  connection_memory memory;
  std::array<descriptor, 2> bells;
  std::array<descriptor, 2> pipe;
  descriptor unsealed;
  std::array<int, 8> numbers{};
  hello message;
};

int lowest_free_descriptor()
{
  const int fd = ::dup(0);
  ::close(fd);
  return fd;
}

struct client
{
  descriptor socket;
  std::size_t said = 0; // of a good HELLO
};

void play(stage& all, script& steps)
{
  listener tested(loopback(8080));
  std::array<client, 4> clients;
  std::vector<std::unique_ptr<established>> accepted;
  while (!steps.done())
  {
    const std::uint8_t what = steps.take();
    client& self = clients[(what >> 4) & 3];
    error_code ec;
    switch (what & 7)
    {
    case 0:
      self.socket = open_rendezvous_socket(ec);
      self.said = 0;
      if (::connect(self.socket.get(), reinterpret_cast<const sockaddr*>(&all.name), all.size) != 0)
        self.socket.reset(); // the backlog is full
      break;
    case 1: // bytes of the script's own
    case 2: // the next bytes of a good HELLO, some of them changed
    case 3: // the rest of one
    {
      if (!self.socket.valid())
        break;
      hello_bytes good = encode(all.message);
      if ((what & 7) == 2)
      {
        const std::uint8_t at = steps.take() % hello_size;
        good[at] = static_cast<unsigned char>(good[at] ^ steps.take());
      }
      const std::uint8_t* data = good.data() + std::min(self.said, good.size());
      std::size_t size = good.size() - std::min(self.said, good.size());
      if ((what & 7) == 1)
        size = steps.take_bytes(data, steps.take() % 160);
      else if ((what & 7) == 2 && (what & 64) != 0)
        size = std::min<std::size_t>(size, steps.take());
      self.said += size;
      std::vector<int> fds;
      if ((what & 8) != 0)
        fds = {all.numbers[0], all.numbers[1], all.numbers[2]};
      else if ((what & 128) != 0)
        for (std::size_t n = steps.take() % 6; n != 0; --n)
          fds.push_back(all.numbers[steps.take() % all.numbers.size()]);
      if (size != 0)
        shm::test::send_with_descriptors(self.socket.get(), data, size, fds);
      break;
    }
    case 4:
      self.socket.reset();
      break;
    default:
      if (auto end = tested.next(all.socket.get(), ec))
      {
        require(end->memory.geometry() == geometry, "the geometry of the memory");
        accepted.push_back(std::move(end));
      }
      require(!ec, "clients do no harm to the listener");
    }
  }
  // When all of them are gone, a good one is served.
  for (client& each : clients)
    each.socket.reset();
  accepted.clear();
  error_code ec;
  while (tested.next(all.socket.get(), ec) || tested.more())
    require(!ec, "clients do no harm to the listener");
  client good;
  good.socket = open_rendezvous_socket(ec);
  require(::connect(good.socket.get(), reinterpret_cast<const sockaddr*>(&all.name), all.size) == 0, "connect");
  const hello_bytes bytes = encode(all.message);
  send_hello(good.socket.get(), bytes, all.numbers.data(), 3, ec);
  require(!ec, "a good HELLO");
  good.socket.reset();
  for (int i = 0; tested.next(all.socket.get(), ec) || tested.more() || i == 0; ++i)
    require(!ec && i < 20, "a bounded number of steps");
  tested.next(all.socket.get(), ec);
  require(!tested.expects_hello(), "nobody is waited for");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  static stage all;
  const int free_descriptor = lowest_free_descriptor();
  script steps(data, size);
  play(all, steps);
  require(lowest_free_descriptor() == free_descriptor, "no descriptor is left open");
  return 0;
}
