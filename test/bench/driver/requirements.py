# SPDX-License-Identifier: BSL-1.0
"""What the library has to show, row by row, judged from the medians of one run."""

from dataclasses import dataclass

# Of UCX, what delivers a message to its receiver; the bare transport (ucx_uct) counts where the reply proves that.
UCX = ("ucx_stream", "ucx_tag", "ucx_am")


@dataclass(frozen=True)
class bound:
    """The value is at most (or at least) `factor` times the best of these transports, or times `constant`."""
    text: str
    figure: str
    at_least: bool
    factor: float
    references: tuple = ()
    constant: float = 1.0


def at_most(text, figure, factor, *references, constant=1.0):
    return bound(text, figure, False, factor, references, constant)


def at_least(text, figure, factor, *references):
    return bound(text, figure, True, factor, references)


@dataclass(frozen=True)
class row:
    title: str
    case: str
    bounds: tuple
    transport: str = "shm"


ROWS = (
    row("64 B round trip, default settings", "round_trip/64", (
        at_most("60 x lower p50 than TCP", "p50_ns", 1 / 60, "tcp"),
        at_most("not above UCX posix", "p50_ns", 1, *UCX, "ucx_uct"),
        at_most("<= 2 x the raw cache line", "p50_ns", 2, "raw_cache_line"))),
    row("64 B round trip, polling off", "round_trip/64", (
        at_most("<= AF_UNIX", "p50_ns", 1, "unix"),), transport="shm_no_polling"),
    row("64 KiB stream", "stream/65536", (
        at_least("5 x TCP", "bytes_per_second", 5, "tcp"),
        at_least("2 x AF_UNIX", "bytes_per_second", 2, "unix"),
        at_least(">= UCX posix", "bytes_per_second", 1, *UCX),
        at_least(">= 0.8 x raw copy", "bytes_per_second", 0.8, "raw_copy"))),
    row("64 B messages, one async_write each", "messages/64", (
        at_least("10 x TCP", "messages_per_second", 10, "tcp"),
        at_least(">= UCX posix", "messages_per_second", 1, *UCX))),
    row("fan-in with 64 clients", "fan_in/64", (at_least("4 x TCP", "messages_per_second", 4, "tcp"),)),
    row("open loop, 10k requests a second", "open_loop/10000", (
        at_most("p99 <= AF_UNIX", "p99_ns", 1, "unix"),
        at_most("CPU <= 1.5 x AF_UNIX", "cpu_s_per_s", 1.5, "unix"))),
    row("connect, request, close", "connections/request", (at_least(">= TCP", "connections_per_second", 1, "tcp"),)),
    row("10,000 idle connections", "idle_connections/10000", (
        # A clock tick in ten seconds is 0 %.
        at_most("0 % CPU over 10 s", "cpu_s", 1, constant=0.01),
        at_most("<= 64 KiB RSS each, both sides", "rss_bytes_per_connection", 1, constant=65536))),
    row("8 pairs on 2 CPUs", "oversubscription/8", (at_least(">= TCP", "messages_per_second", 1, "tcp"),)),
    row("Beast HTTP keep-alive, 64 connections", "http/64", (at_least("3 x TCP", "requests_per_second", 3, "tcp"),)),
)


def median_of(case, transport, figure):
    return case["transports"].get(transport, {}).get("figures", {}).get(figure, {}).get("median")


def why_missing(case, transport, figure):
    reason = case["transports"].get(transport, {}).get("not_available", f"no {figure}")
    return f"not available: {transport}: {reason}"


def judge_bound(each, case, transport):
    judged = {"required": each.text, "figure": each.figure, "transport": transport}
    value = median_of(case, transport, each.figure)
    if value is None:
        return {**judged, "result": why_missing(case, transport, each.figure)}
    judged["value"] = value
    if each.references:
        found = {name: median_of(case, name, each.figure) for name in each.references}
        found = {name: number for name, number in found.items() if number is not None}
        if not found:
            return {**judged, "result": why_missing(case, each.references[0], each.figure)}
        name = (max if each.at_least else min)(found, key=found.get)
        judged.update(reference=name, reference_value=found[name])
        limit = each.factor * found[name]
    else:
        judged.update(reference="constant", reference_value=each.constant)
        limit = each.factor * each.constant
    judged["limit"] = limit
    judged["result"] = "pass" if (value >= limit if each.at_least else value <= limit) else "short"
    return judged


def judge(cases):
    """`cases`: the summaries by name; rows of others are left out. A row is short if one of its bounds is."""
    judged = []
    for each in (one for one in ROWS if one.case in cases):
        bounds = [judge_bound(one, cases[each.case], each.transport) for one in each.bounds]
        results = [one["result"] for one in bounds]
        missing = [result for result in results if result not in ("pass", "short")]
        result = "short" if "short" in results else missing[0] if missing else "pass"
        judged.append({"title": each.title, "case": each.case, "result": result, "bounds": bounds})
    return judged
