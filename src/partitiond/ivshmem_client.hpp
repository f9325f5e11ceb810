// SPDX-License-Identifier: BSL-1.0
// The region of an ivshmem server on this machine, for the daemon of the host or of a container.
#ifndef ASIO_SHM_SRC_PARTITIOND_IVSHMEM_CLIENT_HPP
#define ASIO_SHM_SRC_PARTITIOND_IVSHMEM_CLIENT_HPP

#include "attachment.hpp"
#include "ivshmem_message.hpp"
#include "memfd.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <sys/stat.h>

namespace shm {
namespace partitiond {

/// Hears what ivshmem_message.hpp describes. The eventfds of all partitions are open here, so ringing one takes no
/// detour. The server is trusted as far as the memory goes, which cannot shrink; what it says is checked.
class ivshmem_client : public attachment
{
public:
  /// Connects and waits until the server has said all that it says to a newcomer.
  /// @param interrupt Gives up with operation_aborted when this descriptor becomes readable. @param ec
  /// connection_refused and others of connect(2); timed_out; error::protocol_error; error::unsealed_memory;
  /// error::no_descriptors.
  static std::unique_ptr<ivshmem_client> connect(const std::string& path, std::chrono::milliseconds timeout,
      boost::system::error_code& ec, int interrupt = -1);

  std::uint32_t id() const noexcept override { return id_; }
  region_memory memory() const noexcept override { return {memory_.native_handle(), 0, size_}; }
  unsigned vectors() const noexcept override { return static_cast<unsigned>(own_.size()); }
  detail::descriptor listen(unsigned vector, boost::system::error_code& ec) override;
  detail::descriptor ringer(std::uint32_t peer, unsigned vector, boost::system::error_code& ec) override;
  int watched() const noexcept override { return socket_.get(); }
  void on_watched(boost::system::error_code& ec) override;
  bool replaced() const noexcept override;
  void set_peer_handler(peer_handler handle) override { handle_ = std::move(handle); }

private:
  struct limits
  {
    std::chrono::steady_clock::time_point until;
    int interrupt = -1;
  };

  void shake_hands(const limits& patience, boost::system::error_code& ec);
  ivshmem_message next(const limits& patience, boost::system::error_code& ec);
  void take_memory(detail::descriptor memory, boost::system::error_code& ec);
  void take(ivshmem_message&& about, boost::system::error_code& ec);

  std::string path_;
  struct stat file_{}; // that the server listened on
  detail::descriptor socket_;
  ivshmem_receiver receiver_;
  detail::memfd memory_;
  std::uint64_t size_ = 0;
  std::uint32_t id_ = 0;
  std::uint32_t vectors_ = 0;                                      // of each partition
  std::vector<detail::descriptor> own_;                            // by vector
  std::map<std::uint32_t, std::vector<detail::descriptor>> peers_; // likewise
  peer_handler handle_;
};

} // namespace partitiond
} // namespace shm

#endif
