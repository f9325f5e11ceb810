// SPDX-License-Identifier: BSL-1.0
// The category of the library's own errors and its messages.
#include <shm/error.hpp>

#include <boost/system/errc.hpp>
#include <boost/system/error_category.hpp>
#include <boost/system/error_condition.hpp>

#include <string>

namespace shm {
namespace error {
namespace {

class category final : public boost::system::error_category
{
public:
  // The number lets codes compare equal when two shared objects of one program each carry a copy of this library.
  constexpr category() noexcept : boost::system::error_category(0x6173696f2e73686dull) {}

  const char* name() const noexcept override { return "asio.shm"; }

  // Keeps the other overload of message, which this one would hide.
  using boost::system::error_category::message;

  // So that a program can ask for the reason without a list of whose errors they are.
  boost::system::error_condition default_error_condition(int value) const noexcept override
  {
    switch (value)
    {
    case protocol_error:
      return make_error_condition(boost::system::errc::protocol_error);
    case version_mismatch:
      return make_error_condition(boost::system::errc::protocol_not_supported);
    case untrusted_peer:
    case unsafe_runtime_directory:
      return make_error_condition(boost::system::errc::permission_denied);
    case no_descriptors:
      return make_error_condition(boost::system::errc::too_many_files_open);
    case no_memory:
      return make_error_condition(boost::system::errc::not_enough_memory);
    default:
      return boost::system::error_condition(value, *this);
    }
  }

  std::string message(int value) const override
  {
    switch (value)
    {
    case corrupted:
      return "the peer wrote invalid control words and the connection has ended: reconnect, and look for a fault in "
             "the peer's program";
    case protocol_error:
      return "malformed handshake: check that the peer is a program that uses shm::stream_protocol";
    case version_mismatch:
      return "the peer speaks another version of the protocol: build both programs with the same version of asio_shm";
    case geometry_refused:
      return "ring sizes beyond the limit of this version: ask for smaller buffers";
    case untrusted_peer:
      return "the peer belongs to another user: run both programs as one user";
    case unsealed_memory:
      return "the peer's memory lacks its seals and was not mapped: check that the peer is a program that uses "
             "shm::stream_protocol";
    case unsafe_runtime_directory:
      return "the runtime directory is neither private nor safe to share: make it a directory that you own with mode "
             "0700, or one of root's with mode 3770 for a group, or set ASIO_SHM_DIR to another one";
    case no_descriptors:
      return "the acceptor has no file descriptor left: raise its RLIMIT_NOFILE or close connections";
    case no_memory:
      return "there is no memory for the connection: ask for smaller buffers, raise the acceptor's memory limit, or, "
             "between partitions, make the region larger";
    default:
      return "asio.shm error " + std::to_string(value);
    }
  }
};

} // namespace

const boost::system::error_category& get_category() noexcept
{
  static const category instance;
  return instance;
}

} // namespace error
} // namespace shm
