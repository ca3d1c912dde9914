"""The values that the parts hand each other: frozen, and without a live object, a clock or an ``id()``.

An *event* is what an instrumentation saw.  The ledger turns events into *evidence*, the rules turn
evidence into *findings*, triage turns findings into a *verdict*.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Literal, NamedTuple

Scope = Literal["function", "class", "module", "package", "session", "process"]
Level = Literal["fail", "warn"]
Status = Literal["leak", "ignored", "baseline", "shared", "library", "test-failed"]
ResourceKind = Literal["session", "pool", "response", "socket"]

# A frame as it is cheapest to remember: the code object, the instruction in it (by which its line is found), the
# module's name.
RawFrame = tuple[CodeType, int, str]
RawStack = tuple[RawFrame, ...]


class Owner(NamedTuple):
    """Whose a resource is: a pytest node (by its nodeid) and the scope which that node stands for."""

    nodeid: str
    scope: Scope


PROCESS = Owner("", "process")


class Frame(NamedTuple):
    """One line of a stack; ``user`` is true outside the standard library, site-packages and this plugin."""

    path: str
    line: int
    function: str
    module: str
    user: bool


class Origin(NamedTuple):
    """Where something was made or sent: the nearest line of the user, and how it got from there."""

    place: Frame | None
    """The line a user would click on; ``None`` where no Python code is to be seen (sockets of C libraries)."""
    stack: tuple[Frame, ...] = ()
    """From ``place`` (first) out to the test."""
    inner: tuple[Frame, ...] = ()
    """The library's frames below ``place``, innermost first, where an installed library made the object."""
    called: Frame | None = None
    """The function outside of the user's code that ``place`` called, of a library or of the standard library."""

    @property
    def library(self) -> Frame | None:
        """The library's own line that the user's code called into, None if it made the object itself."""
        return self.inner[-1] if self.inner else None


class Advice(NamedTuple):
    """What to write instead, as code, for what a library opens; each begins with ``with`` if that can be said so.

    ``{name}`` is the class's name, ``{variable}`` what the line calls the object, ``{call}`` how it sends the request,
    and ``{body}`` what a fixture would have there.
    """

    session: str = "with {name}(...) as {variable}:\n    {body}"
    pool: str = "with {name}(...) as {variable}:\n    {body}"
    response: str = "with ... as response:\n    ..."
    socket: str = "close the object that opened this connection"
    timeout: str = "timeout=10  # seconds; give it to this call"
    close: str = "close"
    aclose: str = "aclose"
    """The methods that close what is closed with ``with``, and with ``async with``."""


class Limits(NamedTuple):
    """Whether waiting is limited: for the connection, and for the answer."""

    connect: bool
    read: bool

    @staticmethod
    def of(connect: bool, read: bool) -> Limits:
        """One of the four, which are made only once."""
        return _LIMITS[connect, read]


_LIMITS = {(connect, read): Limits(connect, read) for connect in (False, True) for read in (False, True)}
LIMITED = Limits.of(True, True)


class Connection(NamedTuple):
    """A connection as the system shows it; ``fd`` is None and ``status`` CLOSED when it is gone."""

    local: str
    remote: str
    status: str = "CLOSED"
    fd: int | None = None


class Held(NamedTuple):
    """Who keeps an object alive, and the steps from there down to it that have names."""

    name: str
    path: tuple[str, ...] = ()


ASYNC = frozenset({"async"})
"""The trait of what is closed with ``async with``."""


# --- events -------------------------------------------------------------------------------------------


class Opened(NamedTuple):
    """A resource came to be."""

    id: int
    kind: ResourceKind
    name: str
    library: str
    stack: RawStack
    owner: Owner
    nodeid: str
    traits: frozenset[str]


UNFOLLOWED = 0
"""The number of what is not followed, since it cannot be left open."""


class Adopted(NamedTuple):
    """The resource answers for ``children``: one mistake, one finding, at the outermost that can be closed."""

    id: int
    children: tuple[int, ...]


class Disowned(NamedTuple):
    """Nothing answers for the resource any more, where something did."""

    id: int


@dataclass(slots=True)
class Sent:
    """Requests went through a session or a pool: it is (again) open.

    As long as nothing else happens, what is sent next is counted here: not frozen for that.
    ``requests`` leaves out what follows within the same call of the user: redirects, and the layers below.
    """

    id: int
    owner: Owner
    requests: int


class Connected(NamedTuple):
    """A socket got its addresses; ``active`` if it was this process that connected."""

    id: int
    connection: Connection
    active: bool


class Released(NamedTuple):
    """A response gave its connection back."""

    id: int


class Closed(NamedTuple):
    """Somebody closed the resource."""

    id: int


class Abandoned(NamedTuple):
    """A library's finalizer closes the resource, since nobody did."""

    id: int


class ClosedWith(NamedTuple):
    """Somebody closed what the resource was a part of, and can do no more for it."""

    id: int


class Collected(NamedTuple):
    """The object was deallocated."""

    id: int


class Unlimited(NamedTuple):
    """A request was sent with no limit on connecting, or none on reading."""

    name: str
    library: str
    method: str
    url: str
    limits: Limits
    stack: RawStack
    owner: Owner
    nodeid: str

    @property
    def id(self) -> int:
        """It is of no resource."""
        return 0


Event = (
    Opened | Adopted | Disowned | Sent | Connected | Released | Closed | Abandoned | ClosedWith | Collected | Unlimited
)


# --- evidence -----------------------------------------------------------------------------------------


class State(str, enum.Enum):  # a str, whose hash is not computed in Python
    """The states of a resource's life; ``ledger.TRANSITIONS`` says what leads from one to another."""

    OPEN = "open"
    RELEASED = "released"
    CLOSED = "closed"
    COLLECTED = "collected"
    ABANDONED = "abandoned"


class Tracked(NamedTuple):
    """A resource that nobody closed and nothing else answers for, as far as it is known now."""

    id: int
    kind: ResourceKind
    name: str
    library: str
    origin: Origin
    owner: Owner
    nodeid: str
    state: State
    by_library: bool = False
    traits: frozenset[str] = frozenset()
    requests: int = 0
    connected: int = 0
    connections: tuple[Connection, ...] = ()
    held_by: str | None = None
    held_path: tuple[str, ...] = ()
    shared: bool = False

    @property
    def alive(self) -> bool:
        """Whether the object still exists, so that it may yet be closed."""
        return self.state is State.OPEN


class Request(NamedTuple):
    """A request that was sent without a limit."""

    name: str
    library: str
    method: str
    url: str
    limits: Limits
    origin: Origin
    owner: Owner
    nodeid: str


class Evidence(NamedTuple):
    """What the rules look at: the open resources and the requests without limits of the ended scopes."""

    resources: tuple[Tracked, ...] = ()
    requests: tuple[Request, ...] = ()
    advice: Mapping[str, Advice] = {}
    """What each library advises, by the name of its package or module."""

    def of(self, kind: ResourceKind) -> Iterator[Tracked]:
        """The resources of a kind, in the order in which they were made."""
        return (r for r in self.resources if r.kind == kind)

    def advice_of(self, module: str) -> Advice:
        """The advice of a package, a module, or the nearest one around it that has some."""
        while module:
            if module in self.advice:
                return self.advice[module]
            module = module.rpartition(".")[0]
        return Advice()


# --- findings -----------------------------------------------------------------------------------------


class Finding(NamedTuple):
    """One mistake, with all that is needed to put it right."""

    kind: str
    object: str
    message: str
    help: str
    origin: Origin
    owner: Owner
    nodeid: str | None
    count: int = 1  # type: ignore[assignment]  # that a tuple can count its items is of no use here
    connections: tuple[Connection, ...] = ()
    held_by: str | None = None
    held_path: tuple[str, ...] = ()
    """From who keeps it alive down to it, the steps that have names."""
    status: Status = "leak"
    level: Level = "fail"
    """What a finding with the status ``leak`` does to its test."""
    reason: str | None = None
    resource: int | None = None
    """The ledger's number of the resource, so that what is known of it later can be added; None for requests."""


class Verdict(NamedTuple):
    """What came out for the scopes that ended together: findings in the order of the run."""

    findings: tuple[Finding, ...] = ()

    @property
    def fails(self) -> bool:
        """Whether any finding fails a test."""
        return any(f.status == "leak" and f.level == "fail" for f in self.findings)

    def excused(self, *scopes: Scope, adopting: bool = False) -> Verdict:
        """The verdict on a test that failed already: it is not failed again (nor what has one of these scopes).

        It may not have come to where it closes, so a baseline that adopts what is found does not adopt that.
        """
        excusable = ("leak", "baseline") if adopting else ("leak",)
        return Verdict(
            tuple(
                f._replace(status="test-failed")
                if f.status in excusable and (f.owner.scope in scopes or not scopes)
                else f
                for f in self.findings
            )
        )
