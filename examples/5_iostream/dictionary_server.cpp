// SPDX-License-Identifier: BSL-1.0
// Dictionary server: keeps words with their values for its clients, who speak to it line by line. A thread for each.

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/lexical_cast.hpp>

#include <chrono>
#include <csignal>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>

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

class dictionary
{
public:
  // "set <word> <value>" and "get <word>"; the value is the rest of the line.
  std::string answer(const std::string& request)
  {
    std::istringstream words(request);
    std::string command, word, value;
    words >> command >> word;
    std::getline(words >> std::ws, value);
    const std::lock_guard<std::mutex> lock(mutex_);
    if (command == "set" && !value.empty())
    {
      values_[word] = value;
      return "ok";
    }
    if (command == "get" && values_.count(word) != 0)
      return values_[word];
    return command == "get" ? "unknown word" : "set <word> <value>, or get <word>";
  }

private:
  std::mutex mutex_;
  std::map<std::string, std::string> values_;
};

// A client that says nothing for a minute is let go.
void serve(tcp::iostream& client, dictionary& words)
{
  std::string request;
  client.expires_after(std::chrono::minutes(1));
  while (std::getline(client, request))
  {
    client << words.answer(request) + '\n'; // one write: the stream sends after each <<
    client.expires_after(std::chrono::minutes(1));
  }
}

// The dictionary is shared: the threads of the last clients may outlive main's copy.
void accept(tcp::acceptor& acceptor, std::shared_ptr<dictionary> words)
{
  auto client = std::make_shared<tcp::iostream>();
  acceptor.async_accept(client->socket(),
    [&acceptor, client, words](const error_code& error)
    {
      if (error)
        throw boost::system::system_error(error, "accept");
      std::thread([client, words] { serve(*client, *words); }).detach();
      accept(acceptor, words);
    });
}

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

    tcp::acceptor acceptor(io, tcp::endpoint(tcp::v4(), boost::lexical_cast<unsigned short>(argv[1])));
    accept(acceptor, std::make_shared<dictionary>());
    std::cout << "listening on port " << acceptor.local_endpoint().port() << std::endl;
    io.run();
  }
  catch (const std::exception& e)
  {
    std::cerr << "dictionary_server: " << e.what() << '\n';
    return 1;
  }
}
