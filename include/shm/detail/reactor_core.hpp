// SPDX-License-Identifier: BSL-1.0
// The compiled part of the reactor: an epoll instance for what sleeps, a hot list for what is polled in memory.
#ifndef ASIO_SHM_DETAIL_REACTOR_CORE_HPP
#define ASIO_SHM_DETAIL_REACTOR_CORE_HPP

#include <shm/detail/operation.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace shm {
namespace detail {

class connection;
class socket_core;
class spare_connection;

/// Where operations go when they are done; implemented on top of Asio's scheduler.
class completion_sink
{
public:
  /// An operation is pending from now on.
  virtual void work_started() noexcept = 0;

  /// These operations, pending until now, are done.
  virtual void post(operation_queue& done) = 0;

  /// Run the poll task once, soon, on a thread of the context.
  /// @param counted Whether the task counts as work while it waits. The scheduler keeps what does not count to the
  /// thread that posts it, where a nested run() cannot see it.
  virtual void post_poll_task(bool counted) = 0;

protected:
  ~completion_sink() = default;
};

/// One reactor for each execution context.
///
/// Sockets with pending operations are on the hot list, where the poll task looks at their memory, or cold, where a
/// doorbell wakes them through epoll. The poll task has a role that one thread holds at a time; whenever there is
/// something to do for it, either the role is held or the task is posted, also while a completion handler runs.
///
/// Lock order: a socket's mutex, then the reactor's mutex.
class reactor_core
{
public:
  using clock = std::chrono::steady_clock;

  /// @throws boost::system::system_error if the epoll instance cannot be created.
  explicit reactor_core(completion_sink& sink);
  ~reactor_core();
  reactor_core(const reactor_core&) = delete;
  reactor_core& operator=(const reactor_core&) = delete;

  completion_sink& sink() noexcept { return sink_; }

  /// The epoll instance, to be watched for input, edge-triggered.
  int native_handle() const noexcept { return epoll_; }

  /// Closes every socket and collects all operations, pending or done. Idempotent.
  void shutdown(operation_queue& abandoned);

  /// Before a fork: what the child must not share is given up.
  void prepare_fork() noexcept;

  /// In a child process: a new epoll instance, everything registered anew. @throws boost::system::system_error
  void recreate_epoll();

  /// The epoll instance became readable.
  void epoll_readable();

  // --- the poll task ---

  /// Takes the poll role. @param debt receives the completions not yet accounted for. @param counted receives whether
  /// the task was posted as work. @returns false if another thread holds the role, or if the task is to leave the
  /// scheduler's queue for a moment.
  bool begin_polling(clock::time_point now, std::size_t& debt, bool& counted);

  /// Polls until an operation is done or the deadline has passed or nothing is left to poll. Holds the role.
  /// @returns the operation, or nullptr.
  operation* poll(clock::time_point deadline);

  /// Gives the role back before a completion handler runs.
  void pause_polling();

  /// Takes the role again after a handler. @returns false if another thread has it now.
  bool resume_polling();

  /// Ends the poll task. @param holding whether the role is held. @param debt completions still to be accounted for.
  void end_polling(bool holding, std::size_t debt);

  /// An operation that is done and whose turn it is, or nullptr. Needs no role: for the thread that has just run a
  /// completion handler.
  operation* take_ready();

  /// Hands operations that are done, and count as work, to the poll task: what is done first is completed first. Any
  /// thread.
  void push_ready(operation& op);
  void push_ready(operation_queue& done);

  // --- for sockets ---

  /// Identifies a socket in the epoll instance; generations make an old event harmless.
  using socket_id = std::uint64_t;

  /// Makes a socket known. @returns its id.
  socket_id add_socket(socket_core& socket);

  /// Forgets a socket. Its descriptors must have been removed.
  void remove_socket(socket_id id) noexcept;

  /// Which descriptor of a socket an event belongs to.
  enum class source : std::uint8_t
  {
    doorbell,
    rendezvous,
    listener
  };

  /// Watches a descriptor, edge-triggered. @returns 0 or an errno value.
  int add_descriptor(socket_id id, source from, int fd) noexcept;

  /// Stops watching it; to be called before it is closed, because its description may live on elsewhere.
  void remove_descriptor(int fd) noexcept;

  /// Puts a socket on the hot list.
  void add_hot(socket_core& socket);

  /// Calls the socket's on_timer() not before @p when. Once; several are kept.
  void add_timer(socket_core& socket, clock::time_point when);

  /// Frees what is left of a closed connection when there is time: at the latest when the poll task ends, which is at
  /// once where it does not run.
  void retire(std::shared_ptr<connection>&& closed) noexcept;

  /// A set of memory and doorbells that the next connect may use.
  spare_connection& spare() noexcept { return *spare_; }

  // --- how long sockets without progress stay on the hot list ---

  /// The longest time for sockets that have no limit of their own.
  clock::duration busy_poll() const noexcept { return clock::duration(busy_poll_.load(std::memory_order_relaxed)); }
  void busy_poll(clock::duration longest) noexcept;

  /// How much of such a time may be spent now: what spinning has brought to this context decides. For the poll task.
  clock::duration spin_share(clock::duration longest) noexcept;

  /// Whether spinning can bring anything: not where one CPU has to run both sides.
  bool may_spin() const noexcept { return cpus_ > 1; }
  int cpus() const noexcept { return cpus_; }

  /// What a visit to a hot socket found.
  enum class heat : std::uint8_t
  {
    progress, ///< Operations are done.
    started,  ///< Something was started since.
    waiting,  ///< Nothing yet.
    cold,     ///< Nothing for as long as may be spent: it sleeps now.
    idle      ///< Nothing is pending, or the socket is closed.
  };

private:
  struct slot;
  struct timer;
  struct spin_state;

  operation* visit_hot(const clock::time_point* now);
  void account_spin(bool progress, bool started, const clock::time_point* now);
  void fell_asleep(bool in_vain);
  void woken();

  void drain_epoll();
  void run_timers();
  void set_next_timer() noexcept;
  void keep_spare() noexcept;
  void free_retired() noexcept;
  boost::intrusive_ptr<socket_core> find(std::uint64_t data);
  void take_news();
  void look_at_inbox();
  void move_to_hot() noexcept;
  bool needs_task() const noexcept;
  bool claim_post() noexcept;
  bool takes_a_break(clock::time_point now) noexcept;
  void note_news() noexcept { news_.store(true, std::memory_order_release); }

  completion_sink& sink_;
  int epoll_ = -1;
  int timerfd_ = -1;
  long epoll_owner_ = 0; // process that created the epoll instance
  const int cpus_; // that may run us
  std::atomic<clock::rep> busy_poll_;
  std::atomic<unsigned> spin_level_; // what spin_ says, for any thread

  operation_inbox inbox_;           // done, from initiating functions
  std::atomic<bool> active_{false}; // the role is held or the task posted: somebody will look at the inbox
  std::atomic<bool> news_{false};   // ready_, incoming_ or epoll_readable_ want to be looked at
  std::atomic<bool> has_retired_{false}; // a hint

  std::mutex mutex_; // guards what follows; news_ and active_ change with it held, but for news_ becoming false
  std::vector<slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::vector<timer> timers_;
  std::vector<boost::intrusive_ptr<socket_core>> incoming_; // for the hot list
  operation_queue ready_;
  std::vector<std::shared_ptr<connection>> retired_; // has room for all that it may hold
  std::size_t debt_ = 0;
  bool polling_ = false; // the poll role is held
  bool posted_ = false;  // the poll task is in the scheduler's queue
  bool counted_ = false; // and counts as work there
  bool epoll_readable_ = false;
  bool shut_down_ = false;
  bool quiet_ = true;              // the task is neither running nor posted
  clock::time_point busy_since_{}; // if not quiet
  clock::time_point break_end_{};  // if quiet with hot sockets
  clock::time_point spare_end_;    // when the spare set is looked at
  clock::time_point timer_set_;    // what the timer is set to

  // Guarded by the poll role.
  bool look_ = false; // at the hot list, before more of what is ready: once in each slice
  std::vector<boost::intrusive_ptr<socket_core>> hot_;
  std::unique_ptr<spin_state> spin_;

  std::unique_ptr<spare_connection> spare_;
};

} // namespace detail
} // namespace shm

#endif
