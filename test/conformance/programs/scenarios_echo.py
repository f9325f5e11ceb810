# SPDX-License-Identifier: BSL-1.0
"""Echo servers in all styles, each with the echo clients of all styles and with raw peers."""
import signal

import harness
import scenario
from harness import HOST, check, contains, equal

COROUTINES = ("echo_server", "echo_server_with_as_single_default", "echo_server_with_as_tuple_default",
              "echo_server_with_default", "refactored_echo_server")

# Server -> the port that is written in it, None where the port is an argument.
SERVERS = {
    "cpp03/allocation/server": None,
    "cpp03/echo/async_tcp_echo_server": None,
    "cpp03/echo/blocking_tcp_echo_server": None,
    "cpp03/fork/process_per_connection": None,
    "cpp03/nonblocking/third_party_lib": None,
    "cpp03/spawn/echo_server": None,
    "cpp11/allocation/server": None,
    "cpp11/echo/async_tcp_echo_server": None,
    "cpp11/echo/blocking_tcp_echo_server": None,
    "cpp11/fork/process_per_connection": None,
    "cpp11/handler_tracking/async_tcp_echo_server": None,
    "cpp11/nonblocking/third_party_lib": None,
    "cpp11/spawn/echo_server": None,
    **{f"cpp17/coroutines_ts/{name}": 55555 for name in COROUTINES},
    **{f"cpp20/coroutines/{name}": 55555 for name in COROUTINES},
    "cpp20/coroutines/echo_server_with_deferred": 55555,
    "cpp20/coroutines/echo_server_with_deferred_default": 55555,
    "cpp20/coroutines/timeout": 54321,
}
CLIENTS = ("cpp03/echo/blocking_tcp_echo_client", "cpp11/echo/blocking_tcp_echo_client")
SHORT = ("cpp11/echo/async_tcp_echo_server", "cpp03/nonblocking/third_party_lib", "cpp11/fork/process_per_connection")


def serve(world, server):
    port = SERVERS[server] or world.port()
    return world.serve(server, *([] if SERVERS[server] else [port]), port=port), port


def echoes(peer, data):
    peer.send(data)
    equal(peer.receive(len(data)), data, "the echo")


def sizes(server):
    """From one byte to a mebibyte on one connection, then the end of it."""
    def run(world):
        process, port = serve(world, server)
        peer = world.connect(port)
        for size in (1, 2, 1023, 1024, 1025, 65536, 1 << 20):
            echoes(peer, harness.pattern(size))
        peer.close()
        check(peer.ended_in_order(), f"the connection did not end in order: {peer.errors!r}")
        check(process.running(), "the server ended")
    return run


def clients(server):
    """The blocking clients, one after the other."""
    def run(world):
        _, port = serve(world, server)
        for client in CLIENTS:
            for text in (b"x", b"Hello from " + client.encode(), b"y" * 1000):
                done = world.run(client, HOST, port, text=text + b"\n")
                equal(done.status(), 0, "exit status")
                equal(done.output, b"Enter message: Reply is: " + text + b"\n", "output")
    return run


def several_at_once(server):
    """Eight connections open at the same time, used in turn."""
    def run(world):
        _, port = serve(world, server)
        peers = [world.connect(port) for _ in range(8)]
        for turn in range(3):
            for number, peer in enumerate(peers):
                peer.send(b"turn %d of %d\n" % (turn, number))
            for number, peer in enumerate(reversed(peers)):
                line = b"turn %d of %d\n" % (turn, 7 - number)
                equal(peer.receive(len(line)), line, "the echo")
        for peer in peers:
            peer.close()
    return run


def killed_client(server):
    """A client is killed while its data is on its way; the others do not notice."""
    def run(world):
        process, port = serve(world, server)
        other = world.connect(port)
        echoes(other, b"before")
        victim = world.connect(port)
        echoes(victim, b"known")
        victim.send(harness.pattern(1 << 16))
        victim.kill()
        echoes(other, b"after")
        echoes(world.connect(port), harness.pattern(5000))
        check(process.running(), "the server ended")
    return run


def half_close(server):
    """What was sent before the client shut down its sending direction comes back, then the end."""
    def run(world):
        _, port = serve(world, server)
        peer = world.connect(port)
        peer.send(harness.pattern(300000))
        peer.end_input()
        equal(peer.receive_all(), harness.pattern(300000), "the echo")
        equal(peer.status(), 0, "exit status of the peer")
    return run


def restart_after_kill(server):
    """The server is killed with a connection open. The client sees the end, and a new server has the port at once."""
    def run(world):
        process, port = serve(world, server)
        peer = world.connect(port)
        echoes(peer, b"first")
        process.kill()
        # A session of its own process or thread goes on until its client leaves.
        if "fork" in server:
            echoes(peer, b"the child serves on")
            peer.close()
        else:
            equal(peer.receive_all(), b"", "after the kill")
            peer.end_input()
        if SERVERS[server]:
            world.serve(server, port=port)
        else:
            world.serve(server, port, port=port)
        echoes(world.connect(port), b"second")
    return run


def stops_by_signal(server, number):
    """The signal ends run() while connections are open; the program returns from main."""
    def run(world):
        process, port = serve(world, server)
        peer = world.connect(port)
        echoes(peer, b"still here")
        process.signal(number)
        equal(process.status(), 0, "exit status")
        equal(peer.receive_all(), b"", "after the end")
    return run


def silence(server, least):
    """A connection on which nothing happens for ten seconds is closed by the server; a busy one is not."""
    def run(world):
        _, port = serve(world, server)
        silent = world.connect(port)
        echoes(silent, b"once")
        equal(silent.receive_all(harness.DEADLINE + least), b"", "on a silent connection")
        echoes(world.connect(port), b"a new one")
    return run


def second_server(server):
    """A second server on the same port is refused and says so."""
    def run(world):
        _, port = serve(world, server)
        second = world.run(server, *([] if SERVERS[server] else [port]))
        contains(second.output + second.errors, rb"[Aa]ddress already in use", "the second server")
        echoes(world.connect(port), b"the first one lives")
    return run


for name, fixed_port in SERVERS.items():
    ports = (fixed_port,) if fixed_port else ()
    in_short = name in SHORT
    scenario.add("echoes one byte to a mebibyte", [name], sizes(name), ports, in_short)
    scenario.add("serves the echo clients of both styles", [name, *CLIENTS], clients(name), ports, in_short)
    scenario.add("serves eight connections at once", [name], several_at_once(name), ports, in_short)
    scenario.add("survives a killed client", [name], killed_client(name), ports)
    if not name.endswith(("timeout", "spawn/echo_server")):
        scenario.add("gives back all before a half close", [name], half_close(name), ports)
    scenario.add("is killed and started again", [name], restart_after_kill(name), ports, in_short)
    if "/coroutines" not in name and "spawn" not in name:  # those throw the exception away
        scenario.add("refuses a port in use", [name], second_server(name), ports)
    if "/coroutines" in name and not name.endswith("timeout"):
        scenario.add("stops by SIGTERM", [name], stops_by_signal(name, signal.SIGTERM), ports)
for name in ("cpp03/spawn/echo_server", "cpp11/spawn/echo_server", "cpp20/coroutines/timeout"):
    fixed_port = SERVERS[name]
    scenario.add("closes a silent connection", [name], silence(name, 10), (fixed_port,) if fixed_port else ())


def refused(client):
    """Nobody listens: the client says connection refused."""
    def run(world):
        done = world.run(client, HOST, world.port(), text=b"hello\n")
        contains(done.errors, rb"Connection refused", "errors")
    return run


def server_ends_early(client):
    """The server ends the connection after a part of the reply: the client reports the end of file."""
    def run(world):
        port = world.port()
        server = world.listen(port)
        process = world.start(client, HOST, port)
        process.send(b"0123456789\n")
        server.wait_connected()
        equal(server.receive(10), b"0123456789", "the request")
        server.send(b"01234")
        server.end_input()
        process.status()
        contains(process.errors, rb"End of file", "errors")
        check(b"Reply" not in process.output, "a reply was printed")
    return run


def reply_in_pieces(client):
    """The client puts the reply together from single bytes."""
    def run(world):
        port = world.port()
        server = world.listen(port)
        process = world.start(client, HOST, port)
        process.send(b"0123456789\n")
        server.wait_connected().receive(10)
        for byte in b"abcdefghij":
            server.send(bytes([byte]))
        process.wait_output(rb"Reply is: abcdefghij\n")
        equal(process.status(), 0, "exit status")
    return run


def by_name(client):
    """localhost reaches a server on the wildcard."""
    def run(world):
        server = "cpp11/echo/async_tcp_echo_server"
        _, port = serve(world, server)
        done = world.run(client, "localhost", port, text=b"by name\n")
        contains(done.output, rb"Reply is: by name\n$", "output")
    return run


for name in CLIENTS:
    scenario.add("reports a refused connection", [name], refused(name), short=True)
    scenario.add("reports an early end", [name], server_ends_early(name))
    scenario.add("puts a reply together", [name], reply_in_pieces(name), short=True)
    scenario.add("finds a server by name", [name, "cpp11/echo/async_tcp_echo_server"], by_name(name))
