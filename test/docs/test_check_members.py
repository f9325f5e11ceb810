#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Shows that check_members.py fails: for each row that is missing, and for each kind of fault a row can have.

  test_check_members.py --compiler c++ --root <sources> --table <table> [--flag=...]...
"""

import argparse
import pathlib
import re
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True  # nothing is to appear among the sources
import check_members  # noqa: E402


class Checker:
    """Checks changed copies of the table and of the sources that it names."""

    def __init__(self, args, directory):
        self.version, texts = check_members.preprocess(args.compiler, args.flag)
        self.declared = check_members.declared_members(texts)
        self.text = args.table.read_text()
        self.rows = list(check_members.table_rows(args.table))
        self.table = pathlib.Path(directory) / "members.md"
        self.root = pathlib.Path(directory)
        for folder in sorted({r.strip("` ").split(".")[0] for row in self.rows for r in row[4].split(",")}):
            if (args.root / "test" / folder).is_dir():
                shutil.copytree(args.root / "test" / folder, self.root / "test" / folder)

    def change_source(self, path, text):
        path.write_text(text)
        check_members.fault_of_test.cache_clear()

    def faults(self, text=None):
        self.table.write_text(self.text if text is None else text)
        return list(check_members.faults(self.declared, self.version, self.table, self.root))

    def with_line(self, number, line):
        """The table with another line, or without that line."""
        lines = self.text.splitlines()
        lines[number - 1:number] = [] if line is None else [line]
        return "\n".join(lines) + "\n"


def expect(found, wanted, what):
    if len(found) != 1 or wanted not in found[0]:
        print(f"{what}: expected one fault with '{wanted}', got {found}", file=sys.stderr)
        return 1
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--flag", action="append", default=[])
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--table", type=pathlib.Path, required=True)
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as directory:
        checker = Checker(args, directory)
        before = checker.faults()
        if before:
            print("the table has faults of its own:", *before, sep="\n", file=sys.stderr)
            return 1
        wrong = 0
        for number, name, member, *_ in checker.rows:
            # With another Boost, a row may stand for a member that is no longer there.
            if member in checker.declared[name]:
                found = checker.faults(checker.with_line(number, None))
                wrong += expect(found, f"{name}::{member} has no row", f"without line {number}")

        number, name, member, status, tests = next(r for r in checker.rows if r[2] == "async_connect")
        reference = tests.strip("`")
        row = checker.text.splitlines()[number - 1]
        for change, wanted in {
            row.replace(reference, reference + "_too"): "has no case",
            row.replace("/", "_too/"): "does not exist",
            row.replace("/", "."): "is not of the form",
            row.replace(f"`{reference}`", ""): "no test",
            row.replace(f"| {status} |", "| perhaps |"): "is not a status",
            row.replace(f"| {status} |", "| not supported |"): "is not a status",
            row + "\n" + row: "a second row",
        }.items():
            wrong += expect(checker.faults(checker.with_line(number, change)), wanted, change)

        wanted_version = re.search(r"Boost (\d+\.\d+)", checker.text)[1]
        if wanted_version == checker.version:
            stale = row + "\n" + row.replace(f"`{member}`", "`(nothing)`")
            wrong += expect(checker.faults(checker.with_line(number, stale)), "not declared", stale)

        folder, file, case = re.split(r"[./]", reference)
        source = checker.root / "test" / folder / f"{file}.cpp"
        text = source.read_text()
        checker.change_source(source, text.replace(f"({case},", f"({case}_renamed,"))
        found = checker.faults()
        users = [row for row in checker.rows if reference in row[4]]
        if len(found) != len(users) or not all(f"has no case {case}" in fault for fault in found):
            print(f"renamed case: expected a fault of each of {len(users)} rows, got {found}", file=sys.stderr)
            wrong += 1
        checker.change_source(source, text.replace(member, "another"))
        wrong += not any(f"does not mention {member}" in fault for fault in checker.faults())
    print(f"{len(checker.rows)} rows taken out one by one, {wrong} not noticed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
