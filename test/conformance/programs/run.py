#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Runs Asio's and Beast's example programs over their own transport and, with its name replaced, over shm."""
import argparse
import collections
import concurrent.futures
import contextlib
import fnmatch
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True  # the sources' folder stays as it is

import build  # noqa: E402
import catalogue  # noqa: E402
import harness  # noqa: E402
import scenario  # noqa: E402
import scenarios_beast  # noqa: E402,F401  each adds its scenarios to the list
import scenarios_chat  # noqa: E402,F401
import scenarios_clients  # noqa: E402,F401
import scenarios_echo  # noqa: E402,F401
import scenarios_http  # noqa: E402,F401
import scenarios_small  # noqa: E402,F401
import scenarios_websocket  # noqa: E402,F401


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, epilog="Exit status 0: every scenario passed over both.")
    parser.add_argument("--list", action="store_true", help="list the scenarios and the programs left out, and exit")
    parser.add_argument("--only", metavar="PATTERN", action="append",
                        help="only scenarios of which 'program scenario' has this substring or shell pattern")
    parser.add_argument("--short", action="store_true", help="only the selection for continuous integration")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many compilers, and scenarios")
    parser.add_argument("--keep", metavar="DIR", type=pathlib.Path,
                        help="build in DIR and leave it there: the next run compiles only what changed")
    parser.add_argument("--prefix", metavar="DIR", type=pathlib.Path,
                        help="where the library is installed; otherwise it is built and installed first")
    parser.add_argument("--library", metavar="DIR", type=pathlib.Path,
                        help="a finished build of the library, to be installed first")
    parser.add_argument("--build-only", action="store_true", help="compile, report what fails, run nothing")
    return parser.parse_args()


def selected(item, arguments):
    if arguments.short and not item.short:
        return False
    text = " ".join(item.programs) + " " + item.name
    return not arguments.only or any(pattern in text or fnmatch.fnmatch(text, pattern) for pattern in arguments.only)


def install_packages(packages):
    """Installs what is missing, as test/run.sh does, or says what to install."""
    if not shutil.which("dpkg-query"):
        return
    missing = [package for package in packages if "ii" not in subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Abbrev}", package], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True).stdout]
    if not missing:
        return
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    print(f"== installing {' '.join(missing)}", flush=True)
    install = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-q", "-y", "--no-install-recommends"]
    try:
        if os.environ.get("NO_INSTALL"):
            raise OSError("NO_INSTALL is set")
        subprocess.run(as_root + ["apt-get", "update", "-q"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(as_root + install + missing, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"these packages are missing and could not be installed: {' '.join(missing)} ({error})")


def programs_left_out():
    """(path, reason) for each example that names tcp or local::stream_protocol and is no program of ours.

    A reason of None is a gap in the catalogue.
    """
    sources = {source for program in all_programs().values() for source in program.sources}
    for kind in ("asio", "beast"):
        for path in sorted(pathlib.Path(catalogue.EXAMPLES, kind, "example").rglob("*.cpp")):
            name = str(path.relative_to(catalogue.EXAMPLES))
            if name not in sources and re.search(r"\btcp\b|local::stream_protocol|tcp_stream", path.read_text()):
                yield name, catalogue.excluded(name)


def all_programs():
    return catalogue.programs(lambda folder: sorted(os.listdir(os.path.join(catalogue.EXAMPLES, folder))))


class Runner:
    """Runs scenarios, a few at once, and prints a line for each and transport."""

    def __init__(self, the_build, failed_to_compile, scratch):
        self.build = the_build
        self.failed = failed_to_compile
        self.scratch = scratch
        self.lock = threading.Lock()
        self.port_locks = collections.defaultdict(threading.Lock)
        self.numbers = iter(range(10**9))
        self.counts = collections.Counter()  # (outcome, "before" or "shm")
        self.passed_programs = {"before": set(), "shm": set()}
        self.complaints = []

    def run(self, item):
        """The scenario over the original transport, then over shm."""
        original = self.build.programs[item.programs[0]].before
        with contextlib.ExitStack() as held:
            for port in sorted(item.ports):
                held.enter_context(self.port_locks[port])
            outcome, reason = self._attempt(item, original, original)
            self._report(item, outcome, original, reason, "before")
            if outcome == "ok":
                outcome, reason = self._attempt(item, "shm", original)
            else:
                outcome, reason = "skip", f"not asked: {outcome} over {original}"
            self._report(item, outcome, "shm", reason, "shm")

    def _attempt(self, item, transport, original):
        for program in item.programs:
            if (program, transport) in self.failed:
                return "FAIL", f"{program} {self.failed[program, transport]}"
        with self.lock:
            folder = self.scratch / str(next(self.numbers))
        folder.mkdir(mode=0o700)
        world = harness.World(self.build, transport, original, folder)
        try:
            if transport == "tcp":
                wait_for_ports(item.ports)
            item.run(world)
            return "ok", ""
        except harness.Skipped as skipped:
            return "skip", str(skipped)
        except harness.Failure as failure:
            return "FAIL", str(failure)
        except Exception as error:  # a mistake of the scenario itself
            return "FAIL", f"{type(error).__name__}: {error}"
        finally:
            world.clean_up()

    def _report(self, item, outcome, transport, reason, side):
        with self.lock:
            self.counts[outcome, side] += 1
            if outcome == "ok":
                self.passed_programs[side].update(item.programs)
            line = f"{outcome:<5}{item.programs[0]:<58} {item.name:<44} {transport:<6}{reason}".rstrip()
            print(line, flush=True)
            if outcome == "FAIL":
                self.complaints.append(line)


def wait_for_ports(ports):
    end = time.monotonic() + harness.DEADLINE
    while not all(harness.port_is_free(port) for port in ports):
        if time.monotonic() > end:
            raise harness.Failure(f"another program has one of the ports {ports}")
        time.sleep(0.05)


def print_list(items, left_out):
    for item in items:
        print(f"{item.programs[0]:<58} {item.name:<44}{' (short)' if item.short else ''}")
    programs = {program for item in items for program in item.programs}
    print(f"\n{len(programs)} programs, {len(items)} scenarios. Left out:")
    for path, reason in left_out:
        print(f"  {path}: {reason or 'NOT IN THE CATALOGUE'}")


def main():
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    install_packages(catalogue.PACKAGES if arguments.short else catalogue.PACKAGES_OF_ALL)
    items = [item for item in scenario.SCENARIOS if selected(item, arguments)]
    left_out = list(programs_left_out())
    if arguments.list:
        print_list(items, left_out)
        return 0
    if not items:
        print("no scenario has that name", file=sys.stderr)
        return 2
    # Short, because paths of sockets lie in it.
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="shm"))
    try:
        return run(arguments, items, left_out, scratch, started)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def run(arguments, items, left_out, scratch, started):
    folder = (arguments.keep or scratch / "build").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("CCACHE_SLOPPINESS", "pch_defines,time_macros,include_file_mtime,include_file_ctime")
    prefix = arguments.prefix.resolve() if arguments.prefix else build.install_library(folder, arguments.library)
    everything = all_programs()
    wanted = {program for item in items for program in item.programs}
    the_build = build.Build(folder, prefix, {name: everything[name] for name in sorted(wanted)})
    print(f"== compiling {len(wanted)} programs for two transports", flush=True)
    failed = the_build.run(arguments.jobs)
    print(f"== compiled in {time.monotonic() - started:.0f} s", flush=True)
    if arguments.build_only:
        for (program, transport), reason in failed.items():
            print(f"FAIL {program} {transport} {reason}")
        return 1 if failed else 0

    runner = Runner(the_build, failed, scratch)
    # Most of a scenario is waiting, some of it for timeouts of many seconds.
    with concurrent.futures.ThreadPoolExecutor(2 * arguments.jobs) as pool:
        try:
            list(pool.map(runner.run, items))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            harness.World.stop_all()
            raise
    return summarise(runner, left_out, started)


def summarise(runner, left_out, started):
    print("\n== left out")
    gaps = 0
    for path, reason in left_out:
        gaps += reason is None
        print(f"  {path}: {reason or 'NOT IN THE CATALOGUE'}")
    if runner.complaints:
        print("\n== failures")
        print("\n".join(runner.complaints))
    print()
    for side, title in (("before", "over TCP (or local sockets)"), ("shm", "over shm")):
        counts = runner.counts
        print(f"{title:<28} programs {len(runner.passed_programs[side]):>4}   scenarios: {counts['ok', side]:>4} ok, "
              f"{counts['FAIL', side]} failed, {counts['skip', side]} skipped")
    equal = (runner.passed_programs["before"] == runner.passed_programs["shm"]
             and runner.counts["ok", "before"] == runner.counts["ok", "shm"])
    good = equal and not runner.complaints and not gaps
    print(f"{'equal' if equal else 'NOT EQUAL'}, {time.monotonic() - started:.0f} s: {'passed' if good else 'FAILED'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
