// SPDX-License-Identifier: BSL-1.0
// iceoryx: a publisher and a subscriber for each direction, polled. Its daemon, iox-roudi, has to run.

#include "peers/peer_program.hpp"

#include <iceoryx_posh/popo/untyped_publisher.hpp>
#include <iceoryx_posh/popo/untyped_subscriber.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>

#include <cstring>
#include <thread>

using namespace shm::bench;

namespace {

// Messages are copied into and out of the chunks, as they are with all the others: who produces the data there and looks
// at them there saves that.
class iceoryx
{
public:
  static constexpr const char* name = "iceoryx";

  iceoryx(side which, const std::string& unique, std::size_t largest)
    : runtime_(start_runtime(unique + (which == side::server ? "_server" : "_client"))),
      out_(direction(unique, which == side::client), publisher_options()),
      in_(direction(unique, which == side::server), subscriber_options(largest))
  {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!out_.hasSubscribers() || in_.getSubscriptionState() != iox::SubscribeState::SUBSCRIBED)
    {
      if (std::chrono::steady_clock::now() > deadline)
        throw std::runtime_error("the two sides did not find each other");
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  void met() {}

  void send(const void* data, std::size_t size)
  {
    auto loan = out_.loan(static_cast<std::uint32_t>(size));
    if (loan.has_error())
      throw std::runtime_error("no chunk to send in");
    std::memcpy(loan.value(), data, size);
    out_.publish(loan.value());
  }

  std::size_t receive(void* data, std::size_t size)
  {
    for (;;)
    {
      auto taken = in_.take();
      if (taken.has_error())
      {
        if (taken.get_error() != iox::popo::ChunkReceiveResult::NO_CHUNK_AVAILABLE)
          throw std::runtime_error("no chunk to receive in");
        continue;
      }
      const std::size_t length = iox::mepoo::ChunkHeader::fromUserPayload(taken.value())->userPayloadSize();
      if (length > size)
        throw std::runtime_error("a message is too long");
      std::memcpy(data, taken.value(), length);
      in_.release(taken.value());
      return length;
    }
  }

private:
  static constexpr std::size_t bytes_in_queue = 2 << 20; // well within the daemon's default pools

  static iox::RuntimeName_t text(const std::string& value) { return {iox::cxx::TruncateToCapacity, value.c_str()}; }

  static iox::runtime::PoshRuntime& start_runtime(const std::string& process)
  {
    // What it logs goes to standard output, which is for the result.
    iox::log::LogManager::GetLogManager().SetDefaultLogLevel(
        iox::log::LogLevel::kOff, iox::log::LogLevelOutput::kHideLogLevel);
    return iox::runtime::PoshRuntime::initRuntime(text(process));
  }

  static iox::capro::ServiceDescription direction(const std::string& unique, bool to_server)
  {
    return {text(unique), "bench", to_server ? iox::RuntimeName_t("to_server") : iox::RuntimeName_t("to_client")};
  }

  // Nothing may be lost: a publisher waits for a slow subscriber.
  static iox::popo::PublisherOptions publisher_options()
  {
    iox::popo::PublisherOptions options;
    options.subscriberTooSlowPolicy = iox::popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
    return options;
  }

  static iox::popo::SubscriberOptions subscriber_options(std::size_t largest)
  {
    iox::popo::SubscriberOptions options;
    options.queueCapacity = std::clamp<std::size_t>(bytes_in_queue / largest, 2, 128);
    options.queueFullPolicy = iox::popo::QueueFullPolicy::BLOCK_PRODUCER;
    return options;
  }

  iox::runtime::PoshRuntime& runtime_;
  iox::popo::UntypedPublisher out_;
  iox::popo::UntypedSubscriber in_;
};

} // namespace

int main(int argc, char* argv[])
{
  return peer_main<iceoryx>(argc, argv);
}
