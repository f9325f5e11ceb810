// SPDX-License-Identifier: BSL-1.0
// The two ends of connections between machines: `peer serve`, and `peer <what> <host> <port>` as its client.
//
// Exit codes: 0 all is as it should be; 1 it is not; 2 usage; 3 the time is over; 4 the connection failed or was lost.
#include "peer.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/program_options.hpp>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>

namespace {

namespace asio = boost::asio;
namespace po = boost::program_options;

int ask(const machines::task& wanted, double limit)
{
  asio::io_context context(1);
  asio::steady_timer timer(context, std::chrono::milliseconds(static_cast<long>(limit * 1e3)));
  timer.async_wait(
      [&](const boost::system::error_code& ec)
      {
        if (ec)
          return;
        std::cout << wanted.what << ": the time is over" << std::endl;
        std::_Exit(3);
      });
  int result = 1;
  asio::co_spawn(context, machines::run(wanted),
      [&](std::exception_ptr failure, int code)
      {
        result = failure ? 1 : code;
        context.stop();
      });
  context.run();
  return result;
}

int serve(const std::string& address, unsigned short port)
{
  asio::io_context context(1);
  asio::signal_set signals(context, SIGINT, SIGTERM);
  signals.async_wait([&](const boost::system::error_code&, int) { context.stop(); });
  asio::co_spawn(context, machines::serve(address, port),
      [](std::exception_ptr failure)
      {
        if (failure)
          std::rethrow_exception(failure);
      });
  context.run();
  return 0;
}

} // namespace

int main(int argc, char* argv[])
{
  try
  {
    machines::task wanted;
    std::string address;
    unsigned short port = 0;
    double limit = 0;
    po::options_description named("Options");
    po::options_description_easy_init add = named.add_options();
    add("address", po::value(&address)->default_value("0.0.0.0"), "serve: where to listen");
    add("listen", po::value(&port)->default_value(4000), "serve: the port");
    add("bytes", po::value(&wanted.bytes)->default_value(1'000'000), "upload, download");
    add("count", po::value(&wanted.count)->default_value(1000), "latency: round trips");
    add("seconds", po::value(&wanted.seconds)->default_value(5), "keep: how long");
    add("limit", po::value(&limit)->default_value(100), "seconds for everything");
    po::options_description all;
    all.add(named).add_options()("what", po::value(&wanted.what))("host", po::value(&wanted.host))(
        "port", po::value(&wanted.port)->default_value("4000"));
    po::positional_options_description positions;
    positions.add("what", 1).add("host", 1).add("port", 1);
    po::variables_map given;
    po::store(po::command_line_parser(argc, argv).options(all).positional(positions).run(), given);
    po::notify(given);
    if (wanted.what == "serve")
      return serve(address, port);
    if (!wanted.what.empty() && !wanted.host.empty())
      return ask(wanted, limit);
    std::cerr << "usage: peer serve | peer WHAT HOST [PORT]\n" << named;
  }
  catch (const po::error& e)
  {
    std::cerr << "peer: " << e.what() << '\n';
  }
  catch (const std::exception& e)
  {
    std::cerr << "peer: " << e.what() << '\n';
    return 4;
  }
  return 2;
}
