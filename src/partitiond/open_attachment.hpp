// SPDX-License-Identifier: BSL-1.0
// From options to an attachment, with the server in a thread of its own where it is wanted.
#ifndef ASIO_SHM_SRC_PARTITIOND_OPEN_ATTACHMENT_HPP
#define ASIO_SHM_SRC_PARTITIOND_OPEN_ATTACHMENT_HPP

#include "attachment.hpp"
#include "options.hpp"

#include <boost/system/error_code.hpp>

#include <memory>

namespace shm {
namespace partitiond {

/// Opens the attachment that the options describe, again and again.
class attachments
{
public:
  /// With options::source::serve, makes the region and serves it, from a second thread, as long as this lives.
  attachments(const options& wanted, boost::system::error_code& ec);
  ~attachments();

  /// May block while a server is slow to answer. @param ec Why there is none; operation_aborted when @p interrupt has
  /// become readable.
  std::unique_ptr<attachment> open(int interrupt, boost::system::error_code& ec);

private:
  struct server;

  options wanted_;
  std::unique_ptr<server> server_;
};

} // namespace partitiond
} // namespace shm

#endif
