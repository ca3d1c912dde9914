"""What comes and goes between two looks is not entered into the books.

A test opens a session, sends a request and closes it: five objects and some thirty events, all of which cancel out.
:func:`lasting` leaves out what does so for certain; the :mod:`ledger <pytest_connleak.ledger>` would come to the
same without it, and takes five times as long.
"""

from __future__ import annotations

from collections.abc import Sequence

from .model import (
    Abandoned,
    Adopted,
    Closed,
    Collected,
    Connected,
    Disowned,
    Event,
    Opened,
    ResourceKind,
    Sent,
    Unlimited,
)


def lasting(events: Sequence[Event]) -> Sequence[Event]:
    """The events without those of what was opened, closed and collected meanwhile, with all that belongs to it.

    What belongs to a pool need not be closed by itself; the pools of a session must be, or it is not closed.  That a
    socket connected stays: the other end of the connection may be in this process.
    """
    collected = {event.id for event in events if isinstance(event, Collected)}
    passing = _closed_and_gone(events, collected) if collected else None
    if not passing:
        return events
    return [
        event
        for event in events
        if isinstance(event, Unlimited)
        or (event.parent if isinstance(event, Adopted) else event.id) not in passing
        or isinstance(event, Connected)
    ]


def _closed_and_gone(events: Sequence[Event], collected: set[int]) -> set[int]:
    """The numbers of what was opened and closed, too, with all that belongs to it."""
    opened: dict[int, ResourceKind] = {}
    closed: set[int] = set()
    above: dict[int, tuple[int, ...]] = {}
    families: list[tuple[int, ...]] = []
    for event in events:
        if isinstance(event, Opened):
            opened[event.id] = event.kind
        elif isinstance(event, Closed):
            closed.add(event.id)
        elif isinstance(event, Adopted):
            families.append((event.parent, *event.children))
            for child in event.children:
                above[child] = (*above.get(child, ()), event.parent)
        elif isinstance(event, Sent):  # it is open again, and so is its manager
            again, level = {event.id}, {event.id}
            while level := {parent for number in level for parent in above.get(number, ())} - again:
                again |= level
            closed -= again
        elif isinstance(event, (Abandoned, Disowned)):
            opened.pop(event.id, None)
    closed.update(child for child, parents in above.items() if all(opened.get(n) != "session" for n in parents))
    passing = opened.keys() & closed & collected
    mixed = True
    while mixed:
        mixed = False
        for family in families:
            inside = passing.intersection(family)
            if inside and len(inside) != len(set(family)):
                passing -= inside
                mixed = True
    return passing
