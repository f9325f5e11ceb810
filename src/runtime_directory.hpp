// SPDX-License-Identifier: BSL-1.0
// The private directory in which this user's listeners are found.
#ifndef ASIO_SHM_SRC_RUNTIME_DIRECTORY_HPP
#define ASIO_SHM_SRC_RUNTIME_DIRECTORY_HPP

#include "descriptor.hpp"

#include <boost/system/error_code.hpp>

#include <cstdint>
#include <string>

namespace shm {
namespace detail {

/// The opened runtime directory.
/**
 * It is looked up on each bind and connect, in this order: the environment variable ASIO_SHM_DIR; "asio-shm" in
 * XDG_RUNTIME_DIR, if that directory exists and is ours; "/tmp/asio-shm-<uid>". A program with privileges that its
 * caller lacks (set-user-ID, capabilities) does not listen to the environment.
 *
 * The directory must belong to the effective user, and nobody else may write to it.
 */
class runtime_directory
{
public:
  enum class if_missing
  {
    create, ///< Its last component is made with mode 0700. Parents never are.
    fail    ///< no_such_file_or_directory.
  };

  /// Finds and opens it. @param ec error::unsafe_runtime_directory, or the system's error.
  static runtime_directory open(if_missing action, boost::system::error_code& ec);

  /// The directory, open for reading, with a file description of its own: flock(2) on it excludes other calls of open.
  int get() const noexcept { return fd_.get(); }

  /// The path by which it was found.
  const std::string& path() const noexcept { return path_; }

  /// A number that is the same by whatever path the directory is found.
  std::uint64_t identity() const noexcept { return identity_; }

  /// Gives the descriptor up; get() is then -1.
  descriptor take() noexcept { return static_cast<descriptor&&>(fd_); }

private:
  descriptor fd_;
  std::string path_;
  std::uint64_t identity_ = 0;
};

} // namespace detail
} // namespace shm

#endif
