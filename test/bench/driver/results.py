# SPDX-License-Identifier: BSL-1.0
"""Medians, spreads and ratios of what the rounds have brought."""

from statistics import median

from . import plan


class samples:
    """All rounds of one transport in one case."""

    def __init__(self):
        self.rounds_ = []
        self.failures_ = []
        self.given_up_ = False

    def add(self, result):
        self.rounds_.append(result)

    def fail(self, failure):
        self.failures_.append(failure.reason)
        self.given_up_ = failure.final or len(self.failures_) == 2

    def wanted(self):
        return not self.given_up_

    def values(self, key):
        found = (value_of(result, key) for result in self.rounds_)
        return [value for value in found if value is not None]

    def summary(self, case):
        if not self.rounds_:
            return {"not_available": self.failures_[-1] if self.failures_ else "not run"}
        keys = {key for result in self.rounds_ for key, value in result["figures"].items() if is_number(value)}
        keys |= {figure.key for figure in case.figures} | {"cpu_s_per_s"}
        figures = {key: spread(self.values(key)) for key in sorted(keys) if self.values(key)}
        summary = {"rounds": len(self.rounds_), "figures": figures}
        if self.failures_:
            summary["failed_rounds"] = self.failures_
        typical = self.typical_round(case.figures[0].key)
        for key in ("histogram", "parameters"):
            if typical.get(key):
                summary[key] = typical[key]
        return summary

    def typical_round(self, key):
        """The one closest to the median: a histogram of one round, not of a mixture."""
        values = self.values(key)
        if not values:
            return self.rounds_[0]
        middle = median(values)
        return min(self.rounds_, key=lambda result: abs((value_of(result, key) or 0) - middle))


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def value_of(result, key):
    """A figure, or the CPU time of both sides for each second of measuring."""
    value = result["figures"].get(key)
    cpu = result.get("cpu") or {}
    if value is None and cpu and key in ("cpu_s", "cpu_s_per_s"):
        value = sum(part for part in cpu.values() if is_number(part))
        if key == "cpu_s_per_s":
            value /= result["seconds"]
    return value if is_number(value) else None


def spread(values):
    return {"median": median(values), "min": min(values), "max": max(values)}


def factor(value, reference, higher_is_better):
    """How many times better than the reference; None where that means nothing."""
    better, worse = (value, reference) if higher_is_better else (reference, value)
    return better / worse if worse > 0 and better >= 0 else None


def with_ratios(case, transports):
    """Adds to each summary how many times better than TCP and than the best peer it is."""
    main = case.figures[0]
    medians = {name: summary["figures"][main.key]["median"] for name, summary in transports.items()
               if main.key in summary.get("figures", {})}
    peers = [name for name in medians if name in plan.PEERS]
    best = (max if main.higher_is_better else min)(peers, key=medians.get) if peers else None
    for name, value in medians.items():
        for key, reference in (("times_better_than_tcp", "tcp"), ("times_better_than_best_peer", best)):
            if reference in medians:
                transports[name][key] = factor(value, medians[reference], main.higher_is_better)
    return best


def summary_of(case, collected):
    transports = {name: collected[name].summary(case) for name in case.transports}
    best_peer = with_ratios(case, transports)
    return {
        "name": case.name, "scenario": case.scenario, "title": case.title, "options": case.options,
        "seconds": case.seconds, "best_peer": best_peer, "transports": transports,
        "figures": [{"key": each.key, "label": each.label, "unit": each.unit, "higher_is_better": each.higher_is_better}
                    for each in case.figures],
    }
