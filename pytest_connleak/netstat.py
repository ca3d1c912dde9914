"""The connections of this process as the operating system sees them; the only file that uses psutil.

A socket of Python's is asked itself; psutil, which reads the tables of the whole machine, is asked only to describe a
suspect that no object of Python's stands for.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping
from contextlib import suppress

from .model import Connection


def connections() -> Mapping[int, Connection]:
    """The network connections of this process by descriptor, as psutil describes them.

    Raises:
        psutil.Error: if the system refuses.
    """
    import psutil  # not before it is needed: a run without findings never pays for it

    process = psutil.Process()
    # psutil 6 renamed the method.
    listing = getattr(process, "net_connections", None) or process.connections
    return {c.fd: Connection(_address(c.laddr), _address(c.raddr), c.status, c.fd) for c in listing("inet")}


def connection(sock: object) -> Connection | None:
    """The network connection of one socket; None if it has none.

    Raises:
        psutil.Error: if the system refuses.
    """
    if not isinstance(sock, socket.SocketType) or not hasattr(socket, "TCP_INFO"):
        return connections().get(getattr(sock, "fileno", int)())
    # The socket itself is asked, for psutil reads the tables of the whole machine; and by none but its own methods.
    ask = socket.SocketType
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    try:
        local, remote, status = ask.getsockname(sock), (), "NONE"
        with suppress(OSError):
            remote = ask.getpeername(sock)
        if sock.type == socket.SOCK_STREAM:
            status = _STATES.get(ask.getsockopt(sock, socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0], "")
    except OSError:  # closed
        return None
    return Connection(_address(local), _address(remote), status, ask.fileno(sock)) if status else None


# tcpi_state of Linux's struct tcp_info (include/net/tcp_states.h) as psutil calls it; what has no connection has none.
_STATES = {
    1: "ESTABLISHED",
    2: "SYN_SENT",
    3: "SYN_RECV",
    4: "FIN_WAIT1",
    5: "FIN_WAIT2",
    6: "TIME_WAIT",
    8: "CLOSE_WAIT",
    9: "LAST_ACK",
    10: "LISTEN",
    11: "CLOSING",
}


def _address(value: Collection[object]) -> str:
    if not value:
        return ""
    host, port = tuple(value)[:2]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
