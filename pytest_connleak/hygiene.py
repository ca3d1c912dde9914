"""What there is to say about how connections were used: a table of the hosts, and sentences that help.  Pure.

A sentence is only said where it is worth a change, from the numbers below on.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from .traffic import Traffic, total

# Below so many requests to a host nothing is said of how many connections they took: a test may try what it likes.
MIN_REQUESTS = 10
# Sessions are to be shared where at least this part of the requests opened a connection that another one could have
# reused.
WASTE = 0.5
# Fewer connections than this are discarded by chance: two threads that met once.
MIN_DISCARDED = 5
# Seconds: what all requests together must have waited for a free connection.
MIN_WAITED = 0.5
# Of fewer drops there is no saying whether it is a habit: a server that was started again drops them, too.
MIN_DROPPED = 3
# Seconds: a server that drops what was idle for less keeps nothing.
AT_ONCE = 0.05
# A limit is known if a connection was good after so large a part of the time after which another one was dropped.
NEAR = 0.75

# So many rows, and sentences, are shown; the rest of the rows is one.
MAX_ROWS = 20
MAX_SENTENCES = 10
# Where so many ports of one host had less than MIN_REQUESTS each (servers of single tests), they are one row.
MIN_PORTS = 5


class Knob(NamedTuple):
    """What there is to turn in a library, as code; ``{n}`` is the number of connections, ``{s}`` seconds."""

    discarded: str = ""
    """So that an idle connection finds room."""
    waits: str = ""
    """So that more may be open at the same time."""
    dropped: str = ""
    """What to do about a server that closes idle connections."""


_RETRY = "a request that is sent just then fails; {} sends it again"
_SOONER = "a request that is sent just then fails; {} closes them first"

KNOBS = {
    "requests": Knob(
        discarded="raise pool_maxsize to {n}: HTTPAdapter(pool_maxsize={n})",
        waits="raise pool_maxsize to {n}: HTTPAdapter(pool_maxsize={n}, pool_block=True)",
        dropped=_RETRY.format("HTTPAdapter(max_retries=urllib3.Retry(1))"),
    ),
    "urllib3": Knob(
        discarded="raise maxsize to {n}: PoolManager(maxsize={n})",
        waits="raise maxsize to {n}: PoolManager(maxsize={n}, block=True)",
        dropped=_RETRY.format("PoolManager(retries=urllib3.Retry(1))"),
    ),
    **{
        name: Knob(
            discarded=f"raise max_keepalive_connections to {{n}}: {name}.Limits(max_keepalive_connections={{n}})",
            waits=f"raise max_connections to {{n}}: {name}.Limits(max_connections={{n}})",
            dropped=_SOONER.format(f"{name}.Limits(keepalive_expiry={{s}})"),
        )
        for name in ("httpx", "httpx2")
    },
    **{
        name: Knob(
            discarded="raise max_keepalive_connections to {n}: "
            f"{name}.ConnectionPool(max_keepalive_connections={{n}})",
            waits=f"raise max_connections to {{n}}: {name}.ConnectionPool(max_connections={{n}})",
            dropped=_SOONER.format(f"{name}.ConnectionPool(keepalive_expiry={{s}})"),
        )
        for name in ("httpcore", "httpcore2")
    },
    "aiohttp": Knob(
        waits="raise limit to {n}: aiohttp.TCPConnector(limit={n})",
        dropped=_SOONER.format("aiohttp.TCPConnector(keepalive_timeout={s})"),
    ),
}


# --- sentences ----------------------------------------------------------------------------------------


def all_advice(hosts: Iterable[Traffic]) -> list[str]:
    """What to change anywhere; the hosts with the most requests come first."""
    return [sentence for row in sorted(hosts, key=lambda row: -row.requests) for sentence in advice(row)]


def advice(row: Traffic) -> Iterator[str]:
    """What to change in how the clients of a library talk to a host; often nothing."""
    knob = KNOBS.get(row.library, Knob())
    yield from _reuse(row)
    if row.ended >= MIN_REQUESTS and row.ended >= WASTE * row.requests:
        yield (
            f"{row.ended} of {_count(row.opened, 'connection')} to {row.host} ended with an answer, which said so "
            '(HTTP/1.0, or "Connection: close"): no session can reuse them; a server of http.server keeps them if its '
            'handler says protocol_version = "HTTP/1.1"'
        )
    if row.discarded >= MIN_DISCARDED:
        what = f"{_count(row.discarded, 'connection')} to {row.host} discarded, the pool being full"
        yield _sentence(what, knob.discarded.format(n=_room(row.most_in_use)))
    if row.waited >= MIN_WAITED:
        what = (
            f"{_count(row.waits, 'request')} to {row.host} waited {_seconds(row.waited)} in all for a free connection, "
            f"{_seconds(row.longest_wait)} at the longest"
        )
        yield _sentence(what, knob.waits.format(n=_room(row.most_in_use)))
    if row.dropped >= MIN_DROPPED:
        what, sooner = _habit(row)
        yield _sentence(what, knob.dropped.format(s=sooner) if sooner or "{s}" not in knob.dropped else "")


def wrapped(sentence: str, width: int) -> list[str]:
    """A sentence in lines of so many columns; names and code are not broken."""
    return textwrap.wrap(sentence, width, break_long_words=False, break_on_hyphens=False)


def _reuse(row: Traffic) -> Iterator[str]:
    # No session could have saved those that the server ended, that a pool threw away, or that were needed at once.
    needed = row.ended + row.dropped + row.discarded + max(row.most_in_use, 1)
    spare = min(row.opened - needed, row.sessions - 1)
    if row.requests < MIN_REQUESTS or spare < WASTE * row.requests:
        return
    name = row.made[0].object.rpartition(".")[2] if row.made and row.made[0].object else "session"
    text = f"{_count(row.opened, 'connection')} for {_count(row.requests, 'request')} to {row.host}: reuse one {name}"
    first = next((made for made in row.made if made.place and made.sessions > 1), None)
    if first is not None:
        text += f" ({first.sessions} of {row.sessions} are made at {first.place})"
    yield text


def _habit(row: Traffic) -> tuple[str, str]:
    """What the server does with idle connections, and how many seconds are less than that, if it is known."""
    dropped, kept = row.dropped_after, row.kept_for or 0.0
    seen = f"{row.dropped} found closed"
    if dropped is None or kept >= dropped:  # it does not do so by the clock: it was started again, or is short of them
        return f"{_count(row.dropped, 'idle connection')} to {row.host} found closed by the server", ""
    if dropped < AT_ONCE:
        return f"{row.host} closes connections as soon as they are idle ({seen})", ""
    if kept >= NEAR * dropped:
        limit = _roundest(kept, dropped)
        return f"{row.host} closes idle connections after about {limit} s ({seen})", _seconds(0.8 * float(limit))[:-2]
    return f"{row.host} closes idle connections after {_seconds(dropped)} or sooner ({seen})", ""


def _sentence(what: str, remedy: str) -> str:
    return f"{what}: {remedy}" if remedy else what


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _room(most_in_use: int) -> int:
    """A size for a pool of which so much was in use: itself up to ten, then the next multiple of five, or of fifty."""
    step = 1 if most_in_use <= 10 else 5 if most_in_use <= 100 else 50
    return -(-most_in_use // step) * step


def _roundest(low: float, high: float) -> str:
    """The number above ``low``, up to ``high``, that is most likely to have been configured."""
    for step in (60.0, 30.0, 10.0, 5.0, 1.0, 0.5, 0.1, 0.05):
        number = high // step * step
        if number > low:
            return f"{number:.3g}"
    return f"{high:.2g}"


def _seconds(number: float) -> str:
    return f"{number:.1f} s" if number >= 1 else f"{number:.2f} s"


# --- the table ----------------------------------------------------------------------------------------


# The head of each column that is only shown where it has something to say, and what stands below it.
_OPTIONAL = ("ended", "dropped", "discarded", "waits")


def table(hosts: Sequence[Traffic]) -> list[tuple[str, ...]]:
    """The rows of a table, the head first; nothing if there was no request.

    The hosts with the most requests come first.  What only has zeros is left out, so that the usual table is narrow.
    """
    rows = _grouped([row for row in hosts if row.requests])
    rows.sort(key=lambda row: -row.requests)
    if len(rows) > MAX_ROWS:
        rest = total(row._replace(host="", library="") for row in rows[MAX_ROWS - 1 :])[0]
        rows[MAX_ROWS - 1 :] = [rest._replace(host=f"{len(rows) - MAX_ROWS + 1} more hosts")]
    if not rows:
        return []
    shown = ["sessions", "requests", "opened", "reused", *(c for c in _OPTIONAL if any(getattr(r, c) for r in rows))]
    twice = {row.host for row in rows if sum(other.host == row.host for other in rows) > 1}
    table = [("host", *shown, "HTTP")]
    for row in rows:
        name = f"{row.host} ({row.library})" if row.host in twice else row.host
        versions = "+".join(version.removeprefix("HTTP/") for version in row.versions)
        table.append((name, *(str(getattr(row, column)) for column in shown), versions))
    return table


def _grouped(rows: list[Traffic]) -> list[Traffic]:
    """Servers that live for a test have a port each: the ports of a host that are hardly used become one row."""
    small: dict[tuple[str, str], list[Traffic]] = {}
    for row in rows:
        if row.requests < MIN_REQUESTS:
            small.setdefault((_without_port(row.host), row.library), []).append(row)
    few = {key: ports for key, ports in small.items() if len(ports) >= MIN_PORTS}
    return [
        *(row for row in rows if row.requests >= MIN_REQUESTS or (_without_port(row.host), row.library) not in few),
        *(_together(f"{host}:* ({len(ports)} ports)", ports) for (host, _), ports in few.items()),
    ]


def _together(host: str, rows: Iterable[Traffic]) -> Traffic:
    return total(row._replace(host=host) for row in rows)[0]


def _without_port(host: str) -> str:
    scheme, _, rest = host.partition("://")
    name, colon, port = rest.rpartition(":")
    return f"{scheme}://{name}" if colon and port.isdigit() else host
