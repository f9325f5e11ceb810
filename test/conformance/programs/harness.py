# SPDX-License-Identifier: BSL-1.0
"""What scenarios use: processes with deadlines, raw peers, ports, checks."""
import contextlib
import itertools
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

DEADLINE = 30.0  # seconds that anything may take which does not wait for a timeout of the program itself
HOST = "127.0.0.1"


class Failure(Exception):
    """What a scenario found to be wrong."""


class Skipped(Exception):
    """Why a scenario cannot be asked here."""


def check(condition, message):
    if not condition:
        raise Failure(message)


def equal(got, expected, what):
    if got != expected:
        raise Failure(f"{what}: {shown(got)}, expected {shown(expected)}")


def contains(text, pattern, what):
    """A regular expression, searched in text or bytes."""
    match = re.search(pattern, text, re.DOTALL)
    if not match:
        raise Failure(f"{what}: no {shown(pattern)} in {shown(text)}")
    return match


def shown(value):
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:120]} ... {text[-60:]} ({len(value)} long)"


class _Collector(threading.Thread):
    """Reads a pipe to its end, so that no process waits for the runner."""

    def __init__(self, pipe):
        super().__init__(daemon=True)
        self.pipe = pipe
        self.data = bytearray()
        self.ended = False
        self.changed = threading.Condition()
        self.start()

    def run(self):
        while True:
            try:
                chunk = os.read(self.pipe.fileno(), 65536)
            except (OSError, ValueError):
                chunk = b""
            with self.changed:
                self.data += chunk
                self.ended = not chunk
                self.changed.notify_all()
            if not chunk:
                # Nobody else closes it: the descriptor's number would be another process's pipe while this reads.
                self.pipe.close()
                return

    def wait_for(self, condition, deadline):
        """Waits until condition(data, ended); returns whether it came true."""
        with self.changed:
            return self.changed.wait_for(lambda: condition(self.data, self.ended), deadline)


class Process:
    """A program that runs in the scenario's folder."""

    def __init__(self, command, folder, environment):
        self.name = pathlib.Path(command[0]).name
        # A session of its own, so that what the program forks can be ended with it.
        self.popen = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
                                      start_new_session=True)
        self.out = _Collector(self.popen.stdout)
        self.err = _Collector(self.popen.stderr)
        self.consumed = 0

    @property
    def output(self):
        return bytes(self.out.data)

    @property
    def errors(self):
        return bytes(self.err.data)

    def send(self, data):
        try:
            while data:
                data = data[os.write(self.popen.stdin.fileno(), data):]
        except OSError as error:
            raise Failure(f"{self.name} takes no more input: {error}, {self.errors!r}") from None

    def end_input(self):
        self.popen.stdin.close()

    def wait_output(self, pattern, deadline=DEADLINE):
        """Waits until the output not yet consumed has the pattern, and consumes it; returns the match."""
        found = []

        def has_it(data, _):
            found[:] = [match for match in [re.compile(pattern, re.DOTALL).search(bytes(data), self.consumed)] if match]
            return found
        check(self.out.wait_for(lambda data, ended: has_it(data, ended) or ended, deadline) and found,
              f"{self.name} printed {shown(self.output[self.consumed:])}, not {pattern!r}; errors {self.errors!r}")
        self.consumed = found[0].end()
        return found[0]

    def status(self, deadline=DEADLINE):
        """The exit status; negative for a signal."""
        try:
            self.popen.wait(deadline)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not exit; it printed {shown(self.output)} {shown(self.errors)}") from None
        for collector in (self.out, self.err):
            collector.wait_for(lambda _, ended: ended, 1)
        return self.popen.returncode

    def running(self):
        return self.popen.poll() is None

    def signal(self, number):
        self.popen.send_signal(number)

    def kill(self):
        self.popen.kill()
        self.popen.wait()

    def clean_up(self):
        try:
            os.killpg(self.popen.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait()
        self.out.join(DEADLINE)
        self.err.join(DEADLINE)
        with contextlib.suppress(OSError):
            self.popen.stdin.close()


class Peer(Process):
    """A raw connection: what it is sent goes to the connection, its output is what came."""

    def wait_connected(self):
        check(self.err.wait_for(lambda data, ended: b"connected" in data or ended, DEADLINE)
              and b"connected" in self.errors, f"no connection: {self.errors!r}")
        return self

    def receive(self, size, deadline=DEADLINE):
        """Exactly so many bytes."""
        self.out.wait_for(lambda data, ended: len(data) >= self.consumed + size or ended, deadline)
        data = self.output[self.consumed:self.consumed + size]
        check(len(data) == size, f"{len(data)} of {size} bytes came: {shown(data)}, {self.errors!r}")
        self.consumed += size
        return data

    def receive_some(self, deadline=DEADLINE):
        """What has come, at least a byte; nothing at the end of the connection."""
        check(self.out.wait_for(lambda data, ended: len(data) > self.consumed or ended, deadline), "nothing came")
        data = self.output[self.consumed:]
        self.consumed += len(data)
        return data

    def receive_until(self, delimiter, deadline=DEADLINE):
        """All up to and including the delimiter."""
        return self.wait_output(b".*?" + re.escape(delimiter), deadline).group(0)

    def receive_all(self, deadline=DEADLINE):
        """All up to the end of the connection, which comes within the deadline."""
        check(self.out.wait_for(lambda _, ended: ended, deadline), "the connection did not end")
        data = self.output[self.consumed:]
        self.consumed += len(data)
        return data

    def ended_in_order(self):
        return self.err.wait_for(lambda data, ended: b"eof" in data, 5)

    def close(self):
        """Ends the sending direction, then waits for the end of the connection."""
        self.end_input()
        self.status()


class World:
    """One run of a scenario over one transport."""

    stopping = False  # set once the runner has been told to end
    _live = set()
    _ports = itertools.count(20000 + os.getpid() % 400 * 20)
    _lock = threading.Lock()

    def __init__(self, build, transport, original, scratch):
        self.build = build
        self.transport = transport  # shm, or that of the original
        self.original = original
        self.folder = pathlib.Path(scratch)
        self.shm_folder = self.folder / "r"
        self.shm_folder.mkdir(mode=0o700)
        self.processes = []
        World._live.add(self)
        self.environment = {**os.environ, "ASIO_SHM_DIR": str(self.shm_folder), "LC_ALL": "C"}

    @staticmethod
    def stop_all():
        """Ends what runs, so that each scenario that waits for something fails at once."""
        World.stopping = True
        for world in list(World._live):
            for process in list(world.processes):
                process.popen.kill()

    def _started(self, process):
        self.processes.append(process)
        if World.stopping:
            process.popen.kill()

    def clean_up(self):
        World._live.discard(self)
        for process in self.processes:
            process.clean_up()
        shutil.rmtree(self.folder, ignore_errors=True)

    def port(self, count=1):
        """A port that is free, followed by free ones if several are needed."""
        while True:
            with World._lock:
                ports = [next(World._ports) for _ in range(count)]
            if ports[-1] >= 30000:
                with World._lock:
                    World._ports = itertools.count(20000)
                continue
            if ports == list(range(ports[0], ports[0] + count)) and all(port_is_free(port) for port in ports):
                return ports[0]

    def file(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def start(self, program, *arguments):
        command = [str(self.build.binary(self.build.programs[program], self.transport)), *map(str, arguments)]
        # What a program prints is wanted line by line, as on a terminal.
        process = Process(["stdbuf", "-oL", *command], self.folder, self.environment)
        process.name = program
        self._started(process)
        return process

    def serve(self, program, *arguments, port):
        """Starts a server and waits until it listens at the port, or at the path."""
        process = self.start(program, *arguments)
        self.wait_listening(port, process)
        return process

    def run(self, program, *arguments, text=b"", deadline=DEADLINE):
        """Runs a program to its end, with this input; returns it."""
        process = self.start(program, *arguments)
        with contextlib.suppress(Failure):  # it may well have ended without reading
            process.send(text)
        process.end_input()
        process.status(deadline)
        return process

    def _peer(self, role, where):
        place = [HOST if role == "connect" else "0.0.0.0", str(where)] if isinstance(where, int) else [str(where)]
        peer = Peer([str(self.build.raw_peer), self.transport, role, *place], self.folder, self.environment)
        self._started(peer)
        return peer

    def connect(self, where):
        """A raw connection to the port or path."""
        return self._peer("connect", where).wait_connected()

    def listen(self, where):
        """A raw listener for one connection, which listens already."""
        peer = self._peer("listen", where)
        self.wait_listening(where, peer)
        return peer

    def wait_listening(self, where, process):
        """Polls the kernel's tables, so that the server sees no connection that no client made."""
        end = time.monotonic() + DEADLINE
        while not self.listening(where):
            check(process.running(), f"{process.name} exited: {process.output!r} {process.errors!r}")
            check(time.monotonic() < end, f"{process.name} does not listen at {where}")
            time.sleep(0.01)

    def listening(self, where):
        if self.transport == "tcp":
            return any(f":{where:04X}" == address[-5:] for address in listening_tcp())
        if isinstance(where, int):
            start, end = f"{self.shm_folder}/ip/", f":{where}"
        else:
            start, end = str(where), str(where)
        listening = "00010000"  # __SO_ACCEPTCON
        for line in pathlib.Path("/proc/net/unix").read_text().splitlines()[1:]:
            fields = line.split(None, 7)
            if len(fields) == 8 and fields[3] == listening and fields[7].startswith(start) and fields[7].endswith(end):
                return True
        return False


def listening_tcp():
    """The local addresses of TCP listeners, as the kernel shows them."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = pathlib.Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A":
                yield fields[1]


def port_is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except PermissionError:
            raise Skipped(f"port {port} needs privileges") from None
        except OSError:
            return False
    return True


def pattern(size):
    """Bytes in which no two places look alike for long."""
    unit = b"".join(b"%08x" % (number * 2654435761 % 2**32) for number in range(4096))
    return (unit * (size // len(unit) + 1))[:size]
