// SPDX-License-Identifier: BSL-1.0
// Chat server: passes what one client says on to all others. Built twice, for TCP and for shared memory.

#include "chat_message.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/write.hpp>
#include <boost/lexical_cast.hpp>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <deque>
#include <exception>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <utility>

// The only difference between the two programs.
#if defined(USE_SHM)
#include <shm/stream_protocol.hpp>
using tcp = shm::stream_protocol;
#else
#include <boost/asio/ip/tcp.hpp>
using tcp = boost::asio::ip::tcp;
#endif

namespace asio = boost::asio;
using boost::system::error_code;

// Encoded once, however many participants it goes to.
using shared_message = std::shared_ptr<const std::string>;

// What the room knows of somebody in it.
class participant
{
public:
  virtual ~participant() = default;
  virtual void deliver(const shared_message& message) = 0;
};

// Everybody who is here; announces who comes and who goes.
class room
{
public:
  void join(const std::shared_ptr<participant>& who, const std::string& name)
  {
    participants_.insert(who);
    tell_all("* " + name + " joined");
  }

  void leave(const std::shared_ptr<participant>& who, const std::string& name)
  {
    if (participants_.erase(who) != 0)
      tell_all("* " + name + " left");
  }

  void say(const std::shared_ptr<participant>& speaker, const std::string& name, const std::string& text)
  {
    tell_all(name + ": " + text, speaker);
  }

private:
  void tell_all(const std::string& text, const std::shared_ptr<participant>& except = nullptr)
  {
    const auto message = std::make_shared<const std::string>(encode(text));
    for (const auto& each : participants_)
      if (each != except)
        each->deliver(message);
  }

  std::set<std::shared_ptr<participant>> participants_;
};

// One client. Its first message is its name, the others are what it says.
class session : public participant, public std::enable_shared_from_this<session>
{
public:
  session(tcp::socket socket, room& where) : socket_(std::move(socket)), room_(where) {}

  void read_header()
  {
    asio::async_read(socket_, asio::buffer(header_),
      [self = shared_from_this()](const error_code& error, std::size_t)
      {
        std::size_t length = 0;
        if (error || !decode(self->header_, length))
          self->leave();
        else
          self->read_text(length);
      });
  }

  void deliver(const shared_message& message) override
  {
    // Somebody who does not read must not cost ever more memory; the pending read then fails and leaves the room.
    if (outgoing_.size() == max_outgoing)
      return close();
    outgoing_.push_back(message);
    if (outgoing_.size() == 1)
      write();
  }

private:
  static constexpr std::size_t max_outgoing = 1000;
  static constexpr std::size_t max_name = 20;

  void read_text(std::size_t length)
  {
    text_.resize(length);
    asio::async_read(socket_, asio::buffer(text_),
      [self = shared_from_this()](const error_code& error, std::size_t)
      {
        if (error)
          return self->leave();
        self->handle_text();
        self->read_header();
      });
  }

  void handle_text()
  {
    // A line break would let a client write lines in the name of another one.
    std::replace_if(text_.begin(), text_.end(), [](char c) { return c >= 0 && c < ' '; }, ' ');
    if (name_.empty())
    {
      name_ = text_.empty() ? "guest" : text_.substr(0, max_name);
      room_.join(shared_from_this(), name_);
    }
    else
      room_.say(shared_from_this(), name_, text_);
  }

  // One write at a time: two at once would mix their bytes.
  void write()
  {
    asio::async_write(socket_, asio::buffer(*outgoing_.front()),
      [self = shared_from_this()](const error_code& error, std::size_t)
      {
        if (error)
          return self->close();
        self->outgoing_.pop_front();
        if (!self->outgoing_.empty())
          self->write();
      });
  }

  // Only the chain of reads ends up here, once, however the connection ends.
  void leave()
  {
    room_.leave(shared_from_this(), name_);
    close();
  }

  void close()
  {
    error_code ignored;
    socket_.close(ignored);
  }

  tcp::socket socket_;
  room& room_;
  std::string name_;
  message_header header_{};
  std::string text_;
  std::deque<shared_message> outgoing_;
};

class server
{
public:
  server(asio::io_context& io, unsigned short port) : acceptor_(io, tcp::endpoint(tcp::v4(), port)) { accept(); }

  unsigned short port() const { return acceptor_.local_endpoint().port(); }

private:
  void accept()
  {
    acceptor_.async_accept(
      [this](const error_code& error, tcp::socket socket)
      {
        if (error)
          throw boost::system::system_error(error, "accept");
        std::make_shared<session>(std::move(socket), room_)->read_header();
        accept();
      });
  }

  tcp::acceptor acceptor_;
  room room_;
};

int main(int argc, char* argv[])
{
  try
  {
    if (argc != 2)
    {
      std::cerr << "usage: " << argv[0] << " <port>   (0: any free port)\n";
      return 2;
    }

    asio::io_context io;
    asio::signal_set signals(io, SIGINT, SIGTERM);
    signals.async_wait([&io](const error_code&, int) { io.stop(); });

    server chat(io, boost::lexical_cast<unsigned short>(argv[1]));
    std::cout << "listening on port " << chat.port() << std::endl;
    io.run();
  }
  catch (const std::exception& e)
  {
    std::cerr << "chat_server: " << e.what() << '\n';
    return 1;
  }
}
