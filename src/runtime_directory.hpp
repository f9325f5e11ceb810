// SPDX-License-Identifier: BSL-1.0
// The directory in which this user's listeners are found, and those of other users where that is wanted.
#ifndef ASIO_SHM_SRC_RUNTIME_DIRECTORY_HPP
#define ASIO_SHM_SRC_RUNTIME_DIRECTORY_HPP

#include "descriptor.hpp"

#include <boost/system/error_code.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace shm {
namespace detail {

/// The opened runtime directory.
/**
 * It is looked up on each bind and connect, in this order: the environment variable ASIO_SHM_DIR; "asio-shm" in
 * XDG_RUNTIME_DIR, if that directory exists and is ours; "/tmp/asio-shm-<uid>". A program with privileges that its
 * caller lacks (set-user-ID, capabilities) does not listen to the environment.
 *
 * Private, as a rule: it belongs to the effective user, and nobody else may write to it.
 *
 * Shared, if it has the sticky bit and belongs to root (or to the effective user): then each user has a directory in
 * it, named by the number of the user and writable by nobody else. Whoever may enter the shared directory can look for
 * listeners in all of them. So nobody can hold a lock that another waits for, or take another's name away.
 */
class runtime_directory
{
public:
  enum class if_missing
  {
    create, ///< Its last component is made with mode 0700, a user's in a shared one with 0755. Parents never are.
    fail    ///< no_such_file_or_directory; a shared one is opened without the user's own.
  };

  /// Finds and opens it. @param ec error::unsafe_runtime_directory, or the system's error.
  static runtime_directory open(if_missing action, boost::system::error_code& ec);

  /// The user's own directory, open for reading. -1 if it is missing in a shared one.
  int get() const noexcept { return fd_.get(); }

  /// Whether other users may have listeners beside it.
  bool shared() const noexcept { return root_.valid(); }

  /// The other users with something by their number in a shared one, in order. @param ec why they cannot be listed.
  std::vector<std::uint32_t> other_users(boost::system::error_code& ec) const;

  /// The directory of that user in a shared one. @returns one whose get() is -1 if there is none, or not a private one;
  /// then @p ec is clear, unless there is no descriptor or no memory left.
  runtime_directory of_user(std::uint32_t user, boost::system::error_code& ec) const;

  /// The user whose directory get() is.
  std::uint32_t user() const noexcept { return user_; }

  /// A path of it: the one by which it was found, unless others could make that lead elsewhere.
  const std::string& path() const noexcept { return path_; }

  /// A number that is the same by whatever path the directory is found.
  std::uint64_t identity() const noexcept { return identity_; }

  /// Gives the descriptor up; get() is then -1.
  descriptor take() noexcept { return static_cast<descriptor&&>(fd_); }

private:
  void open_own(if_missing action, boost::system::error_code& ec);

  descriptor fd_;
  descriptor root_; // of a shared one
  std::string path_;
  std::uint64_t identity_ = 0;
  std::uint32_t user_ = 0;
};

} // namespace detail
} // namespace shm

#endif
