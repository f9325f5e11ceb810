// SPDX-License-Identifier: BSL-1.0
// What handlers say of themselves: their executor, their allocator and their cancellation slot.

#define BOOST_TEST_MODULE associated
#include "socket_test.hpp"

#include <array>
#include <cstddef>
#include <memory>
#include <utility>

using namespace shm::test;

namespace {

/// One block of memory, lent to one operation at a time.
struct lent_memory
{
  alignas(std::max_align_t) unsigned char bytes[4096];
  bool in_use = false;
  int living = 0;
  int lent = 0;
  int overdrawn = 0;
};

template <class T>
struct lending_allocator
{
  using value_type = T;

  explicit lending_allocator(lent_memory& m) : memory(&m) {}
  template <class U>
  lending_allocator(const lending_allocator<U>& other) : memory(other.memory)
  {}
  T* allocate(std::size_t n)
  {
    ++memory->living;
    if (memory->in_use || n * sizeof(T) > sizeof memory->bytes)
    {
      ++memory->overdrawn;
      return std::allocator<T>().allocate(n);
    }
    memory->in_use = true;
    ++memory->lent;
    return static_cast<T*>(static_cast<void*>(memory->bytes));
  }
  void deallocate(T* p, std::size_t n)
  {
    --memory->living;
    if (static_cast<void*>(p) == memory->bytes)
      memory->in_use = false;
    else
      std::allocator<T>().deallocate(p, n);
  }
  template <class U>
  bool operator==(const lending_allocator<U>& other) const
  {
    return memory == other.memory;
  }
  template <class U>
  bool operator!=(const lending_allocator<U>& other) const
  {
    return memory != other.memory;
  }

  lent_memory* memory;
};

struct record
{
  int calls = 0;
  int living_memory = 0;
  int on_strand = 0;
  error_code ec = error::fault;
};

/// A handler that names all its associations itself, by nested types and functions.
struct full_handler
{
  using executor_type = asio::strand<asio::io_context::executor_type>;
  using allocator_type = lending_allocator<char>;
  using cancellation_slot_type = asio::cancellation_slot;

  executor_type get_executor() const noexcept { return strand; }
  allocator_type get_allocator() const noexcept { return allocator_type(*memory); }
  cancellation_slot_type get_cancellation_slot() const noexcept { return slot; }

  template <class... Values>
  void operator()(error_code ec, Values&&...)
  {
    ++result->calls;
    result->living_memory += memory->living;
    result->on_strand += strand.running_in_this_thread();
    result->ec = ec;
  }

  executor_type strand;
  lent_memory* memory;
  asio::cancellation_slot slot;
  record* result;
};

/// A handler that knows nothing; its associations are made from outside.
struct bare_handler
{
  full_handler inner;

  template <class... Values>
  void operator()(error_code ec, Values&&... values)
  {
    inner(ec, std::forward<Values>(values)...);
  }
};

} // namespace

namespace boost::asio {

template <class Executor>
struct associated_executor<bare_handler, Executor>
{
  using type = full_handler::executor_type;
  static type get(const bare_handler& handler, const Executor& = Executor()) noexcept { return handler.inner.strand; }
};

template <class Allocator>
struct associated_allocator<bare_handler, Allocator>
{
  using type = full_handler::allocator_type;
  static type get(const bare_handler& handler, const Allocator& = Allocator()) noexcept
  {
    return handler.inner.get_allocator();
  }
};

template <class Slot>
struct associated_cancellation_slot<bare_handler, Slot>
{
  using type = asio::cancellation_slot;
  static type get(const bare_handler& handler, const Slot& = Slot()) noexcept { return handler.inner.slot; }
};

} // namespace boost::asio

namespace {

/// Operations of all kinds and ends, one at a time, each with a handler of that type.
template <class Protocol, class Handler>
struct one_by_one
{
  asio::io_context context;
  asio::io_context of_handlers;
  typename Protocol::acceptor acceptor{context, loopback<Protocol>()};
  connected_pair<Protocol> pair{context};
  lent_memory memory;
  asio::cancellation_signal signal;
  std::array<char, 8> data{};

  /// Starts the operation, lets `then` bring its end about, and checks what its handler found.
  template <class Start, class Then>
  void check(error_code expected, Start start, Then then)
  {
    record result;
    memory.lent = 0;
    const full_handler full{asio::make_strand(of_handlers), &memory, signal.slot(), &result};
    start(make(full, static_cast<Handler*>(nullptr)));
    BOOST_TEST(memory.lent > 0);
    BOOST_TEST(result.calls == 0);
    // Where the handler will run, there is work as long as the operation is pending.
    of_handlers.restart();
    of_handlers.poll();
    BOOST_TEST(!of_handlers.stopped());
    then();
    wait_until(
        [&]
        {
          run_ready(context);
          BOOST_TEST(result.calls == 0);
          return of_handlers.restart(), of_handlers.poll(), result.calls != 0;
        });
    BOOST_TEST(result.calls == 1);
    BOOST_TEST(result.ec == expected);
    BOOST_TEST(result.on_strand == 1);
    BOOST_TEST(result.living_memory == 0);
    BOOST_TEST(memory.living == 0);
    of_handlers.restart();
    of_handlers.poll();
    BOOST_TEST(of_handlers.stopped());
  }

  template <class Start>
  void check(error_code expected, Start start)
  {
    check(expected, start, [] {});
  }

private:
  static full_handler make(const full_handler& handler, full_handler*) { return handler; }
  static bare_handler make(const full_handler& handler, bare_handler*) { return {handler}; }
};

template <class Protocol, class Handler>
void check_all()
{
  one_by_one<Protocol, Handler> f;
  const auto buffer = asio::buffer(f.data);
  const auto some = [&] { asio::write(f.pair.server, asio::buffer("x", 1)); };
  const auto much = [&] { asio::write(f.pair.server, asio::buffer("12345678", 8)); };
  const auto emit = [&] { f.signal.emit(asio::cancellation_type::terminal); };
  const error_code aborted = error::operation_aborted;

  f.check({}, [&](auto h) { f.pair.client.async_read_some(buffer, h); }, some);
  f.check(aborted, [&](auto h) { f.pair.client.async_read_some(buffer, h); }, emit);
  f.check(aborted, [&](auto h) { f.pair.client.async_read_some(buffer, h); }, [&] { f.pair.client.cancel(); });
  f.check({}, [&](auto h) { f.pair.client.async_read_some(asio::mutable_buffer(), h); });
  f.check({}, [&](auto h) { asio::async_read(f.pair.client, buffer, h); }, much);
  f.check(aborted, [&](auto h) { asio::async_read(f.pair.client, buffer, h); }, emit);
  f.check({}, [&](auto h) { f.pair.client.async_write_some(asio::buffer("y", 1), h); });
  f.check({}, [&](auto h) { asio::async_write(f.pair.client, asio::buffer("zz", 2), h); });
  f.check({}, [&](auto h) { f.pair.client.async_wait(asio::socket_base::wait_read, h); }, some);
  f.check({}, [&](auto h) { f.pair.client.async_wait(asio::socket_base::wait_write, h); });
  f.check(aborted, [&](auto h) { f.acceptor.async_wait(asio::socket_base::wait_read, h); }, emit);

  typename Protocol::socket client(f.context);
  typename Protocol::socket server(f.context);
  const auto connect = [&]
  {
    client.close();
    client.connect(f.acceptor.local_endpoint());
  };
  f.check({}, [&](auto h) { f.acceptor.async_accept(h); }, connect);
  f.check(aborted, [&](auto h) { f.acceptor.async_accept(h); }, emit);
  f.check({}, [&](auto h) { f.acceptor.async_accept(server, h); }, connect);
  f.check(error::already_open, [&](auto h) { f.acceptor.async_accept(server, h); });
  client.close();
  f.check({}, [&](auto h) { client.async_connect(f.acceptor.local_endpoint(), h); });
  client.close();
  const std::array<typename Protocol::endpoint, 1> range{f.acceptor.local_endpoint()};
  f.check({}, [&](auto h) { asio::async_connect(client, range, h); });
  client.close();
  f.check(error::bad_descriptor, [&](auto h) { client.async_write_some(asio::buffer("y", 1), h); });
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(associated, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(by_the_handlers_own_members, Protocol, transports)
{
  check_all<Protocol, full_handler>();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(by_specialised_traits, Protocol, transports)
{
  check_all<Protocol, bare_handler>();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(one_block_of_memory_serves_a_whole_session, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  lent_memory memory;
  std::array<char, 3> data{};
  int left = 1000;
  // The handler starts the next operation, in the memory of the one that called it.
  struct echo
  {
    void operator()(error_code ec, std::size_t n)
    {
      BOOST_TEST(!ec);
      if (n != 0 && (*left)-- > 0)
        asio::async_write(pair->server, asio::buffer(*data, n), asio::bind_allocator(lending_allocator<char>(*memory),
            [next = *this](error_code failed, std::size_t) mutable
            {
              BOOST_TEST(!failed);
              asio::read(next.pair->client, asio::buffer(*next.data));
              asio::write(next.pair->client, asio::buffer("ask", 3));
              next.pair->server.async_read_some(
                  asio::buffer(*next.data), asio::bind_allocator(lending_allocator<char>(*next.memory), next));
            }));
    }
    connected_pair<Protocol>* pair;
    lent_memory* memory;
    std::array<char, 3>* data;
    int* left;
  };
  asio::write(pair.client, asio::buffer("ask", 3));
  pair.server.async_read_some(asio::buffer(data),
      asio::bind_allocator(lending_allocator<char>(memory), echo{&pair, &memory, &data, &left}));
  run_until(context, [&] { return left < 0; });
  BOOST_TEST(memory.lent >= 2000);
  BOOST_TEST(memory.overdrawn == 0);
}

BOOST_AUTO_TEST_SUITE_END()
