// SPDX-License-Identifier: BSL-1.0
// Records what a completion handler was called with, and how often.

#ifndef ASIO_SHM_TEST_SUPPORT_COMPLETION_HPP
#define ASIO_SHM_TEST_SUPPORT_COMPLETION_HPP

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <boost/test/unit_test.hpp>

#include <cstddef>

namespace shm::test {

struct completion
{
  int calls = 0;
  boost::system::error_code ec = boost::asio::error::fault;
  std::size_t bytes = 0;

  bool done() const { return calls != 0; }

  auto handler()
  {
    return [this](boost::system::error_code result, std::size_t n = 0)
    {
      ++calls;
      ec = result;
      bytes = n;
    };
  }
};

/// How a reader learns that its peer is gone.
inline bool is_end(boost::system::error_code ec)
{
  return ec == boost::asio::error::eof || ec == boost::asio::error::connection_reset;
}

/// How a writer learns that its peer is gone.
inline bool is_broken(boost::system::error_code ec)
{
  return ec == boost::asio::error::broken_pipe || ec == boost::asio::error::connection_reset;
}

/// Makes one synchronous call in both of its forms and checks the code that it
/// reports. The call takes a pack: empty for the throwing form, else an error code.
template <class Call>
void reports(boost::system::error_code expected, Call call)
{
  boost::system::error_code ec = boost::asio::error::fault;
  call(ec);
  BOOST_TEST(ec == expected);

  boost::system::error_code thrown;
  try
  {
    call();
  }
  catch (const boost::system::system_error& error)
  {
    thrown = error.code();
  }
  BOOST_TEST(thrown == expected);
}

} // namespace shm::test

#endif
