// SPDX-License-Identifier: BSL-1.0
// Fuzzes both ends of a ring in memory with guarded margins, whose words the script changes between steps.
#include "ring_fixture.hpp"
#include "script.hpp"

#include <cstdint>
#include <memory>

using namespace shm::detail;
using shm::fuzz::require;
using shm::fuzz::script;
using shm::test::ring_fixture;

namespace {

std::atomic<std::uint64_t>& word_of(control_segment& control, std::uint8_t which)
{
  switch (which & 7)
  {
  case 0: return control.newest;
  case 1: return control.oldest;
  case 2: return control.shut_down;
  case 3: return control.begin[(which >> 3) % 8];
  default: return control.end[(which >> 3) % 8];
  }
}

void play(script& steps)
{
  const ring_geometry shapes[] = {{64, 2}, {64, 4}, {128, 8}, {192, 2}};
  ring_fixture ring(shapes[steps.take() % 4]);
  bool honest = true;
  ring_status writer_status = ring_status::ok, reader_status = ring_status::ok;
  const auto done = [&](ring_status& own) {
    own = ring.status;
    ring.status = ring_status::ok;
    require(!honest || own == ring_status::ok, "no corruption without a wrong word");
  };
  while (!steps.done())
  {
    const std::uint8_t step = steps.take();
    const std::size_t size = steps.take();
    const bool writes = step % 12 < 4;
    if ((writes ? writer_status : reader_status) == ring_status::corrupted && step % 12 < 10)
      continue; // nothing is done on a ring that was found corrupted
    switch (step % 12)
    {
    case 0:
    case 1:
    {
      const std::size_t wanted = size * (1 + step / 64), n = ring.write(wanted);
      require(n <= wanted && (!honest || n <= ring.geometry.capacity()), "no more than there was, or fits");
      done(writer_status);
      break;
    }
    case 2: {
      const mutable_view space = ring.writer.space(ring.status);
      require(space.size <= ring.geometry.segment_size, "one segment");
      done(writer_status);
      const std::size_t n = std::min(size, space.size);
      if (n != 0)
      {
        const auto bytes = ring.stream.bytes(n, ring.written);
        std::memcpy(space.data, bytes.data(), n);
        ring.writer.publish(n);
        ring.written += n;
      }
      break;
    }
    case 3:
      ring.writable();
      done(writer_status);
      ring.writer.unread();
      break;
    case 4:
    case 5:
    {
      const std::size_t wanted = size * (1 + step / 64);
      require(ring.read(wanted) <= wanted, "no more than there is room for");
      done(reader_status);
      require(!honest || ring.correct, "the bytes that were written");
      break;
    }
    case 6:
      require(ring.peek(size * 4) <= ring.geometry.capacity(), "what can be seen at once");
      done(reader_status);
      require(!honest || ring.correct, "the bytes that were written");
      break;
    case 7: {
      const const_view view = ring.reader.data(ring.status);
      require(view.size <= ring.geometry.segment_size, "one segment");
      const std::size_t n = std::min(size, view.size);
      require(!honest || ring.stream.matches(static_cast<const unsigned char*>(view.data), n, ring.consumed),
          "the bytes that were written");
      if (n != 0)
        ring.reader.consume(n, ring.status);
      ring.consumed += n;
      done(reader_status);
      break;
    }
    case 8: {
      const std::size_t n = ring.available();
      require(n <= ring.geometry.capacity(), "what a ring holds");
      require(!honest || n <= ring.written - ring.consumed, "what was written");
      done(reader_status);
      break;
    }
    case 9:
      ring.readable();
      ring.reader.writer_shut_down(ring.status);
      done(reader_status);
      break;
    case 10: {
      auto& word = word_of(ring.control, static_cast<std::uint8_t>(size));
      word.store(steps.take_value(word.load()));
      honest = false;
      break;
    }
    default:
      ring.writer.shut_down();
    }
  }
  require(ring.intact(), "nothing was written outside");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  script steps(data, size);
  play(steps);
  return 0;
}
