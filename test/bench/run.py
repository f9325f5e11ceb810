#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Runs the benchmark programs round by round, compares them and prints tables; writes all figures as JSON."""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import sys
import tempfile
import time

import plot
from driver import machine, plan, requirements, results, tables
from driver.processes import unavailable
from driver.runners import runners

SOURCES = pathlib.Path(__file__).resolve().parents[2]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=SOURCES / "build/bench", help="folder of the build (build/bench)")
    parser.add_argument("--quick", action="store_true", help="only the rows of the table of requirements, in under 4 minutes")
    parser.add_argument("--rounds", type=int, help="interleaved rounds (5)", default=5)
    parser.add_argument("--minutes", type=float, help="begin no round that would not end within this time (with --quick 3.3)")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the time of each measurement")
    parser.add_argument("--only", metavar="TEXT", action="append", help="only cases whose name contains this, as round_trip/64")
    parser.add_argument("--transports", help="only these, separated by commas")
    parser.add_argument("--cpus", choices=("shared", "apart"),
                        help="run on two cores that share their last level of cache, or on two that do not")
    parser.add_argument("--output", type=pathlib.Path, help="where to write the JSON (results.json in the build folder)")
    parser.add_argument("--plots", action="store_true", help="draw SVG files into the folder plots beside the JSON")
    parser.add_argument("--list", action="store_true", help="print the cases with their transports and end")
    options = parser.parse_args()
    if options.minutes is None and options.quick:
        options.minutes = 3.3
    options.output = options.output or options.build / ("quick.json" if options.quick else "results.json")
    return options


def chosen_cases(options):
    cases = plan.quick_plan() if options.quick else plan.full_plan()
    if options.only:
        cases = [case for case in cases if any(text in case.name for text in options.only)]
    if options.transports:
        wanted = options.transports.split(",")
        cases = [plan.restricted(case, wanted) for case in cases]
    return [case for case in cases if case.transports]


def say(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def measure(cases, options, run):
    """The summaries of the cases. A limit of time may make the rounds fewer, but there is always one."""
    collected = {case.name: {name: results.samples() for name in case.transports} for case in cases}
    start = time.monotonic()
    last = 0
    for number in range(options.rounds):
        begin = time.monotonic()
        if options.minutes and begin - start + last > 60 * options.minutes:
            say(f"no time for round {number + 1}")
            options.rounds = number
            break
        for case in cases:
            if case.rounds and number >= case.rounds:
                continue
            say(f"round {number + 1} of {options.rounds}: {case.name}")
            # Another order each time: nobody always comes after the same other one.
            first = number % len(case.transports)
            for name in case.transports[first:] + case.transports[:first]:
                samples = collected[case.name][name]
                if samples.wanted():
                    seconds = case.seconds * options.scale
                    try:
                        samples.add({**run(case, name, seconds), "seconds": seconds})
                    except unavailable as failure:
                        samples.fail(failure)
                        if not failure.reason.startswith("not supported"):
                            say(f"  {name}: {failure.reason}")
        last = time.monotonic() - begin
    return {case.name: results.summary_of(case, collected[case.name]) for case in cases}


def end_on_signal(number, _frame):
    sys.exit(128 + number)


def main():
    options = arguments()
    cases = chosen_cases(options)
    if options.list:
        for case in cases:
            print(f"{case.name:28} {' '.join(case.transports)}")
        return 0
    if not cases:
        print("run.py: no such case; --list prints them", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, end_on_signal)
    if options.cpus:
        cpus = machine.two_cpus(options.cpus)
        if cpus is None:
            print(f"run.py: this machine has no two cores whose cache is {options.cpus}", file=sys.stderr)
            return 3
        os.sched_setaffinity(0, cpus)
    started = time.time()
    report = {"machine": machine.description(SOURCES), "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
              "command": sys.argv, "scale": options.scale}
    # The listeners of this run must not meet those of the user, and nothing of it is to stay.
    with tempfile.TemporaryDirectory(prefix="asio_shm_bench_") as folder, contextlib.ExitStack() as stack:
        os.environ.update(ASIO_SHM_DIR=folder, TMPDIR=folder)
        report["cases"] = measure(cases, options, runners(options.build, stack).run)
    report["rounds"] = options.rounds
    report["seconds"] = round(time.time() - started, 1)
    report["requirements"] = requirements.judge(report["cases"])
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    tables.print_report(report)
    print(f"\nall figures: {options.output}")
    if options.plots:
        try:
            plot.draw(report, options.output.parent / "plots")
            print(f"plots: {options.output.parent / 'plots'}")
        except ImportError as error:
            say(f"no plots: {error}: install python3-matplotlib")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
