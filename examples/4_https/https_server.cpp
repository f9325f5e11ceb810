// SPDX-License-Identifier: BSL-1.0
// HTTPS server: gives clients the files of a directory. Built twice, for TCP and for shared memory.

#include "self_signed.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/lexical_cast.hpp>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <system_error>
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
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

// beast::tcp_stream names boost::asio::ip::tcp; this is the same for any protocol.
using tcp_stream = beast::basic_stream<tcp>;

http::message_generator text(http::status status, std::string body, bool keep_alive)
{
  http::response<http::string_body> response(status, 11, std::move(body));
  response.set(http::field::content_type, "text/plain");
  response.keep_alive(keep_alive);
  response.prepare_payload();
  return response;
}

// The answer to a request for a file below the directory.
http::message_generator answer(const http::request<http::empty_body>& request, const std::string& directory)
{
  const std::string target(request.target());
  const bool keep_alive = request.keep_alive();
  if (request.method() != http::verb::get)
    return text(http::status::method_not_allowed, "only GET\n", keep_alive);
  if (target.empty() || target.front() != '/' || target.find("..") != std::string::npos)
    return text(http::status::bad_request, "not a path: " + target + '\n', keep_alive);

  const std::string path = directory + target;
  std::error_code ignored;
  error_code error;
  http::response<http::file_body> response(http::status::ok, 11);
  response.body().open(path.c_str(), beast::file_mode::scan, error);
  if (error || !std::filesystem::is_regular_file(path, ignored))
    return text(http::status::not_found, "no file " + target + '\n', keep_alive);
  response.set(http::field::content_type, "application/octet-stream");
  response.keep_alive(keep_alive);
  response.prepare_payload();
  return response;
}

// One client: handshake, requests and answers in turn, shutdown. Its pending operation owns it.
class session : public std::enable_shared_from_this<session>
{
public:
  session(tcp::socket socket, asio::ssl::context& tls, const std::string& directory)
    : stream_(std::move(socket), tls), directory_(directory)
  {}

  void start()
  {
    limit_time();
    stream_.async_handshake(asio::ssl::stream_base::server,
      [self = shared_from_this()](const error_code& error)
      {
        if (error)
          std::cerr << "a client was refused: " << error.message() << '\n';
        else
          self->read();
      });
  }

private:
  void limit_time() { beast::get_lowest_layer(stream_).expires_after(std::chrono::seconds(30)); }

  void read()
  {
    request_ = {};
    limit_time();
    http::async_read(stream_, buffer_, request_,
      [self = shared_from_this()](const error_code& error, std::size_t)
      {
        if (!error)
          self->write();
        else if (error == http::error::end_of_stream)
          self->shut_down();
      });
  }

  void write()
  {
    limit_time();
    http::message_generator response = answer(request_, directory_);
    const bool keep_alive = response.keep_alive();
    beast::async_write(stream_, std::move(response),
      [self = shared_from_this(), keep_alive](const error_code& error, std::size_t)
      {
        if (error)
          return;
        if (keep_alive)
          self->read();
        else
          self->shut_down();
      });
  }

  void shut_down()
  {
    limit_time();
    stream_.async_shutdown([self = shared_from_this()](const error_code&) {});
  }

  beast::ssl_stream<tcp_stream> stream_;
  const std::string& directory_;
  beast::flat_buffer buffer_;
  http::request<http::empty_body> request_;
};

class server
{
public:
  server(asio::io_context& io, unsigned short port, asio::ssl::context& tls, std::string directory)
    : acceptor_(io, tcp::endpoint(tcp::v4(), port)), tls_(tls), directory_(std::move(directory))
  {
    accept();
  }

  unsigned short port() const { return acceptor_.local_endpoint().port(); }

private:
  void accept()
  {
    acceptor_.async_accept(
      [this](const error_code& error, tcp::socket socket)
      {
        if (error)
          throw boost::system::system_error(error, "accept");
        std::make_shared<session>(std::move(socket), tls_, directory_)->start();
        accept();
      });
  }

  tcp::acceptor acceptor_;
  asio::ssl::context& tls_;
  const std::string directory_;
};

int main(int argc, char* argv[])
{
  try
  {
    if (argc != 4)
    {
      std::cerr << "usage: " << argv[0] << " <port> <directory> <certificate file to write>   (port 0: any free port)\n";
      return 2;
    }

    asio::ssl::context tls(asio::ssl::context::tls_server);
    use_self_signed_certificate(tls, argv[3]);

    std::string directory(argv[2]);
    asio::io_context io;
    asio::signal_set signals(io, SIGINT, SIGTERM);
    signals.async_wait([&io](const error_code&, int) { io.stop(); });

    server https(io, boost::lexical_cast<unsigned short>(argv[1]), tls, std::move(directory));
    std::cout << "listening on port " << https.port() << std::endl;
    io.run();
  }
  catch (const std::exception& e)
  {
    std::cerr << "https_server: " << e.what() << '\n';
    return 1;
  }
}
