# SPDX-License-Identifier: BSL-1.0
"""Makes the copy of a source in which the transport's name, and nothing else, is replaced."""
import re

PROTOCOL = "::shm::stream_protocol"
TCP_STREAM = "::shm::tcp_stream"

# Comments and literals are left alone. A name inside them is not a use.
_TOKEN = re.compile(
    r"""(?P<skip>//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
    r"""|\busing\s+(?P<declared>[\w:]*\b(?:ip::(?P<tcp>tcp)|local::(?P<local>stream_protocol)))\s*;"""
    r"""|(?<![\w:])(?:::)?(?:[\w]+::)*(?P<pair>local::connect_pair)\b"""
    r"""|(?<![\w:])(?:::)?(?:(?:boost::)?asio::|net::)?(?P<name>ip::tcp|local::stream_protocol)\b"""
    r"""|(?<![\w:])(?:::)?(?:boost::)?beast::(?P<stream>tcp_stream)\b""",
    re.DOTALL | re.VERBOSE)


def _replacement(match):
    if match.group("skip"):
        return match.group(0)
    if match.group("declared"):
        return f"using {match.group('tcp') or match.group('local')} = {PROTOCOL};"
    if match.group("pair"):
        return "::shm::connect_pair"
    return TCP_STREAM if match.group("stream") else PROTOCOL


def renamed(text, header):
    """The text over shared memory: the transport renamed and, where that changed something, the header included.

    The include stands before the first one of the source: macros such as yield, which some define by a later include,
    must not meet it.
    """
    changed = _TOKEN.sub(_replacement, text)
    if changed == text:
        return text
    line = f"#include <{header}>\n"
    first = re.search(r"^[ \t]*#[ \t]*include\b", changed, re.MULTILINE)
    at = first.start() if first else 0
    return changed[:at] + line + changed[at:]
