"""A socket, or any other network connection of this process, that no session, pool or response owns."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Evidence, Finding, Tracked
from ..settings import Settings
from .interface import Rule, fate

rule = Rule(__name__, title="a socket that was not closed")

_HELP = "with socket.create_connection(address, timeout=10) as sock:\n    ..."
_HELP_OTHER = "close the object that opened this connection"


@rule.check
def check(evidence: Evidence, settings: Settings) -> Iterator[Finding]:
    for socket in evidence.of("socket"):
        if _is_somebodys_mistake(socket):
            ours = socket.origin.library is None and socket.origin.place is not None
            yield rule.finding(socket, _message(socket), _HELP if ours else _HELP_OTHER)


def _is_somebodys_mistake(socket: Tracked) -> bool:
    if "far-end" in socket.traits:  # the finding is at the near end, if there is one
        return False
    # What a server accepted and let go of went away by itself.
    return not ("accepted" in socket.traits and not socket.alive)


def _message(socket: Tracked) -> str:
    peers = [c.remote for c in socket.connections if c.remote]
    what = f"{socket.name} to {peers[0]}" if peers else socket.name
    if socket.origin.place is None:
        return f"{what} still open; it was opened outside of Python, so no line can be named"
    return f"{what} {fate(socket)}"
