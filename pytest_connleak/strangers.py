"""The sockets that no instrumentation saw being opened: those of C code.

They are found in the list of the process's descriptors, by their inodes; whose they are is said by when they appeared.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Set
from typing import NamedTuple

from .descriptors import Descriptors, inodes
from .model import Connection, Origin, Owner, State, Tracked


class _Stranger(NamedTuple):
    owner: Owner
    nodeid: str
    descriptor: int


class Strangers:
    """Those that are open.

    Attributes:
        descriptors: of the process, as they were at the last look.
        open: the strangers, by inode.
    """

    def __init__(self) -> None:
        self.descriptors = Descriptors()
        self.open: dict[int, _Stranger] = {}
        self._sockets: Set[int] = set()
        """The inodes of all sockets that there were at the last look."""

    def begin(self, sockets: Set[int] | None) -> None:
        """Those which are there now, or which have these inodes, are no strangers."""
        self._sockets = {*(self.descriptors.sockets((), 0) if sockets is None else sockets)}

    def look(self, tracked: Callable[[], Collection[int]], number: int, owner: Owner, nodeid: str) -> None:
        """List the open sockets; those that appeared, and are not tracked, are strangers.

        Args:
            tracked: says which descriptors the tracked sockets have, of which there are ``number``.
            owner: whose those are that appeared, during the test ``nodeid``.
        """
        if self.descriptors.unchanged(number):
            return
        now = self.descriptors.sockets({*tracked()}, number)
        appeared = now.keys() - self._sockets
        if appeared:
            for inode in appeared - inodes(tracked()).keys():
                self.open[inode] = _Stranger(owner, nodeid, now[inode])
        if len(now) != len(self._sockets) or appeared:
            self._sockets = now.keys()
            for inode in self.open.keys() - now.keys():
                del self.open[inode]

    def of(self, owners: Collection[Owner]) -> list[int]:
        """The inodes of those that belong to one of the owners."""
        return [inode for inode, stranger in self.open.items() if stranger.owner in owners]

    def owners(self) -> set[Owner]:
        """Everybody who has one."""
        return {stranger.owner for stranger in self.open.values()}

    def forget(self, owners: Collection[Owner]) -> None:
        """These owners were judged."""
        for inode in self.of(owners):
            del self.open[inode]

    def local_ends(self, table: Mapping[int, Connection]) -> list[str]:
        """The local addresses of those that are connected: their far ends may be in a thread of this process."""
        connections = (table.get(stranger.descriptor) for stranger in self.open.values())
        return [connection.local for connection in connections if connection is not None and connection.remote]

    def described(self, owners: Collection[Owner], table: Mapping[int, Connection]) -> list[Tracked]:
        """The network connections among them; pipes between processes and the like are none.

        Args:
            table: the connections of the process, by descriptor.
        """
        found = []
        for inode in self.of(owners):
            stranger = self.open[inode]
            connection = table.get(stranger.descriptor)
            if connection is None or _is_far_end(connection, table):
                continue
            found.append(
                Tracked(
                    id=-inode,
                    kind="socket",
                    name="socket",
                    library="",
                    origin=Origin(None),
                    owner=stranger.owner,
                    nodeid=stranger.nodeid,
                    state=State.OPEN,
                    connections=(connection,),
                )
            )
        return found


def _is_far_end(connection: Connection, table: Mapping[int, Connection]) -> bool:
    """Whether a server of this process accepted it, or the other end connected first (it has the lower descriptor)."""
    return any(
        (other.status == "LISTEN" and other.fd != connection.fd and _port(other.local) == _port(connection.local))
        or (
            other.local == connection.remote
            and other.remote == connection.local
            and (other.fd or 0) < (connection.fd or 0)
        )
        for other in table.values()
    )


def _port(address: str) -> str:
    return address.rpartition(":")[2]
