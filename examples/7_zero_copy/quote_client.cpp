// SPDX-License-Identifier: BSL-1.0
// Parses quotes where they lie, in the memory that the server wrote to, and prints how many there were and the sum of
// their prices.

#include <shm/stream_protocol.hpp>
#include <shm/zero_copy.hpp>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = shm::stream_protocol;

class client
{
public:
  explicit client(tcp::socket& socket) : socket_(socket) {}

  void receive()
  {
    error_code ec;
    for (;;)
    {
      const asio::const_buffer bytes = shm::data(socket_, ec);
      if (ec == asio::error::would_block)
        return socket_.async_wait(tcp::socket::wait_read,
          [this](const error_code& error)
          {
            if (error)
              throw boost::system::system_error(error, "wait");
            receive();
          });
      if (ec == asio::error::eof && rest_.empty())
        return;
      if (ec)
        throw boost::system::system_error(ec, "receive");
      parse({static_cast<const char*>(bytes.data()), bytes.size()});
      shm::consume(socket_, bytes.size());
    }
  }

  std::uint64_t count() const { return count_; }
  std::uint64_t sum() const { return sum_; }

private:
  // Only a line that two looks, or two data segments, share is copied.
  void parse(std::string_view text)
  {
    for (std::size_t end; (end = text.find('\n')) != text.npos; text.remove_prefix(end + 1))
    {
      if (rest_.empty())
        parse_line(text.substr(0, end));
      else
      {
        rest_.append(text.substr(0, end));
        parse_line(rest_);
        rest_.clear();
      }
    }
    rest_.append(text);
  }

  void parse_line(std::string_view line)
  {
    std::uint64_t number = 0;
    std::uint64_t price = 0;
    const char* const end = line.data() + line.size();
    const auto first = std::from_chars(line.data(), end, number);
    if (first.ec != std::errc() || first.ptr == end || *first.ptr != ' ')
      throw std::runtime_error("not a quote: " + std::string(line));
    const auto second = std::from_chars(first.ptr + 1, end, price);
    if (second.ec != std::errc() || second.ptr != end || number != count_)
      throw std::runtime_error("not the quote that is due: " + std::string(line));
    ++count_;
    sum_ += price;
  }

  tcp::socket& socket_;
  std::string rest_;
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
};

int main(int argc, char* argv[])
{
  try
  {
    if (argc != 3)
    {
      std::cerr << "usage: " << argv[0] << " <host> <port>\n";
      return 2;
    }
    asio::io_context io;
    tcp::socket socket(io);
    asio::connect(socket, tcp::resolver(io).resolve(argv[1], argv[2]));
    client quotes(socket);
    quotes.receive();
    io.run();
    std::cout << quotes.count() << " quotes, sum of prices " << quotes.sum() << std::endl;
  }
  catch (const std::exception& e)
  {
    std::cerr << "quote_client: " << e.what() << '\n';
    return 1;
  }
}
