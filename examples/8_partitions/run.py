# SPDX-License-Identifier: BSL-1.0
"""What run.sh does when everything is built: boots the machines and runs the programs."""
import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from machine import Machine, MachineError, best_accelerator

LIMIT = 60  # seconds for any one thing
FOLDERS = ("src/partitiond", "examples/1_echo", "examples/2_chat", "examples/3_coroutines", "examples/demo")


class Failure(Exception):
    pass


def say(text=""):
    print(text, flush=True)


def wait_until(done, what):
    end = time.monotonic() + LIMIT
    while not done():
        if time.monotonic() > end:
            raise Failure(f"in vain for {LIMIT} s: {what()}")
        time.sleep(0.1)


class HostJob:
    """A command on the host, with methods of machine.Job."""

    def __init__(self, command, environment, log):
        self._log = log
        with open(log, "wb") as out:
            self._process = subprocess.Popen(["sh", "-c", command], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                             env=environment, start_new_session=True)

    def wait(self, timeout):
        return self._process.wait(timeout), self._log.read_bytes()

    def output(self):
        return self._log.read_bytes()

    def end(self):
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()


class Host:
    name = "host"

    def __init__(self, build, work):
        self._work, self._jobs = work, []
        self.runtime = work / "runtime"
        shutil.rmtree(self.runtime, ignore_errors=True)
        self.runtime.mkdir(mode=0o700)
        path = ":".join([*(str(build / folder) for folder in FOLDERS), os.environ["PATH"]])
        self._environment = {**os.environ, "ASIO_SHM_DIR": str(self.runtime), "PATH": path}

    def spawn(self, command):
        self._jobs.append(HostJob(command, self._environment, self._work / f"host.{len(self._jobs)}.log"))
        return self._jobs[-1]

    def end(self):
        for job in self._jobs:
            job.end()


class Guest:
    runtime = pathlib.Path("/run/shm")

    def __init__(self, name, work):
        self.name = name
        self.machine = Machine(name, kernel=work / "vmlinuz", initramfs=work / "initramfs", work=work,
                               doorbell=work / "region")

    def spawn(self, command):
        return self.machine.spawn(f"export ASIO_SHM_DIR={self.runtime}; {command}")

    def end(self):
        self.machine.kill()


def ask(where, command):
    """Runs a command that has to succeed, and returns what it prints."""
    status, output = where.spawn(command).wait(LIMIT)
    text = output.decode(errors="replace")
    if status:
        raise Failure(f"'{command}' on {where.name} ended with {status}: {text}")
    return text


def start(where, command, sign):
    """Starts what goes on, and waits until it says that it is ready."""
    job = where.spawn(f"exec {command}")
    wait_until(lambda: sign in job.output(), lambda: f"'{command}' on {where.name}: {job.output().decode()}")
    say(f"  {where.name}$ {command}")
    return job


def show(where, command, text):
    say(f"  {where.name}$ {command}")
    for line in text.splitlines():
        say(f"      {line}")


def echo(program, client, server, port):
    line = f"hello {server.name}, this is {client.name}"
    command = f"echo '{line}' | {program} {server.name} {port}"
    text = ask(client, command)
    show(client, command, text)
    if text != line + "\n":
        raise Failure(f"the echo differs: {text}")


def chat(room, people):
    """Each comes, says something when all the others are there, and stays until they have spoken."""
    jobs = []
    command = f"chat_client_shm {room.name} 4322"
    for where, name in people:
        # What the client prints goes to a file as well, for `until` to look at.
        seen = where.runtime / f"{name}.seen"
        last = f"grep -q '{people[-1][1]} joined' {seen}"  # Nobody is told of those who were there before.
        greeted = " && ".join(f"grep -q '{other}: hello' {seen}" for _, other in people if other != name)
        talk = (f"(until {last}; do sleep 0.2; done; echo 'hello from {where.name}'; "
                f"until {greeted}; do sleep 0.2; done)")
        jobs.append(where.spawn(f"touch {seen}; {talk} | {command} {name} | tee {seen}"))
        wait_until(lambda: f"* {name} joined".encode() in jobs[0].output(), lambda: f"{name} does not come")
    for (where, name), job in zip(people, jobs):
        status, output = job.wait(LIMIT)
        show(where, f"{command} {name}", output.decode(errors="replace"))
        if status:
            raise Failure(f"the client of {name} ended with {status}")


def measure(what, client, transport, address):
    """Round trips, and a file to an echo server and back, by the demo's programs."""
    values = {}
    for words in ("rtt 2", "file $(command -v demo_client)"):
        text = ask(client, f"demo_client {transport} {address} {words}")
        values.update(line.split(" ", 1) for line in text.splitlines())
    say(f"  {what:<28} {float(values['rtt.p50_us']):>10.0f} {float(values['rtt.p99_us']):>10.0f}"
        f" {float(values['file.0.mb_per_s']):>10.1f}")


def address_of(name, host):
    for line in ask(host, "cat $ASIO_SHM_DIR/partition/hosts").splitlines():
        if line.split()[1] == name:
            return line.split()[0]
    raise Failure(f"no address of {name}")


def run(host, alpha, beta, work):
    everybody = (host, alpha, beta)
    say("== one daemon in each partition; the host's makes the memory that QEMU gives to the machines")
    start(host, f"shm_partitiond --serve {work / 'region'} --name host", b"ready")
    for guest in (alpha, beta):
        guest.machine.start()
    for guest in (alpha, beta):
        guest.machine.wait_until_booted()
        ask(guest, f"mkdir -m 700 {guest.runtime}")
        start(guest, f"shm_partitiond --vfio --name {guest.name}", b"ready")
    for where in everybody:
        hosts = "cat $ASIO_SHM_DIR/partition/hosts"
        wait_until(lambda: ask(where, hosts).count("\n") == 3, lambda: ask(where, hosts))
    say("== who is there, as seen by alpha, and its network devices")
    show(alpha, "cat $ASIO_SHM_DIR/partition/hosts", ask(alpha, "cat $ASIO_SHM_DIR/partition/hosts"))
    show(alpha, "ls /sys/class/net", ask(alpha, "ls /sys/class/net"))

    say("== 1_echo")
    for server in everybody:
        start(server, "echo_server_shm 4321", b"listening")
    for client, server in ((beta, alpha), (alpha, beta), (host, alpha), (alpha, host)):
        echo("echo_client_shm", client, server, 4321)

    say("== 2_chat")
    start(alpha, "chat_server_shm 4322", b"listening")
    chat(alpha, ((beta, "bob"), (host, "hanna"), (alpha, "ada")))

    say("== 3_coroutines")
    for server in (host, beta):
        start(server, "coroutine_server_shm 4323", b"listening")
    for client, server in ((alpha, beta), (alpha, host), (host, beta)):
        echo("coroutine_client_shm", client, server, 4323)

    kind = "real processors" if alpha.machine.accelerator == "kvm" else "EMULATED processors: for comparison only"
    say(f"== latency and throughput, {kind}")
    for server in everybody:
        start(server, "demo_server shm 0.0.0.0:4324", b"listening")
    start(alpha, "demo_server tcp 127.0.0.1:4324", b"listening")
    say(f"  {'64 bytes and their echo':<28} {'median, us':>10} {'99 %, us':>10} {'MB/s':>10}")
    for client, server in ((host, alpha), (alpha, host), (alpha, beta), (beta, alpha)):
        measure(f"{client.name} -> {server.name}", client, "shm", f"{address_of(server.name, host)}:4324")
    measure("inside alpha", alpha, "shm", "127.0.0.1:4324")
    measure("inside alpha, TCP loopback", alpha, "tcp", "127.0.0.1:4324")
    measure("inside the host", host, "shm", "127.0.0.1:4324")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    host = Host(arguments.build, arguments.work)
    alpha, beta = (Guest(name, arguments.work) for name in ("alpha", "beta"))
    try:
        say(f"== two machines without network devices ({best_accelerator()}), and their host")
        run(host, alpha, beta, arguments.work)
        say("== all went as it should")
    except (Failure, MachineError, subprocess.TimeoutExpired) as error:
        print(f"run.sh: {error}", file=sys.stderr)
        return 1
    finally:
        for one in (alpha, beta, host):
            one.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
