// SPDX-License-Identifier: BSL-1.0
// HTTPS client: gets files from the server and writes them to its standard output. Built twice, for TCP and for shared
// memory.

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include <cstdint>
#include <exception>
#include <iostream>
#include <limits>
#include <stdexcept>
#include <string>

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

// beast::tcp_stream names boost::asio::ip::tcp; this is the same for any protocol.
using tcp_stream = beast::basic_stream<tcp>;

int main(int argc, char* argv[])
{
  try
  {
    if (argc < 5)
    {
      std::cerr << "usage: " << argv[0] << " <host> <port> <certificate file to trust> <target>...\n";
      return 2;
    }
    const std::string host(argv[1]);

    // Only a server with this certificate, which has to be for this host, will do.
    asio::ssl::context tls(asio::ssl::context::tls_client);
    tls.load_verify_file(argv[3]);
    tls.set_verify_mode(asio::ssl::verify_peer);
    tls.set_verify_callback(asio::ssl::host_name_verification(host));

    asio::io_context io;
    tcp::resolver resolver(io);
    beast::ssl_stream<tcp_stream> stream(io, tls);
    beast::get_lowest_layer(stream).connect(resolver.resolve(host, argv[2]));
    stream.handshake(asio::ssl::stream_base::client);

    beast::flat_buffer buffer;
    for (int i = 4; i < argc; ++i)
    {
      http::request<http::empty_body> request(http::verb::get, argv[i], 11);
      request.set(http::field::host, host);
      http::write(stream, request);

      http::response_parser<http::string_body> response;
      response.body_limit(std::numeric_limits<std::uint64_t>::max());
      http::read(stream, buffer, response);
      if (response.get().result() != http::status::ok)
        throw std::runtime_error(response.get().body());
      std::cout << response.get().body();
    }
    stream.shutdown();
  }
  catch (const std::exception& e)
  {
    std::cerr << "https_client: " << e.what() << '\n';
    return 1;
  }
}
