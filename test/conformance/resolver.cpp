// SPDX-License-Identifier: BSL-1.0
// The resolver: names to endpoints and back, in every overload, its results, cancelling and moving it.

#define BOOST_TEST_MODULE resolver
#include "socket_test.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <iterator>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace shm::test;

namespace {

using flags = asio::ip::resolver_base::flags;
const flags none{};
const flags numeric = asio::ip::resolver_base::numeric_host | asio::ip::resolver_base::numeric_service;

template <class Protocol>
using results_of = typename Protocol::resolver::results_type;

/// What a resolver of TCP says, in which the results of ours have to agree.
template <class Results>
std::vector<std::string> lines(const Results& results)
{
  std::vector<std::string> all;
  for (const auto& entry : results)
    all.push_back(entry.endpoint().address().to_string() + " " + std::to_string(entry.endpoint().port()) + " " +
        entry.host_name() + " " + entry.service_name());
  return all;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(resolver, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(host_and_service_in_every_blocking_overload, Protocol, ip_transports)
{
  asio::io_context context;
  typename Protocol::resolver resolver(context);
  const typename Protocol::endpoint expected(asio::ip::address_v4::loopback(), 80);
  const auto check = [&](const results_of<Protocol>& results)
  {
    BOOST_TEST_REQUIRE(results.size() == 1u);
    BOOST_TEST(results.begin()->endpoint() == expected);
    BOOST_TEST(results.begin()->host_name() == "127.0.0.1");
    BOOST_TEST(results.begin()->service_name() == "80");
  };
  const auto v4 = Protocol::v4();
  reports({}, [&](auto&... ec) { check(resolver.resolve("127.0.0.1", "80", ec...)); });
  reports({}, [&](auto&... ec) { check(resolver.resolve("127.0.0.1", "80", numeric, ec...)); });
  reports({}, [&](auto&... ec) { check(resolver.resolve(v4, "127.0.0.1", "80", ec...)); });
  reports({}, [&](auto&... ec) { check(resolver.resolve(v4, "127.0.0.1", "80", numeric, ec...)); });
  const std::string host = "127.0.0.1";
  const std::string port = std::to_string(80);
  check(resolver.resolve(host, port));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(host_and_service_in_every_asynchronous_overload, Protocol, ip_transports)
{
  asio::io_context context;
  typename Protocol::resolver resolver(context);
  const typename Protocol::endpoint expected(asio::ip::address_v4::loopback(), 80);
  const auto check = [&](auto start)
  {
    completion resolved;
    start(
        [&](error_code ec, results_of<Protocol> results)
        {
          resolved.handler()(ec);
          BOOST_TEST_REQUIRE(results.size() == 1u);
          BOOST_TEST(results.begin()->endpoint() == expected);
        });
    BOOST_TEST(resolved.calls == 0);
    run_until(context, [&] { return resolved.done(); });
    BOOST_TEST(!resolved.ec);

    std::future<results_of<Protocol>> future = start(asio::use_future);
    run_out(context);
    BOOST_TEST(future.get().begin()->endpoint() == expected);
  };
  const auto v4 = Protocol::v4();
  const char* host = "127.0.0.1";
  check([&](auto&& t) { return resolver.async_resolve(host, "80", std::forward<decltype(t)>(t)); });
  check([&](auto&& t) { return resolver.async_resolve(host, "80", numeric, std::forward<decltype(t)>(t)); });
  check([&](auto&& t) { return resolver.async_resolve(v4, host, "80", std::forward<decltype(t)>(t)); });
  check([&](auto&& t) { return resolver.async_resolve(v4, host, "80", numeric, std::forward<decltype(t)>(t)); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(restricted_to_a_family, Protocol, ip_transports)
{
  asio::io_context context;
  typename Protocol::resolver resolver(context);
  for (const auto& entry : resolver.resolve(Protocol::v4(), "localhost", "80"))
    BOOST_TEST((entry.endpoint().protocol() == Protocol::v4()));
  const auto six = resolver.resolve(Protocol::v6(), "::1", "80");
  BOOST_TEST_REQUIRE(six.size() == 1u);
  BOOST_TEST(six.begin()->endpoint() == typename Protocol::endpoint(asio::ip::address_v6::loopback(), 80));

  error_code ec;
  BOOST_TEST(resolver.resolve(Protocol::v6(), "127.0.0.1", "80", ec).empty());
  BOOST_TEST(ec.failed());
  BOOST_TEST(resolver.resolve(Protocol::v4(), "::1", "80", ec).empty());
  BOOST_TEST(ec.failed());
  const auto mapped = resolver.resolve(
      Protocol::v6(), "127.0.0.1", "80", numeric | asio::ip::resolver_base::v4_mapped);
  BOOST_TEST_REQUIRE(mapped.size() == 1u);
  BOOST_TEST(mapped.begin()->endpoint().address().to_v6().is_v4_mapped());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(passive_without_a_host_is_the_wildcard, Protocol, ip_transports)
{
  asio::io_context context;
  typename Protocol::resolver resolver(context);
  const auto passive = resolver.resolve(Protocol::v4(), "", "0", asio::ip::resolver_base::passive);
  BOOST_TEST_REQUIRE(passive.size() == 1u);
  BOOST_TEST(passive.begin()->endpoint() == typename Protocol::endpoint(Protocol::v4(), 0));
  const auto active = resolver.resolve(Protocol::v4(), "", "80");
  BOOST_TEST_REQUIRE(active.size() == 1u);
  BOOST_TEST(active.begin()->endpoint().address().is_loopback());

  // Good to listen on, and what is found without the flag is good to connect to.
  typename Protocol::acceptor acceptor(context, *passive.begin());
  const auto port = std::to_string(acceptor.local_endpoint().port());
  typename Protocol::socket client(context);
  client.connect(*resolver.resolve(Protocol::v4(), "", port).begin());
  BOOST_TEST(acceptor.accept().is_open());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(numeric_forms_ask_nobody, Protocol, ip_transports)
{
  asio::io_context context;
  typename Protocol::resolver resolver(context);
  reports(error::host_not_found, [&](auto&... ec) { resolver.resolve("localhost", "80", numeric, ec...); });
  error_code ec;
  BOOST_TEST(resolver.resolve("127.0.0.1", "http", numeric, ec).empty());
  BOOST_TEST(ec.failed());
  completion failed;
  resolver.async_resolve("localhost", "80", numeric,
      [&](error_code result, results_of<Protocol> results)
      {
        BOOST_TEST(results.empty());
        failed.handler()(result);
      });
  run_until(context, [&] { return failed.done(); });
  BOOST_TEST(failed.ec == error::host_not_found);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(answers_are_those_of_tcp, Protocol, ip_transports)
{
  asio::io_context context;
  typename Protocol::resolver resolver(context);
  asio::ip::tcp::resolver tcp(context);
  for (const char* host : {"localhost", "127.0.0.1", "::1", "0.0.0.0", ""})
    for (const char* service : {"80", "http", "domain", "0", "65535"})
      for (const flags how : {none, asio::ip::resolver_base::passive, asio::ip::resolver_base::canonical_name})
        BOOST_TEST_CONTEXT("host '" << host << "' service " << service << " flags " << static_cast<int>(how))
        {
          error_code ec;
          error_code tcp_ec;
          const auto ours = lines(resolver.resolve(host, service, how, ec));
          const auto theirs = lines(tcp.resolve(host, service, how, tcp_ec));
          BOOST_TEST(ec == tcp_ec);
          BOOST_TEST(ours == theirs, boost::test_tools::per_element());
        }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(endpoint_to_names, Protocol, ip_transports)
{
  asio::io_context context;
  typename Protocol::resolver resolver(context);
  asio::ip::tcp::resolver tcp(context);
  for (const unsigned short port : std::array<unsigned short, 2>{80, 54321})
  {
    const typename Protocol::endpoint endpoint(asio::ip::address_v4::loopback(), port);
    const auto theirs = lines(tcp.resolve(asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), port)));
    reports({},
        [&](auto&... ec)
        {
          const auto ours = resolver.resolve(endpoint, ec...);
          BOOST_TEST_REQUIRE(ours.size() == 1u);
          BOOST_TEST(ours.begin()->endpoint() == endpoint);
          BOOST_TEST(!ours.begin()->host_name().empty());
          BOOST_TEST(lines(ours) == theirs, boost::test_tools::per_element());
        });
    completion resolved;
    resolver.async_resolve(endpoint,
        [&](error_code ec, results_of<Protocol> ours)
        {
          BOOST_TEST(lines(ours) == theirs, boost::test_tools::per_element());
          resolved.handler()(ec);
        });
    run_until(context, [&] { return resolved.done(); });
    BOOST_TEST(!resolved.ec);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(results_are_a_sequence, Protocol, ip_transports)
{
  using results = results_of<Protocol>;
  using endpoint = typename Protocol::endpoint;
  const std::vector<endpoint> endpoints{{Protocol::v4(), 1}, {Protocol::v6(), 2}, {Protocol::v4(), 3}};
  const results all = results::create(endpoints.begin(), endpoints.end(), "host", "service");
  BOOST_TEST(all.size() == 3u);
  BOOST_TEST(!all.empty());
  BOOST_TEST(all.max_size() >= 3u);
  BOOST_TEST(std::distance(all.begin(), all.end()) == 3);
  BOOST_CHECK(std::equal(all.cbegin(), all.cend(), endpoints.begin(), endpoints.end(),
      [](const auto& entry, const endpoint& e) { return entry.endpoint() == e; }));
  auto at = all.begin();
  const auto before = at++;
  BOOST_TEST((before == all.begin()));
  BOOST_TEST((at != all.begin()));
  BOOST_TEST(at->endpoint() == endpoints[1]);
  BOOST_TEST((*++at).endpoint() == endpoints[2]);
  BOOST_TEST((++at == all.end()));

  // An entry is an endpoint wherever one is wanted.
  const endpoint converted = *all.begin();
  BOOST_TEST(converted == endpoints[0]);
  BOOST_TEST(all.begin()->host_name() == "host");
  BOOST_TEST(all.begin()->service_name() == "service");

  results copy(all);
  BOOST_TEST((copy == all));
  results other;
  BOOST_TEST(other.empty());
  BOOST_TEST((other.begin() == other.end()));
  BOOST_TEST((other != all));
  other.swap(copy);
  BOOST_TEST(copy.empty());
  BOOST_TEST(other.size() == 3u);
  const results moved(std::move(other));
  BOOST_TEST(moved.size() == 3u);
  BOOST_TEST(results::create(endpoints[1], "one", "").begin()->endpoint() == endpoints[1]);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(flags_combine_like_bits, Protocol, ip_transports)
{
  using base = typename Protocol::resolver;
  flags value = base::passive | base::canonical_name;
  BOOST_TEST((value & base::passive) == base::passive);
  BOOST_TEST((value ^ base::passive) == base::canonical_name);
  value &= base::passive;
  BOOST_TEST(value == base::passive);
  value |= base::numeric_service;
  value ^= base::passive;
  BOOST_TEST(value == base::numeric_service);
  const std::array<flags, 7> all{base::canonical_name, base::passive, base::numeric_host, base::numeric_service,
      base::v4_mapped, base::all_matching, base::address_configured};
  for (const auto& each : all)
    BOOST_TEST(std::count(all.begin(), all.end(), each) == 1);
  asio::io_context context;
  BOOST_CHECK_NO_THROW(
      base(context).resolve("127.0.0.1", "80", base::address_configured | base::all_matching | base::v4_mapped));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cancel_ends_what_waits, Protocol, ip_transports)
{
  asio::io_context context;
  typename Protocol::resolver resolver(context);
  int aborted = 0;
  // A resolve that has begun is not interrupted, so it takes some tries until one is caught waiting.
  wait_until(
      [&]
      {
        std::array<completion, 20> results;
        for (auto& result : results)
          resolver.async_resolve("127.0.0.1", "80",
              [&result](error_code ec, results_of<Protocol> found) { result.handler()(ec, found.size()); });
        resolver.cancel();
        run_out(context);
        for (const auto& result : results)
        {
          BOOST_TEST(result.calls == 1);
          BOOST_TEST((!result.ec || result.ec == error::operation_aborted));
          BOOST_TEST(result.bytes == (result.ec ? 0u : 1u));
          aborted += result.ec == error::operation_aborted;
        }
        return aborted != 0;
      });
  BOOST_TEST(!resolver.resolve("127.0.0.1", "80").empty());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(moves_and_executors, Protocol, ip_transports)
{
  using resolver = typename Protocol::resolver;
  using plain = typename resolver::template rebind_executor<asio::io_context::executor_type>::other;
  BOOST_TEST((std::is_same_v<plain, asio::ip::basic_resolver<Protocol, asio::io_context::executor_type>>));
  BOOST_TEST((std::is_same_v<typename plain::executor_type, asio::io_context::executor_type>));
  BOOST_TEST((std::is_same_v<typename resolver::protocol_type, Protocol>));
  BOOST_TEST((std::is_same_v<typename resolver::endpoint_type, typename Protocol::endpoint>));

  asio::io_context context;
  asio::io_context other;
  plain first(context.get_executor());
  BOOST_TEST((first.get_executor() == context.get_executor()));
  resolver converted(std::move(first));
  BOOST_TEST((converted.get_executor() == context.get_executor()));
  resolver moved(std::move(converted));
  resolver assigned(other);
  BOOST_TEST((assigned.get_executor() == other.get_executor()));
  assigned = std::move(moved);
  assigned = plain(other);
  BOOST_TEST((assigned.get_executor() == other.get_executor()));

  // The completion comes where the resolver now belongs.
  completion resolved;
  assigned.async_resolve("127.0.0.1", "80",
      [&](error_code ec, results_of<Protocol> results)
      {
        BOOST_TEST(results.size() == 1u);
        resolved.handler()(ec);
      });
  run_until(other, [&] { return resolved.done(); });
  BOOST_TEST(!resolved.ec);
  BOOST_TEST(context.poll() == 0u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(destroyed_with_resolves_waiting, Protocol, ip_transports)
{
  std::atomic<int> calls{0};
  {
    asio::io_context context;
    std::optional<typename Protocol::resolver> resolver(std::in_place, context);
    for (int i = 0; i != 20; ++i)
      resolver->async_resolve("127.0.0.1", "80", [&](error_code, results_of<Protocol>) { ++calls; });
    resolver.reset();
    run_out(context);
    BOOST_TEST(calls == 20);
    resolver.emplace(context);
    resolver->async_resolve("127.0.0.1", "80", [&](error_code, results_of<Protocol>) { ++calls; });
  }
  BOOST_TEST(calls == 20);
}

#if !defined(BOOST_ASIO_NO_DEPRECATED)

BOOST_AUTO_TEST_CASE_TEMPLATE(queries_of_older_programs, Protocol, ip_transports)
{
  using query = typename Protocol::resolver::query;
  using iterator = typename Protocol::resolver::iterator;
  BOOST_TEST((std::is_same_v<query, asio::ip::basic_resolver_query<Protocol>>));
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  const auto port = std::to_string(acceptor.local_endpoint().port());
  typename Protocol::resolver resolver(context);

  const query by_host("127.0.0.1", port);
  BOOST_TEST(by_host.host_name() == "127.0.0.1");
  BOOST_TEST(by_host.service_name() == port);
  BOOST_TEST(by_host.hints().ai_socktype == static_cast<int>(SOCK_STREAM));
  reports({},
      [&](auto&... ec)
      {
        iterator at = resolver.resolve(by_host, ec...);
        BOOST_TEST_REQUIRE((at != iterator()));
        BOOST_TEST(at->endpoint() == acceptor.local_endpoint());
        BOOST_TEST((++at == iterator()));
      });
  const query by_family(Protocol::v4(), "127.0.0.1", port, query::numeric_service);
  typename Protocol::socket client(context);
  asio::connect(client, resolver.resolve(by_family));
  BOOST_TEST(acceptor.accept().is_open());
  const query to_listen(Protocol::v4(), "0");
  BOOST_TEST(resolver.resolve(to_listen).begin()->endpoint().address().is_unspecified());

  completion resolved;
  resolver.async_resolve(by_host,
      [&](error_code ec, iterator found)
      {
        BOOST_TEST(found->endpoint() == acceptor.local_endpoint());
        resolved.handler()(ec);
      });
  run_until(context, [&] { return resolved.done(); });
  BOOST_TEST(!resolved.ec);
}

#endif

BOOST_AUTO_TEST_SUITE_END()
