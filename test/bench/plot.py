#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Draws the results of run.py as SVG files."""

import argparse
import json
import pathlib
import sys

from driver.plan import text_of_size

# One colour for each transport in all plots; this library's are thick.
STYLES = {
    "tcp": ("TCP", "tab:blue", "-"), "tcp_spinning": ("TCP, spinning poll()", "tab:blue", ":"),
    "unix": ("AF_UNIX", "tab:green", "-"),
    "shm": ("shm", "tab:red", "-"), "shm_no_polling": ("shm, polling off", "tab:red", ":"),
    "shm_zero_copy": ("shm, zero-copy", "tab:red", "--"),
    "zeromq": ("ZeroMQ ipc", "tab:olive", "-"), "nanomsg": ("nanomsg ipc", "tab:pink", "-"),
    "message_queue": ("Interprocess message_queue", "tab:brown", "-"), "iceoryx": ("iceoryx", "tab:cyan", "-"),
    "libfabric": ("libfabric shm", "tab:purple", "-"),
    "ucx_stream": ("UCX posix, stream", "tab:gray", "-"), "ucx_tag": ("UCX posix, tag", "tab:gray", "--"),
    "ucx_am": ("UCX posix, active message", "tab:gray", ":"), "ucx_uct": ("UCX posix, uct", "tab:gray", "-."),
    "raw_cache_line": ("raw cache line", "black", ":"), "raw_copy": ("raw copy", "black", ":"),
    "raw_eventfd": ("raw eventfd", "black", "--"),
}


def style(transport):
    label, color, line = STYLES.get(transport, (transport, "lightgray", "-"))
    return {"label": label, "color": color, "linestyle": line, "linewidth": 2.4 if transport.startswith("shm") else 1.3}


def measured(summary, figure):
    return summary.get("figures", {}).get(figure)


def curves(cases, option, figure):
    """{transport: [(value of the option, median, min, max)]}"""
    found = {}
    for case in cases:
        for transport, summary in case["transports"].items():
            spread = measured(summary, figure)
            if spread:
                point = (case["options"][option], spread["median"], spread["min"], spread["max"])
                found.setdefault(transport, []).append(point)
    return {transport: sorted(points) for transport, points in found.items()}


class plots:
    def __init__(self, report, folder):
        # Without a screen.
        import matplotlib
        matplotlib.use("svg")
        matplotlib.rcParams["svg.hashsalt"] = "asio_shm"  # the same results give the same file
        from matplotlib import pyplot
        self.pyplot_ = pyplot
        self.cases_ = list(report["cases"].values())
        self.folder_ = folder
        self.about_ = f"{report['machine']['cpu']}, {len(report['machine']['cpus'])} CPUs; median of {report['rounds']} rounds"
        self.written_ = []

    def of(self, scenario):
        """Those of which there is more than a limit of the machine."""
        return [case for case in self.cases_ if case["scenario"] == scenario and any(
            "figures" in summary for name, summary in case["transports"].items() if not name.startswith("raw_"))]

    def save(self, figure, name):
        figure.text(0.99, 0.01, self.about_, ha="right", fontsize=7, color="gray")
        path = self.folder_ / f"{name}.svg"
        figure.savefig(path, metadata={"Date": None})
        self.pyplot_.close(figure)
        self.written_.append(path)

    def by_option(self, axes, scenario, option, figure, scale=1.0):
        """A line for each transport with its spread; raw limits, which are one point, across."""
        for transport, points in curves(self.of(scenario), option, figure).items():
            xs = [point[0] for point in points]
            look = style(transport)
            if transport.startswith("raw_") and len(points) == 1:
                axes.axhline(points[0][1] * scale, **{**look, "linewidth": 0.9})
                continue
            axes.plot(xs, [point[1] * scale for point in points], marker=".", **look)
            axes.fill_between(xs, [point[2] * scale for point in points], [point[3] * scale for point in points],
                              color=look["color"], alpha=0.12, linewidth=0)
        axes.set_xscale("log")
        axes.grid(alpha=0.3)

    def one(self, scenario, option, figure, scale, title, x_label, y_label, name):
        if not curves(self.of(scenario), option, figure):
            return
        drawing, axes = self.pyplot_.subplots(figsize=(9, 5.5), layout="constrained")
        self.by_option(axes, scenario, option, figure, scale)
        axes.set(title=title, xlabel=x_label, ylabel=y_label, yscale="log")
        values = sorted({case["options"][option] for case in self.of(scenario)})
        axes.set_xticks(values, [text_of_size(value) if option == "size" else f"{value:,}" for value in values], minor=False)
        axes.set_xticks([], minor=True)
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
        self.save(drawing, name)

    def open_loop(self):
        if not self.of("open_loop"):
            return
        drawing, panels = self.pyplot_.subplots(1, 3, figsize=(15, 5), layout="constrained")
        for axes, (figure, scale, label) in zip(panels, (("p50_ns", 1e-3, "p50 (us)"), ("p99_ns", 1e-3, "p99 (us)"),
                                                          ("cpu_s_per_s", 1, "CPUs used by both sides"))):
            self.by_option(axes, "open_loop", "rate", figure, scale)
            axes.set(xlabel="requests a second", ylabel=label, yscale="log" if figure != "cpu_s_per_s" else "linear")
        panels[0].legend(fontsize=8)
        drawing.suptitle("Latency and CPU time against offered rate")
        self.save(drawing, "open_loop")

    def distribution(self):
        """How many round trips took longer than a time."""
        for case in self.of("round_trip"):
            if case["options"].get("size") != 64:
                continue
            drawing, axes = self.pyplot_.subplots(figsize=(9, 5.5), layout="constrained")
            for transport, summary in case["transports"].items():
                bins = summary.get("histogram")
                if not bins or not bins["counts"]:
                    continue
                left, total = sum(bins["counts"]), sum(bins["counts"])
                parts = []
                for count in bins["counts"]:
                    parts.append(left / total)
                    left -= count
                axes.step([edge * 1e-3 for edge in bins["edges_ns"]], parts, where="post", **style(transport))
            if not axes.lines:
                self.pyplot_.close(drawing)
                continue
            axes.set(title="64 B round trips that took longer than", xlabel="us", ylabel="part of all", xscale="log",
                     yscale="log")
            axes.grid(alpha=0.3)
            axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
            self.save(drawing, "round_trip_distribution")

    def against_tcp(self):
        """All cases at a glance: how many times better than TCP this library is."""
        rows = [(case["title"], case["transports"]["shm"]["times_better_than_tcp"]) for case in self.cases_
                if case["transports"].get("shm", {}).get("times_better_than_tcp")]
        if not rows:
            return
        rows.reverse()
        drawing, axes = self.pyplot_.subplots(figsize=(9, 1.2 + 0.28 * len(rows)), layout="constrained")
        bars = axes.barh([row[0] for row in rows], [row[1] for row in rows],
                         color=["tab:red" if row[1] >= 1 else "tab:gray" for row in rows])
        axes.bar_label(bars, fmt="%.3g", padding=2, fontsize=7)
        axes.axvline(1, color="tab:blue")
        axes.set(xscale="log", xlabel="times better than TCP", title="shm, default settings, against TCP")
        axes.tick_params(labelsize=8)
        self.save(drawing, "against_tcp")

    def all(self):
        self.one("round_trip", "size", "p50_ns", 1e-3, "Round trip", "message", "p50 (us)", "round_trip")
        self.one("round_trip", "size", "p99_ns", 1e-3, "Round trip", "message", "p99 (us)", "round_trip_p99")
        self.one("stream", "size", "bytes_per_second", 1e-9, "Stream", "size of a write", "GB/s", "stream")
        self.one("messages", "size", "messages_per_second", 1e-6, "Messages, one write each", "message", "M/s", "messages")
        self.one("fan_in", "clients", "messages_per_second", 1e-6, "Many clients, one server thread", "clients", "M/s", "fan_in")
        self.open_loop()
        self.distribution()
        self.against_tcp()
        return self.written_


def draw(report, folder):
    """Gives the files that it has written."""
    folder.mkdir(parents=True, exist_ok=True)
    return plots(report, folder).all()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=pathlib.Path, help="the JSON that run.py has written")
    parser.add_argument("folder", type=pathlib.Path, help="where to put the files")
    options = parser.parse_args()
    try:
        report = json.loads(options.results.read_text(encoding="utf-8"))
        for path in draw(report, options.folder):
            print(path)
    except ImportError as error:
        print(f"plot.py: {error}: install python3-matplotlib", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"plot.py: {options.results}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
