"""Waits for the first thing that could leak; until then hardly anything of the plugin is imported.

What watches and judges is imported when a run comes to its first test, or before that when the program imports a
library that is watched, makes a socket or starts a thread.  So a run without tests pays for none of it, nor does the
process in which pytest-xdist runs no tests.
"""

from __future__ import annotations

import functools
import socket
import sys
import threading
from collections.abc import Callable, Collection
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .descriptors import Descriptors
from .settings import Settings

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

    from .monitor import Monitor

# Who imports one of these is about to use it.  All else that is watched makes a socket or starts a thread before that.
LIBRARIES = frozenset(
    {
        "aiohttp",
        "aioresponses",
        "botocore.vendored.requests",
        "eventlet",
        "gevent",
        "http.client",
        "httpcore",
        "httpcore2",
        "httplib2",
        "httpx",
        "httpx2",
        "niquests",
        "pip._vendor.requests",
        "pip._vendor.urllib3",
        "requests",
        "requests_mock",
        "responses",
        "starlette.testclient",
        "urllib3",
        "urllib3_future",
    }
)
# (Both modules are imported here: what is trapped while it is being imported would be imported a second time, since the
# monitor needs it too.)
TRAPS: tuple[tuple[type, str], ...] = ((socket.socket, "__init__"), (threading.Thread, "start"))


class Standby:
    """What a run has before it has a monitor.

    Attributes:
        monitor: the monitor, once there is one.
        fault: why there is none although there should be, if that was tried.
    """

    def __init__(self, root: str, *, statistics: bool = False) -> None:
        self.monitor: Monitor | None = None
        self.fault: Exception | None = None
        self._root = root
        self._statistics = statistics
        self._settings = Settings()
        self._is_known: Callable[[str], bool] = lambda _: False
        self._lock = threading.RLock()
        self._import_trap = _ImportTrap(LIBRARIES, self._alarm)
        self._method_traps: list[_MethodTrap] = []
        self._sockets: set[int] | None = None

    def start(self) -> None:
        """Wait, unless the program has something to watch already."""
        if any(name in sys.modules for name in LIBRARIES):
            self.wake()
            return
        self._sockets = set(Descriptors().sockets((), 0))
        sys.meta_path.insert(0, self._import_trap)
        self._method_traps = [_MethodTrap(owner, name, self._alarm) for owner, name in TRAPS]

    def configure(self, settings: Settings, is_known: Callable[[str], bool] = lambda _: False) -> None:
        """Say how to judge, and which findings (by their fingerprints) are known."""
        self._settings, self._is_known = settings, is_known
        if self.monitor is not None:
            self.monitor.settings, self.monitor.is_known = settings, is_known

    def wake(self) -> Monitor:
        """The monitor, which is at work now."""
        with self._lock:
            if self.monitor is None:
                self._wait_no_more()
                from .monitor import Monitor

                monitor = Monitor(self._root, statistics=self._statistics)
                monitor.settings, monitor.is_known = self._settings, self._is_known
                monitor.start(self._sockets)
                self.monitor = monitor
            return self.monitor

    def stop(self) -> None:
        """Put everything back."""
        self._wait_no_more()
        if self.monitor is not None:
            self.monitor.stop()

    def _alarm(self) -> None:
        """The program goes on, whatever happens here."""
        try:
            self.wake()
        except Exception as error:
            self.fault = error

    def _wait_no_more(self) -> None:
        if self._import_trap in sys.meta_path:
            sys.meta_path.remove(self._import_trap)
        while self._method_traps:
            self._method_traps.pop().undo()


class _MethodTrap:
    """A method that gives the alarm when it is called for the first time, and then does what it is there for."""

    def __init__(self, owner: type, name: str, alarm: Callable[[], None]) -> None:
        self._owner, self._name = owner, name
        self._original = original = vars(owner)[name]

        @functools.wraps(original)
        def trap(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            alarm()
            now: Any = vars(owner).get(name)  # the monitor's: it is told of this call already
            is_around = now is not trap and getattr(now, "__wrapped__", None) is original
            return (now if is_around else original)(*args, **kwargs)

        self._trap = trap
        setattr(owner, name, trap)

    def undo(self) -> None:
        # Somebody else's patch on top of it stays.
        if vars(self._owner).get(self._name) is self._trap:
            setattr(self._owner, self._name, self._original)


class _ImportTrap:
    """Gives the alarm when the program is about to import one of some modules."""

    def __init__(self, names: Collection[str], alarm: Callable[[], None]) -> None:
        self._names = names
        self._alarm = alarm

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """What the other finders say, of whom the monitor's may now be one."""
        if name not in self._names:
            return None
        self._alarm()
        for finder in sys.meta_path:
            find_spec = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find_spec(name, path, target) if find_spec and finder is not self else None
            if spec is not None:
                return spec
        return None
