// SPDX-License-Identifier: BSL-1.0
// A process that serves, connects, and gives everything back at its end.
#include "worker.hpp"

#include "late_check.hpp"
#include "open_resources.hpp"
#include "session.hpp"

#include <shm/busy_poll.hpp>
#include <shm/doorbell.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <optional>
#include <vector>

namespace shm::test::soak {
namespace {

tcp::endpoint endpoint_of(int number)
{
  const auto port = static_cast<unsigned short>(5000 + number);
  switch (number % 4)
  {
  case 0: return {asio::ip::address_v4::loopback(), port};
  case 1: return {asio::ip::address_v6::loopback(), port};
  case 2: return tcp::endpoint("soak" + std::to_string(number));
  default: return tcp::endpoint(std::string(std::getenv("ASIO_SHM_DIR")) + "/path" + std::to_string(number));
  }
}

class worker
{
public:
  worker(board& shared, const options& wanted, std::uint32_t life, int number, dice chance)
    : chance_(chance),
      kinds_(chance_.number()),
      around_(shared, wanted, life, static_cast<int>(chance_.between(1, 3)), chance_.one_in(3)),
      acceptor_(asio::make_strand(around_.context()))
  {
    static constexpr int limits[] = {0, 50, 1000, 200'000};
    shm::set_busy_poll(around_.context(), shm::busy_poll(limits[chance_.between(0, 3)]));
    const tcp::endpoint here = endpoint_of(number);
    acceptor_.open(here.protocol());
    acceptor_.bind(here);
    acceptor_.listen();
  }

  void run()
  {
    auto work = asio::make_work_guard(around_.context());
    std::vector<std::thread> threads;
    for (int i = 0; i != around_.io_threads(); ++i)
      threads.emplace_back(
          [this]
          {
            around_.add_io_thread();
            around_.context().run();
          });
    std::optional<late_check> checking(around_);
    accept();
    while (!around_.stopping())
    {
      connect_more();
      around_.collect_threads();
      // In a spell of rest nothing new comes to wake the context.
      ::usleep(static_cast<useconds_t>(1000 * (chance_.one_in(20) ? chance_.between(500, 2000) : chance_.between(1, 60))));
    }
    const auto settle = [this]
    {
      while (around_.collect_threads() != 0 || !around_.sessions().empty())
        ::usleep(5000);
    };
    settle();
    std::atomic<bool> closed{false};
    asio::post(acceptor_.get_executor(),
        [&]
        {
          acceptor_.close();
          closed = true;
        });
    while (!closed || greetings_ != 0) // those that came in before
      ::usleep(5000);
    settle();
    work.reset();
    for (std::thread& thread : threads)
      thread.join();
  }

private:
  using greeting = std::array<unsigned char, 8>;

  /// Handlers on a strand, or as they come.
  session_kind any_kind()
  {
    if (around_.io_threads() == 1)
      return {around_.context().get_executor(), true};
    const std::lock_guard<std::mutex> lock(mutex_);
    if (kinds_.one_in(3))
      return {around_.context().get_executor(), false};
    return {asio::make_strand(around_.context()), true};
  }

  void begin(tcp::socket&& socket, std::size_t connection, int side)
  {
    const auto made = std::make_shared<session>(around_, std::move(socket), any_kind(), connection, side);
    around_.add(made);
    made->start();
  }

  void accept()
  {
    acceptor_.async_accept(
        [this](error_code ec, tcp::socket socket)
        {
          if (!acceptor_.is_open())
            return;
          if (ec)
            failed("accept: " + ec.message());
          else
            greet(std::move(socket));
          accept();
        });
  }

  // The connector says which connection it is.
  void greet(tcp::socket&& from)
  {
    struct visitor
    {
      tcp::socket socket;
      greeting bytes{};
    };
    const auto who = std::make_shared<visitor>(visitor{std::move(from)});
    ++around_.count().accepted;
    ++greetings_;
    asio::async_read(who->socket, asio::buffer(who->bytes),
        [this, who](error_code ec, std::size_t)
        {
          std::size_t number = 0;
          for (const unsigned char byte : who->bytes)
            number = number << 8 | byte;
          if (!ec && number < around_.shared().connections)
            begin(std::move(who->socket), number, 1);
          else if (ec != asio::error::eof && ec != asio::error::connection_reset)
            failed("greeting: " + ec.message());
          --greetings_;
        });
  }

  void connect_more()
  {
    const auto sessions = around_.sessions();
    for (auto i = sessions.size(); i < 2 * static_cast<std::size_t>(around_.wanted().sessions); ++i)
      if (!connect())
        break;
  }

  bool connect()
  {
    tcp::socket socket(around_.context());
    const auto listener
        = static_cast<int>(chance_.between(0, static_cast<std::uint64_t>(around_.wanted().processes) - 1));
    const tcp::endpoint there = endpoint_of(listener);
    socket.open(there.protocol());
    socket.set_option(shm::socket_doorbell(chance_.one_in(3)));
    if (chance_.one_in(2))
      socket.set_option(tcp::socket::send_buffer_size(static_cast<int>(chance_.any_size(1 << 16, 1 << 21))));
    if (chance_.one_in(2))
      socket.set_option(tcp::socket::receive_buffer_size(static_cast<int>(chance_.any_size(1 << 16, 1 << 21))));
    if (chance_.one_in(4))
      socket.set_option(shm::busy_poll(chance_.one_in(2) ? 0 : 100'000));
    error_code ec;
    socket.connect(there, ec);
    if (ec == asio::error::connection_refused || ec == boost::system::errc::no_such_file_or_directory)
    {
      ++around_.count().refused;
      return false;
    }
    if (ec)
    {
      failed("connect: " + ec.message());
      return false;
    }
    const std::size_t number = around_.shared().connections++;
    if (number >= board::max_connections)
      throw std::runtime_error("more connections than the board has room for");
    around_.shared().connection[number].listener = static_cast<std::uint32_t>(listener);
    greeting bytes{};
    for (std::size_t i = 0; i != bytes.size(); ++i)
      bytes[i] = static_cast<unsigned char>(number >> (56 - 8 * i));
    asio::write(socket, asio::buffer(bytes), ec);
    if (ec && ec != asio::error::broken_pipe && ec != asio::error::connection_reset)
      failed("greeting: " + ec.message());
    begin(std::move(socket), number, 0);
    return true;
  }

  void failed(const std::string& what)
  {
    ++around_.count().failures;
    around_.report(what);
  }

  dice chance_; // of the thread that connects
  std::mutex mutex_;
  dice kinds_; // guarded by it
  surroundings around_;
  tcp::acceptor acceptor_;
  std::atomic<int> greetings_{0};
};

} // namespace

int work(board& shared, const options& wanted, std::uint32_t life, int number)
{
  const open_resources before = open_resources::now();
  {
    worker process(shared, wanted, life, number, dice(wanted.seed, life, number, 3));
    process.run();
  }
  const open_resources after = open_resources::now();
  shared.count.descriptors += static_cast<std::uint64_t>(std::max(0L, after.descriptors - before.descriptors));
  shared.count.regions += static_cast<std::uint64_t>(std::max(0L, after.regions - before.regions));
  return 0;
}

} // namespace shm::test::soak
