"""The file descriptors of this process, and which of them are sockets.

Sockets are told apart by inode: a descriptor's number is given again at once, and a count cannot tell one
closed and one opened from nothing done.

Where there are as many descriptors as before, and those that were there still are, no other one can have come: that
is cheaper than a list, and as certain.
"""

from __future__ import annotations

import os
import stat
import sys
from collections import deque
from collections.abc import Collection, Iterable
from contextlib import suppress
from itertools import repeat

from .untouched import System

if sys.platform == "linux":
    from fcntl import F_GETPIPE_SZ

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
        self._count = System.stat(_DESCRIPTORS).st_size - number
        found: dict[int, int] = {}
        self._files, self._pipes, self._links = [], [], []
        for descriptor in map(int, System.listdir(_DESCRIPTORS)):
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
            System.lseek(descriptor, 0, os.SEEK_CUR)
            self._files.append(descriptor)
            return
        if sys.platform == "linux":
            with suppress(OSError):
                System.fcntl(descriptor, F_GETPIPE_SZ)
                self._pipes.append(descriptor)
                return
        link = f"{_DESCRIPTORS}/{descriptor}"
        with suppress(OSError):
            self._links.append((link, System.readlink(link)))

    def unchanged(self, number: int) -> bool:
        """Whether no descriptor has come or gone since but those of tracked sockets, of which there are ``number`` now.

        Linux says since 6.2 how many there are; elsewhere the answer is no.
        """
        if sys.platform != "linux" or self._count <= 0 or _DESCRIPTORS is None:
            return False
        try:
            if System.stat(_DESCRIPTORS).st_size - number != self._count:
                return False
            deque(map(System.lseek, self._files, repeat(0), repeat(os.SEEK_CUR)), 0)  # or it raises
            deque(map(System.fcntl, self._pipes, repeat(F_GETPIPE_SZ)), 0)
            for link, target in self._links:
                if System.readlink(link) != target:
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
        return System.fstat(descriptor)
    except OSError:
        return None
