"""What ``--connleak-stats`` counts: how the clients of a run used their connections, host by host.

The files below ``meters`` say what each event adds, as the counts of one (:class:`Counted`); the same sum adds up
events, the workers of pytest-xdist and the reports of shards.  Pure, and only imported when somebody asked for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from . import origin
from .model import Adopted, Collected, Opened, RawFrame
from .report import safe

# Of the places where the sessions of one host were made so many are kept, those with the most sessions.
MAX_PLACES = 10

_T = TypeVar("_T")


class Made(NamedTuple):
    """Sessions that sent to a host: what they are, where they were made, and how many they are."""

    object: str
    """``requests.Session``, ``httpx.Client``; what the user called, which may be a pool."""
    place: str
    """``path:line`` of the user's code, the path relative to the root directory; empty if none is known."""
    sessions: int


class Traffic(NamedTuple):
    """What the clients of one library did at one host, in numbers; those that an event does not say are 0 or None."""

    host: str
    """``scheme://host:port``, without the port that is the scheme's own."""
    library: str
    """The library that the user called: requests, though the connections are urllib3's."""
    sessions: int = 0
    """Sessions, clients or pools that sent requests there."""
    requests: int = 0
    """As they went over the wire: redirects and retries count."""
    opened: int = 0
    """Requests for which a connection was opened."""
    reused: int = 0
    """Requests on a connection that had served another one before."""
    ended: int = 0
    """Connections that ended with an answer, as it said (HTTP/1.0, "Connection: close")."""
    dropped: int = 0
    """Idle connections that were found closed by the server when they were to be used again."""
    discarded: int = 0
    """Connections that were thrown away although they could be used again, since their pool was full."""
    waits: int = 0
    """Requests that waited for a free connection, since the pool has a limit and may not open another one."""
    waited: float = 0.0
    """Seconds that they waited, all together."""
    longest_wait: float = 0.0
    """Seconds that one of them waited."""
    most_in_use: int = 0
    """Connections of one pool that were in use, or waited for, at the same time, at the most."""
    kept_for: float | None = None
    """The longest time, in seconds, for which a connection had been idle and was still good."""
    dropped_after: float | None = None
    """The shortest time, in seconds, for which a dropped connection had been idle when it was found dropped."""
    versions: tuple[str, ...] = ()
    """``HTTP/1.1`` and the like, as the answers said."""
    made: tuple[Made, ...] = ()
    """Where the sessions were made, those with the most sessions first, at most ``MAX_PLACES``."""

    def plus(self, other: Traffic) -> Traffic:
        """Both together, for the host and the library of the first."""
        return Traffic(
            self.host,
            self.library,
            self.sessions + other.sessions,
            self.requests + other.requests,
            self.opened + other.opened,
            self.reused + other.reused,
            self.ended + other.ended,
            self.dropped + other.dropped,
            self.discarded + other.discarded,
            self.waits + other.waits,
            self.waited + other.waited,
            max(self.longest_wait, other.longest_wait),
            max(self.most_in_use, other.most_in_use),
            _known(max, self.kept_for, other.kept_for),
            _known(min, self.dropped_after, other.dropped_after),
            _united(self.versions, other.versions),
            _most(self.made, other.made),
        )

    def plain(self) -> dict[str, Any]:
        """Only dicts, lists, strings, numbers and None."""
        return {**self._asdict(), "versions": [*self.versions], "made": [each._asdict() for each in self.made]}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Traffic:
        """What :meth:`plain` was made of."""
        values = {name: plain[name] for name in cls._fields}  # a newer version may have added some
        values["versions"] = tuple(plain["versions"])
        values["made"] = tuple(Made(**each) for each in plain["made"])
        return cls(**values)


class Counted(NamedTuple):
    """An event: what it adds to the counts, and whose it is."""

    pool: int | None
    """The recorder's number of the pool that has the connection."""
    client: int | None
    """That of what the user called; None where that is not at work: then it is who sent last through this pool."""
    traffic: Traffic
    """The library is the one whose pool it is."""


def total(rows: Iterable[Traffic]) -> tuple[Traffic, ...]:
    """One row for each host and library, in the order in which they first appear."""
    found: dict[tuple[str, str], Traffic] = {}
    for row in rows:
        key = (row.host, row.library)
        found[key] = found[key].plus(row) if key in found else row
    return tuple(found.values())


class _Client(NamedTuple):
    """What the user called."""

    number: int | None
    library: str


class Book:
    """Adds up the events of a run."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], Traffic] = {}
        self._made: dict[tuple[str, str], Counter[tuple[str, RawFrame | None]]] = {}
        self._opened: dict[int, Opened] = {}
        self._hosts_of: dict[int, set[str]] = {}
        self._client_of: dict[int, _Client] = {}

    def without_traffic(self, events: Iterable[_T | Counted]) -> Iterator[_T]:
        """Note the events that are for this book, and give the others back."""
        for event in events:
            if isinstance(event, Counted):
                self._count(event)
                continue
            if isinstance(event, Opened):
                if event.kind in ("session", "pool"):
                    self._opened[event.id] = event
            elif isinstance(event, Adopted):
                self._adopt(event)
            elif isinstance(event, Collected):  # and its number is not given again
                for known in (self._opened, self._hosts_of, self._client_of):
                    known.pop(event.id, None)
            yield event

    def rows(self, root: str) -> tuple[Traffic, ...]:
        """What was counted so far, by host and library; ``root`` is where the paths are relative to."""
        return tuple(
            row._replace(host=safe(row.host), made=tuple(self._places(key, root))) for key, row in self._rows.items()
        )

    def _adopt(self, event: Adopted) -> None:
        """Parts were made where the whole was."""
        whole = self._opened.get(event.id)
        for number in event.children:
            part = self._opened.get(number)
            if whole is not None and part is not None and not part.stack:
                self._opened[number] = part._replace(stack=whole.stack)

    def _count(self, event: Counted) -> None:
        client = self._client(event)
        host = event.traffic.host
        key = (host, client.library)
        row = self._rows.get(key) or Traffic(host, client.library)
        if event.traffic.requests and client.number is not None:
            hosts = self._hosts_of.setdefault(client.number, set())
            if host not in hosts:
                hosts.add(host)
                row = row._replace(sessions=row.sessions + 1)
                self._made.setdefault(key, Counter())[self._site(client.number)] += 1
        self._rows[key] = row.plus(event.traffic)

    def _client(self, event: Counted) -> _Client:
        """Who called, remembered by the pool: a connection may be returned when the call is over."""
        if event.client is None and event.pool in self._client_of:
            return self._client_of[event.pool]
        number = event.pool if event.client is None else event.client
        opened = self._opened.get(number or 0)
        client = _Client(number, event.traffic.library if opened is None else opened.library)
        if event.pool is not None and event.client is not None:
            self._client_of[event.pool] = client
        return client

    def _site(self, number: int) -> tuple[str, RawFrame | None]:
        opened = self._opened.get(number)
        if opened is None:
            return "", None
        user = (frame for frame in opened.stack if origin.classify(frame[0].co_filename) == "user")
        return opened.name, next(user, None)

    def _places(self, key: tuple[str, str], root: str) -> Iterator[Made]:
        lines: Counter[tuple[str, str]] = Counter()  # one line may have several instructions that make sessions
        for (name, frame), sessions in self._made.get(key, Counter()).items():
            place = origin.resolve((frame,)).place if frame is not None else None
            where = f"{origin.relative(place.path, root)}:{place.line}" if place is not None else ""
            lines[safe(name), safe(where)] += sessions
        for (name, where), sessions in lines.most_common(MAX_PLACES):
            yield Made(name, where, sessions)


def _known(choose: Callable[[float, float], float], one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return choose(one, other)


def _most(some: tuple[Made, ...], others: tuple[Made, ...]) -> tuple[Made, ...]:
    if not others:
        return some
    made: Counter[tuple[str, str]] = Counter()
    for each in (*some, *others):
        made[each.object, each.place] += each.sessions
    return tuple(Made(*what, sessions) for what, sessions in made.most_common(MAX_PLACES))


def _united(some: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return some if some == others or not others else tuple(sorted({*some, *others}))


def at(scheme: str, host: str, port: int | None) -> str:
    """The origin as a URL begins with it (RFC 6454, 6.2); an IPv6 address gets its brackets."""
    name = f"[{host}]" if ":" in host and not host.startswith("[") else host
    default = {"http": 80, "https": 443}.get(scheme)
    return f"{scheme}://{name}" if port in (None, default) else f"{scheme}://{name}:{port}"
