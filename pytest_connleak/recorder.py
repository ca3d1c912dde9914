"""The probe: what instrumentations call to say what happened.

It numbers the objects (by weak reference, so that nothing is kept alive), notes where and for whom
they were made, and appends an event.  Appending to a deque is atomic, so events may come from any
thread and from finalizers; nobody is ever made to wait.
"""

from __future__ import annotations

import itertools
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from . import origin
from .in_flight import CLIENT, CONNECTION, Borrowed, InFlight, Manner, current, public_url, was_never_sent
from .model import (
    PROCESS,
    UNFOLLOWED,
    Abandoned,
    Adopted,
    Closed,
    ClosedWith,
    Collected,
    Connected,
    Connection,
    Disowned,
    Event,
    Limits,
    Opened,
    Owner,
    RawStack,
    Released,
    ResourceKind,
    Sent,
    Unlimited,
)

if TYPE_CHECKING:
    from .traffic import Counted

# Events that may wait for the next test's end; past that they are handed over early, so that a test which
# sends a million requests does not hold a million events.
MAX_WAITING = 1024

# An event; to make a NamedTuple by its own name costs five times as much.
_new = tuple.__new__

_NOTHING = Sent(0, PROCESS, 0)
_NO_TRAITS: frozenset[str] = frozenset()


class Known(weakref.ref):  # type: ignore[type-arg]  # weakref.ref is not generic at run time on 3.10 with slots
    """A weak reference that knows the number of its object."""

    __slots__ = ("adopted_at", "children", "closed_at", "id", "key", "kind", "parent", "run", "sent", "start")

    start: _Start | None
    """The thread in which it was made."""
    id: int
    closed_at: int
    key: int
    kind: ResourceKind
    children: tuple[int, ...]
    parent: Known | None
    """What was last said to answer for it."""
    adopted_at: int
    """How many objects had been opened when it was last said what it answers for."""
    sent: Sent
    """What it sent last, and in which run; nothing yet in the run 0."""
    run: int


# Where the task was made in whose context this code runs.
_task_submitter: ContextVar[RawStack] = ContextVar("connleak_task_submitter", default=())


class _Start(NamedTuple):
    """Where a thread was started, and for whom: whoever started the thread that starts another."""

    stack: RawStack
    owner: Owner
    nodeid: str
    thread: weakref.ref[threading.Thread]


class _Thread(threading.local):
    """What is known of a thread; no ContextVar, since asyncio.to_thread() runs in the context of its caller."""

    submitter: RawStack = ()
    """Where the work was handed over that this thread does now."""
    started: _Start | None = None
    finalizing: int = 0
    making: Literal["", "whole", "transient"] = ""
    """Whether something is being made here that makes its own pools, and whether these are followed."""
    transients: tuple[int, ...] = ()
    """The addresses of what is made, used and closed in one call that is under way here."""


_thread = _Thread()


class Recorder:
    """Collects the events of one run; instrumentations import it as ``Probe``, which is what it is to them.

    Attributes:
        owner: whose is what is made now.  A plain attribute, not a ``ContextVar``: the threads and tasks
            that a test starts are the test's.
        nodeid: the test that is running now, if any.
        events: what happened and was not yet handed over.
        responses: the numbers of the responses that are followed, as they had not been released when their call ended.
        count_opened: how many objects were opened so far.
        skips_transients: whether what :meth:`making_transient` is said of is not followed; it is no leak, but counts.
    """

    def __init__(self) -> None:
        self.owner: Owner = PROCESS
        self.nodeid = ""
        self.events: deque[Event | Counted | Known] = deque()
        self.responses: set[int] = set()
        self.skips_transients = True
        self.on_full: Callable[[], None] = lambda: None
        self._numbers = itertools.count(1)
        self._moments = itertools.count(1)
        # By their addresses.  The garbage collector clears weak references before it runs finalizers, and a finalizer
        # may yet close the object: until the verdict the dead are kept.
        self._known: dict[int, Known] = {}
        self._dead: list[Known] = []
        self.count_opened = 0
        # Requests between which nothing was closed or passed to another are a run: they are counted together.  A run
        # ends after the event that ends it was noted, or another thread's next one would begin before that.
        self._run = 1
        self._borrowed: weakref.WeakKeyDictionary[object, int] = weakref.WeakKeyDictionary()
        self._submitters: weakref.WeakKeyDictionary[object, RawStack] = weakref.WeakKeyDictionary()
        self._starts: weakref.WeakKeyDictionary[object, _Start] = weakref.WeakKeyDictionary()
        self._class_names: dict[weakref.ref[type], str] = {}

    # --- resources ------------------------------------------------------------------------------------

    def opened(
        self,
        obj: object,
        kind: ResourceKind,
        library: str,
        *,
        name: str = "",
        traits: frozenset[str] = _NO_TRAITS,
        stack: RawStack | None = None,
    ) -> Known | None:
        """An object came to be (or is seen for the first time); return what is known of it.

        None stands for an object of a class without weak references: it cannot be followed.  The ``stack`` is the one
        of now; that of a part, which is found out only later, is the one of what answers for it.
        """
        known = self._known.get(id(obj))
        if known is not None and known() is obj:
            return known
        if stack is None and kind == "pool" and _thread.making:
            if _thread.making == "transient":
                return None
            if not origin.user_frame_below_plugin():
                stack = ()
        try:
            # A function in C: the handler of a signal may raise in one in Python, and the collector would swallow it.
            ref = Known(obj, self.events.append)
        except TypeError:
            return None
        if stack is None:
            stack = self._stack(type(obj))
        number = next(self._numbers)
        key = id(obj)
        ref.id, ref.key, ref.kind, ref.start = number, key, kind, _thread.started
        ref.children, ref.parent, ref.closed_at, ref.adopted_at, ref.sent, ref.run = (), None, 0, 0, _NOTHING, 0
        self._known[key] = ref
        self.count_opened += 1
        self._append(
            _new(
                Opened,
                (number, kind, name or self.name_of(type(obj)), library, stack, self.owner, self.nodeid, traits),
            )
        )
        return ref

    def born(self, obj: object) -> None:
        """An object came to be that is not followed (yet): it is not what had its address before."""
        ref = self._known.get(id(obj))
        if ref is not None and ref() is None:
            del self._known[ref.key]

    def adopted(self, parent: object, children: Iterable[object]) -> None:
        """``parent`` answers for exactly these children (those of them that are known)."""
        ref = self.known(parent)
        if ref is None:
            return
        ref.adopted_at = self.count_opened
        refs = [child for child in map(self.known, children) if child is not None]
        numbers = tuple(child.id for child in refs)
        if numbers != ref.children:
            ref.children = numbers
            for child in refs:
                child.parent = ref
            self._related(_new(Adopted, (ref.id, numbers)))

    def may_adopt(self, parent: Known | None) -> bool:
        """Whether something was opened since it was last said what ``parent`` answers for."""
        return parent is not None and parent.adopted_at != self.count_opened

    def may_adopt_one(self, parent: object, child: object) -> bool:
        """Whether ``parent`` is not what was last said to answer for ``child``."""
        ref = self._known.get(id(child))
        return ref is None or ref.parent is None or ref.parent() is not parent

    def adopted_one(self, parent: object, child: object) -> None:
        """``parent`` answers for ``child``, too."""
        ref, answering = self.known(child), self.known(parent)
        if ref is not None and answering is not None:
            ref.parent = answering
            self._related(_new(Adopted, (answering.id, (ref.id,))))

    def disowned(self, child: object) -> None:
        """Nothing answers for ``child`` any more but who has it."""
        ref = self.known(child)
        if ref is not None:
            ref.parent = None
            self._related(_new(Disowned, (ref.id,)))

    def making(self, then: Callable[[], object] = lambda: None) -> Callable[[object, BaseException | None], None]:
        """Something is being made, and its own pools within that; the result is told how it ended, and goes on.

        What the user's own code makes meanwhile is no part of it.
        """
        before, _thread.making = _thread.making, "whole"

        def made(_: object, error: BaseException | None) -> None:
            _thread.making = before
            if error is None:
                then()

        return made

    def making_transient(self, obj: object = None) -> Callable[[object, BaseException | None], None]:
        """The same of what its library makes, uses and closes within one call, or of a pool of that.

        Neither it nor its pools can be left open, so they are not followed; what they open is.  No code of the user's
        may run meanwhile.
        """
        before, _thread.making = _thread.making, "transient"
        if obj is not None:
            _thread.transients += (id(obj),)

        def made(_: object, error: BaseException | None) -> None:
            _thread.making = before
            if error is not None:
                self.transient_is_over(obj)

        return made

    def is_transient(self, obj: object) -> bool:
        """Whether :meth:`making_transient` was said of it, and the call is under way."""
        return id(obj) in _thread.transients

    def calls_transient(self) -> bool:
        """Whether there is anything like that here."""
        return bool(_thread.transients)

    def transient_is_over(self, obj: object) -> None:
        """It is closed."""
        _thread.transients = tuple(address for address in _thread.transients if address != id(obj))

    def opened_within(self, obj: object, parent: int, kind: ResourceKind, library: str) -> None:
        """An object came to be while the resource ``parent`` was at work for a request; it answers for that."""
        known = self.opened(obj, kind, library, stack=())
        if known is not None:
            self._related(_new(Adopted, (parent, (known.id,))))

    def _related(self, event: Adopted | Disowned) -> None:
        self._append(event)
        self._run += 1

    def sent(self, client: Known | None, request: InFlight | None, *, counts: bool = False) -> None:
        """A request goes through a session or pool; it ``counts`` for what the user called, or if it is said.

        What was closed after the user's call had begun, by a finalizer of the collector, say, is not opened again by
        the rest of that call: where in a call the collector strikes is chance.
        """
        if client is None:
            return
        if request is None or request.over:
            counts = True
        elif client.closed_at > request.began:
            return
        elif not request.counted and (request.known is client or request.known is None):
            counts = request.counted = True
        if (
            client.run != self._run
            or client.sent.owner is not self.owner
            or (client.parent is not None and client.parent() is None)
        ):
            self._sent_anew(client, int(counts))
        elif counts:
            client.sent.requests += 1

    def _sent_anew(self, client: Known, requests: int) -> None:
        if client.parent is not None and client.parent() is None:  # who sends may have to answer for it now
            client.parent = None
        client.run, client.sent = self._run, Sent(client.id, self.owner, requests)
        self._append(client.sent)  # complete, for it may be handed over at once

    def connected(self, number: int, connection: Connection, *, active: bool) -> None:
        """A socket has these addresses."""
        self._append(_new(Connected, (number, connection, active)))

    def released(self, obj: object) -> None:
        """A response gave its connection back."""
        number = self.find(obj)
        if number is not None and not _thread.finalizing:
            self.events.append(_new(Released, (number,)))

    def returned(self, connection: object) -> None:
        """A connection is back in its pool, and so the response that had it is released."""
        number = self._borrowed.pop(connection, None)
        if number is not None and not _thread.finalizing:
            self._append(_new(Released, (number,)))

    def ended(self, sock: object) -> None:
        """Both ways of a socket were shut down: the response on it holds no connection any more."""
        for connection, number in list(self._borrowed.items()):
            if getattr(connection, "sock", None) is sock and not _thread.finalizing:
                self._append(_new(Released, (number,)))

    def closed(self, obj: object) -> None:
        """Somebody closed the object; often called from finalizers."""
        ref = self._living_or_dying(obj)
        if ref is not None:
            ref.closed_at = next(self._moments)
            self.events.append(_new(Abandoned, (ref.id,)) if _thread.finalizing else _new(Closed, (ref.id,)))
            self._run += 1

    def closed_with(self, number: int) -> None:
        """Somebody closed what this resource was a part of."""
        self.events.append(_new(ClosedWith, (number,)))
        self._run += 1

    @contextmanager
    def finalizing(self, obj: object) -> Iterator[None]:
        """A library's own finalizer is at work on ``obj``: what it closes, now or later, nobody has closed."""
        ref = self._living_or_dying(obj)
        if ref is not None:
            self.events.append(_new(Abandoned, (ref.id,)))
            self._run += 1
        _thread.finalizing += 1
        try:
            yield
        finally:
            _thread.finalizing -= 1

    def _living_or_dying(self, obj: object) -> Known | None:
        """What is known of an object of which the collector may have cleared the weak references."""
        ref = self._known.get(id(obj))
        return ref if ref is not None and ((referent := ref()) is obj or referent is None) else None

    def knows(self, obj: object, _: object = None) -> bool:
        """Whether an object, dead or alive, is followed; it may be wrong to say so."""
        return id(obj) in self._known

    def find(self, obj: object) -> int | None:
        """The number of a live object."""
        ref = self.known(obj)
        return ref.id if ref is not None else None

    def known(self, obj: object) -> Known | None:
        """What is known of a live object."""
        ref = self._known.get(id(obj))  # of what had this address before, until that is handed over
        return ref if ref is not None and ref() is obj else None

    def objects(self, numbers: Iterable[int]) -> dict[int, object]:
        """The live objects of these numbers, in their order; the caller must let go of them soon."""
        wanted = set(numbers)
        found = {}
        for ref in reversed(list(self._known.values())):  # what is asked for is mostly new
            if not wanted:
                break
            if ref.id in wanted:
                wanted.remove(ref.id)
                if (obj := ref()) is not None:
                    found[ref.id] = obj
        return dict(sorted(found.items()))

    def descriptors(self) -> list[int]:
        """The file descriptors of the live sockets that are known."""
        refs = [ref for ref in list(self._known.values()) if ref.kind == "socket"]
        return [n for ref in refs if (obj := ref()) is not None and (n := obj.fileno()) >= 0]

    def hand_over(self) -> list[Event | Counted]:
        """The events so far, which are then forgotten here."""
        if len(self._dead) > MAX_WAITING:
            self.bury()
        events: list[Event | Counted] = []
        waiting, note = self.events, events.append
        while waiting:
            event = waiting.popleft()
            if isinstance(event, Known):
                self._dead.append(event)
                event = _new(Collected, (event.id,))
            note(event)
        self._run += 1
        _thread.making = ""  # the handler of a signal may have raised before the end of that was told
        return events

    @property
    def is_idle(self) -> bool:
        """Whether nothing happened since the last verdict."""
        return not (self.events or self._dead)

    def bury(self) -> None:
        """What has died has been finalized, too."""
        while self._dead:
            ref = self._dead.pop()
            if self._known.get(ref.key) is ref:
                del self._known[ref.key]
            if ref.kind == "response":
                self.responses.discard(ref.id)

    def name_of(self, cls: type) -> str:
        """``requests.Session``: the shortest public name of a class."""
        # Every new object asks: a WeakKeyDictionary would take four times as long.
        name = self._class_names.get(weakref.ref(cls))
        if name is None:
            top = cls.__module__.partition(".")[0]
            public = vars(sys.modules.get(top, object)).get(cls.__qualname__) is cls
            name = f"{top if public else cls.__module__}.{cls.__qualname__}"
            self._class_names[weakref.ref(cls, self._class_names.pop)] = name
        return name

    def counted(self, event: Counted) -> None:
        """Something happened to a connection that only the statistics ask for."""
        self._append(event)

    def _append(self, event: Event | Counted) -> None:
        self.events.append(event)
        if len(self.events) > MAX_WAITING:
            self.on_full()

    # --- stacks ---------------------------------------------------------------------------------------

    def submitted(self, work: object) -> None:
        """Work was handed to another thread, here."""
        self._submitters[work] = self._stack()

    @contextmanager
    def working_on(self, work: object) -> Iterator[None]:
        """This thread does that work."""
        before, _thread.submitter = _thread.submitter, self._submitters.pop(work, ())
        try:
            yield
        finally:
            _thread.submitter = before

    def started(self, thread: threading.Thread) -> None:
        """A thread was started, here."""
        owner = _thread.started.owner if _thread.started is not None else self.owner
        self._starts[thread] = _Start(self._stack(), owner, self.nodeid, weakref.ref(thread))

    def owners_of_threads(self, numbers: Collection[int]) -> dict[int, Owner]:
        """For whom the threads run that made these objects, as far as they still do run."""
        made = ((ref.id, ref.start) for ref in list(self._known.values()) if ref.start is not None)
        return {
            number: start.owner
            for number, start in made
            if number in numbers and (thread := start.thread()) is not None and thread.is_alive()
        }

    @contextmanager
    def running(self, thread: object) -> Iterator[None]:
        """This is that thread, from its beginning to its end."""
        _thread.started = self._starts.pop(thread, None)
        try:
            yield
        finally:
            _thread.started = None

    @contextmanager
    def making_a_task(self) -> Iterator[None]:
        """A task is made, or work handed to a thread, here: it copies the context, and so finds out where that was."""
        token = _task_submitter.set(self._stack())
        try:
            yield
        finally:
            _task_submitter.reset(token)

    def _stack(self, made: type | None = None) -> RawStack:
        """The stack from here; where none of the user's code is on it, on from where this work was handed over."""
        stack = origin.capture(made)
        submitter = _thread.submitter or _task_submitter.get() or self._line_of_the_start()
        if submitter:
            work = origin.within_event_loop(stack)
            if not origin.has_user_frame(work):
                return (work + submitter)[-origin.MAX_FRAMES :]
        return stack

    def _line_of_the_start(self) -> RawStack:
        """Where this thread was started, unless that was for another test: then it is some pool's."""
        start = _thread.started
        if start is None or (start.owner.scope == "function" and start.nodeid != self.nodeid):
            return ()
        return start.stack

    # --- requests -------------------------------------------------------------------------------------

    in_flight = staticmethod(current.get)
    """The request under way in this thread or task, or the last one there was: it may be over."""

    @property
    def calling(self) -> int | None:
        """The number of the client whose request is under way in this thread or task."""
        request = current.get()
        return request.known.id if request is not None and request.known is not None else None

    def begin(
        self,
        client: object,
        known: Known | None,
        library: str,
        manner: Manner,
        arguments: tuple[object, ...],
        limits: Limits,
        layer: int = CLIENT,
    ) -> InFlight | None:
        """The user's call of a client begins; None if it is part of a call that is already under way.

        A call within a call is a request of its own only where the user's code made it: a hook that
        fetches a token is one, a redirect is none.
        """
        outer = current.get()
        if outer is not None:
            if outer.over:
                outer = None
            elif origin.user_frame_below_plugin():
                outer.delegated = True
            else:
                outer.reached(layer, limits)
                return None
        request = InFlight()
        request.recorder, request.library, request.client, request.known = self, library, client, known
        request.manner, request.arguments, request.limits, request.layer = manner, arguments, limits, layer
        request.began, request.outer = next(self._moments), outer
        current.set(request)
        return request

    def passes(
        self,
        request: InFlight,
        pool: Known | None,
        limits: Limits,
        borrowed_by: Callable[[Any], Borrowed | None] | None = None,
        begun: InFlight | None = None,
    ) -> Callable[[object, BaseException | None], None]:
        """A request goes through a pool, which is at work for it until the result is told how that ended.

        Args:
            limits: those that are in effect there.
            borrowed_by: says which connection the response has then.
            begun: the request, if the user called the pool.
        """
        if request.layer < CONNECTION:
            request.layer, request.limits = CONNECTION, limits
        else:
            request.reached(CONNECTION, limits)
        self.sent(pool, request)
        before = request.pool
        if pool is not None:
            request.pool = pool.id
        else:
            request.pool = UNFOLLOWED if _thread.transients else None

        def ended(result: object, error: BaseException | None) -> None:
            if not request.over:  # else it is forgotten, and is to keep nothing alive
                request.pool = before
                if error is None and borrowed_by is not None:
                    request.responses += ((result, borrowed_by),)
            if begun is not None:
                begun.end(result, error)

        return ended

    def abandon(self, client: object) -> None:
        """The observer of a call was interrupted, or failed: if a request began with that, its end will not be told."""
        request = current.get()
        if request is not None and request.client is client is not None:
            current.set(request.outer)
            request.forget()
        self.transient_is_over(client)

    def unlimited(self, request: InFlight, error: BaseException | None) -> None:
        """A request that may wait without a limit has ended."""
        if request.client is None or (request.delegated and request.layer < CONNECTION):
            return
        if error is not None and was_never_sent(error, request.library, request.layer):
            return
        method, url = request.manner.said(request.client, *request.arguments)
        self._append(
            Unlimited(
                self.name_of(type(request.client)),
                request.library,
                str(method).upper(),
                public_url(str(url)),
                request.limits,
                self._stack(),
                self.owner,
                self.nodeid,
            )
        )

    def answered(self, request: InFlight, borrowed: Borrowed) -> None:
        """A call returned a response that still holds its connection: it has to be closed."""
        name = f"{request.library}.{request.manner.response_name}"
        traits = request.manner.traits
        known = self.opened(borrowed.response, "response", request.library, name=name, traits=traits)
        if known is None:
            return
        self.responses.add(known.id)
        if borrowed.connection is not None:
            self._borrowed[borrowed.connection] = known.id
        socket = self._socket(borrowed.socket)
        if socket is not None:
            self._related(_new(Adopted, (known.id, (socket,))))

    def _socket(self, sock: object) -> int | None:
        """The number of a socket; those of asyncio, trio and others have the one of the standard library in them."""
        for _ in range(4):
            if (number := self.find(sock)) is not None:
                return number
            sock = getattr(sock, "_sock", None)
        return None
