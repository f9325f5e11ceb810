// SPDX-License-Identifier: BSL-1.0
// Completion tokens: Asio's own, those of the user's make, and adapters around them.

#define BOOST_TEST_MODULE tokens
#include "socket_test.hpp"

#include <array>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>

using namespace shm::test;

namespace {

/// What an operation of `store` completes with is put there.
template <class... Values>
struct slot
{
  bool full = false;
  std::tuple<std::decay_t<Values>...> values;
};

/// A token that starts the operation at once and whose initiating function returns the place of the result.
struct store_t
{};
constexpr store_t store;

/// A token that starts nothing: the initiating function returns a function that takes a handler and starts it.
struct later_t
{};
constexpr later_t later;

} // namespace

namespace boost::asio {

template <class... Values>
class async_result<store_t, void(Values...)>
{
public:
  using return_type = std::shared_ptr<slot<Values...>>;

  template <class Initiation, class... Args>
  static return_type initiate(Initiation&& initiation, store_t, Args&&... args)
  {
    auto place = std::make_shared<slot<Values...>>();
    std::forward<Initiation>(initiation)(
        [place](Values... values)
        {
          place->full = true;
          place->values = std::tuple<std::decay_t<Values>...>(std::move(values)...);
        },
        std::forward<Args>(args)...);
    return place;
  }
};

template <class... Values>
class async_result<later_t, void(Values...)>
{
public:
  template <class Initiation, class... Args>
  static auto initiate(Initiation initiation, later_t, Args... args)
  {
    return [initiation = std::move(initiation), args = std::make_tuple(std::move(args)...)](auto handler) mutable
    {
      std::apply([&](auto&... each) { std::move(initiation)(std::move(handler), std::move(each)...); }, args);
    };
  }
};

} // namespace boost::asio

namespace {

template <class Protocol>
struct sockets
{
  asio::io_context context;
  typename Protocol::acceptor acceptor{context, loopback<Protocol>()};
  typename Protocol::socket client{context};
  connected_pair<Protocol> pair{context};
  std::array<char, 8> data{};

  std::string read_at_server(std::size_t size)
  {
    std::string got(size, '\0');
    asio::read(pair.server, asio::buffer(got));
    return got;
  }
};

int function_calls = 0;
void function(error_code ec, std::size_t n)
{
  BOOST_TEST(!ec);
  function_calls += static_cast<int>(n);
}

/// May be moved and called once, as an rvalue; counts its calls.
struct one_shot
{
  std::unique_ptr<int*> calls;

  template <class... Args>
  void operator()(error_code ec, Args&&...) &&
  {
    BOOST_TEST(!ec);
    ++**std::exchange(calls, nullptr);
  }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(tokens, watchdog)

// The handlers share what they count.
BOOST_TEST_DECORATOR(*boost::unit_test::label("one_thread"))
BOOST_AUTO_TEST_CASE_TEMPLATE(callables_of_all_kinds, Protocol, transports)
{
  sockets<Protocol> s;
  function_calls = 0;
  int calls = 0;
  std::function<void(error_code, std::size_t)> shared = [&](error_code ec, std::size_t n)
  {
    BOOST_TEST(!ec);
    calls += static_cast<int>(n);
  };
  struct member
  {
    void sent(error_code ec, std::size_t n) { total += ec ? 0 : static_cast<int>(n); }
    int total = 0;
  } object;
  s.pair.client.async_write_some(asio::buffer("ab", 2), function);
  s.pair.client.async_write_some(asio::buffer("cd", 2), &function);
  s.pair.client.async_write_some(asio::buffer("ef", 2), shared);
  s.pair.client.async_write_some(asio::buffer("gh", 2), std::as_const(shared));
  s.pair.client.async_write_some(
      asio::buffer("ij", 2), std::bind(&member::sent, &object, std::placeholders::_1, std::placeholders::_2));
  asio::async_read(s.pair.server, asio::buffer(s.data), shared);
  run_out(s.context);
  BOOST_TEST(function_calls == 4);
  BOOST_TEST(calls == 2 + 2 + 8);
  BOOST_TEST(object.total == 2);
  BOOST_TEST(std::string(s.data.data(), 8) == "abcdefgh");
  BOOST_TEST(s.read_at_server(2) == "ij");
}

// The handlers share what they count.
BOOST_TEST_DECORATOR(*boost::unit_test::label("one_thread"))
BOOST_AUTO_TEST_CASE_TEMPLATE(handlers_that_only_move, Protocol, transports)
{
  sockets<Protocol> s;
  int calls = 0;
  const auto handler = [&] { return one_shot{std::make_unique<int*>(&calls)}; };
  asio::write(s.pair.server, asio::buffer("1234567890", 10));
  s.pair.client.wait(asio::socket_base::wait_read);
  s.pair.client.async_wait(asio::socket_base::wait_read, handler());
  s.pair.client.async_read_some(asio::buffer(s.data, 1), handler());
  s.pair.client.async_receive(asio::buffer(s.data, 1), 0, handler());
  asio::async_read(s.pair.client, asio::buffer(s.data), handler());
  s.pair.client.async_write_some(asio::buffer("x", 1), handler());
  asio::async_write(s.pair.server, asio::buffer("y", 1), handler());
  s.acceptor.async_accept(handler());
  s.client.async_connect(s.acceptor.local_endpoint(), handler());
  run_out(s.context);
  BOOST_TEST(calls == 8);

  std::array<typename Protocol::endpoint, 1> range{s.acceptor.local_endpoint()};
  typename Protocol::socket accepted(s.context);
  s.client.close();
  asio::async_connect(s.client, range, handler());
  s.acceptor.async_wait(asio::socket_base::wait_read, handler());
  run_out(s.context);
  BOOST_TEST(calls == 10);
  s.acceptor.async_accept(accepted, handler());
  run_out(s.context);
  BOOST_TEST(calls == 11);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(futures, Protocol, transports)
{
  for (const std::size_t threads : {1u, 4u})
  {
    asio::thread_pool pool(threads);
    typename Protocol::acceptor acceptor(pool, loopback<Protocol>());
    typename Protocol::socket client(pool);
    auto accepted = acceptor.async_accept(asio::use_future);
    auto connected = client.async_connect(acceptor.local_endpoint(), asio::use_future);
    static_assert(std::is_same_v<decltype(accepted), std::future<typename Protocol::socket>>);
    static_assert(std::is_same_v<decltype(connected), std::future<void>>);
    connected.get();
    auto server = accepted.get();
    std::string got(5, '\0');
    auto read = asio::async_read(server, asio::buffer(got), asio::use_future);
    BOOST_TEST(asio::async_write(client, asio::buffer("hello", 5), asio::use_future).get() == 5u);
    BOOST_TEST(read.get() == 5u);
    BOOST_TEST(got == "hello");

    // A function's result instead of the operation's.
    auto text = server.async_read_some(asio::buffer(got),
        asio::use_future([&](error_code ec, std::size_t n) { return ec ? "error" : got.substr(0, n); }));
    asio::write(client, asio::buffer("hi", 2));
    BOOST_TEST(text.get() == "hi");
    pool.join();
  }

  // By one thread only: ThreadSanitizer does not see how exceptions count their references.
  sockets<Protocol> s;
  auto failing = s.pair.server.async_read_some(asio::buffer(s.data), asio::use_future);
  s.pair.client.close();
  run_out(s.context);
  BOOST_CHECK_EXCEPTION(failing.get(), system_error, [](const system_error& e) { return is_end(e.code()); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(of_the_users_own_make, Protocol, transports)
{
  sockets<Protocol> s;
  typename Protocol::socket server(s.context);
  auto accepted = s.acceptor.async_accept(server, store);
  auto connected = s.client.async_connect(s.acceptor.local_endpoint(), store);
  auto sent = asio::async_write(s.pair.client, asio::buffer("stored", 6), store);
  auto received = asio::async_read(s.pair.server, asio::buffer(s.data, 6), store);
  BOOST_TEST((!accepted->full && !connected->full && !sent->full && !received->full));
  run_out(s.context);
  BOOST_TEST((accepted->full && connected->full && sent->full && received->full));
  BOOST_TEST(!std::get<0>(accepted->values));
  BOOST_TEST(!std::get<0>(connected->values));
  BOOST_TEST(std::get<1>(sent->values) == 6u);
  BOOST_TEST(std::get<1>(received->values) == 6u);
  BOOST_TEST(std::string(s.data.data(), 6) == "stored");

  // A lazy one does nothing until it is called.
  auto write = s.pair.client.async_write_some(asio::buffer("later", 5), later);
  auto read = s.pair.server.async_read_some(asio::buffer(s.data), later);
  run_ready(s.context);
  BOOST_TEST(s.pair.server.available() == 0u);
  completion wrote;
  completion got;
  read(got.handler());
  write(wrote.handler());
  run_until(s.context, [&] { return wrote.done() && got.done(); });
  BOOST_TEST(std::string(s.data.data(), got.bytes) == "later");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(deferred_operations_and_their_chains, Protocol, transports)
{
  sockets<Protocol> s;
  auto write = s.pair.client.async_write_some(asio::buffer("twice", 5), asio::deferred);
  run_ready(s.context);
  BOOST_TEST(s.pair.server.available() == 0u);
  completion first;
  completion second;
  auto copy = write;
  std::move(copy)(first.handler());
  std::move(write)(second.handler());
  run_until(s.context, [&] { return first.done() && second.done(); });
  BOOST_TEST(s.read_at_server(10) == "twicetwice");

  // Write, then read what comes back, as one operation.
  completion echoed;
  auto echo = s.pair.client.async_write_some(asio::buffer("ping", 4),
      asio::deferred([&](error_code, std::size_t n)
          { return s.pair.server.async_read_some(asio::buffer(s.data, n), asio::deferred); }));
  std::move(echo)(echoed.handler());
  run_until(s.context, [&] { return echoed.done(); });
  BOOST_TEST(!echoed.ec);
  BOOST_TEST(std::string(s.data.data(), echoed.bytes) == "ping");
}

// The handlers share what they count.
BOOST_TEST_DECORATOR(*boost::unit_test::label("one_thread"))
BOOST_AUTO_TEST_CASE_TEMPLATE(adapters, Protocol, transports)
{
  sockets<Protocol> s;
  s.pair.client.async_write_some(asio::buffer("unheard", 7), asio::detached);
  run_ready(s.context);
  BOOST_TEST(s.read_at_server(7) == "unheard");

  int calls = 0;
  s.pair.client.async_write_some(asio::buffer("tuple", 5),
      asio::as_tuple(
          [&](const std::tuple<error_code, std::size_t>& result)
          {
            BOOST_TEST(std::get<1>(result) == 5u);
            ++calls;
          }));
  error_code redirected = error::fault;
  s.pair.client.async_write_some(
      asio::buffer("code", 4), asio::redirect_error([&](std::size_t n) { calls += n == 4; }, redirected));
  s.pair.client.async_write_some(asio::buffer("more", 4),
      asio::append([&](error_code, std::size_t, int last) { calls += last; }, 1));
  s.pair.client.async_write_some(asio::buffer("most", 4),
      asio::prepend([&](int first, error_code, std::size_t) { calls += first; }, 1));
  auto kept = std::make_shared<int>();
  s.pair.client.async_write_some(asio::buffer("kept", 4),
      asio::consign([&, watch = std::weak_ptr<int>(kept)](error_code, std::size_t) { calls += !watch.expired(); },
          std::move(kept)));
  run_out(s.context);
  BOOST_TEST(!redirected);
  BOOST_TEST(calls == 5);
  BOOST_TEST(s.read_at_server(21) == "tuplecodemoremostkept");

  // Around tokens that are no handlers, one inside the other.
  asio::io_context other;
  auto future = s.pair.server.async_read_some(
      asio::buffer(s.data), asio::bind_executor(other, asio::use_future));
  asio::write(s.pair.client, asio::buffer("other", 5));
  run_out(s.context);
  BOOST_CHECK(future.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
  run_out(other);
  BOOST_TEST(future.get() == 5u);

  error_code end;
  auto ended = s.pair.server.async_read_some(asio::buffer(s.data), asio::redirect_error(asio::use_future, end));
  s.pair.client.close();
  run_out(s.context);
  BOOST_TEST(ended.get() == 0u);
  BOOST_TEST(end == error::eof);
}

BOOST_AUTO_TEST_SUITE_END()
