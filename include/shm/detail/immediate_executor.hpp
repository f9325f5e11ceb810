// SPDX-License-Identifier: BSL-1.0
// Completions inside the initiating function, for handlers that ask for it by an associated immediate executor.
#ifndef ASIO_SHM_DETAIL_IMMEDIATE_EXECUTOR_HPP
#define ASIO_SHM_DETAIL_IMMEDIATE_EXECUTOR_HPP

#include <boost/asio/detail/handler_work.hpp>

#if __has_include(<boost/asio/associated_immediate_executor.hpp>) // Boost 1.82 and later
#include <boost/asio/associated_immediate_executor.hpp>
#define ASIO_SHM_DETAIL_HAS_IMMEDIATE_EXECUTOR
#endif

#include <type_traits>
#include <utility>

namespace shm {
namespace detail {

#if defined(ASIO_SHM_DETAIL_HAS_IMMEDIATE_EXECUTOR)

/// Whether the handler asks for an immediate executor of its own. The default one posts, as we do without any.
template <typename Handler, typename IoExecutor, typename = void>
inline constexpr bool has_immediate_executor = true;

template <typename Handler, typename IoExecutor>
inline constexpr bool has_immediate_executor<Handler, IoExecutor,
    std::void_t<typename boost::asio::associated_immediate_executor<Handler,
        IoExecutor>::asio_associated_immediate_executor_is_unspecialised>> = false;

/// Calls @p function through the immediate executor. @param io_ex The socket's executor, or null to do nothing.
/// @returns whether it was called.
template <typename Handler, typename IoExecutor, typename Function>
bool complete_immediately(
    const void* io_ex, boost::asio::detail::handler_work<Handler, IoExecutor>& work, Function& function)
{
  if constexpr (has_immediate_executor<Handler, IoExecutor>)
  {
    if (io_ex)
    {
      boost::asio::detail::immediate_handler_work<Handler, IoExecutor> immediate(std::move(work));
      immediate.complete(function, function.handler_, io_ex);
      return true;
    }
  }
  return false;
}

#else

template <typename Handler, typename IoExecutor>
inline constexpr bool has_immediate_executor = false;

template <typename Work, typename Function>
bool complete_immediately(const void*, Work&, Function&)
{
  return false;
}

#endif

} // namespace detail
} // namespace shm

#undef ASIO_SHM_DETAIL_HAS_IMMEDIATE_EXECUTOR

#endif
