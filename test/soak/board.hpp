// SPDX-License-Identifier: BSL-1.0
// What all processes of a soak know of each other: memory that they share, and that outlives those that are killed.

#ifndef ASIO_SHM_TEST_SOAK_BOARD_HPP
#define ASIO_SHM_TEST_SOAK_BOARD_HPP

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>
#include <system_error>

#include <sys/mman.h>

namespace shm::test::soak {

/// What is set before a step is done, and what after: whoever dies in between has done it or not.
enum end_flag : std::uint32_t
{
  finishing = 1 << 0,     ///< Before shutdown(send).
  finished = 1 << 1,      ///< After it.
  closing = 1 << 2,       ///< Before close.
  closed = 1 << 3,        ///< After it.
  early = 1 << 4,         ///< It leaves before the streams have ended, on purpose.
  saw_eof = 1 << 5,       ///< Its reading came to the end of the stream.
  saw_reset = 1 << 6,     ///< The same by connection_reset.
  write_failed = 1 << 7,  ///< A write ended with broken_pipe or connection_reset.
  given_up = 1 << 8,      ///< It hung, or something went wrong that was reported.
  all_flags = (1 << 9) - 1
};

/// One end of a connection. Written by the process that holds it.
struct end_record
{
  std::atomic<std::uint64_t> tried{0};    ///< No byte from here on was given to the library.
  std::atomic<std::uint64_t> sent{0};     ///< The bytes before were taken by it.
  std::atomic<std::uint64_t> received{0}; ///< The bytes before came and were right.
  std::atomic<std::uint64_t> room{0};     ///< With no more than this unread at the other end, there is space.
  std::atomic<std::uint32_t> flags{0};
  std::atomic<std::uint32_t> life{0};     ///< Whose it is; 0 before it joined.

  bool has(std::uint32_t any) const { return (flags.load() & any) != 0; }
};

struct connection_record
{
  std::array<end_record, 2> ends; ///< Connector, acceptor.
  std::atomic<std::uint32_t> listener{0}; ///< Number of the process that listens there.
};

/// A process from its start to its end.
struct life_record
{
  std::atomic<bool> dead{false}; ///< It was killed, and nothing is left of it.
  std::atomic<bool> stopped{false}; ///< By SIGSTOP, for as long as the conductor happens to need.
};

/// What all processes count together.
struct counters
{
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> refused{0};        ///< Connects to a listener that was dead.
  std::atomic<std::uint64_t> operations{0};
  std::atomic<std::uint64_t> cancels{0};        ///< Operations that completed with operation_aborted.
  std::atomic<std::uint64_t> closes{0};         ///< At random, before the end.
  std::atomic<std::uint64_t> pauses{0};         ///< Between two operations.
  std::atomic<std::uint64_t> sleeps{0};         ///< Looks of the late check that found all threads asleep.
  std::atomic<std::uint64_t> looks{0};
  std::atomic<std::uint64_t> late{0};           ///< Suspects that moved before the second was over.
  std::atomic<std::uint64_t> missed_wakeups{0};
  std::atomic<std::uint64_t> hangs{0};
  std::atomic<std::uint64_t> failures{0};       ///< Wrong bytes, error codes that must not be.
  std::atomic<std::uint64_t> descriptors{0};    ///< Left over at the end of a process.
  std::atomic<std::uint64_t> regions{0};
};

struct board
{
  static constexpr std::size_t max_connections = 1 << 20;
  static constexpr std::size_t max_lives = 1 << 16;
  static constexpr std::size_t max_processes = 1 << 10;

  std::atomic<bool> stop{false}; ///< No more connections; streams come to their ends.
  std::atomic<std::size_t> connections{0};
  std::atomic<std::uint32_t> lives{0};
  counters count;
  std::array<std::atomic<std::uint32_t>, max_processes> holder; ///< The life that each number has now.
  std::array<life_record, max_lives> life;
  std::array<connection_record, max_connections> connection;

  /// Before the processes are started, which share it then. All zero, which is what its members begin with.
  static board& create()
  {
    void* const memory = ::mmap(
        nullptr, sizeof(board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
      throw std::system_error(errno, std::generic_category(), "mmap");
    return *static_cast<board*>(memory);
  }
};

} // namespace shm::test::soak

#endif
