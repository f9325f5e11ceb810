# SPDX-License-Identifier: BSL-1.0
"""Chat servers and clients: what one says all hear, over one protocol and both styles."""
import itertools
import signal

import scenario
from harness import HOST, check, equal

SERVERS = ("cpp03/chat/chat_server", "cpp11/chat/chat_server")
CLIENTS = ("cpp03/chat/chat_client", "cpp03/chat/posix_chat_client", "cpp11/chat/chat_client")
LINE_SERVERS = ("cpp17/coroutines_ts/chat_server", "cpp20/coroutines/chat_server")


def message(text):
    """In the format of these programs: four digits of length, then the text."""
    return b"%4d" % len(text) + text


def hears(client, text):
    client.wait_output(text + b"\n")


def conversation(server, client):
    """Two clients of the kind and a raw one hear each other; one who comes late hears what was said."""
    def run(world):
        port = world.port()
        process = world.serve(server, port, port=port)
        first, second, raw = world.start(client, HOST, port), world.start(client, HOST, port), world.connect(port)
        for number in range(5):
            for speaker, text in ((first, b"from first %d" % number), (second, b"from second %d" % number)):
                speaker.send(text + b"\n")
                equal(raw.receive_until(text), message(text), "what the raw one hears")
                hears(first, text)
                hears(second, text)
        raw.send(message(b"raw and last"))
        hears(first, b"raw and last")
        late = world.start(client, HOST, port)
        hears(late, b"from first 0")
        hears(late, b"raw and last")
        first.end_input()
        equal(first.status(), 0, "exit status of the client")
        second.send(b"still there\n")
        hears(late, b"still there")
        check(process.running(), "the server ended")
    return run


def two_rooms(server):
    """One server with two ports: what is said in one room is not heard in the other."""
    def run(world):
        port = world.port(2)
        world.serve(server, port, port + 1, port=port + 1)
        here, there = world.connect(port), world.connect(port + 1)
        listener = world.connect(port)
        here.send(message(b"here"))
        equal(listener.receive(8), message(b"here"), "in this room")
        there.send(message(b"there"))
        equal(there.receive(9), message(b"there"), "in the other room")
        here.send(message(b"again"))
        equal(listener.receive(9), message(b"again"), "in this room")
    return run


def bad_and_killed(server):
    """A client with a malformed header is dropped, one that is killed is forgotten, the others go on."""
    def run(world):
        port = world.port()
        process = world.serve(server, port, port=port)
        listener, bad, victim = (world.connect(port) for _ in range(3))
        bad.send(b"9999 and nothing that long")
        equal(bad.receive_all(), b"", "for the malformed one")
        victim.send(message(b"bye"))
        equal(listener.receive(7), message(b"bye"), "what is heard")
        victim.kill()
        for number in range(50):
            listener.send(message(b"line %02d" % number))
        for number in range(50):
            equal(listener.receive(11), message(b"line %02d" % number), "what is heard")
        check(process.running(), "the server ended")
    return run


def server_gone(client):
    """The server is killed: a client notices at its next line, or at its end, and exits."""
    def run(world):
        port = world.port()
        process = world.serve("cpp11/chat/chat_server", port, port=port)
        speaker = world.start(client, HOST, port)
        speaker.send(b"is anybody there\n")
        hears(speaker, b"is anybody there")
        process.kill()
        speaker.end_input()
        equal(speaker.status(), 0, "exit status")
    return run


for server_name, client_name in itertools.product(SERVERS, CLIENTS):
    scenario.add(f"lets {client_name.replace('/chat', '')} talk", [server_name, client_name],
                 conversation(server_name, client_name), short=server_name[:5] == client_name[:5] == "cpp11")
for name in SERVERS:
    scenario.add("keeps two rooms apart", [name], two_rooms(name), short=name.startswith("cpp11"))
    scenario.add("drops the malformed and the killed", [name], bad_and_killed(name))
for name in CLIENTS:
    scenario.add("ends when the server is gone", [name, "cpp11/chat/chat_server"], server_gone(name))


def lines(server):
    """Servers of lines: five clients hear each other in one order, one who comes late hears the last hundred lines."""
    def run(world):
        port = world.port()
        world.serve(server, port, port=port)
        peers = [world.connect(port) for _ in range(5)]
        for number in range(120):
            speaker = peers[number % 5]
            speaker.send(b"line %03d\n" % number)
            for peer in peers:
                equal(peer.receive(9), b"line %03d\n" % number, "what is heard")
        late = world.connect(port)
        for number in range(20, 120):
            equal(late.receive(9), b"line %03d\n" % number, "what was said before")
        peers[0].kill()
        late.send(b"here I am\n")
        equal(peers[1].receive(10), b"here I am\n", "what is heard")
    return run


def too_long(server):
    """A line of more than a kilobyte ends its speaker's connection only."""
    def run(world):
        port = world.port()
        world.serve(server, port, port=port)
        listener, speaker = world.connect(port), world.connect(port)
        speaker.send(b"x" * 2000)
        equal(speaker.receive_all(), b"", "for the speaker")
        listener.send(b"fine\n")
        equal(listener.receive(5), b"fine\n", "what is heard")
    return run


def stops(server):
    def run(world):
        port = world.port()
        process = world.serve(server, port, port=port)
        peers = [world.connect(port) for _ in range(3)]
        peers[0].send(b"hello\n")
        for peer in peers:
            equal(peer.receive(6), b"hello\n", "what is heard")
        process.signal(signal.SIGINT)
        equal(process.status(), 0, "exit status")
        for peer in peers:
            equal(peer.receive_all(), b"", "after the end")
    return run


for name in LINE_SERVERS:
    scenario.add("passes lines on", [name], lines(name))
    scenario.add("drops one who says too much", [name], too_long(name))
    scenario.add("stops by SIGINT", [name], stops(name))
