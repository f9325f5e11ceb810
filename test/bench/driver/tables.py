# SPDX-License-Identifier: BSL-1.0
"""The results as tables for people."""


def scaled(value, unit):
    """Three digits and a prefix: 1234567 B/s -> 1.23 MB/s."""
    if value is None:
        return "-"
    if unit == "ns":
        for size, name in ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1, "ns")):
            if value >= size or size == 1:
                return f"{value / size:.3g} {name}" if value < 1e3 * size else f"{value / size:.0f} {name}"
    if unit == "B":
        return f"{value / 1024:.1f} KiB"
    if unit in ("B/s", "1/s"):
        for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if value >= size:
                return f"{value / size:.3g} {prefix}{unit}" if unit == "B/s" else f"{value / size:.3g} {prefix}/s"
        return f"{value:.3g} {unit}" if unit == "B/s" else f"{value:.3g} /s"
    return f"{value:.3g} {unit}".rstrip()


def unit_of(key):
    if key.endswith("_ns"):
        return "ns"
    if key.endswith("_per_second"):
        return "B/s" if key.startswith("bytes") else "1/s"
    if key.startswith(("rss_", "pss_", "virtual_")):
        return "B"
    return {"cpu_s": "s", "cpu_s_per_s": "CPUs"}.get(key, "")


def times(value):
    return "" if value is None else f"{value:.3g} x"


def laid_out(head, rows):
    """Columns as wide as needed, the first to the left, the others to the right."""
    rows = [head] + rows
    # A row that is shorter than the others ends with a remark, which needs no column.
    complete = [row for row in rows if len(row) == len(head)]
    widths = [max(len(row[0]) for row in rows)] + [max(len(row[i]) for row in complete) for i in range(1, len(head))]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))]
        if len(row) < len(head):
            cells[-1] = row[-1]
        lines.append("  " + "  ".join(cells).rstrip())
    lines.insert(1, "  " + "  ".join("-" * width for width in widths))
    return lines


def case_table(case):
    figures = case["figures"]
    main = figures[0]
    head = ["transport", main["label"], "min .. max", "vs TCP", "vs best peer"] + [each["label"] for each in figures[1:]]
    rows = []
    for name, summary in case["transports"].items():
        if "not_available" in summary:
            # What a transport or a peer does not have is no news in each table.
            if not summary["not_available"].startswith("not supported"):
                rows.append([name, f"not available: {summary['not_available']}"])
            continue
        measured = summary["figures"]
        spread = measured.get(main["key"], {})
        row = [name, scaled(spread.get("median"), main["unit"]),
               f"{scaled(spread.get('min'), main['unit'])} .. {scaled(spread.get('max'), main['unit'])}",
               times(summary.get("times_better_than_tcp")), times(summary.get("times_better_than_best_peer"))]
        row += [scaled(measured.get(each["key"], {}).get("median"), each["unit"]) for each in figures[1:]]
        if "failed_rounds" in summary:
            row[0] += f" ({len(summary['failed_rounds'])} of the rounds failed)"
        rows.append(row)
    return [case["title"]] + laid_out(head, rows) + [""]


def ratio_text(each):
    if each.get("reference") == "constant" or not each.get("reference_value"):
        return ""
    value, reference = each["value"], each["reference_value"]
    if each["figure"].endswith("_ns") and value > 0 and reference >= 2 * value:
        return f"{reference / value:.3g} x lower"
    return f"{value / reference:.3g} x"


def requirement_table(judged):
    rows = []
    for each in judged:
        rows.append([each["title"], "", "", "", each["result"].split(":")[0].upper()])
        for one in each["bounds"]:
            unit = unit_of(one["figure"])
            reference = one.get("reference")
            compared = "" if reference in (None, "constant") else f"{reference} {scaled(one['reference_value'], unit)}"
            rows.append(["    " + one["required"], scaled(one.get("value"), unit), compared, ratio_text(one), one["result"]]
                        if "value" in one and "limit" in one else ["    " + one["required"], one["result"]])
    return laid_out(["requirement", "measured", "compared with", "ratio", "result"], rows)


def print_report(report):
    about = report["machine"]
    print(f"{about['cpu']}, CPUs {about['cpus']}, those that share the last level of cache: "
          f"{about['cpus_sharing_the_last_level_cache']}; Linux {about['kernel']}; {about['compiler']}")
    print(f"{report['rounds']} interleaved rounds in {report['seconds']:.0f} s; medians; ratios above 1 are better\n")
    for case in report["cases"].values():
        print("\n".join(case_table(case)))
    if report["requirements"]:
        print("\n".join(requirement_table(report["requirements"])))
