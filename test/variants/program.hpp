// SPDX-License-Identifier: BSL-1.0
// What the program of the variants checks with, and what the variants differ in besides their macros.
#ifndef ASIO_SHM_TEST_VARIANTS_PROGRAM_HPP
#define ASIO_SHM_TEST_VARIANTS_PROGRAM_HPP

// First, and nothing of Asio before it: a user's first header may be ours.
#if defined(ASIO_SHM_VARIANT_TCP)
#include <boost/asio/ip/tcp.hpp>
#else
#include <shm.hpp>
#endif

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <atomic>
#include <cstdio>

#if defined(BOOST_ASIO_HAS_IO_URING)
#include <liburing.h>
#endif

#define CHECK(condition) ::variants::check((condition), #condition, __FILE__, __LINE__)

namespace variants {

namespace asio = boost::asio;
namespace error = boost::asio::error;
using boost::system::error_code;

#if defined(ASIO_SHM_VARIANT_TCP)
using tcp = asio::ip::tcp;
#else
using tcp = shm::stream_protocol;
#endif

inline std::atomic<int> failures{0};

inline void check(bool holds, const char* what, const char* file, int line)
{
  if (holds)
    return;
  ++failures;
  std::fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
}

/// Whether a call throws a system_error with that code: exceptions cross from the library into the program.
template <typename Call>
bool throws(const error_code& expected, Call call)
{
  try
  {
    call();
  }
  catch (const boost::system::system_error& e)
  {
    return e.code() == expected;
  }
  return false;
}

/// @returns 0, or the exit code of a skipped test.
inline int cannot_run()
{
#if defined(BOOST_ASIO_HAS_IO_URING)
  ::io_uring ring;
  if (const int refused = ::io_uring_queue_init(8, &ring, 0))
  {
    std::fprintf(stderr, "skipped: the kernel refuses io_uring, error %d\n", -refused);
    return 77;
  }
  ::io_uring_queue_exit(&ring);
#endif
  return 0;
}

/// The program's exit code.
inline int result()
{
#if defined(BOOST_ASIO_CUSTOM_HANDLER_TRACKING)
  using namespace custom_tracking;
  CHECK(created > 0);
  CHECK(created == completed);
  CHECK(wrong == 0);
  CHECK(begun == ended);
  CHECK(begun <= completed);
  std::fprintf(stderr, "tracked: %ld created, %ld completed, %ld invoked\n", created.load(), completed.load(),
      begun.load());
#endif
  if (failures == 0)
    std::puts("all checks passed");
  return failures == 0 ? 0 : 1;
}

} // namespace variants

#endif
