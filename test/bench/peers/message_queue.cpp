// SPDX-License-Identifier: BSL-1.0
// Boost.Interprocess: a message_queue for each direction.

#include "peers/peer_program.hpp"

#include <boost/interprocess/ipc/message_queue.hpp>

#include <optional>

namespace ipc = boost::interprocess;
using namespace shm::bench;

namespace {

class message_queue
{
public:
  static constexpr const char* name = "message_queue";

  message_queue(side which, const std::string& unique, std::size_t largest)
    : to_server_(unique + "_to_server"), to_client_(unique + "_to_client")
  {
    // The side that comes first makes them. The other sees the same numbers.
    const std::size_t count = std::clamp<std::size_t>(bytes_in_queue / largest, 8, 1024);
    queues_[0].emplace(ipc::open_or_create, to_server_.c_str(), count, largest);
    queues_[1].emplace(ipc::open_or_create, to_client_.c_str(), count, largest);
    if (which == side::server)
      std::swap(out_, in_);
  }

  ~message_queue() { met(); }

  // Nothing is left behind, however the program ends.
  void met()
  {
    ipc::message_queue::remove(to_server_.c_str());
    ipc::message_queue::remove(to_client_.c_str());
  }

  message_queue(const message_queue&) = delete;
  message_queue& operator=(const message_queue&) = delete;

  void send(const void* data, std::size_t size) { out_->value().send(data, size, 0); }

  std::size_t receive(void* data, std::size_t size)
  {
    ipc::message_queue::size_type length = 0;
    unsigned priority = 0;
    in_->value().receive(data, size, length, priority);
    return length;
  }

private:
  static constexpr std::size_t bytes_in_queue = 1 << 20;

  std::string to_server_;
  std::string to_client_;
  std::optional<ipc::message_queue> queues_[2];
  std::optional<ipc::message_queue>* out_ = &queues_[0];
  std::optional<ipc::message_queue>* in_ = &queues_[1];
};

} // namespace

int main(int argc, char* argv[])
{
  return peer_main<message_queue>(argc, argv);
}
