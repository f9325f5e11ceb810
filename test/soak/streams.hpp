// SPDX-License-Identifier: BSL-1.0
// The two directions of a session, each in five manners.

#ifndef ASIO_SHM_TEST_SOAK_STREAMS_HPP
#define ASIO_SHM_TEST_SOAK_STREAMS_HPP

#include "session.hpp"

#include <cstddef>
#include <cstdint>

namespace shm::test::soak {

/// Receives until the stream ends and checks every byte.
class receiver : public direction
{
public:
  receiver(session& owner, manner how, dice chance) : direction(owner, how, chance), bytes_of_stream_(owner.bytes(false))
  {
  }

  bool due() const override;

private:
  void launch() override;
  bool block() override;
  asio::awaitable<bool> await() override;

  /// Some bytes of the stream have come.
  void take(const void* data, std::size_t n);

  /// @returns whether there is more to come.
  bool goes_on(error_code ec);

  void read_whole(std::size_t n);
  void read_in_place();

  const pattern bytes_of_stream_;
};

/// Sends its quota and shuts down.
class sender : public direction
{
public:
  sender(session& owner, manner how, dice chance) : direction(owner, how, chance), bytes_of_stream_(owner.bytes(true)) {}

  bool due() const override;

private:
  void launch() override;
  bool block() override;
  asio::awaitable<bool> await() override;

  /// Bytes to be sent next, or 0 when all have been: then the stream is shut down.
  std::size_t prepare();

  /// So many of them were taken.
  void sent(std::uint64_t position);

  bool goes_on(error_code ec);
  void write_whole(std::size_t n);
  void write_in_place();
  void shut_down();

  const pattern bytes_of_stream_;
};

} // namespace shm::test::soak

#endif
