// SPDX-License-Identifier: BSL-1.0
// How completion handlers are invoked: never from within, on their executor, with
// their allocator.

#define BOOST_TEST_MODULE handlers
#include "socket_test.hpp"

#include <array>
#include <atomic>
#include <future>
#include <memory>
#include <stdexcept>

using namespace shm::test;

namespace {

struct allocations
{
  std::atomic<int> made{0};
  std::atomic<int> living{0};
};

template <class T>
struct counting_allocator
{
  using value_type = T;

  explicit counting_allocator(allocations& c) : count(&c) {}
  template <class U>
  counting_allocator(const counting_allocator<U>& other) : count(other.count)
  {}
  T* allocate(std::size_t n)
  {
    ++count->made;
    ++count->living;
    return std::allocator<T>().allocate(n);
  }
  void deallocate(T* p, std::size_t n)
  {
    --count->living;
    std::allocator<T>().deallocate(p, n);
  }
  template <class U>
  bool operator==(const counting_allocator<U>& other) const
  {
    return count == other.count;
  }
  template <class U>
  bool operator!=(const counting_allocator<U>& other) const
  {
    return count != other.count;
  }

  allocations* count;
};

/// Starts one operation of each kind with the handler that `wrap` makes; all of
/// them can complete.
template <class Protocol>
struct one_of_each
{
  asio::io_context context;
  typename Protocol::acceptor acceptor{context, loopback<Protocol>()};
  connected_pair<Protocol> pair{context};
  typename Protocol::socket connecting{context};
  typename Protocol::socket accepted{context};
  std::array<char, 8> data{};
  static constexpr int operations = 6;

  template <class Wrap>
  void start(Wrap wrap)
  {
    asio::write(pair.server, asio::buffer("there", 5));
    pair.client.wait(asio::socket_base::wait_read);
    pair.client.async_wait(asio::socket_base::wait_read, wrap());
    pair.client.async_read_some(asio::buffer(data), wrap());
    pair.client.async_write_some(asio::buffer("x", 1), wrap());
    pair.server.async_read_some(asio::buffer(data), wrap());
    connecting.async_connect(acceptor.local_endpoint(), wrap());
    acceptor.async_accept(accepted, wrap());
  }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(handlers, watchdog)

// With several threads a handler may run beside the initiating function.
BOOST_TEST_DECORATOR(*boost::unit_test::label("one_thread"))
BOOST_AUTO_TEST_CASE_TEMPLATE(never_inside_the_initiating_function, Protocol, transports)
{
  one_of_each<Protocol> f;
  int calls = 0;
  bool inside = true;
  bool nested = false;
  // Started from a handler, where a dispatch would be able to run them at once.
  asio::post(f.context,
      [&]
      {
        f.start(
            [&]
            {
              return [&](error_code ec, auto...)
              {
                nested = nested || inside;
                BOOST_TEST(!ec);
                ++calls;
              };
            });
        inside = false;
      });
  run_until(f.context, [&] { return calls == f.operations; });
  BOOST_TEST(!nested);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(run_on_their_associated_executor, Protocol, transports)
{
  one_of_each<Protocol> f;
  asio::io_context other;
  const auto strand = asio::make_strand(other);
  int calls = 0;
  int on_strand = 0;
  f.start(
      [&]
      {
        return asio::bind_executor(strand,
            [&](error_code ec, auto...)
            {
              BOOST_TEST(!ec);
              ++calls;
              on_strand += strand.running_in_this_thread();
            });
      });
  wait_until(
      [&]
      {
        run_ready(f.context);
        BOOST_TEST(calls == on_strand);
        if (other.stopped())
          other.restart();
        other.poll();
        return calls == f.operations;
      });
  BOOST_TEST(on_strand == f.operations);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(pending_operation_is_work_of_the_handlers_context, Protocol, transports)
{
  asio::io_context context;
  asio::io_context other;
  connected_pair<Protocol> pair(context);
  std::array<char, 8> data{};
  completion read;
  pair.client.async_read_some(asio::buffer(data), asio::bind_executor(other.get_executor(), read.handler()));
  other.poll();
  // The handler will run there, so that context is not out of work.
  BOOST_TEST(!other.stopped());
  asio::write(pair.server, asio::buffer("x", 1));
  run_out(context);
  BOOST_TEST(read.calls == 0);
  run_until(other, [&] { return read.done(); });
  BOOST_TEST(!read.ec);
  run_out(other);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(memory_comes_from_their_allocator, Protocol, transports)
{
  one_of_each<Protocol> f;
  allocations count;
  std::atomic<int> calls{0};
  std::atomic<int> failed{0};
  std::array<char, 8> late{};
  f.start(
      [&]
      {
        return asio::bind_allocator(counting_allocator<char>(count),
            [&](error_code ec, auto...)
            {
              failed += ec.failed();
              ++calls;
            });
      });
  BOOST_TEST(count.made.load() >= f.operations);
  run_until(f.context, [&] { return calls == f.operations; });
  BOOST_TEST(failed.load() == 0);
  BOOST_TEST(count.living.load() == 0);

  // The memory is given back before the handler runs, so that it can be used again.
  count.made = 0;
  int living_in_handler = -1;
  f.pair.client.async_read_some(
      asio::buffer(late), asio::bind_allocator(counting_allocator<char>(count),
                              [&](error_code, std::size_t) { living_in_handler = count.living; }));
  BOOST_TEST(count.made.load() >= 1);
  asio::write(f.pair.server, asio::buffer("late", 4));
  run_until(f.context, [&] { return living_in_handler != -1; });
  BOOST_TEST(living_in_handler == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(memory_of_unrun_handlers_is_given_back, Protocol, transports)
{
  allocations count;
  {
    one_of_each<Protocol> f;
    f.start([&] { return asio::bind_allocator(counting_allocator<char>(count), [](error_code, auto...) {}); });
    BOOST_TEST(count.living.load() > 0);
  }
  BOOST_TEST(count.living.load() == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(futures_and_move_only_handlers, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  std::array<char, 8> data{};

  auto future = pair.client.async_read_some(asio::buffer(data), asio::use_future);
  asio::write(pair.server, asio::buffer("abc", 3));
  run_until(context, [&] { return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready; });
  BOOST_TEST(future.get() == 3u);

  auto owned = std::make_unique<int>(0);
  int calls = 0;
  asio::write(pair.client, asio::buffer("y", 1));
  pair.server.async_read_some(asio::buffer(data),
      [&calls, owned = std::move(owned)](error_code, std::size_t n) { calls += static_cast<int>(n) + *owned; });
  run_until(context, [&] { return calls == 1; });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(exception_leaves_run_and_nothing_is_lost, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  std::array<char, 8> data{};
  completion read;
  completion second;
  pair.client.async_read_some(
      asio::buffer(data, 1), [](error_code, std::size_t) { throw std::runtime_error("from a handler"); });
  pair.client.async_read_some(asio::buffer(data, 1), read.handler());
  pair.client.async_read_some(asio::buffer(data, 1), second.handler());
  asio::write(pair.server, asio::buffer("123", 3));
  BOOST_CHECK_THROW(run_out(context), std::runtime_error);
  run_until(context, [&] { return read.done() && second.done(); });
  BOOST_TEST(!read.ec);
  BOOST_TEST(!second.ec);
}

// Handlers that their executor runs have their exceptions kept for them by Asio until the operation is over.
BOOST_TEST_DECORATOR(*boost::unit_test::label("one_thread"))
BOOST_AUTO_TEST_CASE_TEMPLATE(exceptions_of_handlers_on_an_executor_leave_run_one_at_a_time, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  asio::strand<asio::io_context::executor_type> strand(context.get_executor());
  std::array<char, 4> data{};
  for (int i = 0; i != 4; ++i)
    pair.client.async_read_some(
        asio::buffer(&data[static_cast<std::size_t>(i)], 1),
        asio::bind_executor(strand, [i](error_code, std::size_t) { throw i; }));
  asio::write(pair.server, asio::buffer("1234", 4));
  for (int i = 0; i != 4; ++i)
    BOOST_CHECK_EXCEPTION(run_out(context), int, [i](int thrown) { return thrown == i; });
}

BOOST_AUTO_TEST_SUITE_END()
