// SPDX-License-Identifier: BSL-1.0
// A server that is attacked, and the proof that an attack has left nothing behind.

#ifndef ASIO_SHM_TEST_SUPPORT_ATTACKED_SERVER_HPP
#define ASIO_SHM_TEST_SUPPORT_ATTACKED_SERVER_HPP

#include "completion.hpp"
#include "connected_pair.hpp"
#include "deadline.hpp"
#include "hostile_client.hpp"
#include "open_resources.hpp"
#include "pattern.hpp"

#include <shm/stream_protocol.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <list>
#include <utility>
#include <vector>

namespace shm::test {

/// Echoes what its clients say. All of it runs in the thread of the test.
class attacked_server
{
public:
  using tcp = shm::stream_protocol;
  using error_code = boost::system::error_code;

  attacked_server() : acceptor_(context_, loopback<tcp>())
  {
    accept();
    serve_a_good_client();
    before_ = open_resources::now();
  }

  unsigned short port() const { return acceptor_.local_endpoint().port(); }
  boost::asio::io_context& context() { return context_; }
  std::size_t sessions() const { return sessions_.size(); }
  std::size_t accepted() const { return accepted_; }

  /// Why the sessions ended, in that order.
  const std::vector<error_code>& ends() const { return ends_; }

  /// Runs what is ready and comes back.
  void poll()
  {
    context_.restart();
    context_.poll();
  }

  /// Runs until the condition holds.
  template <class Predicate>
  void run(Predicate done)
  {
    const auto end = std::chrono::steady_clock::now() + patience;
    for (; !done(); poll())
      if (std::chrono::steady_clock::now() >= end)
        BOOST_FAIL("the deadline passed before the condition held");
  }

  /// A client of the library connects and gets back what it says. @returns how often the server ran until then.
  int serve_a_good_client(std::size_t size = 20000)
  {
    const std::size_t others = sessions_.size();
    const pattern stream{5};
    const auto said = stream.bytes(size, 0);
    std::vector<unsigned char> heard(size);
    int polls = 0;
    {
      boost::asio::io_context context; // of its own, so that nothing of it is left
      tcp::socket client(context);
      completion connected, written, read;
      client.async_connect(acceptor_.local_endpoint(), connected.handler());
      const auto turn = [&](const completion& what) {
        run([&] {
          if (what.done())
            return true;
          context.restart();
          context.poll();
          ++polls;
          return what.done();
        });
      };
      turn(connected);
      BOOST_TEST(!connected.ec);
      boost::asio::async_write(client, boost::asio::buffer(said), written.handler());
      boost::asio::async_read(client, boost::asio::buffer(heard), read.handler());
      turn(read);
      turn(written);
      BOOST_TEST(!read.ec);
      BOOST_TEST(!written.ec);
      BOOST_TEST((said == heard));
    }
    run([&] { return sessions_.size() <= others; });
    return polls;
  }

  /// Good clients are served, and once the bad ones are gone nothing is left of them.
  void check_unharmed()
  {
    serve_a_good_client(100);
    open_resources now;
    const auto end = std::chrono::steady_clock::now() + patience;
    do
    {
      poll();
      now = open_resources::now();
    } while (!(sessions_.empty() && now == before_) && std::chrono::steady_clock::now() < end);
    BOOST_TEST(sessions_.size() == 0u);
    BOOST_TEST(now == before_);
    BOOST_TEST(accept_errors_ == 0);
  }

  /// Once open: the sockets of the sessions, oldest first.
  tcp::socket& last_socket() { return sessions_.back().socket; }

private:
  struct session
  {
    tcp::socket socket;
    std::array<unsigned char, 4096> data{};
  };
  using place = std::list<session>::iterator;

  void accept()
  {
    acceptor_.async_accept([this](error_code ec, tcp::socket socket) {
      if (ec == boost::asio::error::operation_aborted)
        return;
      accept_errors_ += ec ? 1 : 0;
      if (!ec)
      {
        ++accepted_;
        sessions_.push_back({std::move(socket)});
        read(std::prev(sessions_.end()));
      }
      accept();
    });
  }

  void read(place at)
  {
    at->socket.async_read_some(boost::asio::buffer(at->data), [this, at](error_code ec, std::size_t n) {
      if (ec)
        return ended(at, ec);
      const auto echo = boost::asio::buffer(at->data, n);
      boost::asio::async_write(at->socket, echo, [this, at](error_code failed, std::size_t) {
        if (failed)
          ended(at, failed);
        else
          read(at);
      });
    });
  }

  void ended(place at, error_code why)
  {
    if (why == boost::asio::error::operation_aborted)
      return;
    ends_.push_back(why);
    sessions_.erase(at);
  }

  boost::asio::io_context context_;
  std::list<session> sessions_;
  tcp::acceptor acceptor_;
  std::size_t accepted_ = 0;
  int accept_errors_ = 0;
  std::vector<error_code> ends_;
  open_resources before_;
};

} // namespace shm::test

#endif
