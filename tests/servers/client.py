"""Starting the servers and asking them what they saw."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

PACKAGE = __package__ or ""
ROOT = Path(__file__).parents[PACKAGE.count(".") + 1]
"""The directory from which this package is imported."""

_END_TIMEOUT = 5.0
_LONGEST_PAUSE = 0.05


class Counts(NamedTuple):
    """What a server saw."""

    opened: int = 0
    open: int = 0
    """Not yet closed by the client; but nginx counts what it closed itself as closed."""
    closed: int = 0
    requests: int = 0


NOTHING = Counts()


class Peer(NamedTuple):
    """One connection as its server saw it; ``port`` is the client's."""

    port: int
    """0 from a Unix socket, whose clients have none."""
    open: bool
    requests: int


class Server:
    """A server in a process of its own, which ends with ``close()``, the ``with`` block or this process."""

    def __init__(self, module: str, *arguments: str):
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{PACKAGE}.{module}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            start_new_session=True,  # Ctrl-C is for the tests, which then close their servers
        )
        try:
            hello = self._read()
        except BaseException:
            self.close()
            raise
        self.port: int = hello["port"]
        self.path: str | None = hello.get("path")
        """That of the Unix socket on which it listens instead of a port."""
        address = self.path or f"{hello.get('host', '127.0.0.1')}:{self.port}"
        self.url: str = f"{hello['scheme']}://{address}"
        self.log: str | None = hello.get("log")
        """The path of the file in which it has a line for each request."""
        self.ca: str | None = hello.get("ca")
        """The path of the certificate to trust, where it speaks TLS."""

    def __repr__(self) -> str:
        return f"<server {self.url}>"

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def counts(self, since: Counts = NOTHING) -> Counts:
        """What the server saw of the connections opened ``since`` then, whatever becomes of older ones.

        nginx does not tell its connections apart, so from it this is a mere difference.
        """
        return Counts(*self._ask("counts", *since))

    def peers(self, since: Counts = NOTHING) -> tuple[Peer, ...]:
        """Every connection opened ``since`` then, the oldest first; none from nginx, which does not tell."""
        return tuple(Peer(*row) for row in self._ask("peers", *since))

    def wait_until(
        self,
        *,
        opened: int | None = None,
        open: int | None = None,
        closed: int | None = None,
        requests: int | None = None,
        since: Counts = NOTHING,
        timeout: float = 2.0,
    ) -> Counts:
        """Ask until ``counts(since)`` are these, for a server learns of a close a little after it happened.

        Raises:
            AssertionError: with the counts, if that does not come true in time.
        """
        __tracebackhide__ = True
        named = {"opened": opened, "open": open, "closed": closed, "requests": requests}
        expected = {name: number for name, number in named.items() if number is not None}
        deadline = time.monotonic() + timeout
        pause = 0.001
        while True:
            in_time = time.monotonic() < deadline
            counts = self.counts(since)
            if expected.items() <= counts._asdict().items():
                return counts
            if not in_time:
                break
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        wanted = ", ".join(f"{name}={number}" for name, number in expected.items())
        ports = [peer.port for peer in self.peers(since) if peer.open]
        raise AssertionError(f"{self.url}: no {wanted} within {timeout} s, but {counts}; open: {ports}")

    def close(self) -> None:
        """End the server; once is enough."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):  # it ended before
            self._process.stdin.close()  # which is what it waits for
        try:
            self._process.wait(_END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _ask(self, question: str, *since: int) -> Any:
        assert self._process.stdin is not None
        with self._lock:
            print(question, *since, file=self._process.stdin)
            self._process.stdin.flush()
            return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server ended by itself; its stderr says why: {self._process.args!r}")
        return json.loads(line)


def http_server() -> Server:
    """A server with the paths that ``http_server`` lists; keeps connections alive."""
    return Server("http_server")


def tls_server() -> Server:
    """The same over TLS, for 127.0.0.1 and localhost; its ``ca`` is the certificate to trust."""
    return Server("http_server", "--tls")


def server6() -> Server:
    """The HTTP server on ::1."""
    return Server("http_server", "--ipv6")


def unix_server() -> Server:
    """The HTTP server on a Unix socket, which is also as much of a Docker engine as ``unix_server`` lists."""
    return Server("unix_server")


def h2_server() -> Server:
    """A server for HTTP/2 over TLS, and for HTTP/1.1; its ``ca`` is the certificate to trust."""
    return Server("h2_server")


def ws_server() -> Server:
    """A WebSocket server with the paths that ``ws_server`` lists."""
    return Server("ws_server")


def ftp_server() -> Server:
    """An FTP server, which counts the connections for data as well."""
    return Server("ftp_server")


def smtp_server() -> Server:
    """An SMTP server that takes every mail."""
    return Server("smtp_server")


def xmlrpc_server() -> Server:
    """An XML-RPC server with the functions that ``xmlrpc_server`` lists."""
    return Server("xmlrpc_server")


def moto_server() -> Server:
    """A stand-in for AWS; needs ``moto[server]``."""
    return Server("moto_server")


def relay_server(*address: str | int) -> Server:
    """A relay in front of what listens at this host and port, or on this Unix socket."""
    return Server("relay", *map(str, address))


def proxy_server() -> Server:
    """A forward proxy that can CONNECT."""
    return Server("proxy")


def nginx_server(keepalive_timeout: float = 1.0, keepalive_requests: int = 1000) -> Server:
    """An nginx that closes connections that were idle for so many seconds, or with 0 after each answer.

    It also closes them after so many requests.

    Raises:
        RuntimeError: if there is none; ``nginx.find()`` tells before.
    """
    return Server("nginx", str(keepalive_timeout), str(keepalive_requests))
