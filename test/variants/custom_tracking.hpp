// SPDX-License-Identifier: BSL-1.0
// A user's header for BOOST_ASIO_CUSTOM_HANDLER_TRACKING: counts what happens to every tracked operation.
#ifndef ASIO_SHM_TEST_VARIANTS_CUSTOM_TRACKING_HPP
#define ASIO_SHM_TEST_VARIANTS_CUSTOM_TRACKING_HPP

#include <boost/system/error_code.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace custom_tracking {

inline std::atomic<long> created{0};
inline std::atomic<long> completed{0};
inline std::atomic<long> begun{0};
inline std::atomic<long> ended{0};
inline std::atomic<long> wrong{0}; // completed twice, or never created

/// Base of every tracked operation: larger than Asio's own, so that a layout fixed elsewhere shows.
class tracked_handler
{
protected:
  tracked_handler() = default;
  ~tracked_handler() = default;

private:
  friend void creation(tracked_handler& handler, const char* operation);
  friend class completion;

  static constexpr std::uint64_t alive = 0x747261636b6564;
  std::uint64_t state_ = 0;
  unsigned char more_[56] = {};
};

inline void creation(tracked_handler& handler, const char* operation)
{
  wrong += handler.state_ != 0 || !operation;
  handler.state_ = tracked_handler::alive;
  ++created;
}

/// Lives while the handler of one operation is taken out and invoked, or destroyed.
class completion
{
public:
  explicit completion(tracked_handler& handler)
  {
    wrong += handler.state_ != tracked_handler::alive;
    handler.state_ = 0;
    ++completed;
  }

  template <typename... Results>
  void invocation_begin(const Results&...)
  {
    ++begun;
  }

  void invocation_end() { ++ended; }
};

/// As Asio calls it: the context, the operation, the kind of object, the object, its native handle, a name.
template <typename Context>
void creation_of(Context&, tracked_handler& handler, const char*, void*, std::uintmax_t, const char* operation)
{
  creation(handler, operation);
}

} // namespace custom_tracking

#define BOOST_ASIO_INHERIT_TRACKED_HANDLER : public custom_tracking::tracked_handler
#define BOOST_ASIO_ALSO_INHERIT_TRACKED_HANDLER , public custom_tracking::tracked_handler
#define BOOST_ASIO_HANDLER_TRACKING_INIT (void)0
#define BOOST_ASIO_HANDLER_LOCATION(args) (void)0
#define BOOST_ASIO_HANDLER_CREATION(args) custom_tracking::creation_of args
#define BOOST_ASIO_HANDLER_COMPLETION(args) custom_tracking::completion tracked_completion args
#define BOOST_ASIO_HANDLER_INVOCATION_BEGIN(args) tracked_completion.invocation_begin args
#define BOOST_ASIO_HANDLER_INVOCATION_END tracked_completion.invocation_end()
#define BOOST_ASIO_HANDLER_OPERATION(args) (void)0
#define BOOST_ASIO_HANDLER_REACTOR_REGISTRATION(args) (void)0
#define BOOST_ASIO_HANDLER_REACTOR_DEREGISTRATION(args) (void)0
#define BOOST_ASIO_HANDLER_REACTOR_READ_EVENT 1
#define BOOST_ASIO_HANDLER_REACTOR_WRITE_EVENT 2
#define BOOST_ASIO_HANDLER_REACTOR_ERROR_EVENT 4
#define BOOST_ASIO_HANDLER_REACTOR_EVENTS(args) (void)0
#define BOOST_ASIO_HANDLER_REACTOR_OPERATION(args) (void)0

#endif
