// SPDX-License-Identifier: BSL-1.0
// What the library must not contain: code that knows the layout of Asio's scheduler. Never linked into anything; it shows
// that the search for such symbols finds them.

#include <boost/asio/detail/scheduler.hpp>
#include <boost/asio/detail/operation.hpp>

void planted(boost::asio::detail::scheduler& scheduler, boost::asio::detail::operation* op)
{
  scheduler.post_deferred_completion(op);
}
