"""A socket, or any other network connection of this process, that no session, pool or response owns."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Evidence, Finding, Tracked
from ..remedy import close_socket, public_name
from ..settings import Settings
from .interface import Rule, fate

rule = Rule(__name__, title="a socket that was not closed")


@rule.check
def check(evidence: Evidence, settings: Settings) -> Iterator[Finding]:
    for socket in evidence.of("socket"):
        if _is_somebodys_mistake(socket):
            called = socket.origin.called
            advice = evidence.advice_of(f"{called.module}.{called.function}" if called else socket.library)
            yield rule.finding(socket, _message(socket), close_socket(socket, advice.socket))


def _is_somebodys_mistake(socket: Tracked) -> bool:
    if "far-end" in socket.traits:  # the finding is at the near end, if there is one
        return False
    # What a server accepted and let go of went away by itself.
    return not ("accepted" in socket.traits and not socket.alive)


def _message(socket: Tracked) -> str:
    peers = [c.remote for c in socket.connections if c.remote]
    what = f"{socket.name} to {peers[0]}" if peers else socket.name
    if socket.origin.place is None:
        return f"{what} still open; no call in Python was seen to open it, so no line can be named"
    called = socket.origin.called
    return f"{what}, opened by {public_name(called)}(), {fate(socket)}" if called else f"{what} {fate(socket)}"
