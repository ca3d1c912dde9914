"""The timeline: what was open after each test, as the shapes of an SVG.

The plot's own coordinates are columns and numbers of open things, and it is stretched to the width of the page; what
must not be stretched (marks, labels) is placed by percent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from ...report import Step

# More tests than this share columns: each shows the most that was open after any of its tests.
COLUMNS = 400
# More marks than this have no room to be circles.
CIRCLES = 40
# How many of a column's findings its mark names.
NAMED = 5


class Column(NamedTuple):
    """One or several tests that follow each other."""

    x: float
    """Where it begins, in percent."""
    first: int
    last: int
    step: Step
    """The one after which the most was open."""
    sockets: int
    sessions: int


class Mark(NamedTuple):
    """A column with tests that leaked."""

    x: float
    href: str
    label: str


class Chart(NamedTuple):
    """All that there is to be drawn."""

    columns: list[Column]
    width: float
    """Of a column, in percent."""
    top: int
    ticks: list[tuple[float, int]]
    """Where the lines stand, in percent from the top, and their numbers."""
    sockets: str
    sessions: str
    marks: list[Mark]
    tests: int
    processes: int
    most_sockets: Column
    most_sessions: Column
    ended: tuple[int, int]
    """How many sockets and sessions were open after the last test."""

    @property
    def circles(self) -> bool:
        """Whether the marks have room to be circles."""
        return len(self.marks) <= CIRCLES


def draw(steps: Sequence[Step], hits: Mapping[str, Sequence[tuple[str, str]]]) -> Chart:
    """The timeline of a run.

    Args:
        steps: the tests in the order in which they ended; at least one.
        hits: of each test that leaked, the ids and the titles of the sites.
    """
    open_now = _totals(steps)
    number = min(len(steps), COLUMNS)
    bounds = [len(steps) * n // number for n in range(number + 1)]
    columns = []
    marks = []
    for n, (start, end) in enumerate(pairwise(bounds)):
        most = max(range(start, end), key=lambda i: (sum(open_now[i]), open_now[i]))
        column = Column(
            x=100 * n / number,
            first=start + 1,
            last=end,
            step=steps[most],
            sockets=max(sockets for sockets, _ in open_now[start:end]),
            sessions=max(sessions for _, sessions in open_now[start:end]),
        )
        columns.append(column)
        leaking = [step for step in steps[start:end] if step.nodeid in hits]
        if leaking:
            marks.append(_mark(100 * (n + 0.5) / number, leaking, hits))
    top, ticks = _scale(max(max(c.sockets, c.sessions) for c in columns))
    return Chart(
        columns=columns,
        width=100 / number,
        top=top,
        ticks=ticks,
        sockets=_path((c.sockets for c in columns), top),
        sessions=_path((c.sessions for c in columns), top),
        marks=marks,
        tests=len(steps),
        processes=len({step.process for step in steps}),
        most_sockets=max(columns, key=lambda c: c.sockets),
        most_sessions=max(columns, key=lambda c: c.sessions),
        ended=open_now[-1],
    )


def _totals(steps: Sequence[Step]) -> list[tuple[int, int]]:
    """What was open in all processes together; what a process leaves open ends with its last test."""
    last = {step.process: number for number, step in enumerate(steps)}
    here: dict[str, tuple[int, int]] = {}
    totals = []
    sockets = sessions = 0
    for number, step in enumerate(steps):
        before = here.get(step.process, (0, 0))
        here[step.process] = (step.sockets, step.sessions)
        sockets, sessions = sockets + step.sockets - before[0], sessions + step.sessions - before[1]
        totals.append((sockets, sessions))
        if last[step.process] == number:
            sockets, sessions = sockets - step.sockets, sessions - step.sessions
    return totals


def _mark(x: float, leaking: Sequence[Step], hits: Mapping[str, Sequence[tuple[str, str]]]) -> Mark:
    found = dict.fromkeys(hit for step in leaking for hit in hits[step.nodeid])
    names = [name for _, name in found]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    who = leaking[0].nodeid if len(leaking) == 1 else f"{len(leaking)} tests, the first of them {leaking[0].nodeid}"
    return Mark(x, next(iter(found))[0], f"{who}: {', '.join(names[:NAMED])}{more}")


def _scale(most: int) -> tuple[int, list[tuple[float, int]]]:
    """The top of the scale, and three or four round numbers up to it."""
    step = next(s for e in range(12) for s in (10**e, 2 * 10**e, 5 * 10**e) if 4 * s >= most)
    top = step * max(1, -(-most // step))
    return top, [(100 - 100 * number / top, number) for number in range(0, top + 1, step)]


def _path(values: Iterable[int], top: int) -> str:
    """A line of steps, from the left end to the right one."""
    pieces = []
    before = None
    n = -1
    for n, value in enumerate(values):
        if value != before:
            pieces.append(f"M0 {top - value}" if before is None else f"H{n}V{top - value}")
            before = value
    return "".join(pieces) + f"H{n + 1}"
