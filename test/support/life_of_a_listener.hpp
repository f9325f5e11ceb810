// SPDX-License-Identifier: BSL-1.0
// Everything from open to close, in which any step may fail; and the proof that the same acceptor then works.

#ifndef ASIO_SHM_TEST_SUPPORT_LIFE_OF_A_LISTENER_HPP
#define ASIO_SHM_TEST_SUPPORT_LIFE_OF_A_LISTENER_HPP

#include "carries_data.hpp"
#include "completion.hpp"
#include "deadline.hpp"

#include <shm/stream_protocol.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <chrono>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace shm::test {

/// A listener and its first client in one context.
class life_of_a_listener
{
public:
  using tcp = shm::stream_protocol;
  using error_code = boost::system::error_code;

  explicit life_of_a_listener(const tcp::endpoint& at) : at_(at) {}

  /// Lives until the first error. Nothing may hang, and no exception may come but those that open and start throw.
  void live()
  {
    try
    {
      acceptor_.emplace(context_);
      client_.emplace(context_);
      server_.emplace(context_);
      never_throws([this] { listen(); });
      if (failure_)
        return;
      start();
      never_throws([this] { run(); });
      if (!failure_)
        never_throws([this] { close(); });
    }
    catch (const boost::system::system_error& e)
    {
      note(e.code());
    }
    catch (const std::bad_alloc&)
    {
      note(boost::asio::error::no_memory);
    }
  }

  /// What the program was told first; nothing if all went well.
  error_code failure() const { return failure_; }

  /// Ends what is left of the connection; all operations complete.
  void settle()
  {
    const auto forget = [](auto& object, auto end)
    {
      if (object)
        end(*object);
    };
    forget(client_, [](tcp::socket& s) { s.close(); });
    forget(server_, [](tcp::socket& s) { s.close(); });
    forget(acceptor_, [](tcp::acceptor& a) { if (a.is_open()) a.cancel(); });
    run_out(context_);
    BOOST_TEST(started_ == completed_);
  }

  /// Takes the acceptor from where it has come to, and serves clients with it.
  void recover()
  {
    if (!acceptor_)
      acceptor_.emplace(context_);
    if (!acceptor_->is_open())
      acceptor_->open(at_.protocol());
    if (!bound_)
      acceptor_->bind(at_);
    if (!listening_)
      acceptor_->listen();
    bound_ = listening_ = true;
    const tcp::endpoint at = acceptor_->local_endpoint();
    for (const bool blocking : {true, false})
    {
      tcp::socket client(context_);
      client.connect(at);
      boost::asio::write(client, boost::asio::buffer(carried_text));
      // Clients that have given up may be in the backlog still, with what they asked: connections that have ended.
      error_code ec;
      std::string got(carried_text.size(), '\0');
      tcp::socket server(context_);
      do
      {
        server = accept(blocking);
        boost::asio::read(server, boost::asio::buffer(got), ec);
      } while (is_end(ec) || (!ec && got.front() == '\0'));
      BOOST_TEST(!ec);
      BOOST_TEST(got == carried_text);
      check_carries_data(server, client);
    }
    acceptor_->close();
    // Whatever files were left behind do not keep anybody from the endpoint, and go with it.
    tcp::acceptor again(context_, at);
    again.close();
  }

private:
  // Overloads with an error code report memory that has run out by it, and run() throws what handlers throw.
  template <class Function>
  void never_throws(Function function)
  {
    try
    {
      function();
    }
    catch (const std::bad_alloc&)
    {
      note(boost::asio::error::no_memory);
      BOOST_ERROR("a call threw that should not");
    }
  }

  bool note(error_code ec)
  {
    if (ec && !failure_)
      failure_ = ec;
    return !ec;
  }

  void listen()
  {
    error_code ec;
    acceptor_->open(at_.protocol(), ec);
    if (!note(ec))
      return;
    acceptor_->bind(at_, ec);
    if (!note(ec))
      return;
    bound_ = true;
    acceptor_->listen(16, ec);
    listening_ = !ec;
    note(ec);
  }

  // Each operation is counted before it is started, and back if starting it throws.
  template <class Start>
  void count(Start start)
  {
    ++started_;
    try
    {
      start([this](auto next) {
        return [this, next](error_code ec, std::size_t = 0)
        {
          ++completed_;
          if (note(ec))
            next();
          else
            over_ = true;
        };
      });
    }
    catch (...)
    {
      --started_;
      throw;
    }
  }

  // What handlers start may fail to start, too: that must not come out of run().
  template <class Start>
  void follow(Start start)
  {
    try
    {
      count(start);
    }
    catch (const std::bad_alloc&)
    {
      note(boost::asio::error::no_memory);
      over_ = true;
    }
  }

  void start()
  {
    count([this](auto then) { acceptor_->async_accept(*server_, then([this] { serve(); })); });
    count([this](auto then) { client_->async_connect(acceptor_->local_endpoint(), then([this] { ask(); })); });
  }

  void serve()
  {
    follow([this](auto then) {
      boost::asio::async_read(*server_, boost::asio::buffer(question_at_server_), then([this] { answer(); }));
    });
  }

  void answer()
  {
    follow([this](auto then) {
      boost::asio::async_write(*server_, boost::asio::buffer(answer_), then([] {}));
    });
  }

  void ask()
  {
    follow([this](auto then) {
      boost::asio::async_write(*client_, boost::asio::buffer(question_), then([] {}));
    });
    follow([this](auto then) {
      boost::asio::async_read(*client_, boost::asio::buffer(answer_at_client_), then([this] { over_ = true; }));
    });
  }

  void run()
  {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!over_)
    {
      if (context_.stopped())
        context_.restart();
      context_.run_one_until(end);
      if (over_)
        break;
      if (std::chrono::steady_clock::now() >= end || context_.stopped())
      {
        BOOST_ERROR((context_.stopped() ? "an operation was lost" : "the deadline passed"));
        return;
      }
    }
  }

  void close()
  {
    error_code ec;
    client_->shutdown(tcp::socket::shutdown_send, ec);
    note(ec);
    client_->close(ec);
    note(ec);
    server_->close(ec);
    note(ec);
    acceptor_->close(ec);
    bound_ = listening_ = false;
    note(ec);
  }

  tcp::socket accept(bool blocking)
  {
    if (blocking)
      return acceptor_->accept();
    tcp::socket result(context_);
    completion accepted;
    acceptor_->async_accept(result, accepted.handler());
    run_until(context_, [&] { return accepted.done(); });
    BOOST_TEST(!accepted.ec);
    return result;
  }

  const tcp::endpoint at_;
  boost::asio::io_context context_;
  std::optional<tcp::acceptor> acceptor_;
  std::optional<tcp::socket> client_;
  std::optional<tcp::socket> server_;
  std::array<char, 100> question_{};
  std::array<char, 100> question_at_server_{};
  std::array<char, 1000> answer_{};
  std::array<char, 1000> answer_at_client_{};
  error_code failure_;
  bool bound_ = false;
  bool listening_ = false;
  bool over_ = false;
  int started_ = 0;
  int completed_ = 0;
};

} // namespace shm::test

#endif
