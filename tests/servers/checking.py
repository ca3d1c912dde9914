"""What the tests of the servers share."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from .client import NOTHING, Counts, Server

TIMEOUT = 5
LARGE = 20_000_000
"""More bytes than the buffers between client and server hold."""


@contextlib.contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """A connection that says nothing by itself."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
        yield connection


def ask(connection: socket.socket, path: str) -> None:
    """Send a request."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())


def read_to_end(connection: socket.socket) -> bytes:
    """All that comes until the other end has said all."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def assert_seen_open(server: Server, since: Counts = NOTHING, number: int = 1) -> None:
    """So many connections are open, and do not close by themselves."""
    with pytest.raises(AssertionError, match=rf"no open=0 within 0.1 s, but Counts\(.* open={number},"):
        server.wait_until(since=since, open=0, timeout=0.1)
