"""What the server programs share: a server that counts its connections, and the talk with who started it.

A connection is *open* until the **other end** has closed it.  Where the server is the first to close
("Connection: close", a hang-up), it ends its own half only and waits for the client's: what is counted is
whether the client forgot.
"""

from __future__ import annotations

import json
import select
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, Protocol

HOST = "127.0.0.1"
ANY_PORT = (HOST, 0)


@dataclass(slots=True)
class Peer:
    """One connection that was accepted; only the thread that serves it writes here."""

    port: int
    """The client's; 0 from a Unix socket, whose clients have none."""
    open: bool = True
    requests: int = 0


class CountingServer(ThreadingTCPServer):
    """Serves each connection in a thread of its own, and remembers all of them."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        handler: Callable[[socket.socket, Peer, CountingServer], object],
        tls: ssl.SSLContext | None = None,
        address: Any = ANY_PORT,
    ):
        """Listen at ``address``, which is a host and a port, or the path of a Unix socket."""
        self.address_family = family(address)
        super().__init__(address, BaseHTTPRequestHandler)
        self.port: int = 0 if self.address_family == socket.AF_UNIX else self.server_address[1]
        self._handler = handler
        self._tls = tls
        self._peers: list[Peer] = []
        self._listeners = [self.socket]
        self._accepting = threading.Lock()

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection; its ``Peer`` goes with it instead of its address."""
        with self._accepting:
            return self._accept(self.socket)

    def _accept(self, listener: socket.socket) -> tuple[socket.socket, Peer]:
        """Accept a connection, and count it; only while no other is accepted, and nothing asked."""
        connection, address = listener.accept()
        peer = Peer(address[1] if address else 0)
        self._peers.append(peer)
        return connection, peer

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection, from its first byte until the client has closed it."""
        peer: Peer = client_address
        try:
            with suppress(OSError), self._secured(request) as connection:
                with suppress(OSError):
                    self._handler(connection, peer, self)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
        finally:
            peer.open = False

    def _secured(self, connection: socket.socket) -> socket.socket:
        """The connection, with TLS where that is spoken; the first read shakes hands."""
        if self._tls is None:
            return connection
        return self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)

    def peers(self, opened: int, /, *others: int) -> list[tuple[int, bool, int]]:
        """Client's port, open and requests of the connections that came after the first ``opened``."""
        while True:
            with self._accepting:
                if not select.select(self._listeners, [], [], 0)[0]:
                    return [(peer.port, peer.open, peer.requests) for peer in self._peers[opened:]]
            time.sleep(0.0005)  # a client has connected that is not accepted yet

    def counts(self, opened: int, /, *others: int) -> tuple[int, int, int, int]:
        """How many connections came after the first ``opened``, are open, are closed; their requests."""
        peers = self.peers(opened)
        still_open = sum(is_open for _, is_open, _ in peers)
        return len(peers), still_open, len(peers) - still_open, sum(requests for _, _, requests in peers)

    def run(self, **about: object) -> None:
        """Say where the server is and what there is to know about it, and serve until stdin ends."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        converse(self, port=self.port, **about)


def family(address: Any) -> socket.AddressFamily:
    """What kind of socket has such an address."""
    if isinstance(address, str):
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


class Handler(BaseHTTPRequestHandler):
    """Counts the requests of a connection, keeps it alive, and leaves it to ``respond`` what to answer."""

    protocol_version = "HTTP/1.1"

    def __init__(self, connection: socket.socket, peer: Peer, server: CountingServer):
        self.peer = peer
        self.disable_nagle_algorithm = connection.family != socket.AF_UNIX  # headers and body are two writes
        super().__init__(connection, (HOST, peer.port), server)

    def respond(self) -> None:
        """Answer a request, whatever its method."""
        raise NotImplementedError

    def parse_request(self) -> bool:
        """Count each request that is one."""
        understood = super().parse_request()
        self.peer.requests += understood
        return understood

    def read_body(self) -> bytes:
        """The body of the request, of a given length or in chunks."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, body: bytes = b"", status: int = 200, **headers: str) -> None:
        """A whole answer; ``Content_Type`` is written ``Content-Type``."""
        if status not in (204, 304):
            headers = {"Content_Length": str(len(body)), **headers}
        self.head(status, **headers)
        if status not in (204, 304):
            self.write(body)

    def head(self, status: int = 200, **headers: str) -> None:
        """The status line and the headers of an answer; "Connection: close" also closes."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def write(self, data: bytes) -> None:
        """A part of the body, which HEAD does not get."""
        if self.command != "HEAD":
            self.wfile.write(data)

    def write_chunk(self, data: bytes) -> None:
        """A chunk of a chunked body; an empty one ends it."""
        self.write(b"%x\r\n%b\r\n" % (len(data), data))

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


for _method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT"):
    setattr(Handler, f"do_{_method}", lambda handler: handler.respond())


class Witness(Protocol):
    """What can be asked, each with the numbers of an earlier ``counts``."""

    def counts(self, opened: int, /, *others: int) -> Sequence[int]:
        """How many connections were opened since, are open, are closed; how many requests they brought."""

    def peers(self, opened: int, /, *others: int) -> Sequence[object]:
        """The client's port, whether it is open, and the requests, of each of these connections."""


def converse(witness: Witness, **about: object) -> None:
    """Say what there is to know on stdout, and answer the questions from stdin, line by line, until it ends.

    Stdin ends with the process that holds its other end, however that died: no server outlives the tests.
    """
    print(json.dumps(about), flush=True)
    questions = {"counts": witness.counts, "peers": witness.peers}
    for line in sys.stdin:
        question, *since = line.split()
        print(json.dumps(questions[question](*map(int, since))), flush=True)
