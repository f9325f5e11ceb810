# SPDX-License-Identifier: BSL-1.0
"""What is measured: scenarios with their options, the transports that take part, and their figures."""

from dataclasses import dataclass, replace

from .external import UCX_TESTS

TCP = ("tcp",)
ASIO = ("tcp", "unix", "shm", "shm_no_polling")
ASIO_SPINNING = ("tcp", "tcp_spinning", "unix", "shm", "shm_no_polling")
ASIO_ALL = ASIO_SPINNING + ("shm_zero_copy",)
OUR_PEERS = ("zeromq", "nanomsg", "message_queue", "iceoryx")
LIMITS = ("raw_cache_line", "raw_copy", "raw_eventfd")
PEERS = OUR_PEERS + ("libfabric",) + tuple(UCX_TESTS["round_trip"])


@dataclass(frozen=True)
class figure:
    """A key of the programs' "figures" or, with a dot, of another object of their output."""
    key: str
    label: str
    unit: str
    higher_is_better: bool = False


P50, P90, P99, P99_9, WORST = (figure(f"{key}_ns", label, "ns") for key, label in (
    ("p50", "p50"), ("p90", "p90"), ("p99", "p99"), ("p99_9", "p99.9"), ("max", "max")))
BYTES = figure("bytes_per_second", "throughput", "B/s", True)
MESSAGES = figure("messages_per_second", "messages", "1/s", True)
REQUESTS = figure("requests_per_second", "requests", "1/s", True)
CONNECTIONS = figure("connections_per_second", "connections", "1/s", True)
CPU = figure("cpu_s_per_s", "CPU of both sides", "CPUs")


@dataclass(frozen=True)
class case:
    """One scenario with one set of options. The first figure is the one that is compared."""
    scenario: str
    title: str
    options: dict
    transports: tuple
    figures: tuple
    seconds: float = 1.0
    rounds: int = 0  # 0: as many as the run has
    two_cpus: bool = False
    grace: float = 25.0  # how much longer than its measurement a program may take: nearly all end by themselves after 20

    @property
    def name(self):
        return "/".join([self.scenario] + [str(value) for value in self.options.values()])


def restricted(case, transports):
    return replace(case, transports=tuple(name for name in case.transports if name in transports))


def text_of_size(size):
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} B"


def round_trip(size, transports, **keywords):
    return case("round_trip", f"round trip of {text_of_size(size)}", {"size": size}, transports,
                (P50, P90, P99, P99_9, WORST), **keywords)


def stream(size, transports, **keywords):
    return case("stream", f"stream, writes of {text_of_size(size)}", {"size": size}, transports, (BYTES,), **keywords)


def messages(size, transports, **keywords):
    return case("messages", f"messages of {text_of_size(size)}, one write each", {"size": size}, transports, (MESSAGES,),
                **keywords)


def open_loop(rate, transports, **keywords):
    return case("open_loop", f"{rate} requests a second, open loop", {"rate": rate}, transports,
                (P99, P50, P99_9, CPU), **keywords)


def fan_in(clients, transports, **keywords):
    return case("fan_in", f"{clients} clients of one server thread", {"clients": clients}, transports, (MESSAGES,),
                **keywords)


def connections(mode, transports, **keywords):
    title = {"connect": "connect and close", "request": "connect, request, close"}[mode]
    return case("connections", title, {"mode": mode}, transports, (CONNECTIONS,), **keywords)


def idle(count, transports, **keywords):
    return case("idle_connections", f"{count} idle connections", {"connections": count}, transports,
                (figure("rss_bytes_per_connection", "RSS each, both sides", "B"),
                 figure("pss_bytes_per_connection", "PSS each", "B"),
                 figure("cpu_s", "CPU time while idle", "s"),
                 figure("virtual_bytes_per_connection", "virtual memory each", "B"),
                 figure("descriptors_per_connection", "descriptors each", ""),
                 figure("context_switches", "context switches while idle", ""),
                 figure("served_ns", "until one is served", "ns")),
                rounds=1, seconds=10, grace=65.0, **keywords)


def oversubscription(transports, **keywords):
    return case("oversubscription", "8 busy pairs on 2 CPUs", {"pairs": 8}, transports, (MESSAGES,), two_cpus=True,
                **keywords)


def http(transports, **keywords):
    return case("http", "HTTP keep-alive, 64 connections", {"connections": 64}, transports, (REQUESTS, P99), **keywords)


def timers(transports, **keywords):
    return case("timers", "lateness of timers beside a busy connection", {}, transports,
                (P99, P50, WORST, figure("posted_p99_ns", "posted work, p99", "ns"),
                 figure("round_trip_p50_ns", "round trip, p50", "ns")), **keywords)


def ucx(scenario):
    return tuple(UCX_TESTS[scenario])


def quick_plan():
    """The rows of the table of requirements, and what they are compared with."""
    return [
        round_trip(64, ("tcp", "unix", "shm", "shm_no_polling", "raw_cache_line") + ucx("round_trip"), seconds=0.5),
        stream(65536, ("tcp", "unix", "shm", "raw_copy") + ucx("stream"), seconds=0.5),
        messages(64, ("tcp", "shm") + ucx("messages"), seconds=0.5),
        fan_in(64, ("tcp", "shm")),
        open_loop(10000, ("tcp", "unix", "shm")),
        connections("request", ("tcp", "shm")),
        idle(10000, ("shm",)),
        oversubscription(("tcp", "shm")),
        http(("tcp", "shm")),
    ]


def full_plan():
    sizes = (1, 64, 1024, 4096, 16384, 65536, 262144, 1048576)
    plan = []
    for size in sizes:
        limits = ("raw_cache_line", "raw_eventfd") if size == 64 else ()
        plan.append(round_trip(size, ASIO_ALL + OUR_PEERS + ("libfabric",) + ucx("round_trip") + limits))
    for size in sizes[1:]:
        limits = ("raw_copy",) if size == 65536 else ()
        plan.append(stream(size, ASIO_ALL + OUR_PEERS + ucx("stream") + limits))
    plan += [messages(size, ASIO_SPINNING + OUR_PEERS + ucx("messages")) for size in (64, 1024)]
    plan += [open_loop(1000 * rate, ASIO_SPINNING, seconds=2) for rate in (1, 2, 5, 10, 20, 50, 100, 200, 500)]
    plan += [fan_in(clients, ASIO_SPINNING) for clients in (1, 8, 64, 512)]
    plan += [connections(mode, ASIO) for mode in ("connect", "request")]
    plan += [idle(count, ("tcp", "unix", "shm")) for count in (1000, 10000)]
    plan += [oversubscription(ASIO), http(ASIO_SPINNING), timers(ASIO)]
    return plan
