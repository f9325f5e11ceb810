# SPDX-License-Identifier: BSL-1.0
"""Runs programs with a time limit; whatever goes wrong becomes a reason in words."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time


class unavailable(Exception):
    """Why there is no figure. `final`: trying again would only cost time."""

    def __init__(self, reason, final=False):
        super().__init__(reason)
        self.reason = reason
        self.final = final


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no message"


def kill_group(process):
    """Ends a program with its children: each program leads a process group of its own."""
    # The leader is not reaped yet, so its group's number cannot belong to anybody else.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def start(command, environment=None, **keywords):
    try:
        return subprocess.Popen([str(word) for word in command], env={**os.environ, **(environment or {})},
                                stdin=subprocess.DEVNULL, start_new_session=True, text=True, errors="replace", **keywords)
    except OSError as error:
        raise unavailable(f"{command[0]}: {error.strerror}", final=True) from error


def wait_or_kill(process, limit):
    """The exit status. Does not reap before the group has been dealt with: children may outlive their parent."""
    deadline = time.monotonic() + limit
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > deadline:
            kill_group(process)
            raise unavailable(f"killed after {limit:.0f} s", final=True)
        time.sleep(0.005)
    kill_group(process)
    return process.returncode


def output_of(command, limit, environment=None):
    """What a program prints to its standard output."""
    # Files, not pipes: a child that outlives its parent would keep a pipe open.
    with tempfile.TemporaryFile("w+", errors="replace") as out, tempfile.TemporaryFile("w+", errors="replace") as err:
        process = start(command, environment, stdout=out, stderr=err)
        try:
            status = wait_or_kill(process, limit)
        except BaseException:
            if process.returncode is None:
                kill_group(process)
            raise
        out.seek(0)
        err.seek(0)
        printed = out.read()
        complaint = err.read() or printed
        if status == 3:
            raise unavailable(f"not supported: {last_line(complaint)}", final=True)
        if status < 0:
            raise unavailable(f"ended by {signal.Signals(-status).name}: {last_line(complaint)}")
        if status != 0:
            raise unavailable(f"exit status {status}: {last_line(complaint)}")
        return printed


def json_of(command, limit, environment=None):
    """The object that a program prints on a line of its standard output; libraries may print around it."""
    printed = output_of(command, limit, environment)
    for line in reversed(printed.splitlines()):
        if line.startswith("{"):
            with contextlib.suppress(ValueError):
                return json.loads(line)
    raise unavailable(f"printed no JSON: {last_line(printed)}")


@contextlib.contextmanager
def background(command, environment=None, **keywords):
    """A program that runs as long as the block, then gets two seconds to end."""
    process = start(command, environment, **keywords)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(unavailable):
                wait_or_kill(process, 2)
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_listener(port, process, limit=5.0):
    """Looks without connecting: a one-shot server would take a probe for its client."""
    deadline = time.monotonic() + limit
    while process.poll() is None and time.monotonic() < deadline:
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            with contextlib.suppress(OSError), open(table, encoding="ascii") as lines:
                for line in lines:
                    words = line.split()
                    if words[1].endswith(f":{port:04X}") and words[3] == "0A":
                        return
        time.sleep(0.01)
    raise unavailable("its server did not start to listen")
