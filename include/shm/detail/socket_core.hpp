// SPDX-License-Identifier: BSL-1.0
// An open socket or acceptor: the compiled part of what Asio's socket classes call.
#ifndef ASIO_SHM_DETAIL_SOCKET_CORE_HPP
#define ASIO_SHM_DETAIL_SOCKET_CORE_HPP

#include <shm/detail/accepted_connection.hpp>
#include <shm/detail/buffer_view.hpp>
#include <shm/detail/operation.hpp>
#include <shm/detail/reactor_core.hpp>
#include <shm/detail/socket_address.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

namespace shm {
namespace detail {

class connection;
struct socket_state;

/// The queues of a socket's pending operations, and what each waits for.
enum class operation_kind : std::uint8_t
{
  receive, ///< Data, or a connection to accept.
  send,    ///< Space, or the outcome of a connect.
  error    ///< The end of the connection.
};
inline constexpr std::size_t operation_kinds = 3;

/// Which directions to shut down; the values of boost::asio::socket_base::shutdown_type.
enum class shutdown_direction
{
  receive = 0,
  send = 1,
  both = 2
};

/// An open socket: unconnected, listening, connecting or connected. Thread safe; operations complete through the
/// reactor's sink, never inside start().
class socket_core : public boost::intrusive_ref_counter<socket_core, boost::thread_safe_counter>
{
public:
  using pointer = boost::intrusive_ptr<socket_core>;
  using error_code = boost::system::error_code;

  /// A new, unconnected socket of an address family (AF_INET, AF_INET6, AF_UNIX).
  static pointer open(reactor_core& reactor, int family, error_code& ec);

  /// A socket around an AF_UNIX stream socket from elsewhere: listening, or not connected.
  /// @param ec operation_not_supported for any other descriptor, which stays the caller's.
  static pointer assign(reactor_core& reactor, int family, int native_handle, error_code& ec);

  /// A connected socket.
  static pointer adopt(reactor_core& reactor, int family, accepted_connection&& connection, error_code& ec);

  /// Both ends of a new connection, to be adopted.
  static void make_pair(accepted_connection& a, accepted_connection& b, error_code& ec);

  ~socket_core();

  // --- lifetime ---
  void close(error_code& ec);
  int release(error_code& ec);
  void cancel();
  void cancel_by_key(operation_kind kind, void* key);
  int native_handle() const noexcept;

  // --- names ---
  void bind(const socket_address& address, error_code& ec);
  void listen(int backlog, error_code& ec);
  socket_address local_address(error_code& ec) const;
  socket_address remote_address(error_code& ec) const;

  // --- blocking operations ---
  /// Until when to wait for would_block (connect: try_again). Without one the socket's mode says whether to wait.
  using deadline = std::optional<reactor_core::clock::time_point>;
  static deadline at_once() noexcept { return reactor_core::clock::time_point::min(); }

  void connect(const socket_address& address, const deadline& until, error_code& ec);
  accepted_connection accept(error_code& ec);
  /// @returns 0 without an error at the end of the stream; set_eof() makes an error of that.
  std::size_t receive(const mutable_view* views, std::size_t count, bool peek, const deadline& until, error_code& ec);
  std::size_t send(const const_view* views, std::size_t count, const deadline& until, error_code& ec);
  void wait(operation_kind kind, error_code& ec);

  // --- asynchronous operations ---
  /// Tries the operation and queues it if it is not done. @returns whether it is done; then it was not counted as work.
  bool start(operation_kind kind, operation& op);

  // For operations' perform functions, which run with the mutex held; all return whether the operation is done.
  bool may_receive();
  bool try_receive(const mutable_view* views, std::size_t count, bool peek, operation& op);
  bool try_send(const const_view* views, std::size_t count, operation& op);
  bool try_wait(operation_kind kind, operation& op);
  bool try_accept(accepted_connection& accepted, operation& op);
  bool try_connect(const socket_address& address, operation& op);

  // --- buffers in the shared memory; none of these blocks ---
  mutable_view prepare(std::size_t n, error_code& ec);
  void commit(std::size_t n, error_code& ec);
  /// @returns an empty view without an error at the end of the stream.
  const_view look(error_code& ec);
  void consume(std::size_t n, error_code& ec);

  // --- state ---
  void shutdown(shutdown_direction what, error_code& ec);
  std::size_t available(error_code& ec) const;
  void set_option(int level, int name, const void* data, std::size_t size, error_code& ec);
  void get_option(int level, int name, void* data, std::size_t& size, error_code& ec) const;
  bool non_blocking() const noexcept;
  void non_blocking(bool mode) noexcept;
  bool native_non_blocking() const noexcept;
  void native_non_blocking(bool mode, error_code& ec) noexcept;

  // --- for the reactor ---
  /// Looks at the memory. @param done receives operations that are done. @param now if the clock was read for this
  /// visit: only then can the socket go to sleep.
  reactor_core::heat poll_hot(operation_queue& done, const reactor_core::clock::time_point* now);
  void on_event(reactor_core::source from, bool hang_up);
  void on_timer();
  void abandon(operation_queue& abandoned);
  void register_again();

private:
  using lock_type = std::unique_lock<std::mutex>;

  socket_core(reactor_core& reactor, int family);

  static pointer make(reactor_core& reactor, int family, error_code& ec);
  void bind_locked(const socket_address& address, error_code& ec);
  void make_acceptor(int socket, error_code& ec);
  bool pending() const noexcept;
  bool perform_all(operation_queue& done);
  bool look_again_armed(operation_queue& done);
  void wait_for_progress(operation_queue& done);
  reactor_core::clock::duration busy_poll() const;
  reactor_core::clock::duration limit_on_shared_cpu(reactor_core::clock::duration share);
  void end_sleep();
  void wake();
  void take_all(operation_queue& ops, const error_code& ec);
  void tear_down();
  void watch(reactor_core::source from, int fd, error_code& ec);
  bool watch_new_clients();
  bool call_later(reactor_core::clock::time_point when);

  bool check_connectable(const socket_address& address, error_code& ec) const;
  bool connect_step(const socket_address& address, error_code& ec);
  void send_own_hello(const socket_address& address, error_code& ec);
  void send_request(const socket_address& address, error_code& ec);
  void receive_answer(error_code& ec);
  void lengthen_pause() noexcept;
  void establish(established&& end, error_code& ec);
  void end_connecting(bool connected);
  void perform_connect(operation_queue& done);

  template <typename Attempt>
  bool spin(lock_type& lock, const deadline& limit, Attempt finished);
  template <typename Attempt>
  void block(lock_type& lock, operation_kind kind, const deadline& until, error_code& ec, Attempt attempt);
  void sleep(lock_type& lock, operation_kind kind, const deadline& until, error_code& ec);
  void nudge_sleeper() noexcept;
  connection* connected(error_code& ec) const;

  reactor_core& reactor_;
  mutable std::mutex mutex_;            // guards what follows
  std::unique_ptr<socket_state> state_; // never null
  operation_queue queues_[operation_kinds];
  bool closed_ = false;
  bool hot_ = false;      // on the reactor's hot list
  bool progress_ = false; // since the last visit of the poll task
  unsigned vain_visits_ = 0; // of the poll task, since the last progress
  reactor_core::clock::time_point last_progress_{};
};

} // namespace detail
} // namespace shm

#endif
