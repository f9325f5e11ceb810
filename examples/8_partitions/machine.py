# SPDX-License-Identifier: BSL-1.0
"""Boots QEMU virtual machines that have no network device, and runs commands in them.

    with Machine("a", kernel="build/vm/vmlinuz", initramfs="build/vm/initramfs", work="build/vm",
                 doorbell="/run/region.sock", vectors=8) as a:
        status, output = a.run("uname -r")

The kernel and the initramfs are those of initramfs.sh, whose agent answers on a virtio-serial port. A request is a line
`@<number> <command in base64>`, an answer `@<number> <exit status> <output in base64>`: what else gets onto the port
cannot be mistaken for either. `@ready` says that the guest has booted.
"""
import base64
import itertools
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

_ANSWER = re.compile(rb"@(\d+) (\d+) ([A-Za-z0-9+/=]*)")


class MachineError(Exception):
    """What went wrong, followed by the end of what the guest wrote to its console."""


class MachineTimeout(MachineError):
    """Something took longer than the caller wanted to wait."""


def best_accelerator():
    """`kvm` if this computer can do it, `tcg`, which is emulation, if not. A /dev/kvm alone does not tell: inside of a
    virtual machine it may be there and hang its guests, but then the processor has no instructions for it."""
    flags = pathlib.Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    return "kvm" if os.access("/dev/kvm", os.R_OK | os.W_OK) and re.search(r"\b(vmx|svm)\b", flags) else "tcg"


class Machine:
    """One virtual machine. Methods may be called by several threads, but for those that boot or end it."""

    def __init__(self, name, *, kernel, initramfs, work, doorbell=None, vectors=8, plain=None, plain_size=0,
                 memory=256, processors=2, accelerator=None, arguments=(), kernel_arguments=()):
        """Boots nothing yet.

        name:        of the machine, its host name and its files in the folder `work`
        doorbell:    socket of an ivshmem server: gives the machine an ivshmem-doorbell device with that many `vectors`
        plain:       file: gives the machine an ivshmem-plain device, the file's first `plain_size` bytes as memory
        memory:      MiB
        processors:  at least 2: for a single one QEMU emulates atomic instructions and fences by ordinary ones
        """
        self.name = name
        self.accelerator = accelerator or best_accelerator()
        self.console = pathlib.Path(work) / f"{name}.console"
        self.boot_seconds = None
        self._errors = pathlib.Path(work) / f"{name}.qemu"
        self._process = self._channel = self._reader = None
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._answers = {}  # by number; None: not yet
        self._boots = 0
        self._ended = None  # why nothing can be asked any more

        thread = "" if self.accelerator == "kvm" else ",thread=multi"
        kernel_line = ["console=ttyS0", "loglevel=4", "panic=-1", "intel_iommu=on", f"machine={name}",
                       *kernel_arguments]
        self._command = [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-nic", "none", "-display", "none",
            "-machine", "q35,kernel-irqchip=split", "-accel", self.accelerator + thread,
            "-smp", str(processors), "-m", str(memory),
            # VFIO wants an IOMMU in front of the device, and interrupt remapping to hand out its interrupts.
            "-device", "intel-iommu,intremap=on",
            "-kernel", str(kernel), "-initrd", str(initramfs), "-append", " ".join(kernel_line),
            "-chardev", f"file,id=console,path={_quoted(self.console)},append=on", "-serial", "chardev:console",
            "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=agent"]
        if doorbell:
            self._command += ["-chardev", f"socket,id=region,path={_quoted(doorbell)}",
                              "-device", f"ivshmem-doorbell,vectors={vectors},chardev=region"]
        if plain:
            self._command += [
                "-object", f"memory-backend-file,id=plain,share=on,size={plain_size},mem-path={_quoted(plain)}",
                "-device", "ivshmem-plain,memdev=plain"]
        self._command += arguments

    def __enter__(self):
        return self.boot()

    def __exit__(self, *_):
        self.kill()

    @property
    def pid(self):
        """Of QEMU; None if it does not run."""
        return self._process.pid if self._process else None

    def start(self):
        """Starts QEMU and returns at once, so that several machines can boot at a time: wait_until_booted() follows."""
        if self._process:
            raise self._error(MachineError, "already started")
        self.console.parent.mkdir(parents=True, exist_ok=True)
        self.console.write_bytes(b"")
        ours, theirs = socket.socketpair()
        with theirs, open(self._errors, "wb") as errors:
            self._boots, self._ended, self._answers = 0, None, {}
            self._started = time.monotonic()
            try:
                self._process = subprocess.Popen(
                    [*self._command, "-chardev", f"socket,id=agent,fd={theirs.fileno()}"],
                    stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, pass_fds=[theirs.fileno()])
            except OSError as error:
                ours.close()
                raise self._error(MachineError, f"cannot start QEMU: {error}") from error
        self._channel = ours
        self._reader = threading.Thread(target=self._read, args=(ours,), daemon=True)
        self._reader.start()
        return self

    def wait_until_booted(self, timeout=60):
        """Until the agent can be asked for something."""
        try:
            self._wait(lambda: self._boots, timeout, "boot")
        except MachineError:
            self.kill()
            raise
        return self

    def boot(self, timeout=60):
        return self.start().wait_until_booted(timeout)

    def spawn(self, command):
        """Starts a command of the guest's sh; returns a Job at once. Its output is in a file of the guest, and comes to
        the host when it has ended."""
        with self._changed:
            if self._ended or not self._process:
                raise self._error(MachineError, self._ended or "not running")
            number = next(self._numbers)
            self._answers[number] = None
            answers = self._answers
            line = b"\n@%d %s\n" % (number, base64.b64encode(os.fsencode(command)))
            try:
                self._channel.sendall(line)
            except OSError as error:
                raise self._error(MachineError, f"the agent cannot be asked: {error}") from error
        return Job(self, number, command, answers)

    def run(self, command, timeout=30, check=False):
        """Runs a command by the guest's sh and returns its exit status and its output, both streams of it, as bytes.
        After `timeout` seconds it is killed with all that it started. `check`: a status other than 0 is an error."""
        job = self.spawn(command)
        try:
            status, output = job.wait(timeout)
        except MachineTimeout:
            if not self._ended:
                job.signal("KILL", wait=False)
            raise
        if check and status:
            shown = output.decode(errors="replace")
            raise self._error(MachineError, f"exit status {status} of '{command}', which printed:\n{shown}")
        return status, output

    def reboot(self, timeout=60):
        """Restarts the guest without warning it, as its reset button does; QEMU stays the same process."""
        boots = self._boots
        self.spawn("reboot -f")
        self._wait(lambda: self._boots > boots, timeout, "reboot")

    def shutdown(self, timeout=30):
        """Switches the guest off, and waits for QEMU to end."""
        self.spawn("poweroff -f")
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self._error(MachineTimeout, f"still on after {timeout} s") from None
        finally:
            self.kill()

    def kill(self):
        """SIGKILL of QEMU, if it runs; boot() may follow."""
        if not self._process:
            return
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._channel.close()
        self._process = None

    def stop(self):
        """Holds the machine (SIGSTOP of QEMU), which the guest does not notice."""
        self._process.send_signal(signal.SIGSTOP)

    def cont(self):
        self._process.send_signal(signal.SIGCONT)

    def console_tail(self, lines=30):
        texts = []
        for path in (self._errors, self.console):
            if path.exists():
                texts += path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
        return "\n".join(texts)

    def _error(self, kind, message):
        return kind(f"machine {self.name}: {message}\n--- console ---\n{self.console_tail()}\n---")

    def _wait(self, done, timeout, what):
        """Until done() is true, called with the lock held, and returns that."""
        with self._changed:
            if not self._changed.wait_for(lambda: done() or self._ended, timeout):
                raise self._error(MachineTimeout, f"{timeout} s have passed: {what}")
            if not done():
                raise self._error(MachineError, f"{self._ended}: {what}")
            return done()

    def _read(self, channel):
        buffer = bytearray()
        while True:
            try:
                data = channel.recv(1 << 20)
            except OSError:
                data = b""
            if not data:
                break
            begin = len(buffer)
            buffer += data
            end = buffer.rfind(b"\n", begin) + 1
            if end:
                for line in bytes(buffer[:end]).split(b"\n"):
                    self._take(line)
                del buffer[:end]
        with self._changed:
            self._ended = "QEMU has ended"
            self._changed.notify_all()

    def _take(self, line):
        with self._changed:
            if line == b"@ready":
                if not self._boots:
                    self.boot_seconds = time.monotonic() - self._started
                self._boots += 1
                self._answers = {}  # Who waits for one of the time before waits in vain.
            elif match := _ANSWER.fullmatch(line):
                number = int(match[1])
                if number in self._answers:
                    self._answers[number] = int(match[2]), base64.b64decode(match[3])
            self._changed.notify_all()


class Job:
    """A command that runs in a guest, in a session of its own."""

    def __init__(self, machine, number, command, answers):
        self.machine = machine
        self.command = command
        self._number = number
        self._answers = answers  # A reboot puts another dictionary in its place.
        self._answer = None
        self._files = f"/run/agent/{number}"

    def wait(self, timeout=30):
        """Returns its exit status and its output; 128 + the signal if one has killed it."""
        if not self._answer:
            def done():
                if self.machine._answers is not self._answers:
                    raise self.machine._error(MachineError, f"the guest has rebooted: {self.command}")
                return self._answers.get(self._number)

            self._answer = self.machine._wait(done, timeout, self.command)
            del self._answers[self._number]
        return self._answer

    def running(self):
        return not self._answer and self.machine._answers is self._answers and not self._answers.get(self._number)

    def output(self):
        """What it has printed until now."""
        if self.running():
            status, output = self.machine.run(f"cat {self._files}.out")
            if status == 0:
                return output
            if self.running():
                return b""  # It has not begun yet: at its end, its answer comes before that of `cat`.
        return self.wait()[1]

    def signal(self, name="TERM", wait=True):
        """To it and all that it has started, unless that left its session. Waits until it was sent, not for its end."""
        job = self.machine.spawn(f"kill -{name} -- -$(cat {self._files}.pid)")
        if wait:
            job.wait()


def _quoted(path):
    return str(path).replace(",", ",,")
