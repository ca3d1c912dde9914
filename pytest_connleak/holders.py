"""Who keeps an object alive: a fixture, a module, the test, or something else that has a name.

The search climbs from the suspect to what refers to it, a level at a time, with :func:`gc.get_referrers`, and
no further than to the definition of a live fixture, the namespace of a module, or a class.  It is only run on
a suspect: a level costs about 10 ms in a heap of a million objects.

What was set aside by :func:`gc.freeze` is not among the referrers, so it is looked for from above: what the modules
of the application and the tests refer to, a few levels down.

It only looks: no code of an object is called (no ``getattr``, ``repr``, ``==``, ``len``), so a proxy, a mock
or a broken class cannot hurt it, and nothing that it met is kept alive for it.

What it cannot see: objects set aside by :func:`gc.freeze` that are deeper down than that; what only C code refers to,
like the callbacks of :mod:`atexit`; the variables of a function that is running, in another thread, say (the arguments,
attributes and closures of a thread are seen); the values of another context's :class:`contextvars.ContextVar`.
"""

from __future__ import annotations

import functools
import gc
import inspect
import sys
import types
import weakref
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from itertools import islice, pairwise
from threading import Thread, local
from typing import Any, Literal, NamedTuple

from .untouched import System

# How many levels up, at most; and how many after a module was found, since a fixture would outrank it: from
# a list in its generator to the fixture's definition it is 8 on 3.10, where a __dict__ is a level of its own.
DEPTH, BEYOND_MODULE = 20, 8
# How many levels down from the modules frozen objects are looked for: an instance in a dict that a class has is at 5.
FROZEN_DEPTH = 5
# How many objects are climbed from at once, at most; and how many double the time of a pass through the heap
# at worst (measured: 2 in a heap of long lists, 16 in one of small objects).
WIDTH, DOUBLING = 256, 2
# How many objects are looked at on the way down from where an object of the same kind was held.
NEARBY = 10_000
# In longer containers, the search does not look which of many objects they hold; nor for its index or key.
LINKED, NAMED = 100_000, 10_000

# What an instance of their classes holds explains nothing: from each pytest's whole session can be reached.
_RUNNER = frozenset({"_pytest", "pluggy", "pytest_connleak"})
# And these keep books on objects (threading._active, weakref.finalize), as no application would.
_BOOKKEEPERS = _RUNNER | {"pytest"} | sys.stdlib_module_names
_SEQUENCES: tuple[Any, ...] = (list, tuple, deque)
_CONTAINERS: tuple[Any, ...] = (*_SEQUENCES, set, frozenset, dict)
_LRU_CACHE: type = type(functools.lru_cache(len))
_SUSPENDED = (
    (types.GeneratorType, "gi_frame"),
    (types.CoroutineType, "cr_frame"),
    (types.AsyncGeneratorType, "ag_frame"),
)
_SUSPENDABLE = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR

# Read from ``type`` itself, since a metaclass may answer with code of its own.
_mro = type.__dict__["__mro__"].__get__
_members = type.__dict__["__dict__"].__get__
_module_of = type.__dict__["__module__"].__get__
_name_of = type.__dict__["__qualname__"].__get__

_Kind = Literal["fixture", "module", "test", "other"]


@dataclass(frozen=True, slots=True)
class Holder:
    """Who keeps an object alive.

    Attributes:
        kind: "module" is an application's, which holds for the process; "test" a test module or a conftest.
        name: the text after "kept alive by", at most 160 characters: ``myapp.api._by_name['a']``.
        fixture: the ``id()`` of the fixture's definition, for the kind "fixture".
        path: from the holder to the object, the steps that have names: ``("myapp.api", "_app", ".session")``.
        depth: how many objects down from the holder the object was.
    """

    kind: _Kind
    name: str
    fixture: int | None = None
    path: tuple[str, ...] = ()
    depth: int = field(default=0, compare=False)


class _Sight(NamedTuple):
    """What an object on the way up is: the higher the rank, the better; and whether to go on from there."""

    rank: int
    kind: _Kind = "other"
    name: str = ""
    climb: bool = True


_NOTHING, _SOMETHING, _OF_A_TEST, _RUNNING, _TEST, _MODULE, _FIXTURE = range(7)
_DEAD_END = _Sight(_NOTHING, climb=False)


class Search:
    """Searches for holders among the same surroundings.

    Args:
        fixtures: the live fixtures of a scope wider than function, and what else is their own: the ``id()`` of the
            definition, of a class, of the namespace of a module, to how that is called. They must live as long as
            this does. Of two that hold the suspect from as near, the one that comes first here is its holder.
        test_modules: names of the modules that hold tests; a conftest is known by its name.
        definitions: those of the fixtures, for where they are frozen.
        opaque: types, with their subclasses, of objects that hold everything and explain nothing, like a test
            runner's. A definition may be of such a type, too: those in ``fixtures`` are recognised first.
        ignore: ``id()`` of containers that hold the suspect only for the caller.
        budget: seconds that a search may take before it answers with the best that it has found, of this thread's
            own time, as a busy machine lets it wait; exceeded only if the first pass through the heap takes longer.
    """

    def __init__(
        self,
        *,
        fixtures: Mapping[int, str],
        test_modules: Collection[str],
        definitions: Collection[object] = (),
        opaque: tuple[type, ...] = (),
        ignore: Collection[int] = (),
        budget: float = 0.8,
    ) -> None:
        self._fixtures = fixtures
        self._ranks = {number: _FIXTURE + place for place, number in enumerate(reversed([*fixtures]))}
        self._definitions = definitions
        self._classes: dict[int, tuple[bool, type]] = {}
        """Whether a class is opaque, by its ``id()``: a metaclass may have a hash of its own."""
        self._test_modules = frozenset(test_modules)
        self._opaque = {id(cls): cls for cls in (*opaque, types.ModuleType, weakref.ref)}
        self._ignore = frozenset(ignore)
        self._budget = budget
        self._frozen = self._find_frozen(definitions) if gc.get_freeze_count() > System.FROZEN_BY_PYTHON else []
        self._frozen_referrers: dict[int, list[int]] = {}
        """The places in that list of what refers to an object, by the object's id."""
        for place, frozen in enumerate(self._frozen):
            for number in map(id, gc.get_referents(frozen)):
                self._frozen_referrers.setdefault(number, []).append(place)

    def holder(self, suspect: object) -> Holder | None:
        """A live fixture before a module, before a test's module, before others; of equals the nearest."""
        seen: dict[int, Any] = {id(suspect): suspect}
        try:
            sight, chain = self._climb(suspect, seen)
            return None if sight.rank == _NOTHING else _holder(sight, chain)
        finally:
            seen.clear()

    def same_holder(self, suspect: object, other: Holder | None) -> Holder | None:
        """The module or the fixture that held another object, if it holds this one likewise; None is no answer.

        What one line of the program makes in many tests is mostly held in one place.  Searched for from there, it is
        found without a pass through the heap; but not where a holder that is to be preferred may be found by that.
        """
        top = self._top_of(other) if other is not None else None
        if other is None or top is None or (other.kind != "fixture" and (self._fixtures or other.kind != "module")):
            return None
        chain = self._way_down(top, suspect, other.depth)
        return _holder(self._recognise(top), chain) if chain else None

    def is_held_likewise(self, suspect: object, other: Holder) -> bool:
        """Whether the module or the fixture that held another object holds this one, too, whoever else may."""
        top = self._top_of(other)
        return top is not None and bool(self._way_down(top, suspect, other.depth))

    def _way_down(self, top: object, suspect: object, depth: int) -> list[Any]:
        """The objects from the top down to the suspect; none if it is not found about as deep as that."""
        seen = {id(top)}
        levels: list[list[Any]] = [[top]]
        for _ in range(2 * depth):  # the __dict__ of an object may be one step more
            below = gc.get_referents(*levels[-1])
            numbers = set(map(id, below))
            if id(suspect) in numbers:
                chain = [suspect]
                for level in reversed(levels):
                    chain.append(next(obj for obj in level if _refers_to(obj, chain[-1])))
                return chain[::-1]
            numbers -= seen
            seen |= numbers
            if len(seen) > NEARBY:
                break
            new = [each for each in below if id(each) in numbers]
            levels.append([each for each in new if self._leads_on(each)])
        return []

    def _top_of(self, holder: Holder) -> object:
        if holder.kind == "fixture":
            return next((each for each in self._definitions if id(each) == holder.fixture), None)
        if holder.kind not in ("module", "test"):
            return None
        namespace = getattr(sys.modules.get(holder.path[0]), "__dict__", None)
        return namespace if type(namespace) is dict else None

    def _leads_on(self, obj: object) -> bool:
        """Whether what is below it is held by who holds it: below a class, or another module, it is held by that."""
        cls = type(obj)
        if not gc.is_tracked(obj) or issubclass(cls, type) or self._is_opaque(cls):
            return False
        return not (cls is dict and _is_namespace(obj))

    def _is_opaque(self, cls: type) -> bool:
        known = self._classes.get(id(cls))
        if known is None:
            opaque = _top(_address(cls)[0]) in _RUNNER or not self._opaque.keys().isdisjoint(map(id, _mro(cls)))
            known = self._classes[id(cls)] = (opaque, cls)
        return known[0]

    def _climb(self, suspect: object, seen: dict[int, Any]) -> tuple[_Sight, list[Any]]:
        """The best sight, and the objects from there down to the suspect.

        ``seen`` gets the objects that were met, by id; it keeps them alive, so that the ids stay true.
        """
        deadline = System.clock() + self._budget
        below: dict[int, int] = {}  # the id of an object to the id of what it was reached from
        level: tuple[Any, ...] = (suspect,)
        skip = {*self._ignore, *_ids_of_stack(inspect.currentframe()), id(seen), id(self._frozen)}
        best, at = _Sight(_NOTHING), id(suspect)
        depth, last, cost = 0, DEPTH, 0.0
        while level and depth < last and best.rank < _FIXTURE:
            start = System.clock()
            affordable = int(DOUBLING * ((deadline - start) / cost - 1)) if cost else WIDTH
            if affordable < 1:
                break
            level = level[: min(affordable, WIDTH)]
            referrers = gc.get_referrers(*level)
            cost = max(cost, (System.clock() - start) / (1 + len(level) / DOUBLING))
            held = {id(obj) for obj in level}
            referrers += [self._frozen[place] for number in held for place in self._frozen_referrers.get(number, ())]
            # No variable of a context refers to its value.
            referrers += [variable for variable, value in copy_context().items() if id(value) in held]
            depth += 1
            above = []
            for obj in referrers:
                if obj is level or id(obj) in seen or id(obj) in skip or id(_suspended_frame(obj)) in skip:
                    continue
                if System.clock() > deadline:
                    break
                sight = self._recognise(obj)
                if sight is _DEAD_END:
                    continue
                seen[id(obj)] = obj
                below[id(obj)] = _held_by(obj, held) or id(suspect)
                if sight.climb:
                    above.append(obj)
                if sight.rank > best.rank:
                    best, at = sight, id(obj)
                    if best.rank == _MODULE:
                        last = min(DEPTH, depth + BEYOND_MODULE)
            level = tuple(above)
            del referrers, above
        chain = [seen[at]]
        while at in below:
            at = below[at]
            chain.append(seen[at])
        return best, chain

    def _find_frozen(self, definitions: Collection[object]) -> list[Any]:
        namespaces = [(name, getattr(module, "__dict__", None)) for name, module in list(sys.modules.items())]
        level: list[Any] = [space for name, space in namespaces if type(space) is dict and self._side(_text(name))]
        seen = set(map(id, (space for _, space in namespaces)))
        found = [*level, *definitions, *(getattr(definition, "__dict__", None) for definition in definitions)]
        for _ in range(FROZEN_DEPTH):
            below = {id(obj): obj for obj in gc.get_referents(*level) if gc.is_tracked(obj) and id(obj) not in seen}
            level = [
                obj for obj in below.values() if type(obj) is not types.ModuleType and type(obj) is not types.CodeType
            ]
            seen.update(below)
            found += level
        return found

    def _recognise(self, obj: Any) -> _Sight:
        cls = type(obj)
        if (fixture := self._fixtures.get(id(obj))) is not None:
            return _Sight(self._ranks[id(obj)], "fixture", fixture, climb=False)
        module, name = _address(cls)
        if self._is_opaque(cls):
            return _DEAD_END
        if cls is dict and _is_namespace(obj):
            return self._namespace(_text(obj["__name__"]))
        if issubclass(cls, type):
            module, name = _address(obj)
            if "<locals>" in name:  # it dies like other objects
                return self._thing("class", module, name)
            return self._namespace(module, f".{name}")
        if issubclass(cls, Thread):
            called = next((value for key, value in _attributes(obj) if key == "_name"), "")
            return _Sight(_RUNNING, name=f"thread {_text(called)!r}")
        task = getattr(sys.modules.get("asyncio"), "Task", None)
        if type(task) is type and issubclass(cls, task):
            called = sys.modules["asyncio"].Task.get_name(obj)
            return _Sight(_RUNNING, name=f"asyncio task {_text(called)!r}")
        if cls is types.FunctionType:
            return self._thing("function", dict.get(obj.__globals__, "__name__"), obj.__qualname__)
        if (frame := _suspended_frame(obj)) is not None:
            what = "async generator" if cls is types.AsyncGeneratorType else cls.__name__
            return self._thing(what, dict.get(frame.f_globals, "__name__"), obj.__qualname__)
        if cls is types.FrameType and not obj.f_code.co_flags & _SUSPENDABLE:
            where = dict.get(obj.f_globals, "__name__")
            return self._thing("a traceback through", where, obj.f_code.co_name)
        return self._thing("an instance of", module, name)

    def _namespace(self, module: str, name: str = "") -> _Sight:
        side = self._side(module)
        if side is None:
            return _DEAD_END
        return _Sight(_MODULE if side == "module" else _TEST, side, module + name, climb=False)

    def _thing(self, what: str, module: object, name: object) -> _Sight:
        side = self._side(_text(module))
        rank = _NOTHING if side is None else _OF_A_TEST if side == "test" else _SOMETHING
        return _Sight(rank, name=f"{what} {_text(module)}.{_text(name)}")

    def _side(self, module: str) -> Literal["module", "test"] | None:
        """Whether a module is the application's or the tests', ``None`` for neither."""
        if module in self._test_modules or module.rpartition(".")[2] == "conftest":
            return "test"
        return "module" if module and _top(module) not in _BOOKKEEPERS else None


def _holder(sight: _Sight, chain: list[Any]) -> Holder:
    steps, depth = list(_steps(chain)), len(chain) - 1
    if sight.rank not in (_MODULE, _TEST):
        number = id(chain[0]) if sight.kind == "fixture" else None
        return Holder(sight.kind, sight.name, number, (sight.name, *steps), depth)
    name = _shortened(sight.name + "".join(steps), 160)
    steps[:1] = [step.removeprefix(".") for step in steps[:1]]
    return Holder(sight.kind, name, None, (sight.name, *steps), depth)


def _is_namespace(obj: Any) -> bool:
    return "__name__" in obj and ("__spec__" in obj or "__builtins__" in obj)


def _refers_to(obj: object, other: object) -> bool:
    return any(held is other for held in gc.get_referents(obj))


def _held_by(obj: Any, held: set[int]) -> int | None:
    """Which of ``held`` the object refers to, ``None`` if that would take too long to find out."""
    if len(held) == 1:
        return next(iter(held))
    if type(obj) is ContextVar and id(value := obj.get(None)) in held:
        return id(value)
    if any(issubclass(type(obj), base) and base.__len__(obj) > LINKED for base in _CONTAINERS):
        return None
    return next((id(other) for other in gc.get_referents(obj) if id(other) in held), None)


def _suspended_frame(obj: Any) -> types.FrameType | None:
    """The frame of a generator or a coroutine; it may be running, nevertheless."""
    return next((getattr(obj, name) for cls, name in _SUSPENDED if type(obj) is cls), None)


def _ids_of_stack(frame: types.FrameType | None) -> set[int]:
    """The ids of a running frame and of its callers'."""
    ids = set()
    while frame is not None:
        ids.add(id(frame))
        frame = frame.f_back
    return ids


def _steps(chain: list[Any]) -> Iterator[str]:
    """How each object of the chain refers to the next, as Python would write it, if it has a name for it."""
    mode = "attribute" if type(chain[0]) is dict else "item"
    for holder, held in pairwise(chain):
        step, mode = _step(holder, held, mode)
        if step:
            yield step


def _step(holder: Any, held: object, mode: str) -> tuple[str, str]:
    """The step from ``holder`` to ``held``, and the mode in which the next one is to be written.

    A container has items; attributes, if it is the ``__dict__`` of the object above it; and is itself hidden,
    if it is another part of that object, the cells of a closure, say.
    """
    cls = type(holder)
    if mode == "hidden":
        return "", "item"
    if issubclass(cls, dict):
        items = list(islice(dict.items(holder), NAMED))  # a list, as other threads may change the container
        key = next((key for key, value in items if value is held), ...)
        if mode == "attribute" and key is not ...:
            return (f".{_text(key)}", "item") if type(key) is str else ("", "attribute")
        if cls is dict or key is not ...:
            return f"[{_key(key)}]", "item"
    for base in _SEQUENCES:
        if issubclass(cls, base):
            values = list(islice(base.__iter__(holder), NAMED))
            return f"[{next((i for i, value in enumerate(values) if value is held), '...')}]", "item"
    if cls is types.FunctionType and held is not holder.__dict__:
        return (" (closure)" if held is holder.__closure__ else " (default)"), "hidden"
    if issubclass(cls, (type, local)):
        return "", "attribute"
    if cls is ContextVar:
        return " (context variable)", "item"
    for name, value in _attributes(holder):
        if value is held:
            return ("", "attribute") if name == "__dict__" else (f".{_text(name)}", "item")
    if cls is _LRU_CACHE:
        return " (cache)", "hidden" if type(held) is dict else "item"
    return "", "item"


def _attributes(obj: object) -> Iterator[tuple[str, object]]:
    """The slots of an object, its ``__dict__`` and what that has, found without asking the object itself."""
    for cls in _mro(type(obj)):
        for name, member in list(_members(cls).items()):
            is_dict = name == "__dict__" and type(member) is types.GetSetDescriptorType
            if not is_dict and type(member) is not types.MemberDescriptorType:
                continue
            try:
                value = member.__get__(obj)
            except Exception:  # an empty slot, or a proxy of nothing
                value = None
            yield name, value
            if is_dict and type(value) is dict:
                yield from list(islice(value.items(), NAMED))


def _address(cls: type) -> tuple[str, str]:
    """The module of a class, empty if it has none, and its name there."""
    try:
        module = _module_of(cls)
    except AttributeError:
        module = ""
    return _text(module), _text(_name_of(cls))


def _top(module: str) -> str:
    """The outermost package of a module."""
    return module.partition(".")[0]


def _key(key: object) -> str:
    if type(key) is str:
        return repr(_shortened(key, 40))
    return repr(key) if type(key) is int and abs(key) < 10**18 else "..."


def _text(value: object) -> str:
    """A name, in one line; empty if it is no ``str``."""
    if type(value) is not str:
        return ""
    text = _shortened(value, 80)
    return text if text.isprintable() else repr(text)[1:-1]


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
