# SPDX-License-Identifier: BSL-1.0
"""The machine that a run took place on, and which of its CPUs share a cache."""

import contextlib
import glob
import os
import platform
import re
import subprocess


def first_line(command, folder=None):
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True, cwd=folder)
        return done.stdout.splitlines()[0] if done.stdout else ""
    return ""


def read(path):
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
    return ""


def cpu_list(text):
    """"0-3,8" -> {0, 1, 2, 3, 8}"""
    cpus = set()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        cpus.update(range(int(first), int(last or first) + 1))
    return cpus


def same_core(cpu):
    return cpu_list(read(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")) or {cpu}


def same_cache(cpu):
    """The CPUs that share this one's last level of cache."""
    caches = {}
    for folder in glob.glob(f"/sys/devices/system/cpu/cpu{cpu}/cache/index*"):
        caches[int(read(f"{folder}/level") or 0)] = cpu_list(read(f"{folder}/shared_cpu_list"))
    return caches[max(caches)] if caches else {cpu}


def two_cpus(placement):
    """Two cores that share their last level of cache, or that do not; None where there are no such two."""
    allowed = sorted(os.sched_getaffinity(0))
    for first in allowed:
        for second in allowed:
            if second > first and second not in same_core(first) and (second in same_cache(first)) == (placement == "shared"):
                return {first, second}
    return None


def description(source_folder):
    model = re.search(r"^model name\s*:\s*(.*)$", read("/proc/cpuinfo"), re.MULTILINE)
    allowed = sorted(os.sched_getaffinity(0))
    caches = sorted({tuple(sorted(same_cache(cpu) & set(allowed))) for cpu in allowed})
    memory = re.search(r"^MemTotal:\s*(\d+)", read("/proc/meminfo"), re.MULTILINE)
    return {
        "cpu": model.group(1) if model else platform.machine(),
        "cpus": allowed,
        "cpus_sharing_the_last_level_cache": [list(group) for group in caches],
        "hypervisor": bool(re.search(r"^flags\s*:.*\bhypervisor\b", read("/proc/cpuinfo"), re.MULTILINE)),
        "memory_MiB": int(memory.group(1)) // 1024 if memory else 0,
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "") if os.path.exists("/etc/os-release") else "",
        "compiler": first_line(["c++", "--version"]),
        "revision": first_line(["git", "describe", "--always", "--dirty"], source_folder),
        "load_at_start": os.getloadavg()[0],
    }
