# SPDX-License-Identifier: BSL-1.0
"""Beast's HTTP servers in all forms, plain and over TLS, its HTTP clients, and each client with each server."""
import itertools
import re
import signal

import catalogue
import harness
import scenario
import wire
from harness import HOST, check, contains, equal

SERVERS = tuple(f"beast/http/server/{form}" for form in (
    "async", "awaitable", "coro", "fast", "flex", "stackless", "sync")) + (
    "beast/advanced/server", "beast/advanced/server-flex", "beast/websocket/server/chat-multi")
TLS_SERVERS = tuple(f"beast/http/server/{form}" for form in (
    "async-ssl", "coro-ssl", "stackless-ssl", "sync-ssl")) + (
    "beast/http/server/flex", "beast/advanced/server-flex")
CLIENTS = tuple(f"beast/http/client/{form}" for form in ("async", "awaitable", "coro", "sync"))
TLS_CLIENTS = tuple(f"beast/http/client/{form}" for form in (
    "async-ssl", "async-ssl-system-executor", "coro-ssl", "sync-ssl"))
SHORT = "beast/http/server/sync"

INDEX = wire.page(b"index", 100)
LARGE = wire.page(b"large", 3 << 20)


def serve(world, server):
    port = world.port()
    world.file("root/index.html", INDEX)
    world.file("root/large.html", LARGE)
    last = {"fast": [10, "block"], "sync": [], "sync-ssl": []}.get(server.rsplit("/", 1)[1], [2])
    return world.serve(server, "0.0.0.0", port, "root", *last, port=port), port


def connect(world, port, tls):
    peer = world.connect(port)
    return wire.TlsPeer(peer) if tls else peer


def short_name(program):
    return program.replace("beast/", "").replace("http/", "")


def methods(server, tls):
    """GET, HEAD, a method that it does not know, a page that is not there, an illegal path."""
    keeps = not server.endswith("fast")

    def run(world):
        process, port = serve(world, server)
        one = [connect(world, port, tls)]

        def ask(method, target, **more):
            if not keeps:
                one[0] = connect(world, port, tls)
            return wire.fetch(one[0], method, target, **more)
        response = ask("GET", "/index.html")
        equal((response.status, response.body), (200, INDEX), "GET")
        wire.header(response, "content-type", "text/html")
        if keeps:
            head = ask("HEAD", "/large.html")
            equal((head.status, head.headers["content-length"]), (200, str(len(LARGE))), "HEAD")
        large = ask("GET", "/large.html")
        equal((large.status, large.body), (200, LARGE), "GET of the large page")
        equal(ask("GET", "/none.html").status, 404, "a page that is not there")
        if keeps:
            equal(ask("GET", "/../secret").status, 400, "an illegal path")
        equal(ask("POST", "/index.html", body=b"some body").status, 400, "a method that it does not know")
        check(process.running(), "the server ended")
    return run


def keep_alive(server, tls):
    """Twenty requests on one connection; then one that asks for its end."""
    def run(world):
        _, port = serve(world, server)
        peer = connect(world, port, tls)
        for _ in range(20):
            equal(wire.fetch(peer, "GET", "/").body, INDEX, "the body")
        response = wire.fetch(peer, "GET", "/index.html", headers=("Connection: close",))
        equal(response.body, INDEX, "the last body")
        equal(peer.receive_all(), b"", "after the response")
    return run


def pipelined(server, tls):
    """Five requests at once are answered in their order."""
    def run(world):
        _, port = serve(world, server)
        peer = connect(world, port, tls)
        targets = ("/", "/large.html", "/none", "/index.html", "/large.html")
        peer.send(b"".join(wire.request("GET", target) for target in targets))
        for target, expected in zip(targets, (INDEX, LARGE, None, INDEX, LARGE)):
            response = wire.Response(peer)
            equal(response.status, 200 if expected else 404, target)
            check(expected in (None, response.body), f"the body of {target}")
    return run


def many(server, tls):
    """Connections open at once, some of whose clients are killed in the middle of a large response."""
    def run(world):
        process, port = serve(world, server)
        peers = [connect(world, port, tls) for _ in range(9)]
        for number, peer in enumerate(peers):
            peer.send(wire.request("GET", "/large.html" if number % 3 == 0 else "/index.html"))
        for number, peer in enumerate(peers):
            if number % 3 == 0:
                peer.receive(1000)
                peer.kill()
            else:
                equal(wire.Response(peer).body, INDEX, "the body")
        equal(wire.fetch(connect(world, port, tls), "GET", "/large.html").body, LARGE, "the body")
        check(process.running(), "the server ended")
    return run


def malformed(server, tls):
    """What is no request ends its connection, and no other one."""
    def run(world):
        process, port = serve(world, server)
        good, bad = connect(world, port, tls), connect(world, port, tls)
        equal(wire.fetch(good, "GET", "/").status, 200, "before")
        bad.send(b"(what is this?)\r\n\r\n")
        bad.receive_all()
        equal(wire.fetch(good, "GET", "/").status, 200, "after")
        check(process.running(), "the server ended")
    return run


for name, secure in [(name, False) for name in SERVERS] + [(name, True) for name in TLS_SERVERS]:
    over = " over TLS" if secure else ""
    scenario.add("answers methods" + over, [name], methods(name, secure), short=name == SHORT)
    scenario.add("survives killed clients" + over, [name], many(name, secure))
    if not name.endswith("fast"):
        scenario.add("keeps a connection" + over, [name], keep_alive(name, secure), short=name == SHORT)
        scenario.add("drops the malformed" + over, [name], malformed(name, secure))
    if re.search("http/server/(async|awaitable|coro|flex|sync)", name):
        scenario.add("answers five requests at once" + over, [name], pipelined(name, secure))


def gets(client, server, tls):
    """The client prints the response, large or small, and that of an HTTP/1.0 request."""
    def run(world):
        certificate(world)
        _, port = serve(world, server)
        cases = [("/", (), INDEX), ("/large.html", (), LARGE), ("/", ("1.0",), INDEX)]
        if server == "beast/http/server/awaitable":
            cases.pop()  # HTTP/1.0 ends this one with a segmentation fault, over TCP as well
        for target, arguments, expected in cases:
            done = world.run(client, "localhost", port, target, *arguments)
            equal(done.status(), 0, f"exit status with errors {done.errors!r}")
            contains(done.output, rb"^HTTP/1\.[01] 200 OK\r\n", "the status")
            check(expected in done.output, f"{len(done.output)} bytes, not the page {target}")
        contains(world.run(client, HOST, port, "/none").output, rb"HTTP/1.1 404 Not Found", "the status")
    return run


def certificate(world):
    """The clients that verify trust the servers' certificate, which is in the examples' common header."""
    with open(f"{catalogue.EXAMPLES}/beast/example/common/server_certificate.hpp", encoding="utf-8") as file:
        lines = re.findall(r'^\s*"(.*)\\n"', file.read(), re.MULTILINE)
    begin, end = lines.index("-----BEGIN CERTIFICATE-----"), lines.index("-----END CERTIFICATE-----")
    world.environment["SSL_CERT_FILE"] = str(world.file("trusted.pem", "\n".join(lines[begin:end + 1] + [""]).encode()))


for client_name, server_name in itertools.product(CLIENTS, SERVERS):
    if not server_name.endswith("fast"):
        scenario.add(f"gets pages from {short_name(server_name)}", [client_name, server_name],
                     gets(client_name, server_name, False),
                     short=client_name.endswith("/sync") and server_name == SHORT)
for client_name, server_name in itertools.product(TLS_CLIENTS, TLS_SERVERS):
    scenario.add(f"gets pages from {short_name(server_name)}", [client_name, server_name],
                 gets(client_name, server_name, True))


def distrusts(client):
    """A client that trusts nobody ends in the handshake."""
    def run(world):
        _, port = serve(world, "beast/http/server/async-ssl")
        world.environment["SSL_CERT_FILE"] = "/dev/null"
        done = world.run(client, "localhost", port, "/")
        contains(done.errors, rb"certificate verify failed", "errors")
    return run


def chunked(client):
    """Chunks of one to many bytes, in several writes, are put together."""
    def run(world):
        port = world.port()
        server = world.listen(port)
        process = world.start(client, HOST, port, "/")
        server.wait_connected().receive_until(b"\r\n\r\n")
        server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nO\r\n5\r\nnes, ")
        server.send(b"\r\nc\r\nbatches of 1")
        server.send(b"\r\n%x\r\n" % len(LARGE) + LARGE + b"\r\n0\r\n\r\n")
        server.end_input()
        equal(process.status(), 0, "exit status")
        # The client prints the response as it came: serialised in chunks again.
        body = process.output.split(b"\r\n\r\n", 1)[1]
        check(b"nes, " in body and LARGE[-1000:-1] in body, f"{len(body)} bytes")
    return run


def unfit_answers(client):
    """Nobody listens; the server ends in the middle of the body; it says something else than HTTP."""
    def run(world):
        contains(world.run(client, HOST, world.port(), "/").errors, rb"[Cc]onnection refused", "errors")
        for answer, message in ((b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", rb"partial message"),
                                (b"this is not what you expect\r\n\r\n", rb"bad version"), (b"", rb"end of stream")):
            port = world.port()
            server = world.listen(port)
            process = world.start(client, HOST, port, "/")
            server.wait_connected().receive_until(b"\r\n\r\n")
            server.send(answer)
            server.end_input()
            process.status()
            contains(process.errors, message, "errors")
    return run


for client_name in TLS_CLIENTS:
    scenario.add("distrusts an unknown server", [client_name, "beast/http/server/async-ssl"], distrusts(client_name))
for client_name in CLIENTS:
    scenario.add("puts chunks together", [client_name], chunked(client_name))
    scenario.add("reports unfit answers", [client_name], unfit_answers(client_name))


def small(world):
    """The smallest server: it counts its requests, and ends each connection after the response."""
    port = world.port()
    world.serve("beast/http/server/small", "0.0.0.0", port, port=port)
    for expected in (1, 2, 3):
        peer = world.connect(port)
        contains(wire.fetch(peer, "GET", "/count").body, rb"There have been %d requests" % expected, "the body")
        equal(peer.receive_all(), b"", "after the response")
    contains(wire.fetch(world.connect(port), "GET", "/time").body, rb"The current time is \d+ seconds", "the body")
    equal(wire.fetch(world.connect(port), "GET", "/none").status, 404, "another page")
    equal(wire.fetch(world.connect(port), "PUT", "/count").status, 400, "another method")


def echo_line(world):
    """One connection, one line, given back; then the program ends."""
    port = world.port()
    for text in (b"a line\r\n", b"l" * 500 + b"\n"):
        process = world.serve("beast/echo-op", "0.0.0.0", port, port=port)
        peer = world.connect(port)
        peer.send(text[:3])
        peer.send(text[3:])
        equal(peer.receive_all(), text, "the echo")
        equal(process.status(), 0, "exit status")


def stops(server, number):
    def run(world):
        process, port = serve(world, server)
        idle, used = world.connect(port), world.connect(port)
        equal(wire.fetch(used, "GET", "/").body, INDEX, "the body")
        process.signal(number)
        equal(process.status(), 0, "exit status")
        equal(used.receive_all() + idle.receive_all(), b"", "after the end")
    return run


def silence(server):
    """A client that asks nothing is dropped after thirty seconds, by the stream's own timer."""
    def run(world):
        _, port = serve(world, server)
        silent = world.connect(port)
        equal(silent.receive_all(harness.DEADLINE + 30), b"", "on the silent connection")
        equal(wire.fetch(world.connect(port), "GET", "/").body, INDEX, "the body")
    return run


scenario.add("counts its requests", ["beast/http/server/small"], small)
scenario.add("gives a line back", ["beast/echo-op"], echo_line)
for name in ("beast/advanced/server", "beast/advanced/server-flex", "beast/websocket/server/chat-multi"):
    scenario.add("stops by SIGTERM", [name], stops(name, signal.SIGTERM))
for name in ("beast/http/server/async", "beast/http/server/awaitable", "beast/http/server/coro"):
    scenario.add("drops a silent client", [name], silence(name))
