"""The standard library's ``socket.socket``: everything in Python that opens a connection comes here.

Followed source: ``Lib/socket.py``.  ``_real_close`` is what ``close()`` comes to once no file made
from the socket is open any more; the deallocator of a forgotten socket does not call it.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Generator
from types import FrameType

from .. import origin
from ..model import Advice, Connection
from .interface import Call, Instrumentation, Outcome, Probe

instrumentation = Instrumentation(
    "socket",
    copies=("gevent._socket3",),
    contested=True,  # pytest-socket forbids connections, and allows them again after each test
    advice={
        "socket": Advice(socket="with socket.socket(...) as sock:\n    ..."),
        "socket.create_connection": Advice(
            socket="with socket.create_connection(address, timeout=10) as sock:\n    ..."
        ),
        "socket.create_server": Advice(socket="with socket.create_server(address) as sock:\n    ..."),
        "ftplib": Advice(socket="with ftplib.FTP(host, timeout=10) as ftp:\n    ..."),
        "imaplib": Advice(socket="with imaplib.IMAP4_SSL(host, timeout=10) as imap:\n    ..."),
        "poplib": Advice(socket="with contextlib.closing(poplib.POP3_SSL(host, timeout=10)) as pop:\n    ..."),
        "smtplib": Advice(socket="with smtplib.SMTP(host, timeout=10) as smtp:\n    ..."),
        "socketserver": Advice(socket="with socketserver.TCPServer(address, handler) as server:\n    ..."),
    },
)

_ACCEPTED = frozenset({"accepted"})
_PLAIN: frozenset[str] = frozenset()


@instrumentation.after("socket:socket.__init__", vital=("socket",))  # or all are taken for those of C code
def opened(probe: Probe, call: Call) -> None:
    sock = call.instance
    caller = _caller()
    # AddressFamily by name: the constant is missing where the platform has no such sockets.
    request = probe.in_flight()
    idle = request is None or request.over
    if idle and getattr(sock.family, "name", "") == "AF_UNIX" and not _is_users(caller):
        probe.born(sock)
        return  # how event loops wake up and processes talk: no network connection
    if request is not None and request.pool is not None:
        probe.opened_within(sock, request.pool, "socket", "socket")
    else:
        accepted = caller is not None and caller.f_code.co_name == "accept" and _is_socket_module(caller)
        probe.opened(sock, "socket", "socket", traits=_ACCEPTED if accepted else _PLAIN)
    if call.argument(3, "fileno") is not None:  # accepted, detached, inherited: it may be connected already
        _connected(probe, sock, active=False)


@instrumentation.around("socket:socket.connect")
def connect(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    outcome = yield
    # A non-blocking socket gets its addresses although connect() says "in progress".
    if outcome.error is None or isinstance(outcome.error, BlockingIOError):
        _connected(probe, call.instance, active=True, peer=call.argument(0, "address"))


@instrumentation.after("socket:socket._real_close", vital=("socket",))
def closed(probe: Probe, call: Call) -> None:
    probe.closed(call.instance)


@instrumentation.after("socket:socket.detach", vital=("socket",))
def detached(probe: Probe, call: Call) -> None:
    probe.closed(call.instance)


@instrumentation.after("socket:socket.shutdown")
def shut_down(probe: Probe, call: Call) -> None:
    if call.argument(0, "how") == socket.SHUT_RDWR:
        probe.ended(call.instance)


def _caller() -> FrameType | None:
    """The frame that called into the socket module, or the socket module's ``accept``."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if origin.classify(frame.f_code.co_filename) != "plugin" and not _is_socket_module(frame):
            break
        if frame.f_code.co_name == "accept" and _is_socket_module(frame):
            break
        frame = frame.f_back
    return frame


def _is_users(frame: FrameType | None) -> bool:
    return frame is not None and origin.classify(frame.f_code.co_filename) == "user"


def _is_socket_module(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__") in ("socket", "ssl")


def _connected(probe: Probe, sock: socket.socket, *, active: bool, peer: object = "") -> None:
    number = probe.find(sock)
    if number is None:
        return
    try:
        local, remote = sock.getsockname(), sock.getpeername()
    except OSError:
        try:
            local, remote = sock.getsockname(), peer  # which is on its way
        except OSError:
            return
    probe.connected(number, Connection(address(local), address(remote)), active=active)


def address(value: object) -> str:
    """``host:port``, ``[host]:port`` for IPv6, or the path of a Unix socket."""
    if isinstance(value, tuple) and len(value) >= 2:
        host = f"[{value[0]}]" if ":" in str(value[0]) else value[0]
        return f"{host}:{value[1]}"
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value or "")
