// SPDX-License-Identifier: BSL-1.0
// The demo's client: measures round trips, or sends files through the echo server and checks what comes back. Prints
// lines of "key value".

#include "transport.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace asio = boost::asio;
using boost::system::error_code;
using stopwatch = std::chrono::steady_clock;

// An exception thrown by a handler leaves io_context::run(), and so arrives in main().
inline void check(const error_code& error, const char* what)
{
  if (error)
    throw boost::system::system_error(error, what);
}

// A connection, and what both measurements do with it.
template <class Protocol>
class connection
{
public:
  explicit connection(const std::string& endpoint)
  {
    socket_.async_connect(parse_endpoint<Protocol>(endpoint), [](const error_code& error) { check(error, "connect"); });
    run();
    set_no_delay(socket_);
  }

  // The server has to end its side when we end ours, with nothing more than it has sent already.
  void finish()
  {
    socket_.shutdown(Protocol::socket::shutdown_send);
    std::array<char, 1> surplus{};
    socket_.async_read_some(asio::buffer(surplus),
      [](const error_code& error, std::size_t)
      {
        if (!error)
          throw std::runtime_error("the server sent more than it received");
        if (error != asio::error::eof)
          check(error, "end of the connection");
      });
    run();
  }

protected:
  ~connection() = default;

  void run()
  {
    io_.restart();
    io_.run();
  }

  asio::io_context io_;
  typename Protocol::socket socket_{io_};
};

// Sends 64 bytes, waits until they are back, and so on.
template <class Protocol>
class round_trips : public connection<Protocol>
{
public:
  using connection<Protocol>::connection;

  // Ends after so many round trips or so much time, whatever comes first; the durations in nanoseconds.
  std::vector<std::uint32_t> measure(std::size_t count, stopwatch::duration limit)
  {
    durations_.assign(count, 0);
    done_ = 0;
    deadline_ = stopwatch::now() + limit;
    ping();
    this->run();
    durations_.resize(done_);
    return durations_;
  }

private:
  using message = std::array<char, 64>;

  void ping()
  {
    std::memcpy(sent_.data(), &done_, sizeof(done_)); // so that no two messages are the same
    start_ = stopwatch::now();
    asio::async_write(this->socket_, asio::buffer(sent_),
      [this](const error_code& error, std::size_t)
      {
        check(error, "write");
        wait_for_pong();
      });
  }

  void wait_for_pong()
  {
    asio::async_read(this->socket_, asio::buffer(received_),
      [this](const error_code& error, std::size_t)
      {
        const stopwatch::time_point now = stopwatch::now();
        check(error, "read");
        if (received_ != sent_)
          throw std::runtime_error("a message came back changed");
        durations_[done_++] = static_cast<std::uint32_t>(std::chrono::nanoseconds(now - start_).count());
        if (done_ < durations_.size() && now < deadline_)
          ping();
      });
  }

  message sent_{};
  message received_{};
  std::vector<std::uint32_t> durations_;
  std::size_t done_ = 0;
  stopwatch::time_point start_;
  stopwatch::time_point deadline_;
};

// Sends bytes and receives them again, both at once.
template <class Protocol>
class file_echo : public connection<Protocol>
{
public:
  using connection<Protocol>::connection;

  // Fills received, which has the size of sent; the time that it took.
  stopwatch::duration pass(const std::vector<char>& sent, std::vector<char>& received)
  {
    const stopwatch::time_point start = stopwatch::now();
    write(asio::buffer(sent));
    read(asio::buffer(received));
    this->run();
    return stopwatch::now() - start;
  }

private:
  static constexpr std::size_t chunk = 256 * 1024;

  void write(asio::const_buffer rest)
  {
    if (rest.size() == 0)
      return;
    asio::async_write(this->socket_, asio::buffer(rest, chunk),
      [this, rest](const error_code& error, std::size_t length)
      {
        check(error, "write");
        write(rest + length);
      });
  }

  void read(asio::mutable_buffer rest)
  {
    if (rest.size() == 0)
      return;
    this->socket_.async_read_some(asio::buffer(rest, chunk),
      [this, rest](const error_code& error, std::size_t length)
      {
        check(error, "read");
        read(rest + length);
      });
  }
};

template <class Value>
Value median(std::vector<Value> values)
{
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::string sha256(const std::vector<char>& data)
{
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  if (EVP_Digest(data.data(), data.size(), digest.data(), &length, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("SHA-256 failed");
  std::string text;
  for (unsigned i = 0; i < length; ++i)
  {
    text += "0123456789abcdef"[digest[i] >> 4];
    text += "0123456789abcdef"[digest[i] & 15];
  }
  return text;
}

std::vector<char> contents(const std::string& path)
{
  std::vector<char> data(std::filesystem::file_size(path));
  std::ifstream file(path, std::ios::binary);
  if (!file.read(data.data(), static_cast<std::streamsize>(data.size())))
    throw std::runtime_error("cannot read " + path);
  return data;
}

template <class Protocol>
void run_rtt(const std::string& endpoint, double seconds)
{
  round_trips<Protocol> client(endpoint);
  client.measure(2000, std::chrono::seconds(1)); // to warm up
  const auto limit = std::chrono::duration_cast<stopwatch::duration>(std::chrono::duration<double>(seconds));
  std::vector<std::uint32_t> durations = client.measure(4000000, limit);
  client.finish();

  std::sort(durations.begin(), durations.end());
  const auto microseconds = [&durations](std::size_t percent)
  { return durations[(durations.size() - 1) * percent / 100] / 1000.0; };
  std::cout << "rtt.count " << durations.size() << "\nrtt.p50_us " << microseconds(50) << "\nrtt.p99_us "
            << microseconds(99) << std::endl;
}

// Hashing, and spoiling what the pass before has left, happen between the timed passes.
template <class Protocol>
void run_file(const std::string& endpoint, const std::string& path, const std::string& key)
{
  const std::vector<char> sent = contents(path);
  std::vector<char> received(sent.size());
  const std::string hash_sent = sha256(sent);
  std::string hash_received;

  file_echo<Protocol> client(endpoint);
  const int passes = sent.size() < 1024 * 1024 ? 1 : 5;
  std::vector<double> speeds;
  for (int i = 0; i < passes; ++i)
  {
    std::fill(received.begin(), received.end(), static_cast<char>(~i));
    const std::chrono::duration<double> time = client.pass(sent, received);
    speeds.push_back(static_cast<double>(sent.size()) / 1e6 / time.count());
    hash_received = sha256(received);
    if (hash_received != hash_sent)
      break;
  }
  client.finish();

  std::cout << key << ".bytes " << sent.size() << '\n'
            << key << ".sha256_sent " << hash_sent << '\n'
            << key << ".sha256_received " << hash_received << '\n'
            << key << ".mb_per_s " << median(speeds) << std::endl;
  if (hash_received != hash_sent)
    throw std::runtime_error("checksum differs: " + path);
}

int main(int argc, char* argv[])
{
  try
  {
    const std::vector<std::string> args(argv + 1, argv + argc);
    if (args.size() >= 3 && args.size() <= 4 && args[2] == "rtt")
    {
      const double seconds = args.size() == 4 ? boost::lexical_cast<double>(args[3]) : 1.5;
      with_transport(
        args[0], [&](auto chosen) { run_rtt<typename decltype(chosen)::protocol>(args[1], seconds); });
    }
    else if (args.size() >= 4 && args[2] == "file")
    {
      for (std::size_t i = 3; i < args.size(); ++i)
        with_transport(args[0],
          [&](auto chosen)
          { run_file<typename decltype(chosen)::protocol>(args[1], args[i], "file." + std::to_string(i - 3)); });
    }
    else
    {
      std::cerr << "usage: " << argv[0] << " tcp|unix|shm <endpoint> rtt [<seconds>]\n"
                << "       " << argv[0] << " tcp|unix|shm <endpoint> file <path>...\n";
      return 2;
    }
  }
  catch (const std::exception& e)
  {
    std::cerr << "demo_client: " << e.what() << '\n';
    return 1;
  }
}
