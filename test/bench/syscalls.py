#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Counts the system calls of both sides while both are busy.

By a library loaded before the benchmark programs, which counts the calls that carry data, wake and wait. With --strace
by strace -c, which counts all calls but stops the program at each of them: then polling does not pay, and a program
that would poll sleeps.
"""

import argparse
import pathlib
import sys
import tempfile

from driver.processes import json_of, output_of, unavailable
from driver.tables import laid_out

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE / "preload/count_calls.cpp"
# What only making and ending a process needs is the same in a short run and in a long one, so the difference is what
# being busy needs.
SHORT, LONG = 1.0, 4.0


def strace_counts(text):
    """{system call: count} from strace's summary: % time, seconds, usecs/call, calls, maybe errors, name."""
    rows = (line.split() for line in text.splitlines())
    return {row[-1]: int(row[3]) for row in rows if len(row) in (5, 6) and row[3].isdigit() and row[-1] != "total"}


def preload_counts(text):
    """{system call: count} from lines of name and count."""
    return {name: int(count) for name, count in (line.split() for line in text.splitlines())}


def messages_of(result, seconds):
    figures = result["figures"]
    if "count" in figures:
        return figures["count"]
    if "messages_per_second" in figures:
        return figures["messages_per_second"] * seconds
    return figures["bytes_per_second"] * seconds / result["parameters"]["size"]


def counted(command, seconds, folder, library):
    """How many messages there were, and how many calls."""
    command = command + ["--seconds", seconds]
    output = pathlib.Path(folder) / "calls"
    environment = {"ASIO_SHM_DIR": folder, "TMPDIR": folder}
    if library:
        environment.update(LD_PRELOAD=str(library), COUNT_CALLS_FILE=str(output))
    else:
        command = ["strace", "-f", "-c", "-o", output] + command
    messages = messages_of(json_of(command, seconds + 60, environment), seconds)
    text = output.read_text(encoding="ascii", errors="replace")
    return messages, (preload_counts if library else strace_counts)(text)


def table(build, scenario, transport, size, folder, library):
    program = build / "test/bench" / f"bench_{scenario}"
    command = [program, "--transport", transport, "--size", size]
    short_messages, short_counts = counted(command, SHORT, folder, library)
    long_messages, long_counts = counted(command, LONG, folder, library)
    messages, time = long_messages - short_messages, LONG - SHORT
    if messages <= 0:
        raise unavailable("the longer run carried no more messages: the machine is too busy")
    lines, total = [], 0
    for name, count in sorted(long_counts.items(), key=lambda item: -item[1]):
        more = max(0, count - short_counts.get(name, 0))
        total += more
        # Noise of starting and ending: a few calls more or less.
        if more > 10:
            lines.append([name, f"{more / messages:.6f}", f"{more / time:.0f}", f"{more / time / 2e5:.3f}"])
    lines.append(["all", f"{total / messages:.6f}", f"{total / time:.0f}", f"{total / time / 2e5:.3f}"])
    head = ["system call", "per message", "per second", "per side in 10 us"]
    return [f"{scenario} of {size} B over {transport}: {messages / time:.0f} messages a second, both sides together"] + \
        laid_out(head, lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parents[1] / "build/bench", help="folder of the build (build/bench)")
    parser.add_argument("--transports", default="shm,unix,tcp", help="separated by commas (shm,unix,tcp)")
    parser.add_argument("--strace", action="store_true", help="count by strace instead")
    options = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory(prefix="asio_shm_bench_") as folder:
        library = None if options.strace else pathlib.Path(folder) / "count_calls.so"
        try:
            if library:
                output_of(["c++", "-std=c++17", "-O2", "-shared", "-fPIC", SOURCE, "-o", library, "-ldl"], 60)
        except unavailable as failure:
            print(f"syscalls.py: could not compile {SOURCE}: {failure.reason}", file=sys.stderr)
            return 1
        for scenario, size in (("round_trip", 64), ("stream", 65536), ("messages", 64)):
            for transport in options.transports.split(","):
                try:
                    print("\n".join(table(options.build, scenario, transport, size, folder, library)) + "\n", flush=True)
                except unavailable as failure:
                    failed = True
                    print(f"{scenario} of {size} B over {transport}: not available: {failure.reason}\n", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
