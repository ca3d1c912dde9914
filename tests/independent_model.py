"""What the plugin promises of sessions, pools, responses, sockets and timeouts, told again, to be checked by eye.

Nothing here comes from the plugin: no event, no weak reference, no stack.  A program says what it does, and
``judge()`` says what is to be found.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

PROCESS = "process"
FIXTURES = ("module", "session")
"""The scopes wider than a test whose fixtures' values hold things, the narrower first."""
APP, TEST_MODULE = "app", "test module"
"""What else holds things: a module of the application, and the module of the tests."""


class Found(NamedTuple):
    """One finding; ``charged`` is the test under which it is listed."""

    kind: str
    line: int
    scope: str
    charged: str
    status: str = "leak"
    count: int = 1


@dataclass(eq=False)
class Adapter:
    """One of a session's; ``closes`` is false for one whose ``close()`` closes nothing."""

    closes: bool = True
    users: bool = False
    """Whether its pools are made by the user's own code."""
    closed: bool = False
    used: bool = False
    """Whether a request was sent through it since it was closed."""


@dataclass(eq=False)
class Thing:
    """A session, pool, response or socket; ``line`` and ``owner`` of a copy are those of its first request."""

    kind: str
    line: int
    owner: str
    test: str
    closed: bool = False
    keepers: set[str] = field(default_factory=set)
    """Who holds it when the function that made it is over; if nobody, it is dropped."""
    responses: list[Thing] = field(default_factory=list)
    """Of a pool: each holds it."""
    adapters: dict[str, Adapter] = field(default_factory=dict)
    displaced: list[Adapter] = field(default_factory=list)
    """Those in whose place others were mounted."""

    @property
    def held_by(self) -> set[str]:
        return self.keepers.union(*(response.keepers for response in self.responses))


class World:
    """All that a program made."""

    def __init__(self) -> None:
        self.scope, self.test = PROCESS, ""
        """Whose is what is made now, and the test that runs."""
        self.things: list[Thing] = []
        self._ended: set[str] = set()
        self._first: dict[tuple[str, int], Thing] = {}
        self._unlimited: Counter[tuple[int, str, str]] = Counter()

    def make(self, kind: str, line: int) -> Thing:
        """The scope that makes a resource has to close it, used or not."""
        self.things.append(Thing(kind, line, self.scope, self.test))
        return self.things[-1]

    def make_session(self, line: int) -> Thing:
        session = self.make("session", line)
        session.adapters = {"https://": Adapter(), "http://": Adapter()}
        return session

    def copy(self, session: Thing, *, deep: bool = False) -> Thing:
        """A shallow copy has the same adapters, and what is mounted on the one is mounted on the other.

        Nobody knows of a copy until it sends.
        """
        adapters = session.adapters
        if deep:
            adapters = {prefix: Adapter(adapter.closes) for prefix, adapter in adapters.items()}
        return Thing("session", 0, "", "", adapters=adapters)

    def send(self, thing: Thing, line: int, *, limited: bool = True) -> None:
        """A request opens again what was closed; where its scope is over, for the one that sends."""
        if thing not in self.things:
            thing.line, thing.owner, thing.test = line, self.scope, self.test
            self.things.append(thing)
        elif thing.closed and thing.owner in self._ended:
            thing.owner = self.scope
        thing.closed = False
        if thing.adapters:
            adapter = thing.adapters["http://"]
            adapter.closed, adapter.used = False, True
        if not limited:
            self._unlimited[line, self.scope, self.test] += 1

    def close(self, thing: Thing) -> None:
        """The effect decides: what is left in an adapter that closes nothing is left open."""
        for adapter in thing.adapters.values():
            self._close_adapter(adapter)
        thing.closed = thing.closed or not any(adapter.used for adapter in thing.adapters.values())

    def close_adapter(self, session: Thing, prefix: str) -> None:
        """A session all of whose adapters were closed is closed, and so is every other that has, or had, the same."""
        self._close_adapter(session.adapters[prefix])

    def _close_adapter(self, adapter: Adapter) -> None:
        if not adapter.closes:
            return
        adapter.closed, adapter.used = True, False
        for thing in self.things:
            has_or_had = (*thing.adapters.values(), *thing.displaced)
            if adapter in has_or_had and all(a.closed for a in thing.adapters.values()):
                thing.closed = True

    def mount(self, session: Thing, adapter: Adapter) -> None:
        """That in whose place it is mounted is nobody's finding."""
        session.displaced.append(session.adapters["http://"])
        session.adapters["http://"] = adapter

    def judge(self, *ending: str) -> list[Found]:
        """These scopes are over: what do they leave open?  The first is the test under which it is listed."""
        found = []
        for thing in self.things:
            if thing.closed or thing.owner not in ending:
                continue
            site = thing.kind, thing.line
            first = self._first.get(site)
            fixture = next((scope for scope in FIXTURES if scope in thing.held_by), None)
            if fixture is not None:
                thing.owner = fixture
            elif APP in thing.held_by and thing.owner != PROCESS and (first is None or first.closed):
                self._first[site] = thing
                thing.owner = PROCESS
            elif thing.owner == PROCESS:
                found.append(Found(f"unclosed-{thing.kind}", thing.line, PROCESS, thing.test, "shared"))
            else:
                found.append(Found(f"unclosed-{thing.kind}", thing.line, thing.owner, ending[0]))
        for (line, scope, test), count in self._unlimited.items():
            if scope == PROCESS in ending:
                found.append(Found("missing-timeout", line, PROCESS, test, "shared", count))
            elif scope in ending:
                found.append(Found("missing-timeout", line, scope, ending[0], "leak", count))
        self._ended.update(ending)
        return found
