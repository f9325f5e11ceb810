// SPDX-License-Identifier: BSL-1.0
// Operations on sockets grouped by make_parallel_group, with every condition for the end of the group.

#define BOOST_TEST_MODULE parallel_group
#include "socket_test.hpp"

#include <boost/asio/experimental/parallel_group.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

using namespace shm::test;

namespace {

namespace experimental = boost::asio::experimental;
using asio::deferred;
using experimental::make_parallel_group;
using strand_type = asio::strand<asio::io_context::executor_type>;

/// Stores what a group completed with.
template <class... Values>
struct outcome
{
  int calls = 0;
  std::tuple<Values...> values;

  auto handler()
  {
    return [this](Values... got)
    {
      ++calls;
      values = {std::move(got)...};
    };
  }
};

using two = std::array<std::size_t, 2>;

/// Reads a stream by groups of a read and a timer, while a writer waits after each block until it has timed out again.
template <class Protocol>
class impatient_reader : public std::enable_shared_from_this<impatient_reader<Protocol>>
{
public:
  using socket_type = asio::basic_stream_socket<Protocol, strand_type>;

  impatient_reader(socket_type reading, socket_type writing, std::atomic<int>& finished, std::atomic<int>& wrong)
    : reading_(std::move(reading)), writing_(std::move(writing)), finished_(finished), wrong_(wrong)
  {}

  void start()
  {
    read();
    write();
  }

private:
  static constexpr std::size_t total = 50'000;

  void read()
  {
    timeout_.expires_after(std::chrono::microseconds(20));
    make_parallel_group(reading_.async_read_some(asio::buffer(data_), deferred), timeout_.async_wait(deferred))
        .async_wait(experimental::wait_for_one(),
            [self = this->shared_from_this()](two order, error_code ec, std::size_t n, error_code)
            {
              self->timeouts_ += order[0] == 1;
              self->took(ec, n);
            });
  }

  void took(error_code ec, std::size_t n)
  {
    wrong_ += !bytes_.matches(data_.data(), n, received_);
    received_ += n;
    if (!ec || ec == error::operation_aborted)
      return read();
    wrong_ += ec != error::eof || received_ != total;
    ++finished_;
  }

  void write()
  {
    if (sent_ == total)
      return writing_.close();
    seen_ = timeouts_;
    block_ = bytes_.bytes(1000, sent_);
    sent_ += block_.size();
    asio::async_write(writing_, asio::buffer(block_),
        [self = this->shared_from_this()](error_code ec, std::size_t)
        {
          self->wrong_ += ec.failed();
          self->pause();
        });
  }

  void pause()
  {
    pause_.expires_after(std::chrono::microseconds(20));
    pause_.async_wait([self = this->shared_from_this()](error_code)
        { self->seen_ == self->timeouts_ ? self->pause() : self->write(); });
  }

  socket_type reading_;
  socket_type writing_;
  asio::steady_timer timeout_{reading_.get_executor()};
  asio::steady_timer pause_{writing_.get_executor()};
  std::atomic<int>& finished_;
  std::atomic<int>& wrong_;
  pattern bytes_{11};
  std::vector<unsigned char> data_ = std::vector<unsigned char>(333);
  std::vector<unsigned char> block_;
  std::size_t received_ = 0;
  std::size_t sent_ = 0;
  std::atomic<int> timeouts_{0};
  int seen_ = 0;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(parallel_group, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(all_of_connect_and_accept_then_of_both_directions, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  typename Protocol::socket client(context);
  typename Protocol::socket server(context);
  outcome<two, error_code, error_code> joined;
  make_parallel_group(
      acceptor.async_accept(server, deferred), client.async_connect(acceptor.local_endpoint(), deferred))
      .async_wait(experimental::wait_for_all(), joined.handler());
  BOOST_TEST(joined.calls == 0);
  run_out(context);
  BOOST_TEST(joined.calls == 1);
  BOOST_TEST(!std::get<1>(joined.values));
  BOOST_TEST(!std::get<2>(joined.values));

  const pattern up(1);
  const pattern down(2);
  const auto sent_up = up.bytes(3 << 20);
  const auto sent_down = down.bytes(3 << 20);
  std::vector<unsigned char> got_up(sent_up.size());
  std::vector<unsigned char> got_down(sent_down.size());
  int calls = 0;
  make_parallel_group(asio::async_write(client, asio::buffer(sent_up), deferred),
      asio::async_write(server, asio::buffer(sent_down), deferred),
      asio::async_read(client, asio::buffer(got_down), deferred),
      asio::async_read(server, asio::buffer(got_up), deferred))
      .async_wait(experimental::wait_for_all(),
          [&](std::array<std::size_t, 4>, error_code ec0, std::size_t, error_code ec1, std::size_t, error_code ec2,
              std::size_t n2, error_code ec3, std::size_t n3)
          {
            ++calls;
            BOOST_TEST((!ec0 && !ec1 && !ec2 && !ec3));
            BOOST_TEST(n2 == got_down.size());
            BOOST_TEST(n3 == got_up.size());
          });
  run_out(context);
  BOOST_TEST(calls == 1);
  BOOST_TEST(up.matches(got_up));
  BOOST_TEST(down.matches(got_down));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(first_of_two_reads_ends_the_other, Protocol, transports)
{
  asio::io_context context;
  std::array<connected_pair<Protocol>, 2> pairs{
      connected_pair<Protocol>(context), connected_pair<Protocol>(context)};
  for (std::size_t round = 0; round != 50; ++round)
  {
    const std::size_t winner = round % 2;
    const std::size_t loser = 1 - winner;
    std::array<std::array<char, 8>, 2> data{};
    outcome<two, error_code, std::size_t, error_code, std::size_t> result;
    make_parallel_group(pairs[0].client.async_read_some(asio::buffer(data[0]), deferred),
        pairs[1].client.async_read_some(asio::buffer(data[1]), deferred))
        .async_wait(experimental::wait_for_one(), result.handler());
    run_ready(context);
    BOOST_TEST(result.calls == 0);
    asio::write(pairs[winner].server, asio::buffer("first", 5));
    run_until(context, [&] { return result.calls == 1; });
    const auto& [order, ec0, n0, ec1, n1] = result.values;
    BOOST_TEST(order[0] == winner);
    const std::array<error_code, 2> codes{ec0, ec1};
    const std::array<std::size_t, 2> sizes{n0, n1};
    BOOST_TEST(!codes[winner]);
    BOOST_TEST(sizes[winner] == 5u);
    BOOST_TEST(codes[loser] == error::operation_aborted);
    BOOST_TEST(sizes[loser] == 0u);

    // The one that lost has lost no data.
    asio::write(pairs[loser].server, asio::buffer("second", 6));
    BOOST_TEST(asio::read(pairs[loser].client, asio::buffer(data[loser], 6)) == 6u);
    BOOST_TEST(std::string(data[loser].data(), 6) == "second");
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(success_or_error_of_one, Protocol, transports)
{
  asio::io_context context;
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  typename Protocol::endpoint nobody;
  {
    typename Protocol::acceptor gone(context, loopback<Protocol>());
    nobody = gone.local_endpoint();
  }
  typename Protocol::socket refused(context);
  typename Protocol::socket client(context);
  outcome<two, error_code, error_code> success;
  make_parallel_group(
      refused.async_connect(nobody, deferred), client.async_connect(acceptor.local_endpoint(), deferred))
      .async_wait(experimental::wait_for_one_success(), success.handler());
  run_out(context);
  BOOST_TEST(success.calls == 1);
  // A refusal that came first has not ended the group.
  const error_code first = std::get<1>(success.values);
  BOOST_TEST((first == error::connection_refused || first == error::operation_aborted));
  BOOST_TEST(!std::get<2>(success.values));
  auto server = acceptor.accept();

  typename Protocol::socket refused_again(context);
  char byte;
  outcome<two, error_code, error_code, std::size_t> failure;
  make_parallel_group(
      refused_again.async_connect(nobody, deferred), client.async_read_some(asio::buffer(&byte, 1), deferred))
      .async_wait(experimental::wait_for_one_error(), failure.handler());
  run_out(context);
  BOOST_TEST(failure.calls == 1);
  BOOST_TEST(std::get<1>(failure.values) == error::connection_refused);
  BOOST_TEST(std::get<2>(failure.values) == error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(range_of_reads, Protocol, transports)
{
  asio::io_context context;
  std::vector<connected_pair<Protocol>> pairs;
  for (int i = 0; i != 5; ++i)
    pairs.emplace_back(context);
  std::vector<std::array<char, 4>> data(pairs.size());
  using operation = decltype(pairs[0].client.async_read_some(asio::buffer(data[0]), deferred));
  outcome<std::vector<std::size_t>, std::vector<error_code>, std::vector<std::size_t>> result;
  const auto start = [&](auto condition)
  {
    std::vector<operation> reads;
    for (std::size_t i = 0; i != pairs.size(); ++i)
      reads.push_back(pairs[i].client.async_read_some(asio::buffer(data[i]), deferred));
    result.calls = 0;
    make_parallel_group(std::move(reads)).async_wait(condition, result.handler());
    run_ready(context);
    BOOST_TEST(result.calls == 0);
  };

  start(experimental::wait_for_one());
  asio::write(pairs[3].server, asio::buffer("x", 1));
  run_until(context, [&] { return result.calls == 1; });
  BOOST_TEST(std::get<0>(result.values)[0] == 3u);
  for (std::size_t i = 0; i != pairs.size(); ++i)
  {
    BOOST_TEST(std::get<1>(result.values)[i] == (i == 3 ? error_code() : error_code(error::operation_aborted)));
    BOOST_TEST(std::get<2>(result.values)[i] == (i == 3 ? 1u : 0u));
  }

  start(experimental::wait_for_all());
  for (std::size_t i = pairs.size(); i-- != 0;)
    asio::write(pairs[i].server, asio::buffer("yy", 2));
  run_until(context, [&] { return result.calls == 1; });
  for (std::size_t i = 0; i != pairs.size(); ++i)
  {
    BOOST_TEST(!std::get<1>(result.values)[i]);
    BOOST_TEST(std::get<2>(result.values)[i] == 2u);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(slot_of_the_group_ends_all_of_it, Protocol, transports)
{
  asio::io_context context;
  connected_pair<Protocol> pair(context);
  typename Protocol::acceptor acceptor(context, loopback<Protocol>());
  typename Protocol::socket accepted(context);
  for (const auto kind :
      {asio::cancellation_type::terminal, asio::cancellation_type::partial, asio::cancellation_type::total})
  {
    std::array<char, 8> data{};
    asio::cancellation_signal signal;
    outcome<std::array<std::size_t, 3>, error_code, std::size_t, error_code, error_code> result;
    make_parallel_group(pair.client.async_read_some(asio::buffer(data), deferred),
        pair.server.async_wait(asio::socket_base::wait_read, deferred), acceptor.async_accept(accepted, deferred))
        .async_wait(experimental::wait_for_all(), asio::bind_cancellation_slot(signal.slot(), result.handler()));
    run_ready(context);
    BOOST_TEST(result.calls == 0);
    signal.emit(kind);
    run_until(context, [&] { return result.calls == 1; });
    BOOST_TEST(std::get<1>(result.values) == error::operation_aborted);
    BOOST_TEST(std::get<3>(result.values) == error::operation_aborted);
    BOOST_TEST(std::get<4>(result.values) == error::operation_aborted);
    BOOST_TEST(!accepted.is_open());
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(timeouts_lose_no_byte, Protocol, transports)
{
  for (const int threads : {1, 4})
  {
    asio::io_context context;
    std::atomic<int> finished{0};
    std::atomic<int> wrong{0};
    typename Protocol::acceptor acceptor(context, loopback<Protocol>());
    for (int i = 0; i != 3; ++i)
    {
      typename impatient_reader<Protocol>::socket_type client(asio::make_strand(context));
      client.connect(acceptor.local_endpoint());
      std::make_shared<impatient_reader<Protocol>>(
          acceptor.accept(asio::make_strand(context)), std::move(client), finished, wrong)
          ->start();
    }
    run_with_threads(context, threads);
    BOOST_TEST(finished == 3);
    BOOST_TEST(wrong == 0);
  }
}

BOOST_AUTO_TEST_SUITE_END()
