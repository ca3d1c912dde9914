"""Draws the life of a resource from the ledger's table: ``states.svg``.

Only where the states stand, and which way an arrow bends, is said here; which arrows there are, the table says.
``python tests/documents.py`` writes the picture, and a test sees that it is the one that the table gives.
"""

from __future__ import annotations

from math import hypot

from pytest_connleak.ledger import TRANSITIONS
from pytest_connleak.model import Event, State

WIDTH, HEIGHT = 760, 430
BOX = (140, 42)

# What each state means, and where it stands.
STATES = {
    State.OPEN: ((90, 165), "somebody has it"),
    State.RELEASED: ((380, 45), "connection given back"),
    State.CLOSED: ((670, 165), "somebody closed it"),
    State.COLLECTED: ((380, 285), "dropped while open"),
    State.ABANDONED: ((380, 385), "cleaned up by itself"),
}
# States in which the end of its scope is too late.
LEAKS = (State.OPEN, State.COLLECTED, State.ABANDONED)
# How far an arrow bends to its left, so that no two lie on each other.
BENDS = {
    (State.OPEN, State.CLOSED): -22,
    (State.CLOSED, State.OPEN): -22,
    (State.OPEN, State.ABANDONED): 70,
    (State.ABANDONED, State.CLOSED): 70,
}

STYLE = """
 text { font: 13px system-ui, sans-serif; text-anchor: middle; fill: #1a1c1e }
 .name { font-weight: 600 }
 .note { font-size: 11px; fill: #55585c }
 .label { font-size: 12px; fill: #2f5c8f; paint-order: stroke; stroke: #fff; stroke-width: 8px }
 rect.state { fill: #eef3ee; stroke: #5a8a5a; stroke-width: 1.5 }
 rect.leak { fill: #fbeeea; stroke: #b4543a }
 path { fill: none; stroke: #7a7f85; stroke-width: 1.5; marker-end: url(#arrow) }
"""


def arrows() -> dict[tuple[State, State], list[type[Event]]]:
    """The events that lead from one state to another; what leads back to the same state is no arrow."""
    found: dict[tuple[State, State], list[type[Event]]] = {}
    for (before, event), after in TRANSITIONS.items():
        if before is not after:
            found.setdefault((before, after), []).append(event)
    return found


def svg() -> str:
    """The picture."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="title">',
        '<title id="title">The life of a resource</title>',
        f"<style>{STYLE}</style>",
        '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        '<polygon points="0,0 10,5 0,10" fill="#7a7f85"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#fff"/>',
    ]
    for (before, after), events in arrows().items():
        parts += _arrow(before, after, ", ".join(event.__name__ for event in events))
    for state in State:
        parts += _box(state)
    return "\n".join([*parts, "</svg>", ""])


def _box(state: State) -> list[str]:
    (x, y), note = STATES[state]
    width, height = BOX
    style = "state leak" if state in LEAKS else "state"
    corner = f'x="{x - width / 2:g}" y="{y - height / 2:g}"'
    box = f'<rect class="{style}" {corner} width="{width}" height="{height}" rx="6"/>'
    name = f'<text class="name" x="{x}" y="{y - 3}">{state.name}</text>'
    return [box, name, f'<text class="note" x="{x}" y="{y + 12}">{note}</text>']


def _arrow(before: State, after: State, label: str) -> list[str]:
    (x1, y1), (x2, y2) = STATES[before][0], STATES[after][0]
    length = hypot(x2 - x1, y2 - y1)
    bend = BENDS.get((before, after), 0)
    # The control point of the curve; the middle of the curve is half as far away.
    cx = (x1 + x2) / 2 - 2 * bend * (y2 - y1) / length
    cy = (y1 + y2) / 2 + 2 * bend * (x2 - x1) / length
    start, end = _border((x1, y1), (cx, cy)), _border((x2, y2), (cx, cy))
    mx, my = start[0] / 4 + cx / 2 + end[0] / 4, start[1] / 4 + cy / 2 + end[1] / 4
    return [
        f'<path d="M{start[0]:.0f},{start[1]:.0f} Q{cx:.0f},{cy:.0f} {end[0]:.0f},{end[1]:.0f}"/>',
        f'<text class="label" x="{mx:.0f}" y="{my + 4:.0f}">{label}</text>',
    ]


def _border(center: tuple[float, float], towards: tuple[float, float]) -> tuple[float, float]:
    """Where the line from the middle of a box towards a point leaves the box."""
    dx, dy = towards[0] - center[0], towards[1] - center[1]
    width, height = BOX[0] / 2 + 3, BOX[1] / 2 + 3
    share = min(width / abs(dx) if dx else 9e9, height / abs(dy) if dy else 9e9)
    return center[0] + dx * share, center[1] + dy * share
