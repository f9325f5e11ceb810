#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Checks doc/guarantees.md: every public member of Asio's classes has a row, and every row a test that exists.

  check_members.py --compiler c++ [--flag=-I/path/to/boost]...     check, with one line for each fault
  check_members.py --compiler c++ --list                           print the members that Asio declares

The members are taken from the headers as the preprocessor leaves them, so that the check follows the installed Boost.
"""

import argparse
import functools
import pathlib
import re
import subprocess
import sys

CLASSES = {
    "socket_base": "boost/asio/socket_base.hpp",
    "basic_socket": "boost/asio/basic_socket.hpp",
    "basic_stream_socket": "boost/asio/basic_stream_socket.hpp",
    "basic_socket_acceptor": "boost/asio/basic_socket_acceptor.hpp",
    "resolver_base": "boost/asio/ip/resolver_base.hpp",
    "basic_resolver": "boost/asio/ip/basic_resolver.hpp",
    "basic_socket_iostream": "boost/asio/basic_socket_iostream.hpp",
    "basic_socket_streambuf": "boost/asio/basic_socket_streambuf.hpp",
}
# The section of the document that has the tables.
SECTION = "## Every public member"
# What a row says of a member: one of these, the last two with what is different after a colon.
STATUS = re.compile(r"same|accepted without effect(: .+)?|not supported: .+|differs: .+")


def preprocess(compiler, flags):
    """Returns the Boost version and the text of each header, without comments and with its macros expanded."""
    source = "#include <boost/version.hpp>\nasio_shm_boost_version BOOST_LIB_VERSION\n"
    source += "".join(f"#include <{header}>\n" for header in CLASSES.values())
    command = [compiler, "-std=c++17", *flags, "-E", "-x", "c++", "-"]
    output = subprocess.run(command, input=source, stdout=subprocess.PIPE, check=True, text=True).stdout
    texts = {header: [] for header in CLASSES.values()}
    current = None
    for line in output.splitlines():
        marker = re.match(r'#\s+\d+\s+"(.*?)"', line)
        if marker:
            current = next((t for header, t in texts.items() if marker[1].endswith("/" + header)), None)
        elif current is not None and not line.startswith("#"):
            current.append(line)
    version = re.search(r'asio_shm_boost_version.*?"(\d+_\d+)"', output, re.DOTALL)[1].replace("_", ".")
    return version, {header: "\n".join(lines) for header, lines in texts.items()}


def closing(text, at, pair):
    """The position behind the bracket that closes the one at `at`."""
    depth = 0
    for i in range(at, len(text)):
        depth += {pair[0]: 1, pair[1]: -1}.get(text[i], 0)
        if depth == 0:
            return i + 1
    raise ValueError(f"no {pair[1]} for: {text[at:at + 60]}")


def declarations(text, name):
    """Yields each public declaration of a class: its text up to a body, and the body."""
    start = re.search(rf"\bclass {name}\b[^;{{]*{{", text)
    if not start:
        raise ValueError(f"class {name} is not in its header")
    body = text[start.end():closing(text, start.end() - 1, "{}") - 1]
    access, begin, at = "private", 0, 0
    while at < len(body):
        label = re.compile(r"\s*(public|private|protected)\s*:(?!:)").match(body, begin)
        if label:
            access, begin = label[1], label.end()
            at = begin
            continue
        if body[at] == "(":
            at = closing(body, at, "()")
        elif body[at] == "{":
            end = closing(body, at, "{}")
            if access == "public":
                yield " ".join(body[begin:at].split()), body[at + 1:end - 1]
            rest = re.compile(r"\s*;").match(body, end)
            begin = at = rest.end() if rest else end
        elif body[at] == ";":
            if access == "public" and body[begin:at].strip():
                yield " ".join(body[begin:at].split()), ""
            begin = at = at + 1
        else:
            at += 1


def without_template(text):
    """The declaration without template parameters and attributes in front of it."""
    text = re.sub(r"__attribute__\s*\(\(.*?\)\)|\[\[.*?\]\]", "", text).strip()
    while text.startswith("template"):
        text = text[closing(text, text.index("<"), "<>"):].strip()
    return text


def function_name(text):
    operator = re.search(r"\boperator\s*([^\s\w(]+|\(\s*\))\s*\(", text)
    if operator:
        return "operator" + operator[1].replace(" ", "")
    depth = 0
    for i, char in enumerate(text):
        depth += {"<": 1, ">": -1}.get(char, 0)
        if char == "(" and depth == 0:
            name = re.search(r"(~?\s*\w+)\s*$", text[:i])
            if name and name[1] not in ("decltype", "noexcept", "explicit"):
                return name[1].replace(" ", "")
    return None


def names(text, body, class_name):
    """What one declaration declares."""
    text = without_template(text)
    if text.startswith("friend"):
        return []
    alias = re.match(r"using (\w+) =", text)
    if alias:
        return [alias[1]]
    if text.startswith("typedef"):
        return [re.search(r"(\w+)$", text)[1]]
    enumeration = re.match(r"enum(?: class)?\s*(\w*)", text)
    if enumeration:
        enumerators = [e.split("=")[0].strip() for e in body.split(",")]
        return [n for n in [enumeration[1], *enumerators] if n]
    nested = re.match(r"(?:struct|class)\s+(\w+)", text)
    if nested:
        return [nested[1]]
    constant = re.match(r"static [^(]*?(\w+)\s*=", text)
    if constant:
        return [constant[1]]
    name = function_name(text)
    if name is None:
        raise ValueError(f"{class_name}: cannot find the name in: {text}")
    return [{class_name: "(constructor)", "~" + class_name: "(destructor)"}.get(name, name)]


def declared_members(texts):
    result = {}
    for name, header in CLASSES.items():
        members = [n for text, body in declarations(texts[header], name) for n in names(text, body, name)]
        if not members:
            raise ValueError(f"no members found in {name}")
        result[name] = list(dict.fromkeys(members))
    return result


def table_rows(table):
    """Yields (line number, class, member, status, tests) of each row of the tables in the section on members."""
    current = None
    in_section = False
    for number, line in enumerate(table.read_text().splitlines(), 1):
        if line.startswith("## "):
            in_section, current = line == SECTION, None
        heading = re.match(r"### (\w+)", line)
        if heading:
            current = heading[1]
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        if (in_section and len(cells) == 3 and cells[0] != "member"
                and not re.fullmatch(r":?-+:?", cells[0])):
            yield number, current, cells[0].strip("`").replace("\\|", "|"), cells[1], cells[2]


@functools.lru_cache(maxsize=None)
def fault_of_test(reference, member, root):
    """What is wrong with `folder.file/case`, or None."""
    parts = re.fullmatch(r"(\w+)\.(\w+)/(\w+)", reference)
    if not parts:
        return f"'{reference}' is not of the form folder.file/case"
    source = root / "test" / parts[1] / (parts[2] + ".cpp")
    if not source.is_file():
        return f"{source.relative_to(root)} does not exist"
    text = source.read_text()
    if not re.search(rf"\bBOOST_\w*TEST_CASE\w*\(\s*{parts[3]}\b", text):
        return f"{source.relative_to(root)} has no case {parts[3]}"
    word = member if re.fullmatch(r"\w+", member) else None
    if word and not re.search(rf"\b{word}\b", text):
        return f"{source.relative_to(root)} does not mention {member}"
    return None


def faults(declared, version, table, root):
    seen = {name: set() for name in declared}
    wanted_version = re.search(r"Boost (\d+\.\d+) declares", table.read_text())
    for number, name, member, status, tests in table_rows(table):
        at = f"{table.name}:{number}: {name}::{member}"
        if name not in declared:
            yield f"{at}: no such class"
            continue
        if member in seen[name]:
            yield f"{at}: a second row"
        seen[name].add(member)
        # Another Boost may have dropped what was deprecated.
        if member not in declared[name] and wanted_version and wanted_version[1] == version:
            yield f"{at}: not declared by Boost {version}"
        if not STATUS.fullmatch(status):
            yield f"{at}: '{status}' is not a status"
        references = [r.strip(" `") for r in tests.split(",") if r.strip(" `")]
        if not references:
            yield f"{at}: no test"
        for reference in references:
            fault = fault_of_test(reference, member, root)
            if fault:
                yield f"{at}: {fault}"
    for name, members in declared.items():
        for member in members:
            if member not in seen[name]:
                yield f"{table.name}: {name}::{member} has no row"


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--flag", action="append", default=[], help="for the preprocessor")
    parser.add_argument("--root", type=pathlib.Path, default=root, help="of the sources whose tests are named")
    parser.add_argument("--table", type=pathlib.Path, default=root / "doc/guarantees.md")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()

    version, texts = preprocess(args.compiler, args.flag)
    declared = declared_members(texts)
    if args.list:
        for name, members in declared.items():
            print(f"{name}: {' '.join(members)}")
        return 0
    found = list(faults(declared, version, args.table, args.root))
    for fault in found:
        print(fault, file=sys.stderr)
    count = sum(len(members) for members in declared.values())
    print(f"{count} members of {len(declared)} classes in Boost {version}, {len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
