// SPDX-License-Identifier: BSL-1.0
// The late check.
#include "late_check.hpp"

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

namespace shm::test::soak {
namespace {

constexpr std::chrono::milliseconds interval{100};
constexpr std::chrono::milliseconds too_late{300};
constexpr unsigned enough = 150;
constexpr unsigned while_asleep = enough / 10;
constexpr unsigned looks_until_hang = 200;

/// Whether a thread of this process waits for something.
bool sleeps(long thread)
{
  std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/stat");
  std::string text;
  std::getline(file, text);
  const std::size_t name_end = text.rfind(')');
  return name_end != std::string::npos && text.compare(name_end, 3, ") S") == 0;
}

} // namespace

late_check::late_check(surroundings& around) : around_(around), thread_([this] { run(); }) {}

late_check::~late_check()
{
  stop_ = true;
  thread_.join();
}

void late_check::run()
{
  while (!stop_)
  {
    const auto before = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(interval);
    if (std::chrono::steady_clock::now() - before < too_late)
      look();
  }
}

void late_check::look()
{
  const std::vector<long> threads = around_.io_thread_ids();
  const bool context_sleeps
      = static_cast<int>(threads.size()) == around_.io_threads() && std::all_of(threads.begin(), threads.end(), sleeps);
  ++around_.count().looks;
  around_.count().sleeps += context_sleeps ? 1 : 0;
  for (const auto& s : around_.sessions())
    look_at(*s, context_sleeps);
}

void late_check::look_at(session& s, bool context_sleeps)
{
  if (s.ending())
    return;
  look_at(s, s.receiving(), context_sleeps);
  look_at(s, s.sending(), context_sleeps);
  const std::uint64_t steps = s.receiving().steps() + s.sending().steps();
  if (steps == s.steps_before)
    s.looks_without_step += s.other_is_stopped() ? 0 : 1;
  else
    s.looks_without_step = 0;
  s.steps_before = steps;
  if (s.looks_without_step == looks_until_hang)
  {
    ++around_.count().hangs;
    around_.report(std::string("hangs") + (context_sleeps ? ", asleep: " : ": ") + s.state());
    s.give_up();
  }
}

void late_check::look_at(session& s, direction& d, bool context_sleeps)
{
  suspicion& suspect = d.suspected;
  const std::uint64_t steps = d.steps();
  const bool due = d.pending() && d.due() && steps == d.steps() && !s.ending();
  if (!due || steps != suspect.steps)
  {
    around_.count().late += suspect.score != 0 ? 1 : 0;
    suspect = {steps, 0, false};
    return;
  }
  const long thread = d.thread();
  suspect.score += (thread == 0 ? context_sleeps : sleeps(thread)) ? while_asleep : 1;
  if (suspect.score < enough || suspect.reported)
    return;
  suspect.reported = true;
  ++around_.count().missed_wakeups;
  const std::string state = s.state(); // before the library is asked
  error_code ec;
  std::size_t available = 0;
  {
    const std::lock_guard<std::mutex> lock(s.mutex());
    available = s.socket().available(ec);
  }
  around_.report("missed wake-up of the " + std::string(&d == &s.receiving() ? "receiver" : "sender") + ", "
      + std::to_string(available) + " bytes available: " + state);
}

} // namespace shm::test::soak
