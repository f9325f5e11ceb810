// SPDX-License-Identifier: BSL-1.0
// Streams whose operations are cancelled over and over, through slots and by timers: not a byte is lost or repeated.

#define BOOST_TEST_MODULE cancelled_streams
#include "socket_test.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <vector>

using namespace shm::test;

namespace {

using asio::bind_cancellation_slot;
using asio::cancellation_type;
using strand_type = asio::strand<asio::io_context::executor_type>;
template <class Protocol>
using socket_type = asio::basic_stream_socket<Protocol, strand_type>;

constexpr std::size_t total = 400'000;
constexpr std::size_t connections = 4;

struct score
{
  std::atomic<int> finished{0};
  std::atomic<int> wrong{0};
  std::atomic<int> aborted{0};
};

/// Reads the whole stream, one read at a time, while signals of all kinds come in between.
template <class Protocol>
class reader : public std::enable_shared_from_this<reader<Protocol>>
{
public:
  reader(socket_type<Protocol> socket, pattern bytes, score& result)
    : socket_(std::move(socket)), timer_(socket_.get_executor()), bytes_(bytes), result_(result)
  {}

  void start()
  {
    asio::dispatch(socket_.get_executor(),
        [self = this->shared_from_this()]
        {
          self->read();
          self->signal();
        });
  }

private:
  void read()
  {
    socket_.async_read_some(asio::buffer(data_),
        bind_cancellation_slot(signal_.slot(),
            [self = this->shared_from_this()](error_code ec, std::size_t n)
            {
              const bool cancelled = ec == error::operation_aborted;
              self->result_.wrong += !self->bytes_.matches(self->data_.data(), n, self->position_);
              self->result_.wrong += cancelled && n != 0;
              self->result_.aborted += cancelled;
              self->position_ += n;
              if (!ec || cancelled)
                return self->read();
              self->ended_ = true;
              self->result_.wrong += ec != error::eof || self->position_ != total;
              ++self->result_.finished;
            }));
  }

  // From its own handler as often as from a timer's.
  void signal()
  {
    if (ended_)
      return;
    ++signals_;
    signal_.emit(signals_ % 3 == 0 ? cancellation_type::terminal
            : signals_ % 3 == 1    ? cancellation_type::partial
                                   : cancellation_type::total);
    const auto next = [self = this->shared_from_this()](auto...) { self->signal(); };
    if (signals_ % 2)
      return asio::post(socket_.get_executor(), next);
    timer_.expires_after(std::chrono::microseconds(50));
    timer_.async_wait(next);
  }

  socket_type<Protocol> socket_;
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, strand_type>
      timer_;
  pattern bytes_;
  score& result_;
  asio::cancellation_signal signal_;
  std::vector<unsigned char> data_ = std::vector<unsigned char>(777);
  std::size_t position_ = 0;
  unsigned signals_ = 0;
  bool ended_ = false;
};

/// Writes the whole stream by composed writes that a timer cancels.
template <class Protocol>
class writer : public std::enable_shared_from_this<writer<Protocol>>
{
public:
  writer(socket_type<Protocol> socket, pattern bytes, score& result)
    : socket_(std::move(socket)), timer_(socket_.get_executor()), data_(bytes.bytes(total)), result_(result)
  {}

  void start()
  {
    asio::dispatch(socket_.get_executor(), [self = this->shared_from_this()] { self->write(); });
  }

private:
  void write()
  {
    timer_.expires_after(std::chrono::microseconds(100));
    timer_.async_wait(
        [self = this->shared_from_this(), turn = turn_](error_code ec)
        {
          if (!ec && turn == self->turn_)
            self->signal_.emit(turn % 2 ? cancellation_type::terminal : cancellation_type::partial);
        });
    asio::async_write(socket_, asio::buffer(data_) + position_,
        bind_cancellation_slot(signal_.slot(),
            [self = this->shared_from_this()](error_code ec, std::size_t n)
            {
              ++self->turn_;
              self->position_ += n;
              self->result_.aborted += ec == error::operation_aborted;
              self->result_.wrong += ec && ec != error::operation_aborted;
              if (ec == error::operation_aborted && self->position_ != total)
                return self->write();
              self->timer_.cancel();
              self->result_.wrong += self->position_ != total;
              ++self->result_.finished;
              self->socket_.close();
            }));
  }

  socket_type<Protocol> socket_;
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, strand_type>
      timer_;
  std::vector<unsigned char> data_;
  score& result_;
  asio::cancellation_signal signal_;
  std::size_t position_ = 0;
  int turn_ = 0;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(cancelled_streams, watchdog)

BOOST_AUTO_TEST_CASE_TEMPLATE(carry_every_byte, Protocol, transports)
{
  for (const int threads : {1, 4})
  {
    asio::io_context context;
    score result;
    {
      typename Protocol::acceptor acceptor(context, loopback<Protocol>());
      for (std::size_t i = 0; i != connections; ++i)
      {
        socket_type<Protocol> client(asio::make_strand(context));
        client.open(acceptor.local_endpoint().protocol());
        client.set_option(asio::socket_base::send_buffer_size(16 * 1024));
        client.connect(acceptor.local_endpoint());
        const pattern bytes(i);
        std::make_shared<reader<Protocol>>(acceptor.accept(asio::make_strand(context)), bytes, result)->start();
        std::make_shared<writer<Protocol>>(std::move(client), bytes, result)->start();
      }
    }
    run_with_threads(context, threads);
    BOOST_TEST(result.finished == static_cast<int>(2 * connections));
    BOOST_TEST(result.wrong == 0);
    // With one thread, each reader's first read was pending when its first signal came.
    if (threads == 1)
      BOOST_TEST(result.aborted >= static_cast<int>(connections));
  }
}

BOOST_AUTO_TEST_SUITE_END()
