# SPDX-License-Identifier: BSL-1.0
"""Beast's WebSocket servers and clients in all forms, plain and over TLS, and each client with each server."""
import itertools
import struct

import harness
import scenario
import wire
from harness import HOST, check, contains, equal

# Server -> what is added to its port: one server listens at three.
SERVERS = {f"beast/websocket/server/{form}": (0,) for form in ("async", "awaitable", "coro", "stackless", "sync")}
SERVERS["beast/websocket/server/fast"] = (0, 1, 2)
SERVERS.update({f"beast/advanced/{form}": (0,) for form in ("server", "server-flex")})
TLS_SERVERS = tuple(f"beast/websocket/server/{form}" for form in (
    "async-ssl", "coro-ssl", "stackless-ssl", "sync-ssl")) + (
    "beast/advanced/server-flex",)
CLIENTS = tuple(f"beast/websocket/client/{form}" for form in ("async", "awaitable", "coro", "sync"))
TLS_CLIENTS = tuple(f"beast/websocket/client/{form}" for form in (
    "async-ssl", "async-ssl-system-executor", "coro-ssl", "sync-ssl"))
SHORT = "beast/websocket/server/sync"


def serve(world, server):
    """The process and the ports where it listens."""
    offsets = SERVERS.get(server, (0,))
    port = world.port(len(offsets))
    arguments = [] if server.endswith(("/sync", "/sync-ssl")) else [2]
    if "advanced" in server:
        arguments.insert(0, ".")
    ports = [port + offset for offset in offsets]
    process = world.serve(server, "0.0.0.0", port, *arguments, port=port)
    for other in ports[1:]:
        world.wait_listening(other, process)
    return process, ports


def open_socket(world, port, tls):
    peer = world.connect(port)
    return wire.WebSocket(wire.TlsPeer(peer) if tls else peer)


def short_name(program):
    return program.replace("beast/", "").replace("websocket/", "")


def messages(server, tls):
    """Text and binary messages of many sizes, one in fragments with a ping between them; then the closing handshake."""
    def run(world):
        process, ports = serve(world, server)
        for port in ports:
            socket = open_socket(world, port, tls)
            for size in (0, 1, 125, 126, 65535, 65536, 1 << 20):
                socket.send(harness.pattern(size), wire.BINARY)
                opcode, payload = socket.message()
                equal(payload, harness.pattern(size), "the message")
                equal(opcode, wire.BINARY, "its kind")
            socket.send(b"in three ", wire.TEXT, final=False)
            socket.send(b"fragments, ", 0, final=False)
            socket.send(b"are you there?", wire.PING)
            socket.send(b"the last one", 0)
            equal(socket.frame(), (wire.PONG, True, b"are you there?"), "the answer to ping")
            equal(socket.message(), (wire.TEXT, b"in three fragments, the last one"), "the message")
            socket.close(1000)
            equal(socket.connection.receive_all(), b"", "after the closing handshake")
        check(process.running(), "the server ended")
    return run


def violation(server, tls):
    """A text that is not UTF-8, or a frame without mask, is answered by a close; other connections go on."""
    def run(world):
        process, ports = serve(world, server)
        good = open_socket(world, ports[0], tls)
        bad = open_socket(world, ports[0], tls)
        bad.send(b"\xff\xfe", wire.TEXT)
        opcode, _, payload = bad.frame()
        equal((opcode, struct.unpack("!H", payload[:2])[0]), (wire.CLOSE, 1007), "the answer to bad text")
        unmasked = open_socket(world, ports[0], tls)
        unmasked.connection.send(b"\x81\x01a")
        opcode, _, payload = unmasked.frame()
        equal((opcode, struct.unpack("!H", payload[:2])[0]), (wire.CLOSE, 1002), "the answer to a bad frame")
        good.send(b"fine")
        equal(good.message(), (wire.TEXT, b"fine"), "the message")
        check(process.running(), "the server ended")
    return run


def killed(server, tls):
    """Clients that are killed, before or after the handshake or in a message, do no harm to the others."""
    def run(world):
        process, ports = serve(world, server)
        good = open_socket(world, ports[-1], tls)
        world.connect(ports[-1]).kill()
        open_socket(world, ports[-1], tls).connection.kill()
        half = open_socket(world, ports[-1], tls)
        half.send(b"the rest never comes", wire.TEXT, final=False)
        half.connection.kill()
        for number in range(20):
            good.send(b"number %d" % number)
            equal(good.message(), (wire.TEXT, b"number %d" % number), "the message")
        check(process.running(), "the server ended")
    return run


def several(server, tls):
    """Six clients at once, each with messages on the way before it reads any."""
    def run(world):
        _, ports = serve(world, server)
        sockets = [open_socket(world, ports[number % len(ports)], tls) for number in range(6)]
        for turn in range(5):
            for number, socket in enumerate(sockets):
                socket.send(b"%d of %d " % (turn, number) + harness.pattern(5000))
        for turn in range(5):
            for number, socket in enumerate(sockets):
                equal(socket.message()[1], b"%d of %d " % (turn, number) + harness.pattern(5000), "the message")
    return run


for name, secure in [(name, False) for name in SERVERS] + [(name, True) for name in TLS_SERVERS]:
    over = "s over TLS" if secure else "s"
    scenario.add("gives back WebSocket message" + over, [name], messages(name, secure), short=name == SHORT)
    scenario.add("answers WebSocket violation" + over, [name], violation(name, secure))
    scenario.add("survives killed WebSocket" + over, [name], killed(name, secure))
    scenario.add("serves six WebSocket" + over, [name], several(name, secure))


def talks(client, server):
    """The client prints what the server gives back, after the closing handshake."""
    def run(world):
        _, ports = serve(world, server)
        for port in ports:
            for text in ("Hello, world!", "x" * 100000):
                done = world.run(client, "localhost", port, text)
                equal(done.status(), 0, f"exit status with errors {done.errors!r}")
                check(text.encode() in done.output, f"printed {harness.shown(done.output)}")
                equal(done.errors, b"", "errors")
    return run


for client_name, server_name in (list(itertools.product(CLIENTS, SERVERS))
                                 + list(itertools.product(TLS_CLIENTS, TLS_SERVERS))):
    scenario.add(f"talks to {short_name(server_name)}", [client_name, server_name], talks(client_name, server_name),
                 short=client_name.endswith("/sync") and server_name == SHORT)


def declined(client):
    """Nobody listens; a server that answers the upgrade with 404; one that ends the connection instead."""
    def run(world):
        contains(world.run(client, HOST, world.port(), "x").errors, rb"[Cc]onnection refused", "errors")
        for answer, message in ((b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", rb"declined"),
                                (b"", rb"end of stream|End of file")):
            port = world.port()
            server = world.listen(port)
            process = world.start(client, HOST, port, "x")
            asked = server.wait_connected().receive_until(b"\r\n\r\n")
            contains(asked, rb"Upgrade: websocket", "the request")
            server.send(answer)
            server.end_input()
            process.status()
            contains(process.errors, message, "errors")
    return run


for client_name in CLIENTS:
    scenario.add("reports that it was declined", [client_name], declined(client_name))


def chat(world):
    """What one browser says all hear; a page comes from the same port."""
    port = world.port()
    world.file("root/index.html", b"<html>chat</html>")
    world.serve("beast/websocket/server/chat-multi", "0.0.0.0", port, "root", 3, port=port)
    equal(wire.fetch(world.connect(port), "GET", "/").body, b"<html>chat</html>", "the page")
    sockets = [open_socket(world, port, False) for _ in range(4)]
    # The server has taken a client into the room some time after its handshake: each hears itself once it is there.
    for number, socket in enumerate(sockets):
        socket.send(b"here is %d" % number)
        while socket.message()[1] != b"here is %d" % number:
            pass
    sockets[3].connection.kill()
    sockets[0].send(b"the last line")
    for socket in sockets[:3]:
        while socket.message()[1] != b"the last line":
            pass


def silent_upgrade(world):
    """A client that does not ask for the upgrade is dropped by the stream's timer."""
    _, ports = serve(world, "beast/websocket/server/async")
    silent = world.connect(ports[0])
    equal(silent.receive_all(harness.DEADLINE + 30), b"", "on the silent connection")


scenario.add("passes messages on", ["beast/websocket/server/chat-multi"], chat)
scenario.add("drops a silent client", ["beast/websocket/server/async"], silent_upgrade)
