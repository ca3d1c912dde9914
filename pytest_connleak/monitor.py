"""Composes the parts: watches, keeps the books, and judges a scope when it has ended."""

from __future__ import annotations

import sys
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from . import garbage, instrumentation, netstat, origin, rules
from .holders import Holder, Search
from .ledger import Ledger
from .model import PROCESS, Connection, Evidence, Finding, Frame, Held, Owner, Scope, Verdict
from .recorder import Recorder
from .settings import Local, Settings
from .strangers import Strangers
from .transients import lasting
from .triage import triage
from .untouched import System

if TYPE_CHECKING:
    from .traffic import Book, Traffic

NOTHING = Verdict()

# Waiting begins with a thousandth of a second and doubles, up to this.
LONGEST_PAUSE = 0.05
# What closes in another thread mostly does so at once: so many seconds pass before anybody asks who holds it.
MOMENT = 0.03
# A site that used up its grace so often gets only a tenth of it: it will not close this time either.
PATIENCE = 3

# The site of what no line of Python opened: of the sockets of C code.
_NOWHERE = ("", 0)

# Of the objects that one line made for one test so many are searched for; the others are held like the last of them.
MAX_SEARCHES = 3


# Where these have a hub at work, other code runs while this sleeps, without a thread of its own.
_HUBS: Mapping[str, Callable[[Any], object]] = {
    "gevent._hub_local": lambda module: module.get_hub_if_exists(),
    "eventlet.hubs": lambda module: getattr(module._threadlocal, "hub", None),
}


class Surroundings(NamedTuple):
    """What the test runner knows about the heap, asked for only when there is a suspect.

    Attributes:
        fixtures: the live fixtures of a scope wider than function, and what else is their own: the ``id()`` of the
            definition, of a class, of the namespace of a module, to what that is called, and the owner.
        fixture_definitions: the definitions themselves.
        test_modules: the names of the modules that hold tests; conftest modules are known by their name.
        opaque: the types of the runner's own objects, which hold everything and explain nothing.
        definitions: where the tests that end now are defined.
        local: what markers say for the scopes that end now.
        last_tests: the tests to charge for scopes wider than function, where it is not the one that ends now.
    """

    fixtures: Mapping[int, tuple[str, Owner]] = {}
    fixture_definitions: Collection[object] = ()
    test_modules: Collection[str] = ()
    opaque: tuple[type, ...] = ()
    definitions: Mapping[Owner, Frame] = {}
    local: Mapping[Owner, Local] = {}
    last_tests: Mapping[Owner, str] = {}


class Monitor:
    """Watches one run.

    Attributes:
        settings: of the run.
        is_known: whether the baseline has a finding of this fingerprint.
        faults: the parts that failed and were switched off, with their errors.
        used_ignores: the ignores that matched a finding.
    """

    def __init__(self, root: str, *, statistics: bool = False) -> None:
        self.settings = Settings()
        self.is_known: Callable[[str], bool] = lambda _: False
        self._root = root
        self._rules = list(rules.discover())
        self._recorder = Recorder()
        self._ledger = Ledger()
        self._lock = threading.Lock()
        libraries = instrumentation.discover()
        self._book: Book | None = None
        if statistics:  # neither imported nor patched in any other run
            from . import meters
            from .traffic import Book

            self._book = Book()
            self._recorder.skips_transients = False
            libraries += meters.discover()
        self._installation = instrumentation.Installation(libraries, self._recorder)
        self._advice = {module: advice for library in libraries for module, advice in library.advice.items()}
        self._strangers = Strangers()
        self._shared: dict[tuple[str, str, int], int] = {}
        self._shared_numbers: set[int] = set()
        self._held: dict[int, Held] = {}
        self._holders_by_site: dict[tuple[str, int], Holder | None] = {}
        self._unfulfilled: dict[tuple[str, int], int] = {}
        # Not their idents, which are given again at once.
        self._own_threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
        self._faults: dict[str, str] = {}
        self._gaps: dict[str, None] = {}
        self.used_ignores: set[str] = set()

    @property
    def faults(self) -> dict[str, str]:
        return {**self._installation.faults, **self._faults}

    @property
    def gaps(self) -> list[str]:
        """What was not watched, or not judged, so that a leak may have been missed."""
        return [
            *(
                f"{name} was imported, and nothing of it could be watched: its leaks were not seen"
                for name in self._installation.unwatched
            ),
            *(
                f"it could not be seen when a {kind} is closed, so none was judged"
                for kind in sorted(self._installation.blind)
            ),
            *(
                f"{observer} was not watched to the end, so leaks may have been missed"
                for observer in self._installation.disabled
                if not observer.statistics
            ),
            *self._gaps,
        ]

    @property
    def traffic(self) -> tuple[Traffic, ...]:
        """How the hosts were talked to, by host and library; nothing if it was not asked for."""
        self._drain()
        return self._book.rows(self._root) if self._book is not None else ()

    def start(self, sockets: Set[int] | None = None) -> None:
        """Begin to watch.

        Args:
            sockets: the inodes of the sockets that are nobody's; those that there are now, by default.
        """
        self._recorder.on_full = self._drain_if_idle
        self._strangers.begin(sockets)
        origin.forget_sources()
        self._installation.start()

    def tests_begin(self) -> None:
        """What is there now belongs to the process, and the threads to pytest and its plugins: they close nothing."""
        self._look()
        self._own_threads = weakref.WeakSet(System.threads())

    def stop(self) -> None:
        """Put everything back."""
        self._installation.stop()

    # --- whose it is ----------------------------------------------------------------------------------

    def begin(self, owner: Owner, nodeid: str) -> None:
        """What is made from now on belongs to ``owner``, while the test ``nodeid`` runs."""
        self._installation.renew()
        recorder = self._recorder
        recorder.owner, recorder.nodeid = owner, nodeid

    def end(self) -> None:
        """What is made from now on belongs to the process."""
        recorder = self._recorder
        recorder.owner, recorder.nodeid = PROCESS, ""

    @contextmanager
    def owned_by(self, owner: Owner, nodeid: str) -> Iterator[None]:
        """What is made within belongs to ``owner``, while the test ``nodeid`` runs."""
        self._installation.renew()
        recorder = self._recorder
        before = recorder.owner, recorder.nodeid
        recorder.owner, recorder.nodeid = owner, nodeid
        try:
            yield
        finally:
            recorder.owner, recorder.nodeid = before

    @contextmanager
    def set_up_by(self, owner: Owner) -> Iterator[None]:
        """A fixture of a scope wider than function is set up: what C code opens within is that scope's, too."""
        self._look()
        with self.owned_by(owner, self._recorder.nodeid):
            try:
                yield
            finally:
                self._look()

    def owners(self) -> tuple[Owner, ...]:
        """All who have something open."""
        self._drain()
        return tuple({*self._ledger.owners(), *self._strangers.owners()})

    # --- the verdict ----------------------------------------------------------------------------------

    def has_nothing_of(self, owner: Owner) -> bool:
        """Whether it is certain that a verdict on this scope would find nothing, and needs to note nothing.

        Nothing happened since the last one, no descriptor has come or gone, and nothing in the books is its own.
        """
        try:
            return (
                self._recorder.is_idle
                and not self._ledger.knows(owner)
                and not (self._strangers.open and self._strangers.of([owner]))
                and self._strangers.descriptors.unchanged(self._ledger.open_sockets)
            )
        except Exception:  # the verdict will say what it is
            return False

    def settle(
        self,
        ending: Sequence[Owner],
        nodeid: str = "",
        surroundings: Callable[[], Surroundings] = Surroundings,
    ) -> Verdict:
        """Judge the scopes that have ended, in the teardown of the test ``nodeid``; never raises."""
        try:
            self._drain()
            self._look()
            if not (self._ledger.has_suspects(ending) or self._strangers.of(ending)):
                self._ledger.settled(ending)  # who opens again what they closed answers for it
                return NOTHING
            return self._judge(ending, nodeid, surroundings())
        except Exception as error:
            self.fault("verdict", error, gap="a verdict failed, so what some tests left open is not known")
            return NOTHING
        finally:
            self._recorder.bury()

    def open_now(self, definition: Frame) -> Sequence[Finding]:
        """What is open now, of whatever scope; ``definition`` is the place of what no line of the user made."""
        garbage.collect()
        self._drain()
        self._look()
        owners = self.owners()
        evidence = self._ledger.evidence(owners, definitions=dict.fromkeys(owners, definition))
        strangers = self._strangers.described(owners, self._table(owners))
        findings = self._findings(Evidence((*(r for r in evidence.resources if r.alive), *strangers)))
        listed, _ = triage(findings, {}, self.settings, self._root)
        return listed

    def count_open(self) -> tuple[int, int]:
        """How many sockets and how many sessions are open now, of whatever scope."""
        try:
            self._drain()
            return self._ledger.open_sockets + len(self._strangers.open), self._ledger.count_open("session")
        except Exception as error:
            self.fault("timeline", error)
            return 0, 0

    def fault(self, part: str, error: BaseException, gap: str = "") -> None:
        """A part failed; it is named once in the summary, and so is what may have been missed for that."""
        self._faults.setdefault(part, f"{type(error).__name__}: {error}")
        if gap:
            self._gaps[gap] = None

    def _judge(self, ending: Sequence[Owner], nodeid: str, around: Surroundings) -> Verdict:
        self._await_finalizers()
        held = self._given_time(ending, around) if self._is_any_alive(ending) else {}
        table = self._table(ending)
        strangers = self._strangers.described(ending, table)
        evidence = self._ledger.evidence(
            ending,
            definitions=around.definitions,
            held={**self._held, **held},
            shared=self._shared_numbers,
            seen=self._seen(ending),
        )
        evidence = evidence._replace(resources=(*evidence.resources, *strangers))
        findings = [_charge(f, around.last_tests.get(f.owner, nodeid)) for f in self._findings(evidence)]
        # In the order of the run; requests come last, since a session is made before it sends.
        findings.sort(key=lambda f: (f.resource is None, abs(f.resource or 0)))
        judged, used = triage(findings, around.local, self.settings, self._root, self.is_known)
        self.used_ignores |= {str(ignore) for ignore in used}
        self._ledger.settled(ending)
        self._strangers.forget(ending)
        return Verdict(judged)

    def _given_time(self, ending: Sequence[Owner], around: Surroundings) -> dict[int, Held]:
        """Let what is alive be closed yet, by a finalizer or another thread; return who holds it."""
        garbage.collect(generation=1)  # what a test leaves is young; a full collection takes ten times as long
        self._drain()
        if self._strangers.of(ending) or not self._surely_held(self._alive(ending), around):
            garbage.collect()
            self._drain()
        if self._is_any_alive(ending):
            self._wait(ending, min(MOMENT, self.settings.grace))
        held = self._holders(ending, around)
        if self._is_any_alive(ending):
            self._wait(ending, self.settings.grace, patiently=True)
        return held

    def _is_any_alive(self, ending: Sequence[Owner]) -> bool:
        return bool(self._alive(ending) or self._strangers.of(ending))

    def _surely_held(self, alive: Sequence[Finding], around: Surroundings) -> bool:
        """Whether no garbage has these: who held the last one of the same line holds each, and nothing else does."""
        others: dict[int, Holder] = {}
        for finding in alive:
            other = self._holders_by_site.get(_site(finding))
            if other is None or finding.resource is None:
                return False
            others[finding.resource] = other
        try:
            objects = self._recorder.objects(others)
            if any(sys.getrefcount(objects[number]) != _REFERENCES + 1 for number in objects):
                return False
            search = _search(around, objects)
            return all(search.is_held_likewise(objects[number], others[number]) for number in objects)
        except Exception as error:
            self.fault("search for holders", error)
            return False

    def _alive(self, ending: Sequence[Owner]) -> list[Finding]:
        """What would be reported now, and still exists."""
        if not self._ledger.has_open(ending):
            return []
        evidence = self._ledger.evidence(ending)
        return self._findings(Evidence(tuple(r for r in evidence.resources if r.alive)))

    def _findings(self, evidence: Evidence) -> list[Finding]:
        """What the rules say; a rule that fails is switched off."""
        blind = self._installation.blind
        resources = tuple(r for r in evidence.resources if r.kind not in blind)
        evidence = evidence._replace(resources=resources, advice=self._advice)
        findings: list[Finding] = []
        for rule in tuple(self._rules):
            try:
                findings += rule.run(evidence, self.settings)
            except Exception as error:
                self._rules.remove(rule)
                self.fault(f"rule {rule.kind}", error, gap=f"the rule {rule.kind} failed, so it found no more")
        return findings

    def _wait(self, ending: Sequence[Owner], seconds: float, *, patiently: bool = False) -> None:
        """Give other threads time to close what is still open; without other threads nothing can change."""
        threads = any(thread not in self._own_threads for thread in System.threads())
        self._drain()  # only now: a thread that is gone has said all that it had to say
        self._look()
        hub = any(name in sys.modules and hub(sys.modules[name]) for name, hub in _HUBS.items())
        if not threads and not hub:
            return
        sleep = time.sleep if hub else System.sleep  # theirs lets greenlets run
        waited, pause = 0.0, 0.001
        while sites := {_site(f) for f in self._alive(ending)} | {_NOWHERE for _ in self._strangers.of(ending)}:
            if waited >= seconds * max(map(self._share_of_grace, sites)):
                break
            sleep(pause)
            waited, pause = waited + pause, min(2 * pause, LONGEST_PAUSE)
            self._drain()
            self._look()
        if patiently:
            for site in sites:
                self._unfulfilled[site] = self._unfulfilled.get(site, 0) + 1

    def _share_of_grace(self, site: tuple[str, int]) -> float:
        return 0.1 if self._unfulfilled.get(site, 0) >= PATIENCE else 1.0

    def _await_finalizers(self) -> None:
        """Where another thread is collecting garbage just now, wait: what looks dropped may be closed by that."""
        waited = 0.0
        while len(System.threads()) > 1 and not garbage.collect(generation=0) and waited < self.settings.grace:
            System.sleep(0.001)
            waited += 0.001
        self._drain()

    def _drain(self) -> None:
        with self._lock:
            events: Sequence[Any] = self._recorder.hand_over()
            if self._book is not None:
                events = tuple(self._book.without_traffic(events))
            self._ledger.apply(lasting(events))

    def _drain_if_idle(self) -> None:
        """Called wherever the program is: in a finalizer or the handler of a signal, too, that runs within a drain."""
        if not self._lock.locked():  # not acquire(): a handler that raises right after it would leave it locked
            self._drain()

    # --- who holds it ---------------------------------------------------------------------------------

    def _holders(self, ending: Sequence[Owner], around: Surroundings) -> dict[int, Held]:
        try:
            return self._find_holders(ending, around)
        except Exception as error:  # the findings stand, without the holder
            self.fault("search for holders", error)
            return {}

    def _find_holders(self, ending: Sequence[Owner], around: Surroundings) -> dict[int, Held]:
        """Move what a wider fixture holds to its scope, note what is shared, and name the other holders."""
        held: dict[int, Held] = {}
        alive = {f.resource: f for f in self._alive(ending) if f.resource is not None}
        if not alive:
            return held
        objects = self._recorder.objects(alive)
        search = _search(around, objects)
        owners_of_threads = self._recorder.owners_of_threads(objects.keys())
        found: dict[tuple[str, int], list[Holder | None]] = {}
        for number, obj in objects.items():
            site = _site(alive[number])
            answers = found.setdefault(site, [])
            if len(answers) < MAX_SEARCHES:
                answers.append(search.same_holder(obj, self._holders_by_site.get(site)) or search.holder(obj))
            holder = self._holders_by_site[site] = answers[-1]
            if holder is not None:
                held[number] = Held(holder.name, holder.path)
                self._reassign(number, alive[number], holder, ending, around)
            owner = owners_of_threads.get(number, PROCESS)
            if (holder is None or holder.kind == "other") and owner != PROCESS and owner not in ending:
                self._ledger.move(number, owner)  # a thread of a wider fixture has made it, and is using it
        return held

    def _reassign(
        self, number: int, finding: Finding, holder: Holder, ending: Sequence[Owner], around: Surroundings
    ) -> None:
        if holder.kind == "fixture" and holder.fixture is not None:
            _, owner = around.fixtures[holder.fixture]
            if owner not in ending:
                self._ledger.move(number, owner)
        elif holder.kind == "module" and self.settings.shared != "fail":
            site = (finding.kind, *_site(finding))
            first = self._shared.get(site)
            # A client that a library made for the application may open another connection; that is its own business.
            grows = finding.kind != "unclosed-socket" or finding.origin.library is None
            if self.settings.shared == "first" and grows and first is not None and self._ledger.is_unclosed(first):
                return  # a second one of this site: the cache grows, or the first was replaced and never closed
            self._shared[site] = number
            self._shared_numbers.add(number)
            self._held[number] = Held(holder.name, holder.path)
            self._ledger.move(number, PROCESS)

    # --- connections ----------------------------------------------------------------------------------

    def _look(self) -> None:
        """List the open sockets, and note those that no instrumentation knows."""
        self._drain()
        recorder = self._recorder
        try:
            self._strangers.look(recorder.descriptors, self._ledger.open_sockets, recorder.owner, recorder.nodeid)
        except Exception as error:
            self.fault("list of open sockets", error, gap="sockets of C code could not be listed")

    def _table(self, ending: Sequence[Owner]) -> Mapping[int, Connection]:
        """The connections of the process by descriptor, if there is anything to describe."""
        if not self._strangers.of(ending):
            return {}
        try:
            table = netstat.connections()
        except Exception as error:  # psutil was refused: the findings stand without the addresses
            self.fault("psutil", error)
            return {}
        for address in self._strangers.local_ends(table):
            self._ledger.note_local_end(address)
        return table

    def _seen(self, ending: Sequence[Owner]) -> dict[int, Connection]:
        """The sockets that still exist as the system sees them, by their number."""
        objects = self._recorder.objects(self._ledger.sockets_of(ending))
        try:
            seen = {number: netstat.connection(obj) for number, obj in objects.items()}
        except Exception as error:  # as above
            self.fault("psutil", error)
            return {}
        return {number: connection for number, connection in seen.items() if connection is not None}


_SCOPES = get_args(Scope)

# What a dictionary's value has for references where it is asked like this, by the dictionary and the question.
_REFERENCES = (lambda objects: sys.getrefcount(objects[0]))({0: object()})


def _search(around: Surroundings, objects: dict[int, object]) -> Search:
    # The narrowest first: what it leaves may go on to a wider one when its own scope is over.
    fixtures = sorted(around.fixtures.items(), key=lambda item: _SCOPES.index(item[1][1].scope))
    return Search(
        fixtures={number: name for number, (name, _) in fixtures},
        test_modules=around.test_modules,
        definitions=around.fixture_definitions,
        opaque=around.opaque,
        ignore=(id(objects),),
    )


def _charge(finding: Finding, nodeid: str) -> Finding:
    """Name the test in whose teardown the scope ended; what the process holds keeps the test that made it."""
    return finding if finding.owner.scope == "process" else finding._replace(nodeid=nodeid or finding.nodeid)


def _site(finding: Finding) -> tuple[str, int]:
    place = finding.origin.place
    return (place.path, place.line) if place else _NOWHERE
