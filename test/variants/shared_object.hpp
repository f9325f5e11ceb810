// SPDX-License-Identifier: BSL-1.0
// What each of the two shared objects gives to the program, by pointers so that only one name of each is looked up.
#ifndef ASIO_SHM_TEST_VARIANTS_SHARED_OBJECT_HPP
#define ASIO_SHM_TEST_VARIANTS_SHARED_OBJECT_HPP

#include <boost/system/error_code.hpp>

/// The functions of one shared object.
struct shared_object
{
  /// Starts an echo server in a thread of its own. @returns its port, 0 if it cannot.
  unsigned short (*start_server)();

  /// Waits until the server's one client is gone. @returns how many bytes it sent back, -1 if it failed.
  long (*join_server)();

  /// Connects to a port, sends that many bytes, reads them back. @returns how many came back as they were.
  long (*ask)(unsigned short port, long bytes);

  /// An error code of the library, made by this object's copy of it.
  boost::system::error_code (*corrupted)();

  /// Throws boost::system::system_error with connection_refused.
  void (*fail_to_connect)();
};

#endif
