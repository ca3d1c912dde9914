"""The sockets of this process as the operating system sees them; the only file that uses psutil.

Sockets are told apart by inode: a descriptor's number is given again at once, and a count cannot tell one
closed and one opened from nothing done.  Listing them is cheap and asks the system about this process
alone; psutil, which reads the tables of the whole machine, is asked only to describe a suspect.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Mapping

from .model import Connection


class _System:
    """What is asked of the system, as it was before a test replaced it (pyfakefs) or forbade it (blockbuster)."""

    listdir = staticmethod(os.listdir)
    fstat = staticmethod(os.fstat)


_DESCRIPTORS = next((path for path in ("/proc/self/fd", "/dev/fd") if os.path.isdir(path)), None)


def sockets() -> dict[int, int]:
    """The inode and the descriptor of each open socket; empty where the system does not list descriptors."""
    if _DESCRIPTORS is None:
        return {}
    return inodes(map(int, _System.listdir(_DESCRIPTORS)))


def inodes(descriptors: Iterable[int]) -> dict[int, int]:
    """The inodes of those descriptors that are sockets."""
    found: dict[int, int] = {}
    for descriptor in descriptors:
        try:
            status = _System.fstat(descriptor)
        except OSError:  # closed meanwhile, such as the descriptor of the listing itself
            continue
        if stat.S_ISSOCK(status.st_mode):
            found[status.st_ino] = descriptor
    return found


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


def _address(value: Collection[object]) -> str:
    if not value:
        return ""
    host, port = tuple(value)[:2]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
