# SPDX-License-Identifier: BSL-1.0
"""Tutorials, composed operations, local sockets and other programs that do one thing."""
import itertools
import re
import time

import harness
import scenario
from harness import HOST, check, contains, equal

# ctime's form.
DATE = rb"^[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9]{2} \d\d:\d\d:\d\d \d{4}\n$"

DAYTIME_SERVERS = ("cpp03/tutorial/daytime2/server", "cpp03/tutorial/daytime3/server",
                   "cpp03/tutorial/daytime7/server", "cpp03/iostreams/daytime_server")
DAYTIME_CLIENTS = ("cpp03/tutorial/daytime1/client", "cpp03/iostreams/daytime_client",
                   "cpp03/services/daytime_client")


def daytime(server, client):
    """The client prints the server's date; a raw connection gets it, then the end."""
    def run(world):
        process = world.serve(server, port=13)
        contains(world.connect(13).receive_all(), DATE, "over a raw connection")
        for host in (HOST, "localhost"):
            done = world.run(client, host)
            contains(done.output, DATE, "output")
        check(process.running(), "the server ended")
    return run


def many_dates(server):
    """Clients that come one after the other, some of which are killed at once."""
    def run(world):
        world.serve(server, port=13)
        for number in range(20):
            peer = world.connect(13)
            if number % 3 == 0:
                peer.kill()
            else:
                contains(peer.receive_all(), DATE, "the date")
                peer.close()
    return run


def no_daytime(client, message):
    """Nobody listens at the port of the service."""
    def run(world):
        done = world.run(client, HOST)
        log = world.folder / "log.txt"
        text = done.output + done.errors + (log.read_bytes() if log.exists() else b"")
        contains(text, message, "output")
    return run


for server_name, client_name in itertools.product(DAYTIME_SERVERS, DAYTIME_CLIENTS):
    scenario.add(f"tells {client_name.split('/', 1)[1]} the date", [server_name, client_name],
                 daytime(server_name, client_name), (13,))
for name in DAYTIME_SERVERS:
    scenario.add("tells many the date", [name], many_dates(name), (13,))
for name in DAYTIME_CLIENTS:
    scenario.add("reports a refused connection", [name], no_daytime(name, rb"[Cc]onnect.*refused|Unable to"), (13,))


def log_file(world):
    """The logger writes what the connection did."""
    world.serve("cpp03/tutorial/daytime3/server", port=13)
    world.run("cpp03/services/daytime_client", HOST)
    contains((world.folder / "log.txt").read_bytes(), rb"Connection established.*Read error: End of file", "log.txt")


scenario.add("logs its connection", ["cpp03/services/daytime_client", "cpp03/tutorial/daytime3/server"], log_file,
             (13,))


def counted_buffers(server):
    """The date from a buffer that lives as long as the write needs it."""
    def run(world):
        port = world.port()
        world.serve(server, port, port=port)
        for _ in range(10):
            peer = world.connect(port)
            contains(peer.receive_all(), DATE, "the date")
            peer.close()
    return run


def priorities(program):
    """The order in which handlers run: an accept's before a timer's before a posted one."""
    def run(world):
        done = world.run(program)
        equal(done.status(), 0, "exit status")
        equal(done.output, b"High priority handler\nMiddle priority handler\nLow priority handler\n", "output")
    return run


for style in ("cpp03", "cpp11"):
    scenario.add("sends a counted buffer", [f"{style}/buffers/reference_counted"],
                 counted_buffers(f"{style}/buffers/reference_counted"), short=style == "cpp11")
    scenario.add("runs handlers by priority", [f"{style}/invocation/prioritised_handlers"],
                 priorities(f"{style}/invocation/prioritised_handlers"), short=style == "cpp11")

# What composed_1 to 8 send to three clients, one after the other, and print.
COUNTED = ((b"Testing callback\r\n", b"Testing deferred\r\n", b"Testing future\r\n"),
           b"18 bytes transferred\n18 bytes transferred\n16 bytes transferred\n")
SENT = (COUNTED[0], b"Message sent\n" * 3)
SENT_5, SENT_6 = ((tuple(text * count for text in COUNTED[0]), b"Messages sent\n" * 3) for count in (5, 6))
COMPOSED = {1: COUNTED, 2: COUNTED, 3: SENT,
            4: ((b"", b"", b""), rb"(Error: Invalid argument\n){2}(Exception|Error): Invalid argument[^\n]*\n"),
            5: ((b"123456", b"abcdef", b"654.321"), SENT[1]), 6: SENT_6, 7: SENT_5, 8: SENT_5}
KILLED = {"cpp11": 6, "cpp14": 7, "cpp20": 8}  # these take ten seconds each, one after the other


def printed_lines(process, count, deadline):
    return process.out.wait_for(lambda data, _: data.count(b"\n") >= count, deadline)


def composed_stage(world, process, done):
    """What the next client receives; done is how many have been served.

    The program closes its acceptor after each client and opens another one. A client that comes in between is lost with
    the old acceptor, which shows in that the program has printed nothing for it: then another one is sent.
    """
    end = time.monotonic() + harness.DEADLINE
    while True:
        world.wait_listening(55555, process)
        try:
            text = world.connect(55555).receive_all()
        except harness.Failure:
            text = b""
        if printed_lines(process, done + 1, 1):
            return text
        check(time.monotonic() < end, f"no client was served; printed {process.output!r}")


def composed(program, number):
    """Each of the three clients gets its text, then the end of the connection."""
    def run(world):
        texts, printed = COMPOSED[number]
        process = world.start(program)
        for done, text in enumerate(texts):
            equal(composed_stage(world, process, done).rstrip(b"\r\n"), text.rstrip(b"\r\n"), "the text")
        equal(process.status(), 0, "exit status")
        check(re.fullmatch(printed, process.output, re.DOTALL), f"printed {process.output!r}, expected {printed!r}")
    return run


def composed_client_killed(program, number):
    """The first client is killed before all messages are written: the operation fails, the next clients are served."""
    def run(world):
        process = world.start(program)
        world.wait_listening(55555, process)
        victim = world.connect(55555)
        victim.receive(len(COUNTED[0][0]))
        victim.kill()
        check(printed_lines(process, 1, harness.DEADLINE), "the operation did not end")
        for done, text in enumerate(COMPOSED[number][0][1:], 1):
            equal(composed_stage(world, process, done), text, "the text")
        equal(process.status(), 0, "exit status")
        contains(process.output, rb"^Error: (Broken pipe|Connection reset by peer)[^\n]*\n(Messages sent\n){2}$",
                 "output")
    return run


for style, index in itertools.product(("cpp11", "cpp14", "cpp20"), COMPOSED):
    name = f"{style}/operations/composed_{index}"
    scenario.add("completes for each token", [name], composed(name, index), (55555,))
    if index == KILLED[style]:
        scenario.add("fails when its client is killed", [name], composed_client_killed(name, index), (55555,))


def local_clients(style):
    """The server on a path, with the clients of both styles and with a raw one."""
    def run(world):
        path = str(world.folder / "s")
        server = f"{style}/local/stream_server"
        process = world.serve(server, path, port=path)
        for client in ("cpp03/local/stream_client", "cpp11/local/stream_client"):
            done = world.run(client, path, text=b"over a path\n")
            equal(done.output, b"Enter message: Reply is: over a path\n", client)
        peer = world.connect(path)
        for size in (1, 1000, 1 << 20):
            peer.send(harness.pattern(size))
            equal(peer.receive(size), harness.pattern(size), "the echo")
        peer.close()
        check(process.running(), "the server ended")
    return run


def local_iostream(style):
    def run(world):
        path = str(world.folder / "s")
        world.serve("cpp03/local/stream_server", path, port=path)
        done = world.run(f"{style}/local/iostream_client", path, text=b"by a stream\n")
        equal(done.output, b"Enter message: Reply is: by a stream\n", "output")
    return run


def local_restart(style):
    """The server is killed; the path is taken again by a new one."""
    def run(world):
        path = str(world.folder / "s")
        for _ in range(3):
            process = world.serve(f"{style}/local/stream_server", path, port=path)
            peer = world.connect(path)
            peer.send(b"once")
            equal(peer.receive(4), b"once", "the echo")
            process.kill()
            equal(peer.receive_all(), b"", "after the kill")
    return run


def local_missing(client):
    """There is no such path: that is another error than a path where nobody listens any more."""
    def run(world):
        done = world.run(client, str(world.folder / "none"), text=b"x\n")
        contains(done.errors, rb"connect: No such file or directory", "errors")
    return run


def local_refused(client):
    """The file is there, and nobody listens any more."""
    def run(world):
        path = str(world.folder / "s")
        world.serve("cpp11/local/stream_server", path, port=path).kill()
        done = world.run(client, path, text=b"x\n")
        contains(done.errors, rb"connect: Connection refused", "errors")
    return run


def upper_case(style):
    """Two ends in one process, one of them a filter in another thread."""
    def run(world):
        process = world.start(f"{style}/local/connect_pair")
        for text in (b"hello", b"x" * 500, b"Mixed Case"):
            process.send(text + b"\n")
            process.wait_output(b"Result: " + re.escape(text.upper()) + b"\n")
        check(process.running(), "it ended")
    return run


for style in ("cpp03", "cpp11"):
    scenario.add("serves clients on a path",
                 [f"{style}/local/stream_server", "cpp03/local/stream_client", "cpp11/local/stream_client"],
                 local_clients(style), short=style == "cpp11")
    scenario.add("echoes by an iostream", [f"{style}/local/iostream_client", "cpp03/local/stream_server"],
                 local_iostream(style))
    scenario.add("is killed and started again", [f"{style}/local/stream_server"], local_restart(style))
    for name in (f"{style}/local/stream_client", f"{style}/local/iostream_client"):
        scenario.add("reports a missing path", [name], local_missing(name))
        scenario.add("reports a path that nobody serves", [name, "cpp11/local/stream_server"], local_refused(name))
    scenario.add("filters between connected sockets", [f"{style}/local/connect_pair"], upper_case(style))
