"""A relay in front of a server that cannot count: ``python -m servers.relay HOST PORT``, or ``... PATH``.

PATH is that of a Unix socket.  The relay counts the connections of its clients, and for each makes one to the
server behind it, with ``run_before`` one in the same process.  Either end may say that it has said all, and is
still listened to.  A connection is open until the client has closed it or has said all, which look the same
from here.  When the server behind has gone, or is not there, its client sees that it has said all.

Requests are counted only where the server behind tells of them, by ``client_of``.
"""

from __future__ import annotations

import select
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .counting import ANY_PORT, CountingServer, Peer, family

ONCE_TIMEOUT = 30.0


class Relay(CountingServer):
    """Passes on what its clients and the server behind it say."""

    def __init__(self, behind: Any):
        """In front of the address ``behind``: a host and a port, or a path."""
        super().__init__(lambda connection, peer, _: self._connect(connection, peer, behind))
        self._clients: dict[int, Peer] = {}

    def client_of(self, port: int) -> Peer:
        """Whose connection reached the server behind from this port of the relay."""
        return self._clients[port]

    def once(self, behind: Any) -> int:
        """A port for one more connection, which is counted like the others but goes to another address."""
        listener = socket.create_server(ANY_PORT)
        with self._accepting:
            self._listeners.append(listener)
        threading.Thread(target=self._serve_once, args=(listener, behind), daemon=True).start()
        return int(listener.getsockname()[1])

    def _serve_once(self, listener: socket.socket, behind: Any) -> None:
        has_come = select.select([listener], [], [], ONCE_TIMEOUT)[0]
        with self._accepting, listener:
            self._listeners.remove(listener)
            if not has_come:
                return
            connection, peer = self._accept(listener)
        with connection:
            self._connect(connection, peer, behind)

    def _connect(self, client: socket.socket, peer: Peer, behind: Any) -> None:
        """Serve a client from its first byte until it has closed the connection and the server behind has too."""
        with socket.socket(family(behind)) as server:
            with suppress(OSError):  # what is said to nobody is lost, and the answer is that all has been said
                server.connect(behind)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if server.family != socket.AF_UNIX:
                    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._clients[server.getsockname()[1]] = peer
            answering = threading.Thread(target=pass_answers, args=(server, client), daemon=True)
            answering.start()
            pass_questions(client, server)
            peer.open = False
            with suppress(OSError):
                server.shutdown(socket.SHUT_WR)
            answering.join()


def pass_questions(client: socket.socket, server: socket.socket) -> None:
    """Pass on what the client says, until it has said all.

    Also when the server has gone: what is counted is whether the client forgot.
    """
    with suppress(OSError):  # a reset ends it too
        while data := client.recv(65536):
            with suppress(OSError):
                server.sendall(data)


def pass_answers(server: socket.socket, client: socket.socket) -> None:
    """Pass on what the server says, until it has said all, or the client does not listen."""
    with suppress(OSError):
        while data := server.recv(65536):
            client.sendall(data)
    with suppress(OSError):
        client.shutdown(socket.SHUT_WR)


def run_before(serve: Callable[[socket.socket, Relay], object], **about: object) -> None:
    """Run a server in a thread and the relay in front of it, until stdin ends.

    It is given the socket on which it is to listen, and the relay, to tell it of requests.
    """
    listener = socket.create_server(ANY_PORT)
    relay = Relay(listener.getsockname())

    def serve_or_refuse() -> None:
        with listener:  # if this fails, stderr says why, and nobody waits for an answer
            serve(listener, relay)

    threading.Thread(target=serve_or_refuse, daemon=True).start()
    relay.run(**about)


if __name__ == "__main__":
    Relay((sys.argv[1], int(sys.argv[2])) if sys.argv[2:] else sys.argv[1]).run(scheme="tcp")
