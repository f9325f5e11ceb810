// SPDX-License-Identifier: BSL-1.0
// Sockets and acceptors on every kind of executor that programs give them.

#define BOOST_TEST_MODULE executors
#include "socket_test.hpp"

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>

using namespace shm::test;

namespace {

template <class Protocol, class Executor>
using socket_on = asio::basic_stream_socket<Protocol, Executor>;
template <class Protocol, class Executor>
using acceptor_on = asio::basic_socket_acceptor<Protocol, Executor>;

using io_executor = asio::io_context::executor_type;
using io_strand = asio::strand<io_executor>;
using pool_executor = asio::thread_pool::executor_type;
using pool_strand = asio::strand<pool_executor>;
using system_strand = asio::strand<asio::system_executor>;

/// An executor of the user's own make, with no more than what executors must have.
class own_executor
{
public:
  own_executor(const io_executor& inner, std::atomic<int>& executed)
    : inner_(asio::require(inner, asio::execution::blocking.never)), executed_(&executed)
  {}

  asio::execution_context& query(asio::execution::context_t) const noexcept
  {
    return asio::query(inner_, asio::execution::context);
  }

  own_executor require(asio::execution::blocking_t::never_t) const { return *this; }

  template <class Function>
  void execute(Function&& function) const
  {
    ++*executed_;
    inner_.execute(std::forward<Function>(function));
  }

  bool running_in_this_thread() const { return inner_.running_in_this_thread(); }
  bool operator==(const own_executor& other) const noexcept { return inner_ == other.inner_; }
  bool operator!=(const own_executor& other) const noexcept { return inner_ != other.inner_; }

private:
  std::decay_t<decltype(asio::require(std::declval<io_executor>(), asio::execution::blocking.never))> inner_;
  std::atomic<int>* executed_;
};

const std::thread::id main_thread = std::this_thread::get_id();

template <class Executor>
bool runs_here(const Executor& executor)
{
  return executor.running_in_this_thread();
}

bool runs_here(const asio::system_executor&)
{
  return std::this_thread::get_id() != main_thread;
}

template <class Inner>
bool runs_here_if(const asio::any_io_executor& executor)
{
  const auto* const inner = executor.target<Inner>();
  return inner && runs_here(*inner);
}

bool runs_here(const asio::any_io_executor& executor)
{
  return runs_here_if<io_executor>(executor) || runs_here_if<io_strand>(executor) ||
      runs_here_if<pool_executor>(executor) || runs_here_if<pool_strand>(executor) ||
      runs_here_if<asio::system_executor>(executor) || runs_here_if<system_strand>(executor);
}

struct score
{
  std::atomic<int> finished{0};
  std::atomic<int> wrong{0};
  std::atomic<int> elsewhere{0};

  void check(int expected) const
  {
    BOOST_TEST(finished.load() == expected);
    BOOST_TEST(wrong.load() == 0);
    BOOST_TEST(elsewhere.load() == 0);
  }
};

constexpr int rounds = 100;

/// A listener, its client and its server on one executor: connect, accept, and data there and back.
template <class Protocol, class Executor>
class exchange : public std::enable_shared_from_this<exchange<Protocol, Executor>>
{
public:
  exchange(const Executor& executor, score& result, int* unguarded)
    : executor_(executor),
      acceptor_(executor, loopback<Protocol>()),
      client_(executor),
      result_(result),
      unguarded_(unguarded)
  {}

  void start()
  {
    const auto endpoint = acceptor_.local_endpoint();
    acceptor_.async_accept(
        [self = this->shared_from_this()](error_code ec, socket_on<Protocol, Executor> server)
        {
          self->check(!ec && server.get_executor() == self->executor_);
          self->server_.emplace(std::move(server));
          self->serve();
        });
    client_.async_connect(endpoint,
        [self = this->shared_from_this()](error_code ec)
        {
          self->check(!ec);
          self->play();
        });
  }

private:
  void serve()
  {
    server_->async_read_some(asio::buffer(served_),
        [self = this->shared_from_this()](error_code ec, std::size_t n)
        {
          self->check(!ec || ec == error::eof);
          if (ec)
            return;
          asio::async_write(*self->server_, asio::buffer(self->served_, n),
              [self](error_code failed, std::size_t)
              {
                self->check(!failed);
                self->serve();
              });
        });
  }

  void play()
  {
    if (round_++ == rounds)
    {
      client_.close();
      ++result_.finished;
      return;
    }
    bytes_.fill(sent_.data(), sent_.size(), position());
    asio::async_write(client_, asio::buffer(sent_),
        [self = this->shared_from_this()](error_code ec, std::size_t)
        {
          self->check(!ec);
          asio::async_read(self->client_, asio::buffer(self->got_),
              [self](error_code failed, std::size_t n)
              {
                self->check(!failed && self->bytes_.matches(self->got_.data(), n, self->position()));
                self->play();
              });
        });
  }

  std::uint64_t position() const { return static_cast<std::uint64_t>(round_) * sent_.size(); }

  // Boost.Test's checks are for one thread; the case looks at the counts at the end.
  void check(bool right)
  {
    result_.wrong += !right;
    result_.elsewhere += !runs_here(executor_);
    if (unguarded_)
      ++*unguarded_;
  }

  Executor executor_;
  acceptor_on<Protocol, Executor> acceptor_;
  socket_on<Protocol, Executor> client_;
  std::optional<socket_on<Protocol, Executor>> server_;
  score& result_;
  int* unguarded_;
  pattern bytes_{5};
  int round_ = 0;
  std::array<unsigned char, 700> sent_{};
  std::array<unsigned char, 700> got_{};
  // Room for a whole message: TCP answers in parts as slowly as acknowledgements come.
  std::array<unsigned char, 700> served_{};
};

template <class Protocol, class Executor>
void start_exchange(const Executor& executor, score& result, int* unguarded = nullptr)
{
  std::make_shared<exchange<Protocol, Executor>>(executor, result, unguarded)->start();
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(executors, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(of_an_io_context, Protocol, transports)
{
  for (const int threads : {1, 4})
  {
    asio::io_context context;
    score result;
    start_exchange<Protocol>(context.get_executor(), result);
    start_exchange<Protocol>(asio::make_strand(context), result);
    start_exchange<Protocol>(asio::any_io_executor(context.get_executor()), result);
    start_exchange<Protocol>(asio::any_io_executor(asio::make_strand(context)), result);
    run_with_threads(context, threads);
    result.check(4);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(of_a_thread_pool, Protocol, transports)
{
  for (const std::size_t threads : {1u, 4u})
  {
    score result;
    asio::thread_pool pool(threads);
    start_exchange<Protocol>(pool.get_executor(), result);
    start_exchange<Protocol>(asio::make_strand(pool), result);
    start_exchange<Protocol>(asio::any_io_executor(pool.get_executor()), result);
    start_exchange<Protocol>(asio::any_io_executor(asio::make_strand(pool)), result);
    pool.join();
    result.check(4);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(of_the_system_context, Protocol, transports)
{
  // Handlers may be on their way out when the last one is counted, so this outlives the case.
  static score result;
  result.finished = 0;
  start_exchange<Protocol>(asio::any_io_executor(asio::system_executor()), result);
  start_exchange<Protocol>(asio::any_io_executor(asio::make_strand(asio::system_executor())), result);
  wait_until([] { return result.finished == 2; });
  result.check(2);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(of_the_users_own_make, Protocol, transports)
{
  for (const int threads : {1, 4})
  {
    asio::io_context context;
    score result;
    std::atomic<int> executed{0};
    start_exchange<Protocol>(own_executor(context.get_executor(), executed), result);
    run_with_threads(context, threads);
    result.check(1);
    // Every completion went through it: two a round at the client, and the connect.
    BOOST_TEST(executed > 2 * rounds);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(one_strand_guards_many_sockets, Protocol, transports)
{
  asio::io_context context;
  score result;
  int unguarded = 0;
  const auto strand = asio::make_strand(context);
  for (int i = 0; i != 4; ++i)
    start_exchange<Protocol>(strand, result, &unguarded);
  for (int i = 0; i != 4; ++i)
    start_exchange<Protocol>(asio::any_io_executor(strand), result, &unguarded);
  run_with_threads(context, 4);
  result.check(8);
  BOOST_TEST(unguarded >= 8 * 2 * rounds);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(of_the_acceptor_pass_to_what_it_accepts, Protocol, transports)
{
  asio::io_context context;
  asio::thread_pool pool(1);
  const auto accept_on = [](auto executor)
  {
    using executor_type = decltype(executor);
    acceptor_on<Protocol, executor_type> acceptor(executor, loopback<Protocol>());
    BOOST_CHECK(acceptor.get_executor() == executor);
    socket_on<Protocol, executor_type> client(executor);
    client.connect(acceptor.local_endpoint());
    auto server = acceptor.accept();
    static_assert(std::is_same_v<decltype(server), socket_on<Protocol, executor_type>>);
    BOOST_CHECK(server.get_executor() == executor);
    BOOST_CHECK(&asio::query(server.get_executor(), asio::execution::context) ==
        &asio::query(executor, asio::execution::context));
    asio::write(client, asio::buffer("x", 1));
    char byte = 0;
    BOOST_TEST(asio::read(server, asio::buffer(&byte, 1)) == 1u);
    BOOST_TEST(byte == 'x');
  };
  std::atomic<int> executed{0};
  accept_on(context.get_executor());
  accept_on(asio::make_strand(context));
  accept_on(asio::any_io_executor(asio::make_strand(context)));
  accept_on(pool.get_executor());
  accept_on(asio::make_strand(pool));
  accept_on(asio::any_io_executor(pool.get_executor()));
  accept_on(asio::any_io_executor(asio::make_strand(asio::system_executor())));
  accept_on(own_executor(context.get_executor(), executed));

  using rebound = typename Protocol::socket::template rebind_executor<io_strand>::other;
  static_assert(std::is_same_v<rebound, socket_on<Protocol, io_strand>>);
  static_assert(std::is_same_v<typename rebound::executor_type, io_strand>);
  using rebound_acceptor = typename Protocol::acceptor::template rebind_executor<pool_executor>::other;
  static_assert(std::is_same_v<rebound_acceptor, acceptor_on<Protocol, pool_executor>>);
}

BOOST_AUTO_TEST_SUITE_END()
