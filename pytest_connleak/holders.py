"""Who keeps an object alive: a fixture, a module, the test, or something else that has a name.

The search climbs from the suspect to what refers to it, a level at a time, with :func:`gc.get_referrers`,
and stops where a holder is known: at the definition of a live fixture, at the namespace of a module, at a class.
It is only ever run on a suspect: a level costs about 10 ms in a heap of a million objects.

It only looks: no code of an object is called (no ``getattr``, ``repr``, ``==``, ``len``), so a proxy, a mock or
a broken class cannot hurt it, and nothing that it met stays alive for it.

What it cannot see: objects set aside by :func:`gc.freeze`; what only C code refers to, such as the callbacks of
:mod:`atexit`; the local variables of functions that are running just now, except, on 3.10 and from 3.13 on, those
of other threads (on 3.11 and 3.12 the look itself would keep them alive).
"""

from __future__ import annotations

import gc
import sys
import threading
import time
import types
import weakref
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, Literal, NamedTuple

Kind = Literal["fixture", "module", "test", "other"]

# How far up: a client deep in an application, held by a fixture, took 9 levels (3.10, where each __dict__ is one).
DEPTH = 20
# A module was found, but a fixture would outrank it: so many more levels (it is 7 to a generator's variable on 3.10).
BEYOND_MODULE = 7
# Objects that are climbed from at once, and how many of them double the time of a pass through the heap (measured).
WIDTH, DOUBLING = 256, 16
# Containers longer than this are not searched for what they hold, and not for its index or key.
LINKED, NAMED = 100_000, 10_000

# Their modules hold objects for bookkeeping (threading._active, weakref.finalize), never as an application does.
_NO_APPLICATION = sys.stdlib_module_names | {"pytest", "_pytest", "pluggy", "pytest_connleak"}
_SUSPENDED = {
    types.GeneratorType: ("generator", "gi_frame"),
    types.CoroutineType: ("coroutine", "cr_frame"),
    types.AsyncGeneratorType: ("async generator", "ag_frame"),
}
_CONTAINERS: tuple[Any, ...] = (list, tuple, deque, set, frozenset, dict)

# Read from ``type`` itself, since a metaclass may answer with code of its own.
_mro = type.__dict__["__mro__"].__get__
_members = type.__dict__["__dict__"].__get__
_module = type.__dict__["__module__"].__get__
_qualname = type.__dict__["__qualname__"].__get__


@dataclass(frozen=True, slots=True)
class Holder:
    """Who keeps an object alive.

    Attributes:
        kind: "module" is one of an application, so held for the process; "test" is a test module or a conftest.
        name: the text after "kept alive by", at most 160 characters: ``myapp.api._by_name['a']``, ``fixture 'app'``.
        fixture: the ``id()`` of the fixture's definition, for the kind "fixture".
        path: from the holder to the object, as far as the steps have names: ``("myapp.api", "_client", ".session")``.
    """

    kind: Kind
    name: str
    fixture: int | None = None
    path: tuple[str, ...] = ()


class _Sight(NamedTuple):
    """What was recognised on the way up: the higher ``rank`` is the better answer, 0 is none."""

    rank: int = 0
    kind: Kind = "other"
    name: str = ""
    climb: bool = True


_FIXTURE, _MODULE, _TEST, _THREAD, _OF_A_TEST, _SOMETHING = 6, 5, 4, 3, 2, 1
_DEAD_END = _Sight(climb=False)


class Search:
    """Searches for holders, among the same surroundings.

    Args:
        fixtures: ``id()`` of the definition of each live fixture of a scope wider than function, to its name. The
            definitions must stay alive as long as this does.
        test_modules: names of the modules that hold tests; a conftest is known by its name.
        opaque: types of objects that hold everything and explain nothing, as a test runner's do (subclasses too). A
            fixture definition may be of such a type: those in ``fixtures`` are recognised first.
        ignore: ``id()`` of the objects that hold the suspect for the caller only.
        budget: seconds that a search may take; it then answers with what it has found. It is exceeded only if
            the first pass through the heap alone takes longer.
    """

    def __init__(
        self,
        *,
        fixtures: Mapping[int, str],
        test_modules: Collection[str],
        opaque: tuple[type, ...] = (),
        ignore: Collection[int] = (),
        budget: float = 0.8,
    ) -> None:
        self._fixtures = fixtures
        self._test_modules = frozenset(test_modules)
        self._opaque = (*opaque, types.ModuleType, weakref.ref)
        self._opaque_ids = {id(cls) for cls in self._opaque}
        self._ignore = frozenset(ignore)
        self._budget = budget

    def holder(self, suspect: object) -> Holder | None:
        """The best holder of ``suspect``: a fixture before a module, a test, anything else; then the nearest."""
        deadline = time.perf_counter() + self._budget
        seen: dict[int, Any] = {id(suspect): suspect}  # keeps what it meets alive, so that an id stays true
        below: dict[int, int] = {}  # from each object to the one that it was reached from
        level: list[Any] = [suspect]
        skip = {*self._ignore, *_running_frames(), id(seen), id(level)}
        best, at = _Sight(), 0
        depth, last, cost = 0, DEPTH, 0.0
        try:
            while level and depth < last and best.rank < _FIXTURE:
                start = time.perf_counter()
                affordable = int(DOUBLING * ((deadline - start) / cost - 1)) if cost else WIDTH
                if affordable < 1:
                    break
                del level[min(affordable, WIDTH) :]
                referrers = [*gc.get_referrers(*level), *_context_variables(level)]
                cost = (time.perf_counter() - start) / (1 + len(level) / DOUBLING)
                held = {id(obj) for obj in level}
                level.clear()
                depth += 1
                for obj in referrers:
                    number = id(obj)
                    if number in seen or number in skip or id(_frame(obj)) in skip or obj is referrers:
                        continue
                    if time.perf_counter() > deadline:
                        break
                    seen[number] = obj
                    below[number] = _held_by(obj, held) or id(suspect)
                    sight = self._recognise(obj)
                    if sight.rank > best.rank:
                        best, at = sight, number
                        if best.rank == _MODULE:
                            last = min(DEPTH, depth + BEYOND_MODULE)
                    if sight.climb:
                        level.append(obj)
                referrers.clear()
                obj = None
            if best.rank < _THREAD:
                best, at = _running_thread(seen) or (best, at)
            if not best.rank:
                return None
            chain = [seen[at]]
            while at in below:
                at = below[at]
                chain.append(seen[at])
            return _answer(best, chain)
        finally:
            seen.clear()
            level.clear()
