# SPDX-License-Identifier: BSL-1.0
"""Two virtual machines without network devices and their host, joined by shared memory alone.

Exits with 77 where there is nothing to boot or to boot it with.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(SOURCE / "examples" / "8_partitions"))
from machine import Machine, MachineError, best_accelerator  # noqa: E402

DEAD_AFTER = 3.0  # seconds; the daemon's default
LATE = 5.0  # for a computer that is busy with something else
TOTAL = 200_000_000  # bytes to be moved, or as many as can be in
TOTAL_SECONDS = 90
GUESTS = ("alpha", "beta")
# For a reader that has sent all that there was to be read, the end of the other one is the end of the stream, as
# everywhere: doc/guarantees.md.
LOST = ("connection_reset", "broken_pipe", "eof")
SKIP = 77

arguments = None
report = []


def note(text):
    report.append(text)
    print(f"    {text}", flush=True)


def wait_until(done, seconds, what):
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise AssertionError(f"in vain for {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.05)


class Running:
    """A program on the host, with what it has printed until now. Like machine.Job."""

    def __init__(self, words, environment, log):
        self._log = log
        with open(log, "wb") as out:
            self._process = subprocess.Popen(words, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                                             stdout=out, stderr=out)
        self.pid = self._process.pid

    def wait(self, timeout=30):
        return self._process.wait(timeout), self._log.read_bytes()

    def running(self):
        return self._process.poll() is None

    def output(self):
        return self._log.read_bytes()

    def kill(self):
        if self.running():
            self._process.kill()
        self._process.wait()


class Host:
    name = "host"

    def __init__(self, work):
        self._work = work
        self._count = 0
        self._programs = []
        self.directory = work / "runtime"
        self.directory.mkdir(mode=0o700)

    def spawn_program(self, program, *words):
        self._count += 1
        started = Running([str(getattr(arguments, program)), *words], {"ASIO_SHM_DIR": str(self.directory)},
                          self._work / f"host.{self._count}.log")
        self._programs.append(started)
        return started

    def start(self):
        self.daemon = self.spawn_program("daemon", "--serve", str(self._work / "region"), "--size", "256M",
                                         "--name", self.name)  # all of it is written over
        wait_until(lambda: b"ready" in self.daemon.output(), 10, lambda: self.daemon.output().decode())

    def serve(self, *words):
        server = self.spawn_program("peer", "serve", *words)
        wait_until(lambda: b"listening" in server.output(), 10, lambda: server.output().decode())
        return server

    def hosts(self):
        path = self.directory / "partition" / "hosts"
        return path.read_text(encoding="ascii") if path.exists() else ""

    def usage(self):
        """Of the daemon: processor time in seconds, resident memory in kB, open descriptors."""
        fields = pathlib.Path(f"/proc/{self.daemon.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        status = pathlib.Path(f"/proc/{self.daemon.pid}/status").read_text(encoding="ascii")
        return ((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
                int(re.search(r"VmRSS:\s*(\d+)", status)[1]), len(os.listdir(f"/proc/{self.daemon.pid}/fd")))

    def kill(self):
        for program in self._programs:
            program.kill()


class Guest:
    def __init__(self, name, work):
        self.name = name
        self.machine = Machine(name, kernel=work / "vmlinuz", initramfs=work / "initramfs", work=work,
                               doorbell=work / "region", vectors=8)

    def start(self):
        self.machine.start()

    def join(self):
        self.machine.wait_until_booted()
        self.begin()

    def begin(self):
        """Starts the daemon and a server."""
        self.machine.run("mkdir -p -m 1777 /run/shm", check=True)
        self.start_daemon()
        self.serve()

    def start_daemon(self):
        self.daemon = self.spawn_program("daemon", "--vfio", "--name", self.name)
        wait_until(lambda: b"ready" in self.daemon.output(), 20, lambda: self.daemon.output().decode())

    def spawn_program(self, program, *words):
        path = {"daemon": "shm_partitiond"}.get(program, program)
        return self.machine.spawn(f"export ASIO_SHM_DIR=/run/shm; exec {path} {' '.join(words)}")

    def serve(self, *words):
        server = self.spawn_program("peer", "serve", *words)
        wait_until(lambda: b"listening" in server.output(), 20, lambda: server.output().decode())
        return server

    def hosts(self):
        return self.machine.run("cat /run/shm/0/partition/hosts || true")[1].decode()

    def usage(self):
        pid = self.machine.run("pidof shm_partitiond", check=True)[1].split()[0].decode()
        text = self.machine.run(f"cat /proc/{pid}/stat; grep VmRSS /proc/{pid}/status; ls /proc/{pid}/fd | wc -l",
                                check=True)[1].decode()
        stat, memory, descriptors = text.strip().splitlines()
        fields = stat.rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100, int(memory.split()[1]), int(descriptors)

    def kill(self):
        self.machine.kill()


class World:
    """The host and two guests that know each other."""

    def __init__(self, work):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        for name in ("vmlinuz", "initramfs"):
            os.link(arguments.work / name, work / name)
        self.host = Host(work)
        self.alpha, self.beta = (Guest(name, work) for name in GUESTS)
        self.all = (self.host, self.alpha, self.beta)
        try:
            self.host.start()
            self.host.serve()
            for guest in self.all[1:]:
                guest.start()
            for guest in self.all[1:]:
                guest.join()
            self.meet(*self.all)
        except BaseException:
            self.end()
            raise

    def meet(self, *who):
        """Until they all know each other."""
        for one in who:
            for other in who:
                wait_until(lambda: re.search(rf" {other.name} \d", one.hosts()), LATE + DEAD_AFTER,
                           lambda: f"{one.name} does not see {other.name}: {one.hosts()}{self.logs()}")

    def logs(self):
        texts = []
        for one in self.all:
            try:
                texts.append(f"\n--- daemon of {one.name} ---\n" + one.daemon.output().decode(errors="replace"))
            except (AttributeError, MachineError) as error:
                texts.append(f"\n--- {one.name}: {error}")
        return "".join(texts)

    def end(self):
        for one in (self.alpha, self.beta, self.host):
            one.kill()


class Machines(unittest.TestCase):
    world = None

    @classmethod
    def setUpClass(cls):
        begin = time.monotonic()
        cls.world = World(arguments.work / "world")
        note(f"host and two machines ({best_accelerator()}) ready in {time.monotonic() - begin:.1f} s")
        cls.directions = [(cls.world.host, cls.world.alpha), (cls.world.alpha, cls.world.host),
                          (cls.world.alpha, cls.world.beta), (cls.world.beta, cls.world.alpha)]

    @classmethod
    def tearDownClass(cls):
        cls.world.end()

    # Each test begins with everybody there.
    def setUp(self):
        self.host, self.alpha, self.beta = self.world.all

    def finish(self, job, expected=0, timeout=120):
        """Waits for a client and returns its last line."""
        status, output = job.wait(timeout)
        text = output.decode(errors="replace")
        if status != expected:
            self.fail(f"exit status {status}: {text}{self.world.logs()}")
        return text.strip().splitlines()[-1]

    def ask(self, client, server, what, *words, expected=0, timeout=120):
        return self.finish(client.spawn_program("peer", what, server.name, *words), expected, timeout)

    def begin(self, client, server, what, *words):
        """A client that goes on until something happens to it."""
        job = client.spawn_program("peer", what, server.name, *words)
        wait_until(lambda: b"flowing" in job.output() or not job.running(), 20, lambda: job.output().decode())
        self.assertTrue(job.running(), job.output().decode(errors="replace"))
        return job

    def ended(self, job, since, within, *names):
        """A client that has met an error, and when."""
        line = self.finish(job, timeout=within + LATE)
        seconds = time.monotonic() - since
        self.assertIn(line.split(": ", 1)[1].split()[0], names)
        self.assertLess(seconds, within + LATE)
        return f"'{line}' after {seconds:.2f} s"

    def beta_line(self):
        """Address, name and number of beta."""
        return next(line.split() for line in self.host.hosts().splitlines() if " beta " in line)

    def test_01_everybody_knows_everybody(self):
        for one in self.world.all:
            lines = one.hosts().splitlines()
            self.assertEqual(sorted(line.split()[1] for line in lines), ["alpha", "beta", "host"])
            self.assertEqual([line.split()[1] for line in lines if line.endswith(" self")], [one.name])
        interfaces = self.alpha.machine.run("ls /sys/class/net; ls /sys/bus/pci/devices | wc -l")[1].decode().split()
        self.assertEqual(interfaces[0], "lo")
        self.assertEqual(len(interfaces), 2, "no network device but lo")

    def test_02_transfers_in_every_direction(self):
        for client, server in self.directions:
            line = self.ask(client, server, "transfer")
            note(f"{client.name} -> {server.name}: {line}")

    def test_03_half_close(self):
        for client, server in self.directions:
            self.ask(client, server, "half_close")

    def test_04_refused(self):
        for client, server in self.directions:
            self.assertIn("connection_refused", self.ask(client, server, "connect", "4999", expected=4))
        self.alpha.serve("--address", "127.0.0.1", "--listen", "4998")
        self.assertIn("connection_refused", self.ask(self.host, self.alpha, "connect", "4998", expected=4))
        local = self.alpha.spawn_program("peer", "connect", "127.0.0.1", "4998")
        self.finish(local)
        nobody = self.host.spawn_program("peer", "connect", "gamma")
        self.assertIn("host_not_found", self.finish(nobody, 4))

    def test_05_another_user_of_a_machine(self):
        status, output = self.alpha.machine.run(
            "ASIO_SHM_DIR=/run/shm su -p user -s /bin/sh -c 'id -u; exec peer transfer host'", timeout=60)
        self.assertEqual((status, output.split()[0]), (0, b"1000"), output.decode())

    def test_06_many_connections(self):
        """More than there are doorbells: the daemons relay."""
        jobs = [client.spawn_program("peer", "keep", server.name, "--seconds", "5")
                for client, server in self.directions for _ in range(5)]
        for job in jobs:
            self.finish(job)
        note(f"{len(jobs)} connections at once, 8 doorbells each: {jobs[0].output().decode().split(':', 1)[1].strip()}")

    def test_07_latency(self):
        for client, server in self.directions:
            note(f"{client.name} -> {server.name}: " + self.ask(client, server, "latency", "--count", "500"))

    def test_08_much_data(self):
        begin = time.monotonic()
        moved = {}
        size = 8_000_000
        while sum(moved.values()) < TOTAL and time.monotonic() - begin < TOTAL_SECONDS:
            for client, server in self.directions:
                for what in ("upload", "download"):
                    line = self.ask(client, server, what, "--bytes", str(size))
                    key = f"{client.name} -> {server.name}, {what}"
                    if key not in moved:
                        note(f"{key}: {line.rsplit(', ', 1)[1]}")
                    moved[key] = moved.get(key, 0) + size
        seconds = time.monotonic() - begin
        note(f"{sum(moved.values()) / 1e6:.0f} MB checked by SHA-256 in {seconds:.0f} s")
        self.assertEqual(len(moved), 8)

    def test_09_idle_machines_stay_idle(self):
        before = [one.usage() for one in self.world.all]
        time.sleep(3)
        for one, (used, memory, _), in zip(self.world.all, before):
            now, memory_now, _ = one.usage()
            note(f"idle, daemon of {one.name}: {(now - used) / 3 * 100:.1f} % of a processor, {memory_now} kB")
            self.assertLess(now - used, 1)
            self.assertLess(memory_now - memory, 1000)

    def test_10_a_restarted_daemon(self):
        lost = self.begin(self.host, self.alpha, "hold")
        kept = self.begin(self.beta, self.host, "keep", "--seconds", "6")
        since = time.monotonic()
        self.alpha.machine.run("kill -9 $(pidof shm_partitiond)", check=True)
        self.alpha.start_daemon()
        note("daemon of alpha killed and restarted: "
             + self.ended(lost, since, DEAD_AFTER, *LOST))
        self.world.meet(*self.world.all)
        self.ask(self.host, self.alpha, "transfer")
        self.ask(self.alpha, self.beta, "transfer")
        note("a third partition's connection: " + self.finish(kept).split(": ", 1)[1])

    def test_11_a_machine_that_reboots(self):
        to_host = self.begin(self.host, self.beta, "flow_down")
        to_alpha = self.begin(self.alpha, self.beta, "flow_up")
        kept = self.begin(self.host, self.alpha, "keep", "--seconds", "8")
        since = time.monotonic()
        reboot = threading.Thread(target=self.beta.machine.reboot)
        reboot.start()
        try:
            for job in (to_host, to_alpha):
                note("beta reboots: " + self.ended(job, since, DEAD_AFTER, *LOST))
        finally:
            reboot.join()
        note(f"beta has rebooted in {time.monotonic() - since:.1f} s")
        self.beta.begin()
        self.world.meet(*self.world.all)
        self.ask(self.host, self.beta, "transfer")
        self.ask(self.beta, self.alpha, "transfer")
        note("a third partition's connection: " + self.finish(kept).split(": ", 1)[1])

    def test_12_a_machine_that_pauses(self):
        short = self.begin(self.host, self.beta, "keep", "--seconds", "4")
        self.beta.machine.stop()
        time.sleep(1)
        self.beta.machine.cont()
        note("beta pauses for 1 s: " + self.finish(short).split(": ", 1)[1])

        jobs = [self.begin(self.host, self.beta, "flow_down"), self.begin(self.alpha, self.beta, "hold")]
        own = self.begin(self.beta, self.alpha, "hold")
        address = self.beta_line()[0]
        since = time.monotonic()
        self.beta.machine.stop()
        try:
            for job in jobs:
                note("beta pauses: " + self.ended(job, since, DEAD_AFTER, *LOST))
            wait_until(lambda: " beta " not in self.host.hosts(), LATE, "the host still lists beta")
            note("connect meanwhile: " + self.finish(self.host.spawn_program("peer", "connect", address), 4))
        finally:
            since = time.monotonic()
            self.beta.machine.cont()
        note("beta goes on: " + self.ended(own, since, DEAD_AFTER, *LOST))
        self.world.meet(*self.world.all)
        self.ask(self.host, self.beta, "transfer")
        self.ask(self.beta, self.alpha, "transfer")

    def test_13_a_machine_that_is_killed(self):
        down = self.begin(self.host, self.beta, "flow_down")
        up = self.begin(self.alpha, self.beta, "flow_up")
        kept = self.begin(self.alpha, self.host, "keep", "--seconds", "8")
        since = time.monotonic()
        os.kill(self.beta.machine.pid, 9)
        for job in (down, up):
            note("beta's QEMU killed: " + self.ended(job, since, DEAD_AFTER, *LOST))
        wait_until(lambda: " beta " not in self.host.hosts(), LATE, "the host still lists beta")
        wait_until(lambda: " beta " not in self.alpha.hosts(), LATE, "alpha still lists beta")
        note("a third partition's connection: " + self.finish(kept).split(": ", 1)[1])
        self.beta.kill()
        self.beta.start()
        self.beta.join()
        self.world.meet(*self.world.all)
        for client, server in self.directions:
            self.ask(client, server, "transfer")

    # The last ones: what beta destroys stays destroyed.
    def write_garbage(self, part, seconds):
        """By beta, continuously; returns how the daemons of the others have fared."""
        local = self.begin_local()
        before = {one.name: one.usage() for one in (self.host, self.alpha)}
        note(f"garbage in {part}: " + self.beta.machine.run(
            f"garbage /run/ivshmem/resource2 {part} {seconds}", timeout=seconds + 30, check=True)[1].decode().strip())
        time.sleep(3)
        middle = {one.name: one.usage() for one in (self.host, self.alpha)}
        time.sleep(2)
        for one in (self.host, self.alpha):
            self.assertTrue(one.daemon.running(), f"{one.name}'s daemon has ended" + self.world.logs())
            used, memory, descriptors = one.usage()
            note(f"daemon of {one.name}: {used - before[one.name][0]:.2f} s of processor meanwhile, "
                 f"{(used - middle[one.name][0]) / 2 * 100:.0f} % afterwards, {memory - before[one.name][1]} kB more, "
                 f"{descriptors - before[one.name][2]} descriptors more")
            self.assertLess(used - middle[one.name][0], 1, "spins")
            self.assertLess(memory - before[one.name][1], 20_000)
            self.assertLess(len(one.daemon.output()), 1_000_000, "fills the log")
        note("a local connection of the host: " + self.finish(local).split(": ", 1)[1])

    def begin_local(self):
        job = self.host.spawn_program("peer", "keep", "127.0.0.1", "--seconds", "9")
        wait_until(lambda: b"flowing" in job.output(), 20, lambda: job.output().decode())
        return job

    def test_14_garbage_in_its_own_area(self):
        jobs = [self.begin(self.beta, self.host, "hold"), self.begin(self.alpha, self.beta, "flow_down")]
        kept = self.begin(self.alpha, self.host, "keep", "--seconds", "8")
        self.write_garbage(f"area:{self.beta_line()[2]}", 2)
        note("a third partition's connection: " + self.finish(kept).split(": ", 1)[1])
        for job in jobs:
            job.wait(DEAD_AFTER + LATE)  # However it ends: what came was beta's to choose.
        self.ask(self.host, self.alpha, "transfer")
        self.ask(self.alpha, self.host, "transfer")

    def test_15_a_machine_that_is_clean_again(self):
        self.beta.kill()
        self.beta.start()
        self.beta.join()
        self.world.meet(*self.world.all)
        for client, server in self.directions:
            self.ask(client, server, "transfer")

    def test_16_garbage_everywhere(self):
        self.write_garbage("areas", 2)
        self.write_garbage("region", 2)
        self.finish(self.host.spawn_program("peer", "transfer", "127.0.0.1"))
        self.finish(self.alpha.spawn_program("peer", "transfer", "127.0.0.1"))


def prepare():
    """Makes the kernel and the initial file system; returns why it cannot be done."""
    for tool in ("qemu-system-x86_64", "busybox", "cpio", "apt-get"):
        if not shutil.which(tool):
            return f"no {tool}"
    script = SOURCE / "examples" / "8_partitions" / "initramfs.sh"
    arguments.work.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(
        [script, "--work", arguments.work, f"{arguments.daemon}=shm_partitiond", f"{arguments.peer}=peer",
         f"{arguments.garbage}=garbage"],
        env={**os.environ, "NO_INSTALL": "1"}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=300, check=False)
    if made.returncode:
        return made.stdout.decode(errors="replace")
    return None


def main():
    global arguments
    parser = argparse.ArgumentParser(description=__doc__)
    for name, what in (("daemon", "shm_partitiond"), ("peer", "machines_peer"), ("garbage", "machines_garbage"),
                       ("work", "folder that is this test's")):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True, help=what)
    parser.add_argument("tests", nargs="*", help="unittest's: names of tests, as Machines.test_02_...")
    arguments = parser.parse_args()
    arguments.work = arguments.work.resolve()
    missing = prepare()
    if missing:
        print(f"skipped: {missing}")
        return SKIP
    result = unittest.main(argv=[sys.argv[0], "-v", "--failfast", *arguments.tests], exit=False).result
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
