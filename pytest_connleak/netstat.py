"""The sockets of this process as the operating system sees them; the only file that uses psutil.

Sockets are told apart by inode: a descriptor's number is given again at once, and a count cannot tell one
closed and one opened from nothing done.  Listing them asks the system about this process alone, and a socket of
Python's is asked itself; psutil, which reads the tables of the whole machine, is asked only to describe a suspect
that no object of Python's stands for.

Where there are as many descriptors as before, and those that were there still are, no other one can have come: that
is cheaper than a list, and as certain.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from itertools import repeat

from .model import Connection

if sys.platform == "linux":
    from fcntl import F_GETPIPE_SZ, fcntl


class _System:
    """What is asked of the system, as it was before a test replaced it (pyfakefs) or forbade it (blockbuster)."""

    listdir = staticmethod(os.listdir)
    fstat = staticmethod(os.fstat)
    lseek = staticmethod(os.lseek)
    if sys.platform == "linux":
        fcntl = staticmethod(fcntl)
    stat = staticmethod(os.stat)
    readlink = staticmethod(os.readlink)


_DESCRIPTORS = next((path for path in ("/proc/self/fd", "/dev/fd") if os.path.isdir(path)), None)


class Descriptors:
    """The descriptors of this process, as they were when they were last listed.

    Those of the sockets that are tracked are somebody else's to count; the others are watched here.
    """

    def __init__(self) -> None:
        self._count = 0
        # Those that are not tracked, by the cheapest question that tells whether a socket has taken their place.
        self._files: list[int] = []
        """They have a position, which no socket has."""
        self._pipes: list[int] = []
        """They have a capacity, which no socket has."""
        self._links: list[tuple[str, str]] = []
        """The links of all others, and what they say."""

    def sockets(self, tracked: Collection[int], number: int) -> dict[int, int]:
        """The inode and the descriptor of each open socket; empty where the system does not list descriptors.

        Args:
            tracked: the descriptors of the sockets that are tracked.
            number: how many sockets are tracked.
        """
        if _DESCRIPTORS is None:
            return {}
        self._count = _System.stat(_DESCRIPTORS).st_size - number
        found: dict[int, int] = {}
        self._files, self._pipes, self._links = [], [], []
        for descriptor in map(int, _System.listdir(_DESCRIPTORS)):
            status = _status(descriptor)
            if status is None:  # closed meanwhile, such as the descriptor of the listing itself
                continue
            if stat.S_ISSOCK(status.st_mode):
                found[status.st_ino] = descriptor
            if descriptor not in tracked:
                self._watch(descriptor)
        return found

    def _watch(self, descriptor: int) -> None:
        with suppress(OSError):
            _System.lseek(descriptor, 0, os.SEEK_CUR)
            self._files.append(descriptor)
            return
        if sys.platform == "linux":
            with suppress(OSError):
                _System.fcntl(descriptor, F_GETPIPE_SZ)
                self._pipes.append(descriptor)
                return
        link = f"{_DESCRIPTORS}/{descriptor}"
        with suppress(OSError):
            self._links.append((link, _System.readlink(link)))

    def unchanged(self, number: int) -> bool:
        """Whether no descriptor has come or gone since but those of tracked sockets, of which there are ``number`` now.

        Linux says since 6.2 how many there are; elsewhere the answer is no.
        """
        if sys.platform != "linux" or self._count <= 0 or _DESCRIPTORS is None:
            return False
        try:
            if _System.stat(_DESCRIPTORS).st_size - number != self._count:
                return False
            deque(map(_System.lseek, self._files, repeat(0), repeat(os.SEEK_CUR)), 0)  # or it raises
            deque(map(_System.fcntl, self._pipes, repeat(F_GETPIPE_SZ)), 0)
            for link, target in self._links:
                if _System.readlink(link) != target:
                    return False
        except OSError:
            return False
        return True


def inodes(descriptors: Iterable[int]) -> dict[int, int]:
    """The inodes of those descriptors that are sockets."""
    found: dict[int, int] = {}
    for descriptor in descriptors:
        status = _status(descriptor)
        if status is not None and stat.S_ISSOCK(status.st_mode):
            found[status.st_ino] = descriptor
    return found


def _status(descriptor: int) -> os.stat_result | None:
    try:
        return _System.fstat(descriptor)
    except OSError:
        return None


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
