// SPDX-License-Identifier: BSL-1.0
// Kills processes at planted points: at the nth system call, at the nth instruction, after some time.

#ifndef ASIO_SHM_TEST_SUPPORT_EXECUTIONER_HPP
#define ASIO_SHM_TEST_SUPPORT_EXECUTIONER_HPP

#include "child_process.hpp"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <new>
#include <system_error>
#include <utility>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

namespace shm::test {

/// When a victim is to die.
struct sentence
{
  enum class kind
  {
    at_call, ///< At the nth stop, of which a system call has two: before and after it.
    at_step, ///< After n instructions behind its first mark(), or at its next one.
    in_time  ///< After n microseconds.
  };
  kind how = kind::at_call;
  long n = 0;
};

/// What victim, executioner and test tell each other, in memory that they share.
struct notice_board
{
  std::atomic<int> stage{0};             ///< How far the victim has come; the victim's and the test's own affair.
  std::atomic<int> go{0};                ///< What the test lets the victim do.
  std::atomic<long> order{0};            ///< Number of the current victim.
  std::atomic<std::int64_t> died_at{0};  ///< When it was killed, on the steady clock; 0 until then.
  std::atomic<bool> dead{false};         ///< It is gone, with all that the kernel held for it.
  std::atomic<bool> survived{false};     ///< It came to its end, good or bad, or to its mark, before its time.
  std::atomic<long> steps{0};            ///< Instructions that it was led through.
};

/// Where a victim's instructions begin and end to be counted.
inline void mark()
{
  ::raise(SIGSTOP);
}

/// A process that starts one victim after the other and kills each. Made before the test has a context, so that no
/// victim inherits anything; victims run `body(board)` and never return to the test.
class executioner
{
public:
  template <class Body>
  explicit executioner(Body body)
    : board_(new (share(sizeof(notice_board))) notice_board),
      child_([board = board_, body](channel& test) { return work(*board, test, body); })
  {
  }

  ~executioner()
  {
    child_.kill();
    ::munmap(board_, sizeof(notice_board));
  }

  executioner(const executioner&) = delete;
  executioner& operator=(const executioner&) = delete;

  notice_board& board() { return *board_; }

  /// Starts a victim. The one before must be dead.
  void start(const sentence& s)
  {
    board_->stage = 0;
    board_->go = 0;
    board_->died_at = 0;
    board_->dead = false;
    board_->survived = false;
    ++board_->order;
    child_.peer().send(s);
  }

  /// Whether this machine lets a process trace its child.
  static bool may_trace()
  {
    const pid_t pid = ::fork();
    if (pid == 0)
      ::_exit(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0 ? 0 : 1);
    int status = 0;
    return pid > 0 && ::waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

private:
  static void* share(std::size_t size)
  {
    void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
      throw std::system_error(errno, std::generic_category(), "mmap");
    return memory;
  }

  static std::int64_t now()
  {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }

  template <class Body>
  static int work(notice_board& board, channel& test, const Body& body)
  {
    for (;;)
    {
      const auto s = test.receive<sentence>();
      std::fflush(nullptr);
      const pid_t victim = ::fork();
      if (victim < 0)
        return 1;
      if (victim == 0)
      {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (s.how != sentence::kind::in_time)
        {
          ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
          ::raise(SIGSTOP);
        }
        int code = 99;
        try
        {
          code = body(board);
        }
        catch (const std::exception& e)
        {
          std::fprintf(stderr, "victim: %s\n", e.what());
        }
        ::_exit(code);
      }
      bool survived = execute(victim, s, board);
      if (!survived)
      {
        board.died_at = now();
        ::kill(victim, SIGKILL);
        int status = 0;
        while (::waitpid(victim, &status, __WALL) == victim && !WIFEXITED(status) && !WIFSIGNALED(status))
        {
        }
        survived = WIFEXITED(status);
      }
      board.survived = survived;
      board.dead = true;
    }
  }

  // Waits for the next stop. Returns its signal, or 0 if the victim has ended.
  static int next_stop(pid_t victim)
  {
    int status = 0;
    while (::waitpid(victim, &status, __WALL) < 0 && errno == EINTR)
    {
    }
    return WIFSTOPPED(status) ? WSTOPSIG(status) : 0;
  }

  // Leads the victim to its place. Returns whether it ended before.
  static bool execute(pid_t victim, const sentence& s, notice_board& board)
  {
    if (s.how == sentence::kind::in_time)
    {
      const timespec time = {s.n / 1000000, s.n % 1000000 * 1000};
      ::nanosleep(&time, nullptr);
      return false;
    }
    if (next_stop(victim) == 0)
      return true;
    ::ptrace(PTRACE_SETOPTIONS, victim, nullptr, static_cast<long>(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
    return s.how == sentence::kind::at_call ? lead_by_calls(victim, s.n) : lead_by_steps(victim, s.n, board);
  }

  static bool lead_by_calls(pid_t victim, long n)
  {
    long pass_on = 0;
    for (long i = 0; i != n;)
    {
      ::ptrace(PTRACE_SYSCALL, victim, nullptr, pass_on);
      const int signal = next_stop(victim);
      if (signal == 0)
        return true;
      const bool call = signal == (SIGTRAP | 0x80);
      pass_on = call || signal == SIGSTOP ? 0 : signal;
      i += call ? 1 : 0;
    }
    return false;
  }

  static bool lead_by_steps(pid_t victim, long n, notice_board& board)
  {
    int signal = 0;
    for (long pass_on = 0; signal != SIGSTOP; pass_on = signal)
    {
      ::ptrace(PTRACE_CONT, victim, nullptr, pass_on);
      signal = next_stop(victim);
      if (signal == 0)
        return true;
    }
    long i = 0;
    for (long pass_on = 0; i != n; ++i)
    {
      ::ptrace(PTRACE_SINGLESTEP, victim, nullptr, pass_on);
      signal = next_stop(victim);
      if (signal == 0)
        return true;
      pass_on = signal == SIGTRAP ? 0 : signal;
      if (signal == SIGSTOP)
      {
        // The next mark: it dies here, having done everything.
        board.died_at = now();
        ::kill(victim, SIGKILL);
        next_stop(victim);
        break;
      }
    }
    board.steps = i;
    return i != n;
  }

  notice_board* const board_;
  child_process child_;
};

} // namespace shm::test

#endif
