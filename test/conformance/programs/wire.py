# SPDX-License-Identifier: BSL-1.0
"""HTTP, WebSocket and TLS by hand over a raw peer."""
import base64
import hashlib
import os
import ssl
import struct

import harness
from harness import check, contains, equal


class TlsPeer:
    """TLS over a raw peer, with the same members for bytes; the certificate is not verified."""

    def __init__(self, peer):
        self.peer = peer
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        self.tls = context.wrap_bio(self.incoming, self.outgoing)
        self.plain = bytearray()
        self.ended = False
        self._step(self.tls.do_handshake)

    def _step(self, action):
        """Does the action, moving bytes between TLS and the peer until it needs no more of them."""
        while True:
            try:
                return action()
            except ssl.SSLWantReadError:
                self._flush()
                came = self.peer.receive_some()
                if came:
                    self.incoming.write(came)
                else:
                    self.incoming.write_eof()
            finally:
                self._flush()

    def _flush(self):
        data = self.outgoing.read()
        if data:
            self.peer.send(data)

    def send(self, data):
        self._step(lambda: self.tls.write(data))

    def _more(self):
        try:
            came = self._step(lambda: self.tls.read(65536))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError, ssl.SSLSyscallError):
            came = b""
        self.ended = not came
        self.plain += came

    def _take(self, size):
        data = bytes(self.plain[:size])
        del self.plain[:size]
        return data

    def receive(self, size):
        while len(self.plain) < size and not self.ended:
            self._more()
        check(len(self.plain) >= size, f"{len(self.plain)} of {size} bytes came over TLS")
        return self._take(size)

    def receive_until(self, delimiter):
        while delimiter not in self.plain and not self.ended:
            self._more()
        check(delimiter in self.plain, f"no {delimiter!r} in {harness.shown(bytes(self.plain))}")
        return self._take(self.plain.index(delimiter) + len(delimiter))

    def receive_all(self):
        while not self.ended:
            self._more()
        return self._take(len(self.plain))

    def shut_down(self):
        """Says close_notify and waits for that of the other side."""
        self._step(self.tls.unwrap)

    def kill(self):
        self.peer.kill()

    def close(self):
        self.peer.close()


class Response:
    """A response to HTTP, read from a connection."""

    def __init__(self, connection, head_only=False):
        head = connection.receive_until(b"\r\n\r\n").decode()
        lines = head.split("\r\n")
        self.version, status, self.reason = (lines[0] + "  ").split(" ", 2)
        self.status = int(status)
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:] if line)}
        if head_only:
            self.body = b""
        elif self.headers.get("transfer-encoding") == "chunked":
            self.body = self._chunks(connection)
        elif "content-length" in self.headers:
            self.body = connection.receive(int(self.headers["content-length"]))
        else:
            self.body = connection.receive_all()

    @staticmethod
    def _chunks(connection):
        body = b""
        while True:
            size = int(connection.receive_until(b"\r\n").split(b";")[0], 16)
            body += connection.receive(size)
            equal(connection.receive(2), b"\r\n", "the end of a chunk")
            if size == 0:
                return body


def request(method, target, version="1.1", headers=(), body=b""):
    """The bytes of a request."""
    lines = [f"{method} {target} HTTP/{version}", "Host: localhost", "User-Agent: raw", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def fetch(connection, method, target, **more):
    """Sends a request and reads the response."""
    connection.send(request(method, target, **more))
    return Response(connection, head_only=method == "HEAD")


TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class WebSocket:
    """A WebSocket client over a connection."""

    def __init__(self, connection, target="/"):
        self.connection = connection
        key = base64.b64encode(os.urandom(16)).decode()
        connection.send(request("GET", target, headers=(
            "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}")))
        response = Response(connection, head_only=True)
        equal(response.status, 101, "the answer to the upgrade")
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        equal(response.headers["sec-websocket-accept"], accept.decode(), "the answer to the key")

    def send(self, payload, opcode=TEXT, final=True):
        """One frame, masked as a client's are."""
        mask = os.urandom(4)
        size = len(payload)
        length = (bytes([0x80 | size]) if size < 126 else struct.pack("!BH", 0x80 | 126, size) if size < 65536
                  else struct.pack("!BQ", 0x80 | 127, size))
        stretched = (mask * (size // 4 + 1))[:size]
        masked = (int.from_bytes(payload, "big") ^ int.from_bytes(stretched, "big")).to_bytes(size, "big")
        self.connection.send(bytes([(0x80 if final else 0) | opcode]) + length + mask + masked)

    def frame(self):
        """(opcode, final, payload) of the next frame."""
        first, second = self.connection.receive(2)
        size = second & 0x7f
        if size == 126:
            size, = struct.unpack("!H", self.connection.receive(2))
        elif size == 127:
            size, = struct.unpack("!Q", self.connection.receive(8))
        return first & 0x0f, bool(first & 0x80), self.connection.receive(size)

    def message(self):
        """(opcode, payload) of the next message, put together of its frames."""
        opcode, final, payload = self.frame()
        while not final:
            _, final, more = self.frame()
            payload += more
        return opcode, payload

    def close(self, code=1000):
        """The closing handshake: the other side answers with the same code, then ends the connection."""
        self.send(struct.pack("!H", code), CLOSE)
        opcode, payload = self.message()
        equal((opcode, payload[:2]), (CLOSE, struct.pack("!H", code)), "the answer to close")


def page(title, size):
    """A page that is told from others by its title."""
    return b"<html><h1>" + title + b"</h1>" + harness.pattern(size) + b"</html>\n"


def is_page(body, expected):
    equal(body, expected, "the body")


def header(response, name, pattern):
    check(name in response.headers, f"no header {name} in {response.headers}")
    contains(response.headers[name], pattern, f"header {name}")
