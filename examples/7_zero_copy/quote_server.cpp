// SPDX-License-Identifier: BSL-1.0
// A producer without a buffer of its own: it formats quotes, lines of "number price", into the memory that the client
// reads.

#include <shm/stream_protocol.hpp>
#include <shm/zero_copy.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = shm::stream_protocol;

// One client: gets a number of quotes, then the end of the stream.
class feed : public std::enable_shared_from_this<feed>
{
public:
  feed(tcp::socket socket, std::uint64_t count) : socket_(std::move(socket)), count_(count) {}

  void send()
  {
    error_code ec;
    while (number_ != count_)
    {
      const asio::mutable_buffer space = shm::prepare(socket_, wanted, ec);
      if (ec == asio::error::would_block)
        return socket_.async_wait(tcp::socket::wait_write,
          [self = shared_from_this()](const error_code& error)
          {
            if (!error)
              self->send();
          });
      if (ec)
        return; // the client is gone
      shm::commit(socket_, fill(static_cast<char*>(space.data()), space.size()), ec);
    }
    socket_.shutdown(tcp::socket::shutdown_send, ec);
  }

private:
  static constexpr std::size_t wanted = 16 * 1024;
  static constexpr std::size_t longest_line = 48;

  // Formats as many quotes as fit. The space lies in one data segment: at the end of a segment it may be too short for a
  // line, which then goes there in two parts.
  std::size_t fill(char* to, std::size_t size)
  {
    std::size_t done = 0;
    while (number_ != count_)
    {
      if (rest_.empty() && size - done >= longest_line)
      {
        done = static_cast<std::size_t>(format(to + done) - to);
        ++number_;
        continue;
      }
      if (rest_.empty())
      {
        char line[longest_line];
        rest_.assign(line, static_cast<std::size_t>(format(line) - line));
      }
      const std::size_t n = std::min(rest_.size(), size - done);
      std::memcpy(to + done, rest_.data(), n);
      done += n;
      rest_.erase(0, n);
      if (!rest_.empty())
        break;
      ++number_;
    }
    return done;
  }

  // Writes the quote of this number. Returns its end.
  char* format(char* to) const
  {
    char* const end = to + longest_line - 1; // the end of the line has its place
    to = std::to_chars(to, end - 1, number_).ptr;
    *to++ = ' ';
    to = std::to_chars(to, end, 10000 + number_ * number_ % 997).ptr;
    *to++ = '\n';
    return to;
  }

  tcp::socket socket_;
  const std::uint64_t count_;
  std::uint64_t number_ = 0;
  std::string rest_; // of a line that did not fit
};

class server
{
public:
  server(asio::io_context& io, const tcp::endpoint& endpoint, std::uint64_t count)
    : acceptor_(io, endpoint), count_(count)
  {
    std::cout << "listening on " << acceptor_.local_endpoint() << std::endl;
    accept();
  }

private:
  void accept()
  {
    acceptor_.async_accept(
      [this](const error_code& error, tcp::socket socket)
      {
        if (!error)
          std::make_shared<feed>(std::move(socket), count_)->send();
        accept();
      });
  }

  tcp::acceptor acceptor_;
  const std::uint64_t count_;
};

int main(int argc, char* argv[])
{
  try
  {
    if (argc != 3)
    {
      std::cerr << "usage: " << argv[0] << " <port> <number of quotes>\n";
      return 2;
    }
    asio::io_context io;
    asio::signal_set signals(io, SIGINT, SIGTERM);
    signals.async_wait([&io](const error_code&, int) { io.stop(); });
    const server quotes(
      io, tcp::endpoint(tcp::v4(), static_cast<unsigned short>(std::atoi(argv[1]))), std::strtoull(argv[2], nullptr, 10));
    io.run();
  }
  catch (const std::exception& e)
  {
    std::cerr << "quote_server: " << e.what() << '\n';
    return 1;
  }
}
