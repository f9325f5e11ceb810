# SPDX-License-Identifier: BSL-1.0
"""From a case and a transport to the program that measures it."""

import contextlib
import os
import queue
import subprocess
import threading
import time

from . import external, plan
from .processes import background, json_of, unavailable

PROGRAMS_OF_PEERS = {name: f"bench_peer_{name}" for name in plan.OUR_PEERS}
PROGRAMS_OF_LIMITS = {name: f"bench_limit_{name.removeprefix('raw_')}" for name in plan.LIMITS}


@contextlib.contextmanager
def two_cpus_only(wanted):
    """The programs inherit this. Nothing changes where there are no more than two."""
    before = os.sched_getaffinity(0)
    if wanted:
        os.sched_setaffinity(0, sorted(before)[:2])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class runners:
    def __init__(self, build, stack):
        self.build_ = build
        self.stack_ = stack
        self.ucx_ = external.ucx()
        self.libfabric_ = external.libfabric()
        self.daemon_ = None

    def run(self, case, transport, seconds):
        """The object that the program prints; raises unavailable."""
        if transport in external.UCX_TRANSPORTS:
            return self.ucx_.run(case.scenario, transport, case.options["size"], seconds)
        if transport == "libfabric":
            return self.libfabric_.run(case.scenario, transport, case.options["size"], seconds)
        command = self.command(case, transport) + ["--seconds", seconds]
        if transport == "iceoryx":
            self.start_daemon()
        with two_cpus_only(case.two_cpus):
            result = json_of(command, seconds + case.grace)
        if not isinstance(result.get("figures"), dict):
            raise unavailable("its JSON has no figures")
        return result

    def command(self, case, transport):
        options = [word for key, value in case.options.items() for word in (f"--{key}", value)]
        if transport in PROGRAMS_OF_PEERS:
            return [self.program(PROGRAMS_OF_PEERS[transport]), "--scenario", case.scenario] + options
        if transport in PROGRAMS_OF_LIMITS:
            return [self.program(PROGRAMS_OF_LIMITS[transport])] + options
        return [self.program(f"bench_{case.scenario}"), "--transport", transport] + options

    def program(self, name):
        path = self.build_ / "test/bench" / name
        if not os.access(path, os.X_OK):
            raise unavailable(f"{name} was not built", final=True)
        return path

    def start_daemon(self):
        """iceoryx needs its daemon, which stays until the end of the run."""
        if self.daemon_ is None:
            external.need("iox-roudi")
            self.daemon_ = self.stack_.enter_context(
                background(["iox-roudi", "--monitoring-mode", "off"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
            wait_for_line(self.daemon_, "RouDi is ready", 10)
        if self.daemon_.poll() is not None:
            raise unavailable("iox-roudi has ended", final=True)


def wait_for_line(process, text, limit):
    lines = queue.Queue()

    def read():
        # To the end: a full pipe would stop the daemon.
        with contextlib.suppress(ValueError):
            for line in process.stdout:
                lines.put(line)

    threading.Thread(target=read, daemon=True).start()
    deadline = time.monotonic() + limit
    last = "no message"
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(queue.Empty):
            last = lines.get(timeout=0.1).strip() or last
            if text in last:
                return
    raise unavailable(f"iox-roudi did not start: {last}", final=True)
