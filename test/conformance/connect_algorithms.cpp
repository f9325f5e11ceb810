// SPDX-License-Identifier: BSL-1.0
// asio::connect and asio::async_connect: ranges and iterators, conditions of both signatures, nothing to connect to.

#define BOOST_TEST_MODULE connect_algorithms
#include "socket_test.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <future>
#include <iterator>
#include <list>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace shm::test;

namespace {

template <class Protocol>
using endpoints_of = std::vector<typename Protocol::endpoint>;

// --- conditions ---

struct every_endpoint
{
  template <class Endpoint>
  bool operator()(const error_code&, const Endpoint&)
  {
    return true;
  }
};

template <class Protocol>
bool every_endpoint_function(const error_code&, const typename Protocol::endpoint&)
{
  return true;
}

template <class Protocol>
bool no_endpoint(const error_code&, const typename Protocol::endpoint&)
{
  return false;
}

// The signature of older programs, which return the iterator to go on with.
struct legacy_every_endpoint
{
  template <class Iterator>
  Iterator operator()(const error_code&, Iterator next)
  {
    return next;
  }
};

template <class Protocol>
typename endpoints_of<Protocol>::const_iterator legacy_every_endpoint_function(
    const error_code&, typename endpoints_of<Protocol>::const_iterator next)
{
  return next;
}

// --- calls in every form, each reporting the error and the place of the endpoint in the list ---

struct outcome
{
  error_code ec;
  std::size_t place = 0;
};

/// A context, two listeners whose backlogs take the connections, and a socket that each call connects anew.
template <class Protocol>
struct sink
{
  using endpoint = typename Protocol::endpoint;
  using iterator = typename endpoints_of<Protocol>::const_iterator;

  asio::io_context context;
  typename Protocol::acceptor first{context, loopback<Protocol>()};
  typename Protocol::acceptor second{context, loopback<Protocol>()};
  typename Protocol::socket socket{context};
  endpoints_of<Protocol> endpoints;

  std::size_t place_of(const endpoint& connected) const
  {
    // The default endpoint stands for none: nobody ever connects to it.
    if (connected == endpoint())
      return endpoints.size();
    const auto at = std::find(endpoints.begin(), endpoints.end(), connected);
    BOOST_TEST((at != endpoints.end()));
    return place_of(at);
  }
  std::size_t place_of(iterator connected) const { return static_cast<std::size_t>(connected - endpoints.cbegin()); }

  /// The call in its two synchronous forms: `call(error_code&...)`.
  template <class Call>
  void check_sync(error_code expected, std::size_t place, Call call)
  {
    error_code ec = error::fault;
    const std::size_t found = place_of(call(ec));
    BOOST_TEST(ec == expected);
    BOOST_TEST(found == place);
    if (!expected)
      BOOST_TEST(socket.remote_endpoint() == endpoints[place]);
    try
    {
      BOOST_TEST(place_of(call()) == place);
      BOOST_TEST(!expected);
    }
    catch (const system_error& e)
    {
      BOOST_TEST(e.code() == expected);
    }
  }

  /// The call in its asynchronous forms: `call(token)`. Result is what its handler gets.
  template <class Result, class Call>
  void check_async(error_code expected, std::size_t place, Call call)
  {
    outcome got;
    int calls = 0;
    call(
        [&](error_code ec, Result result)
        {
          got = {ec, place_of(result)};
          ++calls;
        });
    BOOST_TEST(calls == 0);
    run_until(context, [&] { return calls != 0; });
    BOOST_TEST(calls == 1);
    BOOST_TEST(got.ec == expected);
    BOOST_TEST(got.place == place);

    std::future<Result> future = call(asio::use_future);
    run_out(context);
    try
    {
      BOOST_TEST(place_of(future.get()) == place);
      BOOST_TEST(!expected);
    }
    catch (const system_error& e)
    {
      BOOST_TEST(e.code() == expected);
    }
  }

  template <class... Condition>
  void check(error_code expected, std::size_t place, Condition... condition)
  {
    const auto& range = std::as_const(endpoints);
    auto& s = socket;
    check_sync(expected, place, [&](auto&... ec) { return asio::connect(s, range, condition..., ec...); });
    check_sync(expected, place,
        [&](auto&... ec) { return asio::connect(s, range.begin(), range.end(), condition..., ec...); });
    check_async<endpoint>(expected, place,
        [&](auto&& token)
        { return asio::async_connect(s, range, condition..., std::forward<decltype(token)>(token)); });
    check_async<iterator>(expected, place,
        [&](auto&& token)
        {
          return asio::async_connect(
              s, range.begin(), range.end(), condition..., std::forward<decltype(token)>(token));
        });
  }

  void check_all_conditions()
  {
    const bool none = endpoints.empty();
    const error_code expected = none ? error_code(error::not_found) : error_code();
    const std::size_t place = !none && endpoints.front() == endpoint() ? 1 : 0;
    check(expected, place);
    check(expected, place, every_endpoint());
    check(expected, place, &every_endpoint_function<Protocol>);
    check(expected, place, legacy_every_endpoint());
    check(expected, place, &legacy_every_endpoint_function<Protocol>);
    check(error::not_found, endpoints.size(), &no_endpoint<Protocol>);
  }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(connect_algorithms, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(nothing_to_connect_to_is_not_found, Protocol, transports)
{
  sink<Protocol> s;
  s.check_all_conditions();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(first_endpoint_that_works_is_taken, Protocol, transports)
{
  sink<Protocol> s;
  s.endpoints = {s.first.local_endpoint()};
  s.check_all_conditions();
  s.endpoints = {s.first.local_endpoint(), s.second.local_endpoint()};
  s.check_all_conditions();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(default_endpoint_fails_and_the_next_is_tried, Protocol, transports)
{
  sink<Protocol> s;
  reports(differences<Protocol>::connect_to_default_endpoint,
      [&](auto&... ec)
      {
        s.socket.close();
        s.socket.connect(typename Protocol::endpoint(), ec...);
      });
  s.endpoints = {typename Protocol::endpoint(), s.first.local_endpoint(), s.second.local_endpoint()};
  s.check_all_conditions();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(last_error_is_reported, Protocol, transports)
{
  sink<Protocol> s;
  s.endpoints = {s.first.local_endpoint(), s.second.local_endpoint()};
  s.first.close();
  s.second.close();
  s.check(error::connection_refused, 2u);
  s.check(error::connection_refused, 2u, every_endpoint());
  s.check(error::connection_refused, 2u, &every_endpoint_function<Protocol>);
  s.check(error::connection_refused, 2u, legacy_every_endpoint());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(condition_sees_every_error_and_may_skip, Protocol, transports)
{
  using endpoint = typename Protocol::endpoint;
  sink<Protocol> s;
  s.endpoints = {endpoint(), s.first.local_endpoint(), s.second.local_endpoint()};
  std::vector<error_code> seen;
  const endpoint unwanted = s.first.local_endpoint();
  const auto condition = [&](const error_code& ec, const endpoint& next)
  {
    seen.push_back(ec);
    return next != unwanted;
  };
  const auto check_seen = [&]
  {
    // Before the first attempt there is no error; then that of the attempt before.
    const error_code failure = differences<Protocol>::connect_to_default_endpoint;
    const std::vector<error_code> expected{{}, failure, failure};
    BOOST_CHECK(seen == expected);
    seen.clear();
  };
  BOOST_TEST(asio::connect(s.socket, s.endpoints, condition) == s.second.local_endpoint());
  check_seen();

  completion connected;
  asio::async_connect(s.socket, s.endpoints, condition,
      [&](error_code ec, const endpoint& result)
      {
        BOOST_TEST(result == s.second.local_endpoint());
        connected.handler()(ec);
      });
  run_until(s.context, [&] { return connected.done(); });
  BOOST_TEST(!connected.ec);
  check_seen();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(sequences_of_other_containers, Protocol, transports)
{
  sink<Protocol> s;
  const std::list<typename Protocol::endpoint> list{typename Protocol::endpoint(), s.first.local_endpoint()};
  BOOST_TEST(asio::connect(s.socket, list) == s.first.local_endpoint());
  BOOST_CHECK(asio::connect(s.socket, list.begin(), list.end()) == std::next(list.begin()));
  const std::array<typename Protocol::endpoint, 1> array{s.second.local_endpoint()};
  BOOST_TEST(asio::connect(s.socket, array) == s.second.local_endpoint());

  // A socket of another executor type.
  asio::basic_stream_socket<Protocol, asio::io_context::executor_type> plain(s.context);
  BOOST_TEST(asio::connect(plain, list) == s.first.local_endpoint());
  auto server = s.first.accept();
  BOOST_TEST(server.is_open());
}

#if !defined(BOOST_ASIO_NO_DEPRECATED)

BOOST_AUTO_TEST_CASE_TEMPLATE(iterator_whose_end_is_the_default_one, Protocol, ip_transports)
{
  using results = typename Protocol::resolver::results_type;
  using iterator = typename Protocol::resolver::iterator;
  sink<Protocol> s;
  const endpoints_of<Protocol> endpoints{typename Protocol::endpoint(), s.first.local_endpoint()};
  const results found = results::create(endpoints.begin(), endpoints.end(), "host", "service");
  const iterator begin = found;
  const auto check_found = [&](error_code ec, iterator at)
  {
    BOOST_TEST(!ec);
    BOOST_TEST_REQUIRE((at != iterator()));
    BOOST_TEST(at->endpoint() == s.first.local_endpoint());
  };
  reports({}, [&](auto&... ec) { check_found({}, asio::connect(s.socket, begin, ec...)); });
  reports({}, [&](auto&... ec) { check_found({}, asio::connect(s.socket, begin, every_endpoint(), ec...)); });
  reports({}, [&](auto&... ec) { check_found({}, asio::connect(s.socket, begin, legacy_every_endpoint(), ec...)); });
  reports(error::not_found, [&](auto&... ec) { asio::connect(s.socket, iterator(), ec...); });

  int calls = 0;
  const auto handler = [&](error_code ec, iterator at)
  {
    check_found(ec, at);
    ++calls;
  };
  asio::async_connect(s.socket, begin, handler);
  run_until(s.context, [&] { return calls == 1; });
  asio::async_connect(s.socket, begin, every_endpoint(), handler);
  run_until(s.context, [&] { return calls == 2; });
  BOOST_TEST(s.socket.remote_endpoint() == s.first.local_endpoint());
}

#endif

BOOST_AUTO_TEST_SUITE_END()
