// SPDX-License-Identifier: BSL-1.0
// The CPU words: who waits for progress on the same CPU as its peer is told so.
#define BOOST_TEST_MODULE connection_cpu
#include "connection_fixture.hpp"

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include <sched.h>

using namespace shm::detail;
using shm::test::connection_ends;

namespace {

/// The CPUs that this thread may use.
std::vector<std::size_t> allowed_cpus()
{
  cpu_set_t set;
  BOOST_TEST_REQUIRE(::sched_getaffinity(0, sizeof set, &set) == 0);
  std::vector<std::size_t> cpus;
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set))
      cpus.push_back(cpu);
  return cpus;
}

/// Runs a function on one CPU.
template <typename Function>
void on_cpu(std::size_t cpu, Function function)
{
  std::thread(
      [&]
      {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        if (::sched_setaffinity(0, sizeof set, &set) == 0)
          function();
      })
      .join();
}

/// Both ends, and another mapping of the memory to look at the words and to plant them.
struct cpu_fixture
{
  cpu_fixture() : ends({{64, 2}, {64, 2}}, doorbell_kind::eventfd)
  {
    boost::system::error_code ec;
    words = connection_memory::attach({{64, 2}, {64, 2}}, ends.memory, ec);
    BOOST_TEST_REQUIRE(!ec);
    connector = std::make_unique<connection>(std::move(ends.connector));
    acceptor = std::make_unique<connection>(std::move(ends.acceptor));
  }

  bool shares(connection& end, std::size_t cpu)
  {
    bool result = false;
    on_cpu(cpu, [&] { result = end.shares_cpu_with_peer(); });
    return result;
  }

  connection_ends ends;
  connection_memory words;
  std::unique_ptr<connection> connector;
  std::unique_ptr<connection> acceptor;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(cpu_words, cpu_fixture)

BOOST_AUTO_TEST_CASE(each_side_writes_its_own)
{
  const std::size_t cpu = allowed_cpus().front();
  BOOST_TEST(words.connector_cpu() == 0u);
  BOOST_TEST(words.acceptor_cpu() == 0u);
  shares(*connector, cpu);
  BOOST_TEST(words.connector_cpu() == cpu + 1);
  BOOST_TEST(words.acceptor_cpu() == 0u);
  shares(*acceptor, cpu);
  BOOST_TEST(words.acceptor_cpu() == cpu + 1);
}

BOOST_AUTO_TEST_CASE(a_peer_on_the_same_cpu_is_seen_once_it_has_said_so)
{
  const std::size_t cpu = allowed_cpus().front();
  BOOST_TEST(!shares(*connector, cpu)); // the peer has not said anything
  BOOST_TEST(shares(*acceptor, cpu));
  BOOST_TEST(shares(*connector, cpu));
}

BOOST_AUTO_TEST_CASE(a_peer_that_moves_is_seen_to_move)
{
  const std::vector<std::size_t> cpus = allowed_cpus();
  if (cpus.size() < 2)
    return;
  BOOST_TEST(!shares(*connector, cpus[0]));
  BOOST_TEST(!shares(*acceptor, cpus[1]));
  BOOST_TEST(!shares(*connector, cpus[0]));
  BOOST_TEST(shares(*acceptor, cpus[0]));
  BOOST_TEST(shares(*connector, cpus[0]));
}

BOOST_AUTO_TEST_CASE(any_value_of_the_peer_is_only_another_cpu)
{
  const std::size_t cpu = allowed_cpus().front();
  for (const std::uint64_t lie : {std::uint64_t{0}, std::uint64_t{1} << 40, ~std::uint64_t{0}})
  {
    words.acceptor_cpu() = lie;
    BOOST_TEST(!shares(*connector, cpu));
  }
}

BOOST_AUTO_TEST_SUITE_END()
