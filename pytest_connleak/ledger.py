"""The life of every resource, as a table.

The rules, which :data:`TRANSITIONS` puts into a form that a program can follow:

* What is opened is OPEN until it is released (a response), closed, or garbage-collected.
* Garbage-collected while open means COLLECTED: a leak, although its sockets are gone.
* A request sent through a closed session or pool opens it again: urllib3 makes new connections.
* A finalizer may close what the collector has already taken: then it was closed.  But where that is the library's
  own, which only cleans up after its users, it is ABANDONED: a leak like the other, whatever closes it later, unless
  that is the user, who closes what it was a part of.
* RELEASED and CLOSED resources that are collected are forgotten.
* A session is closed when its ``close()`` ran and none of its pools was left holding anything, or when
  each of its pools was closed: the effect decides, not the name.

Pure: events in, :class:`~pytest_connleak.model.Evidence` out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from . import origin
from .model import (
    Abandoned,
    Adopted,
    Closed,
    ClosedWith,
    Collected,
    Connected,
    Connection,
    Disowned,
    Event,
    Evidence,
    Frame,
    Held,
    Opened,
    Origin,
    Owner,
    Released,
    Request,
    ResourceKind,
    Sent,
    State,
    Tracked,
    Unlimited,
)

TRANSITIONS: Mapping[tuple[State, type[Event]], State] = {
    (State.OPEN, Released): State.RELEASED,
    (State.OPEN, Closed): State.CLOSED,
    (State.OPEN, Collected): State.COLLECTED,
    (State.RELEASED, Closed): State.CLOSED,
    (State.CLOSED, Sent): State.OPEN,
    (State.COLLECTED, Closed): State.CLOSED,
    (State.OPEN, Abandoned): State.ABANDONED,
    (State.COLLECTED, Abandoned): State.ABANDONED,
    **{(state, ClosedWith): State.CLOSED for state in State},
}
"""``(state, event) -> state``; what is not listed leaves the state as it is."""

# Of the connections of one resource so many are remembered for the report; all are counted.
MAX_CONNECTIONS = 8
# Local addresses from which this process connected, by which the far end of such a connection is known.
MAX_LOCAL_ENDS = 4096


_LifeEvent = Disowned | Sent | Connected | Released | Closed | Abandoned | ClosedWith | Collected
# Shared by all that have none.
_NO_CONNECTIONS: dict[int, Connection] = {}
# In these states nobody has closed a resource.
_UNCLOSED = frozenset({State.OPEN, State.COLLECTED, State.ABANDONED})


@dataclass(slots=True)
class _Life:
    """What is known of one resource."""

    opened: Opened
    owner: Owner
    state: State = State.OPEN
    judged: bool = False
    collected: bool = False
    parents: tuple[int, ...] = ()
    children: tuple[int, ...] = ()
    requests: int = 0
    in_use: bool = False
    """Whether a request was sent since it was opened or last closed."""
    active: bool = False
    """Of a socket: whether it connected, rather than being accepted or made from a descriptor."""
    connected: int = 0
    connections: dict[int, Connection] = field(default_factory=lambda: _NO_CONNECTIONS)
    """By the number of the socket, the newest last."""
    _resolved: tuple[Frame | None, Origin] | None = None

    def resolved(self, definition: Frame | None) -> Origin:
        """Where it was opened; ``definition`` is where its test is defined."""
        if self._resolved is None or self._resolved[0] != definition:
            self._resolved = (definition, origin.resolve(self.opened.stack, definition))
        return self._resolved[1]


class Ledger:
    """Knows what is open, whose it is, and which requests were sent without limits."""

    def __init__(self) -> None:
        self._lives: dict[int, _Life] = {}
        self._by_owner: dict[Owner, dict[int, _Life]] = {}
        self._unlimited: dict[Owner, list[Unlimited]] = {}
        self._local_ends: OrderedDict[str, None] = OrderedDict()
        self.open_sockets = 0
        """How many sockets are open, and so have a descriptor."""

    # --- events in ------------------------------------------------------------------------------------

    def apply(self, events: Iterable[Event]) -> None:
        """Take note of events, in their order."""
        lives = self._lives
        for event in events:
            if isinstance(event, Opened):
                event = event._replace(stack=origin.shared(event.stack))  # the same, in less memory
                life = lives[event.id] = _Life(event, event.owner)
                if event.kind == "socket":
                    self.open_sockets += 1
                owned = self._by_owner.get(event.owner)
                if owned is None:
                    owned = self._by_owner[event.owner] = {}
                owned[event.id] = life
            elif isinstance(event, Adopted):
                self._adopt(event)
            elif isinstance(event, Unlimited):
                self._unlimited.setdefault(event.owner, []).append(event)
            else:
                if isinstance(event, Connected) and event.active:  # of whatever is gone the other end may be here
                    self.note_local_end(event.connection.local)
                if event.id in lives:
                    self._live_on(lives[event.id], event)

    def _live_on(self, life: _Life, event: _LifeEvent) -> None:
        if isinstance(event, Collected):
            self._turn(life, Collected)
            life.collected = True
        elif isinstance(event, Closed):
            # A session whose adapter closes nothing is not closed.
            if life.opened.kind != "session" or not any(child.in_use for child in self._open_children(life)):
                self._close(life)
        elif isinstance(event, Sent):
            self._send(life, event)
        elif isinstance(event, Connected):
            self._connect(life, event)
        elif isinstance(event, Disowned):
            for parent in self._parents(life):
                parent.children = tuple(number for number in parent.children if number != event.id)
            life.parents = ()
        else:
            self._turn(life, type(event))
        if life.collected and (life.state not in _UNCLOSED or life.judged or life.parents):
            self._forget_unless_a_session_waits_for_it(life)

    def _turn(self, life: _Life, event: type[Event]) -> None:
        before = life.state
        life.state = TRANSITIONS.get((before, event), before)
        if life.opened.kind == "socket":
            self.open_sockets += (life.state is State.OPEN) - (before is State.OPEN)

    def _send(self, life: _Life, event: Sent) -> None:
        if life.parents and not any(True for _ in self._parents(life)):
            # What answered for it is closed and gone: who sends does.
            life.parents = ()
            life.judged = False
            self.move(event.id, event.owner)
        self._use(life, event)
        for above in self._pools_above(life):
            if event.requests or above.parents:  # else it has said for itself that it sends
                self._use(above, event)

    def _use(self, life: _Life, event: Sent) -> None:
        life.requests += event.requests
        life.in_use = True
        if life.state is State.CLOSED and life.judged:  # its scope is over: who opens it again answers for it
            self.move(life.opened.id, event.owner)
            life.judged = False
        self._turn(life, Sent)

    def _close(self, life: _Life) -> None:
        self._turn(life, Closed)
        life.in_use = False
        for parent in self._parents(life):
            # All the pools of a session closed one by one is a closed session; a pool manager is none of its pools.
            if parent.opened.kind == "session" and not self._open_children(parent):
                self._close(parent)
        self._forget_collected(life.children)

    def _adopt(self, event: Adopted) -> None:
        parent = self._lives.get(event.id)
        if parent is not None:
            before, parent.children = parent.children, event.children
            self._forget_collected(before)
        for number in event.children:
            child = self._lives.get(number)
            if child is None:
                continue
            if event.id in child.parents:
                continue
            child.parents += (event.id,)
            if parent is not None:
                if not child.opened.stack:  # it is a part, and was made where the whole was
                    child.opened = child.opened._replace(stack=parent.opened.stack)
                for socket, connection in child.connections.items():
                    self._note_connection(parent, socket, connection)

    def _connect(self, life: _Life, event: Connected) -> None:
        life.active = life.active or event.active
        for holder in (life, *self._above(life)):
            self._note_connection(holder, event.id, event.connection)

    @staticmethod
    def _note_connection(life: _Life, socket: int, connection: Connection) -> None:
        known = next((n for n, c in life.connections.items() if c == connection), None)
        if known is None:
            life.connected += 1
        else:  # TLS makes a new socket of the same connection
            del life.connections[known]
        if life.connections is _NO_CONNECTIONS:
            life.connections = {}
        life.connections[socket] = connection
        if len(life.connections) > MAX_CONNECTIONS:
            del life.connections[next(iter(life.connections))]

    def _forget(self, life: _Life) -> None:
        number = life.opened.id
        self._lives.pop(number, None)
        owned = self._by_owner.get(life.owner, {})
        owned.pop(number, None)
        if not owned:
            self._by_owner.pop(life.owner, None)
        self._forget_collected(life.children)

    def _forget_collected(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            life = self._lives.get(number)
            if life is not None and life.collected:
                self._forget_unless_a_session_waits_for_it(life)

    def _forget_unless_a_session_waits_for_it(self, life: _Life) -> None:
        """A pool that was dropped has not been closed: if its session was, a finalizer has yet to say so."""
        waits = life.state in _UNCLOSED and any(
            parent.opened.kind == "session" and parent.state in _UNCLOSED and life.opened.id in parent.children
            for parent in self._parents(life)
        )
        if not waits:
            self._forget(life)

    # --- relations ------------------------------------------------------------------------------------

    def _parents(self, life: _Life) -> Iterator[_Life]:
        return (self._lives[number] for number in life.parents if number in self._lives)

    def _above(self, life: _Life) -> Iterator[_Life]:
        for parent in self._parents(life):
            yield parent
            yield from self._above(parent)

    def _pools_above(self, life: _Life) -> Iterator[_Life]:
        # A request through a pool is one through its manager; sessions say for themselves what they send,
        # since several may share an adapter.
        return (above for above in self._above(life) if above.opened.kind == "pool")

    def _open_children(self, life: _Life) -> list[_Life]:
        known = (self._lives.get(number) for number in life.children)
        return [child for child in known if child is not None and child.state in _UNCLOSED]

    # --- evidence out ---------------------------------------------------------------------------------

    def knows(self, owner: Owner) -> bool:
        """Whether an owner has anything in the books."""
        return owner in self._by_owner or owner in self._unlimited

    def has_suspects(self, owners: Iterable[Owner]) -> bool:
        """Whether anything at all is open, or was sent without a limit, for one of the owners."""
        return any(owner in self._unlimited or any(self._suspects(owner)) for owner in owners)

    def has_open(self, owners: Iterable[Owner]) -> bool:
        """Whether anything of one of the owners is open, and still exists."""
        return any(life.state is State.OPEN for owner in owners for life in self._suspects(owner))

    def evidence(
        self,
        owners: Iterable[Owner],
        *,
        definitions: Mapping[Owner, Frame] = {},
        held: Mapping[int, Held] = {},
        shared: Collection[int] = (),
        seen: Mapping[int, Connection] = {},
    ) -> Evidence:
        """What is still open for these owners, and what they sent without limits.

        Args:
            definitions: where the tests are defined, for what no line of the user made.
            held: who keeps an object alive, by the resource's number.
            shared: the resources which are held for the process.
            seen: the connections of the sockets that still exist, by the socket's number.
        """
        owners = list(owners)
        resources = sorted(
            (life for owner in owners for life in self._suspects(owner)), key=lambda life: life.opened.id
        )
        return Evidence(
            tuple(self._tracked(life, definitions, held, shared, seen) for life in resources),
            tuple(self._request(u, definitions) for owner in owners for u in self._unlimited.get(owner, ())),
        )

    def settled(self, owners: Iterable[Owner]) -> None:
        """These owners were judged: what they left open is not looked at again."""
        for owner in owners:
            self._unlimited.pop(owner, None)
            for life in list(self._by_owner.get(owner, {}).values()):
                life.judged = True
                if life.collected:
                    self._forget(life)

    def move(self, number: int, owner: Owner) -> None:
        """A resource belongs to another scope than the one that made it."""
        life = self._lives[number]
        owned = self._by_owner.get(life.owner, {})
        owned.pop(number, None)
        if not owned:
            self._by_owner.pop(life.owner, None)
        life.owner = owner
        self._by_owner.setdefault(owner, {})[number] = life

    def count_open(self, kind: ResourceKind) -> int:
        """How many resources of a kind are open, and still exist."""
        return sum(life.state is State.OPEN and life.opened.kind == kind for life in list(self._lives.values()))

    def is_unclosed(self, number: int) -> bool:
        """Whether a resource is open, or was dropped without being closed."""
        life = self._lives.get(number)
        return life is not None and life.state in _UNCLOSED

    def sockets_of(self, owners: Iterable[Owner]) -> set[int]:
        """The sockets, among them those long closed, of what is open for these owners."""
        suspects = [life for owner in owners for life in self._suspects(owner)]
        own = {life.opened.id for life in suspects if life.opened.kind == "socket"}
        return own.union(*(life.connections for life in suspects))

    def owners(self) -> tuple[Owner, ...]:
        """Everybody who has something in the books."""
        return tuple({*self._by_owner, *self._unlimited})

    def note_local_end(self, address: str) -> None:
        """This process connected from this local address: the socket with this remote address is the far end."""
        if not address:  # clients of Unix sockets have none
            return
        self._local_ends[address] = None
        if len(self._local_ends) > MAX_LOCAL_ENDS:
            self._local_ends.popitem(last=False)

    def _suspects(self, owner: Owner) -> Iterator[_Life]:
        lives = self._by_owner.get(owner, {})
        return (
            life for life in list(lives.values()) if life.state in _UNCLOSED and not life.judged and not life.parents
        )

    def _tracked(
        self,
        life: _Life,
        definitions: Mapping[Owner, Frame],
        held: Mapping[int, Held],
        shared: Collection[int],
        seen: Mapping[int, Connection],
    ) -> Tracked:
        opened = life.opened
        traits = opened.traits
        if not life.active and any(c.remote in self._local_ends for c in life.connections.values()):
            traits |= {"far-end"}
        definition = definitions.get(life.owner) or definitions.get(opened.owner)
        holder = held.get(opened.id)
        return Tracked(
            id=opened.id,
            kind=opened.kind,
            name=opened.name,
            library=opened.library,
            origin=life.resolved(definition),
            owner=life.owner,
            nodeid=opened.nodeid,
            state=life.state,
            # A part of what could not be made has no stack.
            by_library=not opened.stack or origin.made_by_library(opened.stack, opened.library),
            traits=traits,
            requests=life.requests,
            connected=life.connected,
            connections=tuple(seen.get(socket, gone) for socket, gone in life.connections.items()),
            held_by=holder and holder.name,
            held_path=holder.path if holder else (),
            shared=opened.id in shared,
        )

    @staticmethod
    def _request(event: Unlimited, definitions: Mapping[Owner, Frame]) -> Request:
        place = origin.resolve(event.stack, definitions.get(event.owner))
        return Request(
            event.name, event.library, event.method, event.url, event.limits, place, event.owner, event.nodeid
        )
