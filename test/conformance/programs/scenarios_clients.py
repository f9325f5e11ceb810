# SPDX-License-Identifier: BSL-1.0
"""Timeouts, serialization, TLS, a proxy and programs that also use UDP."""
import itertools
import socket
import subprocess
import time

import catalogue
import harness
import scenario
import wire
from harness import HOST, check, contains, equal

BLOCKING = tuple(f"{style}/timeouts/{name}" for style in ("cpp03", "cpp11")
                 for name in ("blocking_tcp_client", "blocking_token_tcp_client"))
ASYNC = ("cpp03/timeouts/async_tcp_client", "cpp11/timeouts/async_tcp_client")
TIMEOUT_SERVERS = ("cpp03/timeouts/server", "cpp11/timeouts/server")


def serve_timeouts(world, server):
    """The server of lines and a UDP socket of ours that hears them too."""
    heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    heard.bind((HOST, 0))
    heard.settimeout(harness.DEADLINE)
    port = world.port()
    world.serve(server, port, HOST, heard.getsockname()[1], port=port)
    return port, heard


def round_trip(server, client):
    """The client finds its own line among those of others."""
    def run(world):
        port, heard = serve_timeouts(world, server)
        with heard:
            other = world.connect(port)
            done = world.run(client, HOST, port, "a line of mine")
            contains(done.output, rb"^Round trip time: \d+ microseconds\n$", "output")
            equal(other.receive_until(b"\n"), b"a line of mine\n", "what another client hears")
            equal(heard.recv(1000), b"a line of mine", "what the broadcast says")
    return run


def subscriber(server, client):
    """The asynchronous client prints the lines of others; heartbeats are not lines."""
    def run(world):
        port, heard = serve_timeouts(world, server)
        with heard:
            listener = world.start(client, "localhost", port)
            listener.wait_output(rb"Connected to 127.0.0.1:%d\n" % port)
            # The client has subscribed once the server has accepted it, which no one is told: so speak until it hears.
            speaker = world.connect(port)
            speaker.send(b"\n")
            equal(speaker.receive(1), b"\n", "the heartbeat")
            for number in range(20):
                speaker.send(b"line %d\n" % number)
            listener.wait_output(rb"Received: line 19\n")
            check(b"Received: \n" not in listener.output, "a heartbeat was printed")
    return run


for server_name in TIMEOUT_SERVERS:
    for client_name in BLOCKING:
        scenario.add(f"sends {client_name.replace('/timeouts', '')} its line", [server_name, client_name],
                     round_trip(server_name, client_name))
    for client_name in ASYNC:
        scenario.add(f"sends {client_name.replace('/timeouts', '')} lines", [server_name, client_name],
                     subscriber(server_name, client_name))


def silent_server(client):
    """The server accepts and says nothing: the client gives up after ten seconds."""
    def run(world):
        port = world.port()
        server = world.listen(port)
        begin = time.monotonic()
        done = world.run(client, HOST, port, "hello", deadline=harness.DEADLINE + 10)
        check(time.monotonic() - begin > 9, "it gave up too early")
        contains(done.errors, rb"Operation canceled", "errors")
        equal(server.receive_all(), b"hello\n", "what the server got")
    return run


def drip(client):
    """Lines that come in pieces and the wanted one last."""
    def run(world):
        port = world.port()
        server = world.listen(port)
        process = world.start(client, HOST, port, "wanted")
        equal(server.wait_connected().receive_until(b"\n"), b"wanted\n", "the line of the client")
        for piece in (b"oth", b"er\nwan", b"ted, but not quite\nwant", b"ed\n"):
            server.send(piece)
            time.sleep(0.02)  # apart, so that they come in several reads
        contains(b"" if process.status() else process.output, rb"Round trip time", "output")
    return run


def early_end(client, message):
    def run(world):
        port = world.port()
        server = world.listen(port)
        process = world.start(client, HOST, port, *(["wanted"] if "blocking" in client else []))
        server.wait_connected().receive_until(b"\n")
        server.send(b"not a whole line")
        server.end_input()
        process.status()
        contains(process.output + process.errors, message, "output")
    return run


def refused(client):
    def run(world):
        port = world.port()
        done = world.run(client, HOST, port, *(["x"] if "blocking" in client else []))
        contains(done.output + done.errors, rb"Connection refused", "output")
    return run


for name in BLOCKING + ASYNC:
    scenario.add("reports a refused connection", [name], refused(name))
    scenario.add("reports an early end", [name], early_end(name, rb"End of file"))
for name in BLOCKING:
    scenario.add("gives up a silent server", [name], silent_server(name))
    scenario.add("takes lines in pieces", [name], drip(name))


def stocks(server_style, client_style):
    def run(world):
        port = world.port()
        world.serve(f"{server_style}/serialization/server", port, port=port)
        for _ in range(3):
            done = world.run(f"{client_style}/serialization/client", HOST, port)
            contains(done.output, rb"Stock number 0\n  code: ABC\n.*last_price: 4\.98\n.*Stock number 1\n.*"
                                  rb"name: Developer Entertainment Firm\n.*sell_quantity: 45000\n$", "output")
        first, second = world.connect(port).receive_all(), world.connect(port).receive_all()
        equal(first, second, "the archive")
        equal(int(first[:8], 16), len(first) - 8, "the length in the header")
    return run


def bad_archive(world):
    """A header that is no number: the client reports it."""
    port = world.port()
    server = world.listen(port)
    process = world.start("cpp03/serialization/client", HOST, port)
    server.wait_connected().send(b"!!!!!!!!rest")
    process.status()
    contains(process.errors, rb"Invalid argument", "errors")


scenario.add("passes vectors of stocks", ["cpp03/serialization/server", "cpp03/serialization/client"],
             stocks("cpp03", "cpp03"))
scenario.add("reports a bad header", ["cpp03/serialization/client"], bad_archive)


def certificates(world):
    """An authority and a server's certificate and key, as the TLS examples name them; those of the examples expire."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=world.folder, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE, timeout=harness.DEADLINE)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=authority",
            "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=the server", "-keyout", "s.key", "-out", "s.csr")
    openssl("x509", "-req", "-in", "s.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-out", "s.crt")
    world.file("server.pem", (world.folder / "s.crt").read_bytes() + (world.folder / "s.key").read_bytes())
    with open(f"{catalogue.EXAMPLES}/asio/example/cpp11/ssl/dh4096.pem", "rb") as file:
        world.file("dh4096.pem", file.read())


def tls_echo(server, client):
    """The client verifies the server and gets its line back, also at the same time as another one."""
    def run(world):
        certificates(world)
        port = world.port()
        world.serve(server, port, port=port)
        others = [world.start(client, HOST, port) for _ in range(2)]
        done = world.run(client, HOST, port, text=b"a secret line\n")
        contains(done.output, rb"Verifying .*the server", "output")
        contains(done.output, rb"Reply: a secret line\n$", "output")
        for other in others:
            other.send(b"another\n")
            contains(b"" if other.status() else other.output, rb"Reply: another\n$", "output")
    return run


def tls_distrust(client):
    """A server whose authority is another one: the handshake fails on the client's side."""
    def run(world):
        certificates(world)
        port = world.port()
        world.serve("cpp11/ssl/server", port, port=port)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=stranger", "-keyout",
                        "x.key", "-out", "ca.pem"], cwd=world.folder, check=True, stderr=subprocess.DEVNULL)
        done = world.run(client, HOST, port, text=b"a secret line\n")
        contains(done.output, rb"Handshake failed: certificate verify failed", "output")
    return run


def tls_raw(server):
    """A mebibyte through Python's TLS, a client that does not speak TLS, one that is killed in the handshake."""
    def run(world):
        certificates(world)
        port = world.port()
        process = world.serve(server, port, port=port)
        plain = world.connect(port)
        plain.send(b"GET / HTTP/1.0\r\n\r\n" * 100)
        plain.receive_all()
        half = world.connect(port)
        half.send(b"\x16\x03\x01\x02\x00\x01")
        half.kill()
        peer = wire.TlsPeer(world.connect(port))
        for size in (1, 1000, 1 << 20):
            for begin in range(0, size, 1000):
                piece = harness.pattern(size)[begin:begin + 1000]
                peer.send(piece)
                equal(peer.receive(len(piece)), piece, "the echo")
        check(process.running(), "the server ended")
    return run


for server_name, client_name in itertools.product(("cpp03/ssl/server", "cpp11/ssl/server"),
                                                  ("cpp03/ssl/client", "cpp11/ssl/client")):
    scenario.add(f"echoes to {client_name} over TLS", [server_name, client_name], tls_echo(server_name, client_name))
for style in ("cpp03", "cpp11"):
    scenario.add("distrusts another authority", [f"{style}/ssl/client", "cpp11/ssl/server"],
                 tls_distrust(f"{style}/ssl/client"))
    scenario.add("echoes to a raw client over TLS", [f"{style}/ssl/server"], tls_raw(f"{style}/ssl/server"))


def proxied(world):
    """An echo server behind the proxy, with a client of its own and several raw ones."""
    port, target = world.port(), world.port()
    world.serve("cpp11/echo/async_tcp_echo_server", target, port=target)
    world.serve("cpp20/channels/throttling_proxy", "0.0.0.0", port, HOST, target, port=port)
    done = world.run("cpp11/echo/blocking_tcp_echo_client", HOST, port, text=b"through a proxy\n")
    contains(done.output, rb"Reply is: through a proxy\n$", "output")
    peers = [world.connect(port) for _ in range(3)]
    for peer in peers:
        peer.send(harness.pattern(100000))
    for peer in peers:
        equal(peer.receive(100000), harness.pattern(100000), "the echo")


def throttled(world):
    """A megabyte takes the time that the proxy's rate gives it."""
    port, target = world.port(), world.port()
    sink = world.listen(target)
    world.serve("cpp20/channels/throttling_proxy", "0.0.0.0", port, HOST, target, port=port)
    peer = world.connect(port)
    begin = time.monotonic()
    peer.send(harness.pattern(1 << 20))
    equal(sink.wait_connected().receive(1 << 20), harness.pattern(1 << 20), "what came through")
    check(time.monotonic() - begin > 3, f"it took {time.monotonic() - begin:.1f} s only")


scenario.add("passes an echo", ["cpp20/channels/throttling_proxy", "cpp11/echo/async_tcp_echo_server",
                                "cpp11/echo/blocking_tcp_echo_client"], proxied)
scenario.add("throttles", ["cpp20/channels/throttling_proxy"], throttled)


def hops(world):
    """Frames come by UDP; the port is changed by a request over the stream, whose server uses the client's address."""
    port = world.port()
    server = world.serve("cpp03/porthopper/server", port, port=port)
    client = world.start("cpp03/porthopper/client", HOST, port)
    client.wait_output(rb"\n[.*]{32}\n[.*]{32}\n")
    client.wait_output(rb"Starting renegotiation.*Renegotiation complete\n[.*]{32}\n")
    server.wait_output(rb"Adding subscription 127.0.0.1:\d+\n.*Removing subscription 127.0.0.1:\d+\n")


scenario.add("hops to another port", ["cpp03/porthopper/server", "cpp03/porthopper/client"], hops)
