// SPDX-License-Identifier: BSL-1.0
// Tests of the copy past the caches: the same bytes as memcpy for every alignment and size, and none beyond.
#define BOOST_TEST_MODULE stream_copy
#include "stream_copy.hpp"
#include "ring_fixture.hpp"

#include <boost/test/unit_test.hpp>

#include <cstring>
#include <vector>

BOOST_AUTO_TEST_SUITE(stream_copy)

BOOST_AUTO_TEST_CASE(every_alignment_and_size)
{
  const shm::test::pattern stream(5);
  const std::vector<unsigned char> source = stream.bytes(512);
  for (std::size_t to = 0; to < 64; ++to)
    for (std::size_t size = 0; size <= 300; ++size)
    {
      std::vector<unsigned char> target(512, 0xa5), expected(512, 0xa5);
      const std::size_t from = (to * 7 + size) % 64;
      std::memcpy(&expected[to + 64], &source[from], size);
      shm::detail::stream_copy(&target[to + 64], &source[from], size);
      BOOST_REQUIRE(target == expected);
    }
}

// | O[5,65536) | N[..90000) | large views in a ring, with small ones between them
BOOST_AUTO_TEST_CASE(a_ring_takes_large_views_past_the_caches)
{
  shm::test::ring_fixture ring({65536, 2});
  ring.writer.streaming(true);
  BOOST_TEST(ring.write(5) == 5u);
  BOOST_TEST(ring.read(5) == 5u);
  BOOST_TEST(ring.write(89995) == 89995u);
  BOOST_TEST(ring.strip() == "O[5,65536) N[..90000)");
  BOOST_TEST(ring.read(100000) == 89995u);
  BOOST_TEST(ring.correct);
  BOOST_TEST(ring.intact());
}

BOOST_AUTO_TEST_SUITE_END()
