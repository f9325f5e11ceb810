# SPDX-License-Identifier: BSL-1.0
"""Peers that bring their own benchmark program: UCX's ucx_perftest and libfabric's fi_pingpong."""

import shutil
import subprocess

from .processes import background, free_port, output_of, unavailable, wait_for_listener

# The tests of ucx_perftest that come closest to each scenario. The stream of bytes is what a socket offers; tags and
# active messages are UCX's own ways. uct is the bare transport below them, for messages of 8 B to 8 KiB, whose receiver
# leaves the payload where it is.
UCX_TESTS = {
    "round_trip": {"ucx_stream": "stream_lat", "ucx_tag": "tag_lat", "ucx_am": "ucp_am_lat", "ucx_uct": "am_lat"},
    "stream": {"ucx_stream": "stream_bw", "ucx_tag": "tag_bw", "ucx_am": "ucp_am_bw"},
    "messages": {"ucx_stream": "stream_bw", "ucx_tag": "tag_bw", "ucx_am": "ucp_am_bw", "ucx_uct": "am_bw"},
}
UCX_TRANSPORTS = ("ucx_stream", "ucx_tag", "ucx_am", "ucx_uct")
UCT_SIZES = range(8, 8193)
UCT_LARGEST_SHORT = 64


def need(program):
    if not shutil.which(program):
        raise unavailable(f"{program} is not installed", final=True)


def served(server, client, limit, environment):
    """What the client of a one-shot server prints."""
    port = free_port()
    with background(server(port), environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_for_listener(port, process)
        try:
            return output_of(client(port), limit, environment)
        except unavailable as failure:
            # These programs spin: on a busy machine they may be late without being broken.
            raise unavailable(failure.reason) from failure


class ucx:
    """ucx_perftest over POSIX shared memory, nothing else."""

    environment = {"UCX_TLS": "posix,self", "UCX_LOG_LEVEL": "error"}

    def __init__(self):
        self.rates_ = {}

    def run(self, scenario, transport, size, seconds):
        need("ucx_perftest")
        test = UCX_TESTS[scenario][transport]
        if transport == "ucx_uct" and size not in UCT_SIZES:
            raise unavailable(f"not supported: messages of {size} B", final=True)
        # ucx_perftest runs for a number of iterations, not for a time: what the last run would have needed.
        key = (test, size)
        if key not in self.rates_:
            self.rates_[key] = self.measure(test, size, 5000 if size <= 65536 else 500, limit=10)["rate"]
        measured = self.measure(test, size, max(1000, int(seconds * self.rates_[key])), limit=5 * seconds + 10)
        self.rates_[key] = measured["rate"]
        if scenario == "round_trip":
            # The program reports half of the round trip.
            figures = {"p50_ns": 2000 * measured["p50_us"], "mean_ns": 2000 * measured["mean_us"]}
        else:
            figures = {"messages_per_second": measured["rate"], "bytes_per_second": measured["rate"] * size}
        return {"scenario": scenario, "transport": transport, "parameters": {"size": size, "test": test}, "figures": figures}

    def measure(self, test, size, iterations, limit):
        arguments = ["-t", test, "-s", size, "-n", iterations, "-w", max(100, iterations // 10), "-f", "-v"]
        if test.startswith("am_"):
            arguments += ["-x", "posix", "-d", "memory", "-D", "short" if size <= UCT_LARGEST_SHORT else "bcopy"]
        printed = served(lambda port: ["ucx_perftest", "-p", port],
                         lambda port: ["ucx_perftest", "127.0.0.1", "-p", port] + arguments, limit, self.environment)
        # iterations, p50, mean and overall mean in us, MiB/s, overall MiB/s, rate, overall rate
        for line in reversed(printed.splitlines()):
            fields = [field.strip() for field in line.split(",")]
            if len(fields) == 8 and fields[0].isdigit():
                p50, overall, rate = float(fields[1]), float(fields[3]), float(fields[7])
                if rate <= 0:
                    break
                # For a latency test the rate counts one way only.
                return {"p50_us": p50, "mean_us": overall, "rate": rate / 2 if test.endswith("_lat") else rate}
        raise unavailable("the output of ucx_perftest was not understood")


class libfabric:
    """fi_pingpong over libfabric's provider for shared memory."""

    def __init__(self):
        self.times_us_ = {}

    def run(self, scenario, transport, size, seconds):
        need("fi_pingpong")
        if scenario != "round_trip":
            raise unavailable("not supported: fi_pingpong measures round trips only", final=True)
        if size not in self.times_us_:
            self.times_us_[size] = self.round_trip_us(size, 1000, 10)
        iterations = max(1000, int(seconds * 1e6 / max(self.times_us_[size], 0.1)))
        self.times_us_[size] = self.round_trip_us(size, iterations, 5 * seconds + 10)
        mean = 1000 * self.times_us_[size]
        # It gives a mean, to 0.01 us, and no distribution: the mean stands where others have a median.
        return {"scenario": scenario, "transport": transport, "parameters": {"size": size},
                "figures": {"p50_ns": mean, "mean_ns": mean}}

    def round_trip_us(self, size, iterations, limit):
        common = ["fi_pingpong", "-p", "shm", "-e", "rdm", "-I", iterations, "-S", size]
        printed = served(lambda port: common + ["-B", port], lambda port: common + ["-P", port, "127.0.0.1"], limit, {})
        lines = [line.split() for line in printed.splitlines() if line.strip()]
        if len(lines) < 2 or "usec/xfer" not in lines[-2]:
            raise unavailable("the output of fi_pingpong was not understood")
        # A transfer is one way.
        return 2 * float(lines[-1][lines[-2].index("usec/xfer")])
