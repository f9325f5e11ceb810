// SPDX-License-Identifier: BSL-1.0
// Kills, pauses, CPUs, and the verdict.
#include "conductor.hpp"

#include "open_resources.hpp"
#include "worker.hpp"

#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace shm::test::soak {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds time_to_end{60};

volatile std::sig_atomic_t interrupted = 0;

void interrupt(int)
{
  interrupted = 1;
}

/// The tasks of a process, which come and go.
std::vector<pid_t> threads_of(pid_t process)
{
  std::vector<pid_t> result;
  std::error_code ec;
  const std::string folder = "/proc/" + std::to_string(process) + "/task";
  for (std::filesystem::directory_iterator i(folder, ec), end; !ec && i != end; i.increment(ec))
    result.push_back(std::atoi(i->path().filename().c_str()));
  return result;
}

std::uint64_t files_below(const std::string& folder)
{
  std::uint64_t result = 0;
  std::error_code ec;
  for (std::filesystem::recursive_directory_iterator i(folder, ec), end; !ec && i != end; i.increment(ec))
    if (!i->is_directory(ec))
    {
      std::fprintf(stderr, "soak: left in the runtime directory: %s\n", i->path().c_str());
      ++result;
    }
  return result;
}

} // namespace

conductor::conductor(board& shared, const options& wanted)
  : shared_(shared), wanted_(wanted), chance_(wanted.seed, 0), processes_(static_cast<std::size_t>(wanted.processes))
{
  ::sched_getaffinity(0, sizeof all_cpus_, &all_cpus_);
}

bool conductor::run()
{
  for (const int signal : {SIGINT, SIGTERM, SIGHUP})
    ::signal(signal, &interrupt);
  for (int i = 0; i != wanted_.processes; ++i)
    start(i);
  const auto begin = clock::now();
  next_kill_ = next_stop_ = begin + milliseconds(500);
  next_cpus_ = begin + milliseconds(2000);
  while (clock::now() < begin + std::chrono::seconds(wanted_.seconds) && !interrupted)
  {
    ::usleep(static_cast<useconds_t>(chance_.between(500, 4000)));
    collect(true);
    disturb(clock::now());
  }
  finish();
  judge();
  return print();
}

void conductor::start(int number)
{
  const std::uint32_t life = ++shared_.lives;
  std::fflush(nullptr);
  const pid_t parent = ::getpid();
  const pid_t id = ::fork();
  if (id < 0 || life >= board::max_lives)
    throw std::system_error(errno, std::generic_category(), "fork");
  if (id == 0)
  {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent)
      ::_exit(1);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP})
      ::signal(signal, SIG_IGN); // the conductor lets it end
    int code = 1;
    try
    {
      code = work(shared_, wanted_, life, number);
    }
    catch (const std::exception& e)
    {
      std::fprintf(stderr, "soak: process %d: %s\n", static_cast<int>(::getpid()), e.what());
    }
    std::exit(code); // with the leak check of AddressSanitizer
  }
  shared_.holder[static_cast<std::size_t>(number)] = life;
  processes_[static_cast<std::size_t>(number)] = {id, life, clock::time_point::max(), false};
}

void conductor::collect(bool replace)
{
  int status = 0;
  for (pid_t id; (id = ::waitpid(-1, &status, WNOHANG)) > 0;)
    for (std::size_t i = 0; i != processes_.size(); ++i)
    {
      process& p = processes_[i];
      if (p.id != id)
        continue;
      const bool killed = p.condemned && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
      shared_.life[p.life].dead = true;
      if (!killed && (status != 0 || !shared_.stop))
        wrong("process " + std::to_string(id) + " ended with status " + std::to_string(status));
      p.id = 0;
      if (replace)
        start(static_cast<int>(i));
    }
}

conductor::process& conductor::any()
{
  return processes_[chance_.between(0, processes_.size() - 1)];
}

void conductor::kill(process& p)
{
  p.condemned = true;
  ::kill(p.id, SIGKILL);
}

void conductor::disturb(clock::time_point now)
{
  for (process& p : processes_)
    if (p.goes_on <= now)
    {
      ::kill(p.id, SIGCONT);
      shared_.life[p.life].stopped = false;
      p.goes_on = clock::time_point::max();
    }
  if (wanted_.kill_interval != 0 && now >= next_kill_)
  {
    next_kill_ = now + milliseconds(chance_.between(1, 2 * static_cast<std::uint64_t>(wanted_.kill_interval)));
    process& p = any();
    if (!p.condemned)
    {
      ++kills_;
      kill(p);
    }
  }
  if (wanted_.stop_interval != 0 && now >= next_stop_)
  {
    next_stop_ = now + milliseconds(chance_.between(1, 2 * static_cast<std::uint64_t>(wanted_.stop_interval)));
    process& p = any();
    if (!p.condemned && p.goes_on == clock::time_point::max())
    {
      ++stops_;
      shared_.life[p.life].stopped = true;
      ::kill(p.id, SIGSTOP);
      p.goes_on = now + milliseconds(chance_.one_in(20) ? chance_.between(200, 1500) : chance_.between(0, 60));
    }
  }
  if (now >= next_cpus_)
  {
    next_cpus_ = now + milliseconds(chance_.between(1000, 3000));
    change_cpus();
  }
}

// All CPUs, or one, or two, for everybody: also for those who are started from now on.
void conductor::change_cpus()
{
  const auto wanted = static_cast<int>(phases_++ % 3);
  cpu_set_t chosen = all_cpus_;
  if (wanted != 0)
  {
    CPU_ZERO(&chosen);
    const std::uint64_t skip = chance_.between(0, static_cast<std::uint64_t>(CPU_COUNT(&all_cpus_)) - 1);
    std::uint64_t seen = 0;
    for (int round = 0; round != 2; ++round)
      for (int cpu = 0; cpu != CPU_SETSIZE && CPU_COUNT(&chosen) < wanted; ++cpu)
        if (CPU_ISSET(cpu, &all_cpus_) && seen++ >= skip)
          CPU_SET(cpu, &chosen);
  }
  ::sched_setaffinity(0, sizeof chosen, &chosen);
  for (const process& p : processes_)
    for (const pid_t thread : threads_of(p.id))
      ::sched_setaffinity(thread, sizeof chosen, &chosen);
}

void conductor::finish()
{
  next_kill_ = next_stop_ = clock::time_point::max();
  phases_ -= phases_ % 3; // all CPUs
  change_cpus();
  for (process& p : processes_)
  {
    ::kill(p.id, SIGCONT);
    shared_.life[p.life].stopped = false;
  }
  // Each number has a process again, which removes what the one before has left.
  const auto begin = clock::now();
  const auto dying = [this]
  {
    for (const process& p : processes_)
      if (p.condemned)
        return true;
    return false;
  };
  while (dying() && clock::now() < begin + time_to_end)
  {
    collect(true);
    ::usleep(1000);
  }
  shared_.stop = true;
  for (bool alive = true; alive;)
  {
    alive = false;
    collect(false);
    for (process& p : processes_)
    {
      alive = alive || p.id != 0;
      if (p.id != 0 && !p.condemned && clock::now() > begin + time_to_end)
      {
        ++left_over_;
        wrong("process " + std::to_string(p.id) + " does not end");
        kill(p);
      }
    }
    ::usleep(2000);
  }
}

void conductor::judge()
{
  for (std::size_t i = 0; i != shared_.connections; ++i)
    judge(i);
  files_ = files_below(std::getenv("ASIO_SHM_DIR"));
  shm_files_ = static_cast<std::uint64_t>(open_resources::now().shm_files);
  if (::waitpid(-1, nullptr, WNOHANG) != -1 || errno != ECHILD)
    ++left_over_;
}

void conductor::judge(std::size_t connection)
{
  connection_record& c = shared_.connection[connection];
  unjoined_ += c.ends[1].life == 0 ? 1 : 0;
  judge(connection, 0);
  judge(connection, 1);
}

// One stream: what was received is what was sent, or the beginning of it where somebody ended the connection.
void conductor::judge(std::size_t connection, std::size_t from)
{
  const end_record& sender = shared_.connection[connection].ends[from];
  const end_record& receiver = shared_.connection[connection].ends[1 - from];
  const auto killed = [this](const end_record& end)
  { return end.life != 0 && shared_.life[end.life].dead && !end.has(closed); };
  const std::uint64_t sent = sender.sent, tried = sender.tried, received = receiver.received;
  sent_ += sent;
  received_ += received;
  const auto expect = [&](bool holds, const char* what)
  {
    if (!holds)
      wrong("connection " + std::to_string(connection) + ", stream of end " + std::to_string(from) + ": " + what
          + ": sent " + std::to_string(sent) + " to " + std::to_string(tried) + ", received " + std::to_string(received)
          + ", flags " + std::to_string(sender.flags) + " and " + std::to_string(receiver.flags)
          + (killed(sender) ? ", sender killed" : "") + (killed(receiver) ? ", receiver killed" : ""));
  };
  const bool at_end = receiver.has(saw_eof | saw_reset);
  const bool sender_left = sender.has(early | given_up) || killed(sender);
  const bool receiver_left = receiver.has(early | given_up) || killed(receiver);
  expect(received <= (killed(sender) ? tried : sent), "more was received than was sent");
  if (at_end && sender.life != 0 && !receiver.has(early))
    expect(received >= sent, "data is missing before the end");
  if (receiver.has(saw_eof))
    expect(sender.has(finishing) || sender_left || receiver_left || sender.life == 0, "an end that nobody made");
  if (receiver.has(saw_reset))
    expect(sender_left || sender.life == 0, "a reset that nobody made");
  if (sender.has(write_failed))
    expect(receiver_left || sender_left || receiver.life == 0, "a broken pipe that nobody broke");
  if (sender.has(finished) && !sender_left && !receiver_left && receiver.life != 0)
  {
    expect(at_end && received == sent, "the stream is not complete");
    ++complete_;
  }
  else
    ++prefixes_;
}

void conductor::wrong(const std::string& what)
{
  ++wrong_;
  std::fprintf(stderr, "soak: %s\n", what.c_str());
}

bool conductor::print()
{
  const counters& n = shared_.count;
  const auto line = [](const char* name, std::uint64_t value, const char* remark = "")
  { std::printf("  %-22s %14" PRIu64 "  %s\n", name, value, remark); };
  std::printf("soak: %d s, %d processes, seed %" PRIu64 "\n", wanted_.seconds, wanted_.processes, wanted_.seed);
  line("connections", shared_.connections);
  line("accepted", n.accepted);
  line("never joined", unjoined_, "the listener was killed first");
  line("refused", n.refused, "no listener at that moment");
  line("operations", n.operations);
  line("bytes sent", sent_);
  line("bytes received", received_, "each of them checked");
  line("complete streams", complete_);
  line("prefixes", prefixes_, "an end was killed or closed early");
  line("kills", kills_);
  line("stops", stops_, "SIGSTOP, SIGCONT");
  line("changes of CPUs", phases_);
  line("cancels", n.cancels);
  line("closes", n.closes, "before the end");
  line("pauses", n.pauses);
  line("looks", n.looks, "of the late check");
  line("of them asleep", n.sleeps, "no thread of the context was awake");
  line("moved late", n.late, "due at one look, gone on at the next");
  line("missed wake-ups", n.missed_wakeups);
  line("hangs", n.hangs);
  line("wrong", wrong_ + n.failures);
  line("left: descriptors", n.descriptors);
  line("left: regions", n.regions);
  line("left: files", files_ + shm_files_);
  line("left: processes", left_over_);
  const bool well = n.missed_wakeups + n.hangs + wrong_ + n.failures + n.descriptors + n.regions + files_ + shm_files_
          + left_over_ == 0
      && complete_ != 0;
  std::printf("soak: %s\n", well ? "all is well" : "FAILED");
  return well;
}

} // namespace shm::test::soak
