"""What comes and goes between two looks is not entered into the books.

A test opens a session, sends a request and closes it: five objects and some thirty events, all of which cancel out.
:func:`lasting` leaves out what does so for certain; the :mod:`ledger <pytest_connleak.ledger>` would come to the
same without it, and takes five times as long.
"""

from __future__ import annotations

from collections.abc import Sequence

from .model import (
    UNFOLLOWED,
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
)


def lasting(events: Sequence[Event]) -> Sequence[Event]:
    """The events without those of what was opened, closed and collected meanwhile, with all that belongs to it.

    What belongs to a pool need not be closed by itself; the pools of a session must be, or it is not closed.  That a
    socket connected stays: the other end of the connection may be in this process.
    """
    kinds = {*map(type, events)}
    if Collected not in kinds or Closed not in kinds:
        return events
    passing = _closed_and_gone(events)
    if not passing:
        return events
    return [event for event in events if event.id not in passing or type(event) is Connected]


def _closed_and_gone(events: Sequence[Event]) -> set[int]:
    """The numbers of what was opened, closed and collected, with all that belongs to it."""
    opened: dict[int, ResourceKind] = {}
    closed: set[int] = set()
    collected: set[int] = set()
    above: dict[int, tuple[int, ...]] = {}
    families: list[set[int]] = []
    for event in events:
        what = type(event)
        if what is Collected:
            collected.add(event.id)
        elif what is Closed:
            closed.add(event.id)
        elif isinstance(event, Opened):
            opened[event.id] = event.kind
        elif isinstance(event, Adopted):
            if event.id != UNFOLLOWED:
                families.append({event.id, *event.children})
            for child in event.children:
                above[child] = (*above.get(child, ()), event.id)
        elif what is Sent:  # it is open again, and so is its manager
            again, level = {event.id}, {event.id}
            while level := {parent for number in level for parent in above.get(number, ())} - again:
                again |= level
            closed -= again
            if not collected.isdisjoint(again):  # what answered for it is gone: it may have to answer for itself
                opened.pop(event.id, None)
        elif what is Abandoned or what is Disowned:
            opened.pop(event.id, None)
    closed.update(child for child, parents in above.items() if all(opened.get(n) != "session" for n in parents))
    passing = opened.keys() & closed & collected
    mixed = True
    while mixed:
        mixed = False
        for family in families:
            if not (family <= passing or family.isdisjoint(passing)):
                passing -= family
                mixed = True
    return passing
