# SPDX-License-Identifier: BSL-1.0
"""Asio's five HTTP servers and six HTTP clients, and each client with each server."""
import itertools
import signal
import time

import scenario
import wire
from harness import HOST, check, contains, equal

# Server -> whether it has an argument for the number of threads.
SERVERS = {"cpp03/http/server": False, "cpp03/http/server2": True, "cpp03/http/server3": True,
           "cpp03/http/server4": False, "cpp11/http/server": False}
CLIENTS = ("cpp03/http/client/async_client", "cpp03/http/client/sync_client", "cpp03/iostreams/http_client",
           "cpp11/iostreams/http_client", "cpp14/iostreams/http_client")

INDEX = wire.page(b"index", 100)
LARGE = wire.page(b"large", 3 << 20)


def serve(world, server, port=None):
    port = port or world.port()
    world.file("root/index.html", INDEX)
    world.file("root/large.txt", LARGE)
    threads = [3] if SERVERS[server] else []
    return world.serve(server, "0.0.0.0", port, *threads, "root", port=port), port


def fetch(world, port, target, method="GET", headers=()):
    """One request, and the end of the connection after the response."""
    peer = world.connect(port)
    response = wire.fetch(peer, method, target, version="1.0", headers=headers)
    equal(peer.receive_all(), b"", "after the response")
    peer.close()
    return response


def files(server):
    """A page, the index of a folder and a large file, each over a connection that the server ends."""
    def run(world):
        _, port = serve(world, server)
        for target, content, kind in (("/index.html", INDEX, "text/html"), ("/", INDEX, "text/html"),
                                      ("/large.txt", LARGE, "text/plain")):
            response = fetch(world, port, target)
            equal(response.status, 200, target)
            equal(response.body, content, target)
            equal(response.headers["content-type"], kind, target)
    return run


def mistakes(server):
    """What is not there gives 404, what is no request 400."""
    def run(world):
        process, port = serve(world, server)
        equal(fetch(world, port, "/none.html").status, 404, "a page that is not there")
        equal(fetch(world, port, "/../secret").status, 400, "a path out of the root")
        peer = world.connect(port)
        peer.send(b"(what is this?)\r\n\r\n")
        equal(wire.Response(peer).status, 400, "no request")
        check(process.running(), "the server ended")
    return run


def byte_by_byte(server):
    """A request that comes in single bytes, while another connection is served."""
    def run(world):
        _, port = serve(world, server)
        slow = world.connect(port)
        for byte in wire.request("GET", "/index.html", version="1.0"):
            slow.send(bytes([byte]))
            time.sleep(0.001)  # apart, so that they come in many reads
            if byte == ord("H"):
                equal(fetch(world, port, "/index.html").body, INDEX, "on another connection")
        equal(wire.Response(slow).body, INDEX, "the slow one's body")
    return run


def many(server):
    """Thirty connections opened before the first of them asks."""
    def run(world):
        _, port = serve(world, server)
        peers = [world.connect(port) for _ in range(30)]
        for peer in reversed(peers):
            response = wire.fetch(peer, "GET", "/index.html", version="1.0")
            equal(response.body, INDEX, "the body")
    return run


def impatient(server):
    """Clients that leave in the middle of a request or of a large response do no harm."""
    def run(world):
        process, port = serve(world, server)
        for _ in range(3):
            half = world.connect(port)
            half.send(b"GET /index.html HT")
            half.kill()
            reader = world.connect(port)
            reader.send(wire.request("GET", "/large.txt", version="1.0"))
            reader.receive(1000)
            reader.kill()
        equal(fetch(world, port, "/large.txt").body, LARGE, "the body")
        check(process.running(), "the server ended")
    return run


def stops(server):
    """SIGTERM ends it in order with a connection open that never asked; its port is free at once."""
    def run(world):
        process, port = serve(world, server)
        peer = world.connect(port)
        equal(fetch(world, port, "/").status, 200, "before")
        process.signal(signal.SIGTERM)
        equal(process.status(), 0, "exit status")
        equal(peer.receive_all(), b"", "on the open connection")
        serve(world, server, port)
        equal(fetch(world, port, "/").status, 200, "after")
    return run


for name in SERVERS:
    scenario.add("serves files", [name], files(name))
    scenario.add("answers mistakes", [name], mistakes(name))
    scenario.add("takes a request byte by byte", [name], byte_by_byte(name))
    scenario.add("serves thirty connections", [name], many(name))
    scenario.add("survives impatient clients", [name], impatient(name))
    scenario.add("stops by SIGTERM, starts again", [name], stops(name))


def gets(client, server):
    """The client prints the headers and the content."""
    def run(world):
        serve(world, server, 80)
        done = world.run(client, HOST, "/index.html")
        equal(done.status(), 0, "exit status")
        contains(done.output, rb"Content-Type: text/html", "the headers")
        check(INDEX.strip() in done.output, f"no page in {done.output!r}")
        large = world.run(client, "localhost", "/large.txt")
        check(LARGE.strip() in large.output, f"{len(large.output)} bytes, not the large page")
        none = world.run(client, HOST, "/none")
        contains(none.output, rb"Response returned with status code 404", "output")
    return run


def unfit_answers(client):
    """No server, a server that says something else, a server that ends at once."""
    def run(world):
        refused = world.run(client, HOST, "/")
        contains(refused.output, rb"[Cc]onnect.*refused|Error: Connection refused", "output")
        server = world.listen(80)
        process = world.start(client, HOST, "/")
        server.wait_connected().receive_until(b"\r\n\r\n")
        server.send(b"this is not what you expect\r\n\r\n")
        server.end_input()
        process.status()
        contains(process.output, rb"Invalid response", "output")
    return run


def without_length(client):
    """The content lasts until the server ends its direction, in several pieces."""
    def run(world):
        server = world.listen(80)
        process = world.start(client, HOST, "/some")
        asked = server.wait_connected().receive_until(b"\r\n\r\n")
        contains(asked, rb"GET /some HTTP/1.0\r\nHost: 127.0.0.1", "the request")
        server.send(b"HTTP/1.0 200 OK\r\nX-Piece: 1\r\n\r\nfirst piece, ")
        time.sleep(0.05)  # apart, so that the pieces come in two reads
        server.send(b"second piece")
        server.end_input()
        equal(process.status(), 0, "exit status")
        contains(process.output, rb"X-Piece: 1.*first piece, second piece", "output")
    return run


for name, server_name in itertools.product(CLIENTS, SERVERS):
    scenario.add(f"gets pages from {server_name}", [name, server_name], gets(name, server_name), (80,))
for name in CLIENTS:
    scenario.add("reports unfit answers", [name], unfit_answers(name), (80,))
    scenario.add("takes content without a length", [name], without_length(name), (80,))
