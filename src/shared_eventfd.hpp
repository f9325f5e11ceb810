// SPDX-License-Identifier: BSL-1.0
// Eventfds that somebody else has too, who may do anything with them.
//
// A descriptor that was handed on shares its open file description. Whoever has it, or had it once, can clear O_NONBLOCK
// and fill the counter: write(2) blocks then. Looking first does not help, as both can be done between the look and the
// write. The kernel's own way to signal an eventfd has no counter that is full; programs get at it through the end of an
// asynchronous operation (IOCB_FLAG_RESFD of io_submit(2)).
#ifndef ASIO_SHM_SRC_SHARED_EVENTFD_HPP
#define ASIO_SHM_SRC_SHARED_EVENTFD_HPP

namespace shm {
namespace detail {

/// Makes an eventfd readable, and blocks in no case. Thread safe; also in a child process after fork(2). Where there is
/// no io_submit(2), as under some filters of system calls, O_NONBLOCK is set and the eventfd written to: whoever clears
/// the one just then can make that wait.
void ring_shared_eventfd(int fd) noexcept;

/// Makes an eventfd unreadable, and blocks in no case. Where the kernel has no RWF_NOWAIT for eventfds (before Linux
/// 5.8), O_NONBLOCK is set and the eventfd read.
void drain_eventfd(int fd) noexcept;

} // namespace detail
} // namespace shm

#endif
