"""How a library is watched: what is patched, and how it is put back.

A library's file declares an :class:`Instrumentation` and decorates what it wants to be told::

    instrumentation = Instrumentation("requests")

    @instrumentation.after("requests.sessions:Session.close")
    def close(probe, call): ...

An observer cannot hurt.  It is told of a call and never makes it, so it cannot change arguments,
result or exception; one that raises is disabled and named in the summary.  The methods of the
library's own classes are wrapped, so ``isinstance``, subclassing, pickling and references that
were taken before work on; signatures are kept (:func:`functools.wraps`), and all is put back at the end.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from operator import is_
from types import ModuleType
from typing import Any, Literal, NamedTuple

from .. import origin
from ..model import Advice, ResourceKind
from ..recorder import Recorder as Probe
from ..wrapper import Call, Outcome, wrap

__all__ = ["Argument", "Call", "End", "Installation", "Instrumentation", "Outcome", "Probe"]


Way = Literal["before", "after", "around"]
When = Callable[..., bool] | Literal["responses"]
End = Callable[[Any, BaseException | None], None]
Before = Callable[..., End | None]
After = Callable[[Probe, Call], None]
Around = Callable[[Probe, Call], Generator[None, Outcome, None]]


class Argument(NamedTuple):
    """An argument that an observer is given: by its name, or by its position after ``self``."""

    name: str
    position: int | None = None
    default: object = None
    """What it is given where the call has none."""


class Observer(NamedTuple):
    """A function to tell about the calls of ``target`` (``module:Class.method``).

    ``optional`` if not every supported version, or not every copy of the library, has the target.
    """

    library: str
    target: str
    function: Callable[..., Any]
    way: Way
    vital: tuple[ResourceKind, ...] = ()
    optional: bool = False
    when: When | None = None
    statistics: bool = False
    asks: tuple[Argument, ...] = ()

    @property
    def module(self) -> str:
        return self.target.partition(":")[0]

    def __str__(self) -> str:
        return f"{self.library} ({self.target})"

    def find(self, module: ModuleType) -> tuple[Any, str]:
        """The class (or the module) that has the method, and the method's name.

        Raises:
            AttributeError: if there is none by any of the names.
        """
        *alternatives, last = self.target.partition(":")[2].split("|")
        for path in alternatives:
            with suppress(AttributeError):
                return self._find(module, path)
        return self._find(module, last)

    @staticmethod
    def _find(owner: Any, path: str) -> tuple[Any, str]:
        *parents, name = path.split(".")
        for part in parents:
            owner = getattr(owner, part)
        # An inherited finalizer, such as io.IOBase's, is somebody else's.
        if not hasattr(owner, name) or (name == "__del__" and name not in vars(owner)):
            raise AttributeError(f"{owner!r} has no {name}")
        return owner, name


@dataclass(frozen=True, slots=True)
class Instrumentation:
    """What is watched of one library.

    Attributes:
        name: the library's import name.
        distribution: what it is called where it is installed from; empty for the standard library.
        copies: packages with the same modules and classes: forks, and copies that others bring along
            (``pip._vendor.requests``).  They are watched likewise, as far as they have the same methods.
        contested: whether others replace its methods, and put them back as they were before this plugin came.
        advice: what to write instead, by the name of the package or module that opened something.
        statistics: whether it only counts, so that nothing is missed if it fails.
    """

    name: str
    distribution: str = ""
    copies: tuple[str, ...] = ()
    contested: bool = False
    advice: Mapping[str, Advice] = field(default_factory=dict)
    statistics: bool = False
    observers: list[Observer] = field(default_factory=list)

    def before(
        self, target: str, *asks: Argument, optional: bool = False, when: When | None = None
    ) -> Callable[[Before], Before]:
        """Tell the decorated function before ``target`` is called; a function that it returns is told how that ended.

        This is for what every request passes, and costs a quarter of what ``around`` costs: no :class:`Call` is made,
        but the function is given the probe, the library, the instance, and the arguments that it asks for.

        Args:
            target: ``module:Class.method``.
            asks: the arguments.
            optional: whether some of the supported versions do not have it.
            when: as for :meth:`after`, but without a result.
        """
        return self._decorator(target, "before", vital=(), optional=optional, when=when, asks=asks)

    def after(
        self,
        target: str,
        *,
        vital: tuple[ResourceKind, ...] = (),
        optional: bool = False,
        when: When | None = None,
    ) -> Callable[[After], After]:
        """Tell the decorated function when ``target`` has returned (not when it raised).

        Args:
            target: ``module:Class.method``; where a name differs between versions, ``module:Class.new|Class.old``.
            vital: the kinds of resource that cannot be judged where this is not seen: nobody is accused then.
            optional: whether some of the supported versions do not have it.
            when: asked first, as it costs less than to be told: whether to tell at all, given instance and result.
                Or the name of an attribute of the probe, which costs nothing: whether it has any of these.
        """
        return self._decorator(target, "after", vital=vital, optional=optional, when=when)

    def around(self, target: str, *, optional: bool = False, when: When | None = None) -> Callable[[Around], Around]:
        """Run the decorated generator up to its ``yield`` before ``target``, and on with the outcome after it.

        Args:
            target: ``module:Class.method``.
            optional: whether some of the supported versions do not have it.
            when: as for :meth:`after`, but without a result.
        """
        return self._decorator(target, "around", vital=(), optional=optional, when=when)

    def _decorator(
        self,
        target: str,
        way: Way,
        *,
        vital: tuple[ResourceKind, ...],
        optional: bool,
        when: When | None,
        asks: tuple[Argument, ...] = (),
    ) -> Callable[[Any], Any]:
        def decorate(function: Any) -> Any:
            rest = (function, way, vital)
            self.observers.append(Observer(self.name, target, *rest, optional, when, self.statistics, asks))
            if f"{target}.".replace(":", ".").startswith(f"{self.name}."):
                for copy in self.copies:
                    same = copy + target.removeprefix(self.name)
                    self.observers.append(Observer(copy, same, *rest, True, when, self.statistics, asks))
            return function

        return decorate


@dataclass(slots=True)
class _Patch:
    """A wrapped method: where it stands, what is called, and what to put back (None: it was inherited)."""

    observer: Observer
    owner: Any
    name: str
    wrapped: Any
    original: object
    wrapper: object = None
    told: bool = False
    """Whether the observer is to be told of the calls."""

    def undo(self) -> None:
        # Somebody else's patch on top of ours stays: it would be rude, and wrong, to remove it.
        if vars(self.owner).get(self.name) is not self.wrapper:
            return
        if self.original is None:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, self.original)

    def renew(self) -> None:
        # Whoever puts back what was there before this plugin came means no harm to it.
        if vars(self.owner).get(self.name) is self.wrapped:
            setattr(self.owner, self.name, self.wrapper)


@dataclass(slots=True)
class _Contested:
    """What others may put back as it was: the members of a class, and which of them are to be the wrappers."""

    members: Mapping[str, object]
    names: list[str] = field(default_factory=list)
    wrappers: list[object] = field(default_factory=list)
    patches: list[_Patch] = field(default_factory=list)


class Installation:
    """The instrumentations at work for one recorder.

    A library is patched when it is there, or as soon as the program has imported it; nothing is
    imported here.  Several installations can be at work in one process (pytester runs a pytest within a
    pytest): then the one that was started last is told, and those below it are not.

    Attributes:
        patched: the libraries of which something is watched.
        faults: what could not be watched, and why, by observer.
        blind: the kinds of resource that cannot be judged any more.
        disabled: the observers that failed.
    """

    _active: list[Installation] = []  # noqa: RUF012  # shared on purpose: the stack of the process

    def __init__(self, instrumentations: Sequence[Instrumentation], probe: Probe) -> None:
        self.patched: set[str] = set()
        self.faults: dict[str, str] = {}
        self.blind: set[ResourceKind] = set()
        self._probe = probe
        self._lock = threading.RLock()
        self._patches: list[_Patch] = []
        self._contested: dict[int, _Contested] = {}
        """By the ``id()`` of the class, or the module, that is patched."""
        self._contested_libraries = {i.name for i in instrumentations if i.contested}
        self.disabled: list[Observer] = []
        self._namesakes: set[str] = set()
        self._by_module: dict[str, list[Observer]] = {}
        for instrumentation in instrumentations:
            for observer in instrumentation.observers:
                self._by_module.setdefault(observer.module, []).append(observer)
        self._finder = _Finder(self._by_module, self._imported)

    @property
    def unwatched(self) -> list[str]:
        """The libraries that the program has imported, but of which nothing could be patched."""
        required = (o for observers in self._by_module.values() for o in observers if not o.optional)
        # What a test put into sys.modules in the place of a library has no spec.
        imported = {o.library for o in required if getattr(sys.modules.get(o.module), "__spec__", None) is not None}
        return sorted(imported - self.patched - self._namesakes)

    def start(self) -> None:
        """Patch what is imported, and wait for the rest."""
        self._active.append(self)
        self._appoint()
        sys.meta_path.insert(0, self._finder)
        for name in list(self._by_module):
            module = sys.modules.get(name)
            # A module that is being imported right now has no complete classes yet; its import is watched.
            if module is not None and not getattr(module.__spec__, "_initializing", False):
                self._imported(module)

    def renew(self) -> None:
        """Patch again what somebody put back as it was before: pytest-socket does so after each test."""
        for contested in self._contested.values():  # before and after each test
            if not all(map(is_, map(contested.members.get, contested.names), contested.wrappers)):
                for patch in contested.patches:
                    patch.renew()

    def stop(self) -> None:
        """Put everything back."""
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        with self._lock:
            for patch in reversed(self._patches):
                patch.undo()
            self._patches.clear()
            self._contested.clear()
        if self in self._active:
            self._active.remove(self)
        self._appoint()

    @classmethod
    def _appoint(cls) -> None:
        """Say who is told: the observers of the installation that was started last, but for those that failed."""
        for installation in cls._active:
            for patch in installation._patches:
                patch.told = installation is cls._active[-1] and patch.observer not in installation.disabled

    def _imported(self, module: ModuleType) -> None:
        observers = self._by_module.get(module.__name__, ())
        if _is_namesake(module, observers):
            self._namesakes.update(observer.library for observer in observers)
            return
        with self._lock:
            for observer in observers:
                try:
                    self._patch(module, observer)
                except AttributeError as error:  # the library has changed: go on without this observer
                    if not observer.optional:
                        self._fault(observer, error)
                except Exception as error:
                    self._fault(observer, error)
                else:
                    self.patched.add(observer.library)

    def _patch(self, module: ModuleType, observer: Observer) -> None:
        owner, name = _owner_and_name(observer, module)
        original = getattr(owner, name)
        below = next((patch.observer for patch in self._patches if patch.wrapper is original), None)
        if below is not None and not _counts_on_top_of(below, observer):
            return  # a reference to what is patched already
        patch = _Patch(observer, owner, name, original, vars(owner).get(name))
        patch.wrapper = wrap(original, observer, patch, self._probe, self._failed)
        setattr(owner, name, patch.wrapper)
        self._patches.append(patch)
        self._appoint()
        if observer.library in self._contested_libraries:
            contested = self._contested.setdefault(id(owner), _Contested(vars(owner)))
            contested.names.append(name)
            contested.wrappers.append(patch.wrapper)
            contested.patches.append(patch)

    def _failed(self, observer: Observer, error: Exception) -> None:
        if isinstance(error, (RecursionError, MemoryError)):
            return  # the program has used up the stack, or the memory: that says nothing about the observer
        self.disabled.append(observer)
        self._appoint()
        self._fault(observer, error)

    def _fault(self, observer: Observer, error: Exception) -> None:
        self.blind.update(observer.vital)
        self.faults.setdefault(str(observer), f"{type(error).__name__}: {error}")


def leave_no_trace(obj: object) -> None:
    """In debug mode tasks, and objects of aiohttp, note where they were made; that is not in this plugin."""
    noted = getattr(obj, "_source_traceback", None)
    if noted and origin.classify(noted[-1].filename) == "plugin":
        del noted[-1]


def _owner_and_name(observer: Observer, module: ModuleType) -> tuple[Any, str]:
    """What to patch; where eventlet was first, that is the class which its own class in this module wraps."""
    replaced = getattr(module, observer.target.partition(":")[2].partition(".")[0], None)
    if str(getattr(replaced, "__module__", "")).startswith("eventlet."):
        module = sys.modules.get(f"__original_module_{module.__name__}", module)
    return observer.find(module)


def _counts_on_top_of(below: Observer, observer: Observer) -> bool:
    """Whether what is watched already is to be counted, too."""
    return observer.statistics and not below.statistics and observer.target == below.target


def _is_namesake(module: ModuleType, observers: Iterable[Observer]) -> bool:
    """Whether it is a module of the program that has no more than its name in common with the library's."""
    if origin.classify(getattr(module, "__file__", None) or "") != "user":
        return False
    try:
        for observer in observers:
            if not (observer.optional or observer.statistics):
                _owner_and_name(observer, module)
    except AttributeError:
        return True
    return False


class _Finder:
    """Waits for modules to be imported: first on ``sys.meta_path``, it lets the others find and load them."""

    def __init__(self, names: Iterable[str], imported: Callable[[ModuleType], None]) -> None:
        self._names = frozenset(names)
        self._imported = imported

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The spec that the other finders give, with a loader that tells when the module is ready."""
        if name not in self._names:
            return None
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            find_spec = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find_spec and find_spec(name, path, target)
            if spec is not None:
                self._announce(spec)
                return spec
        return None

    def _announce(self, spec: ModuleSpec) -> None:
        loader: Any = spec.loader
        load = getattr(loader, "exec_module", None)
        if load is None:
            return

        def exec_module(module: ModuleType) -> None:
            # The loader looks untouched as soon as it has done its work, also to the module itself.
            if vars(loader).get("exec_module") is exec_module:
                del loader.exec_module
            load(module)
            self._imported(module)

        try:
            loader.exec_module = exec_module
        except AttributeError:  # a loader without a __dict__: the module is patched at the next start
            return
