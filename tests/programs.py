"""Programs that are made up: steps become the source of a test module, one line each, which is then run.

So a counterexample is a program to be read, every step has a line of its own, and what the program is said to do
(``independent_model``) stands beside what it does.
"""

from __future__ import annotations

import copy
import functools
import gc
import socket
import threading
import types
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx
import requests
import urllib3
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter

from independent_model import APP, FIXTURES, PROCESS, TEST_MODULE, Adapter, Found, Thing, World
from pytest_connleak.model import Owner
from pytest_connleak.monitor import MAX_SEARCHES, Monitor, Surroundings

FILE = "/somewhere/test_program.py"
OWNERS = {
    PROCESS: Owner("", "process"),
    "session": Owner("", "session"),
    "module": Owner("test_program.py", "module"),
    "a": Owner("test_program.py::a", "function"),
    "b": Owner("test_program.py::b", "function"),
    "c": Owner("test_other.py::c", "function"),
}


class Phase(NamedTuple):
    """A function of the program: for whom it is called, in which test, and which scopes end with it."""

    name: str
    scope: str
    test: str
    over: tuple[str, ...] = ()


PHASES = (
    Phase("at_import", PROCESS, ""),
    Phase("session_fixture", "session", "a"),
    Phase("module_fixture", "module", "a"),
    Phase("test_a", "a", "a", over=("a",)),
    Phase("test_b", "b", "b"),
    Phase("end_of_module", "b", "b", over=("b", "module")),
    Phase("end_of_session", "c", "c", over=("c", "session")),
)
PLACES = {"module": "module_value", "session": "session_value", APP: "app.kept", TEST_MODULE: "KEPT"}
"""The dictionaries that keep things alive, by the model's names for who has them."""

HEADER = """\
def new_session():
    return requests.Session()
def new_pool():
    return urllib3.PoolManager()
def kept_session(name):
    app.kept[name] = requests.Session()
    return app.kept[name]
"""


class Step(NamedTuple):
    """A step before it is known what there is to do it with: ``which`` counts from what was made last, and around."""

    verb: str
    which: int
    other: int
    thread: bool


# --- what the programs use ----------------------------------------------------------------------------------


class Lies(requests.Session):
    """Its ``close()`` closes nothing."""

    def close(self) -> None:
        pass


class Stays(HTTPAdapter):
    """An adapter whose ``close()`` closes nothing."""

    def close(self) -> None:
        pass


class Own(HTTPAdapter):
    """An adapter whose pools are made by the user's own code, as recipes for TLS have it."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        self.poolmanager = urllib3.PoolManager()


class Guard:
    """Closes what it guards when both are garbage."""

    def __init__(self, guarded: requests.Session) -> None:
        self.guarded = guarded

    def __del__(self) -> None:
        self.guarded.close()


class Definition:
    """What matters of pytest's ``FixtureDef``: how it holds the value."""

    def __init__(self, value: object) -> None:
        self.cached_result: tuple[object, ...] | None = (value, 0, None)


def in_thread(work: Callable[[], Any]) -> Any:
    """Do it in a thread that is gone when it is done."""
    done: list[Any] = []
    thread = threading.Thread(target=lambda: done.append(work()))
    thread.start()
    thread.join()
    return done.pop()


def refused(send: Callable[[], object]) -> None:
    """Send through what is closed, and cannot be opened again."""
    try:
        send()
    except (urllib3.exceptions.ClosedPoolError, RuntimeError):
        return
    raise AssertionError("it was sent")


# --- from steps to a program --------------------------------------------------------------------------------

# How a request is sent, what limits it, and whether that is enough.
TIMEOUTS = {
    "requests": [("5", True), ("(3, 5)", True), ("None", False), ("(3, None)", False)],
    "urllib3": [
        ("5", True),
        ("urllib3.Timeout(total=5)", True),
        ("None", False),
        ("urllib3.Timeout(connect=3, read=None)", False),
    ],
    "httpx": [("5", True), ("httpx.Timeout(5)", True), ("None", False), ("httpx.Timeout(5, read=None)", False)],
}
MAKES = {
    "session": "requests.Session()",
    "session by helper": "new_session()",
    "session kept by helper": "kept_session({name!r})",
    "session that lies": "Lies()",
    "manager": "urllib3.PoolManager()",
    "manager by helper": "new_pool()",
    "pool": "urllib3.HTTPConnectionPool(*address)",
    "client": "httpx.Client(verify=False, trust_env=False)",
    "socket": "socket.create_connection(address)",
}
LINES_OF_HELPERS = {"session by helper": 2, "manager by helper": 4, "session kept by helper": 6}
USES = ("send", "stream", "close", "read", "copy", "deepcopy", "subpool", "close adapter", "mount", "guard")
KEEPS = ("hold", "let go", "drop")
OFTEN = ("session", "session kept by helper", "send", "send", "stream", "read", "close", "hold", "hold")
STEPS = st.builds(
    Step,
    st.sampled_from([*MAKES, *USES, *KEEPS, *OFTEN]),
    st.sampled_from([0, 0, 0, 1, 2, 3]),
    st.integers(0, 3),
    st.sampled_from([False, False, True]),
)


class Variable:
    """A name of the program, and what the model has for it."""

    def __init__(self, name: str, type_: str, thing: Thing):
        self.name, self.type, self.thing = name, type_, thing
        self.local = True
        self.refuses = False
        """It is closed, and cannot be opened again."""
        self.guarded = self.shared = self.twinned = False
        self.manager: Thing | None = None
        self.client: Variable | None = None

    @property
    def library(self) -> str:
        return {"session": "requests", "lies": "requests", "client": "httpx"}.get(self.type, "urllib3")


class Program:
    """The source of a program, written while the model is told what it does."""

    def __init__(self, steps: dict[str, list[Step]]):
        self.lines = HEADER.splitlines()
        self.world = World()
        self.expected: list[list[Found]] = []
        self._variables: list[Variable] = []
        self._places = set(PLACES)
        for phase in PHASES:
            self.world.scope, self.world.test = phase.scope, phase.test
            self.lines.append(f"def {phase.name}():")
            self.lines.append("    pass")
            for step in steps[phase.name]:
                self._write(step)
            self._return(phase)
        self.expected.append(sorted(self.world.judge(PROCESS), key=str))

    @property
    def source(self) -> str:
        return "\n".join(self.lines) + "\n"

    def __repr__(self) -> str:
        return f"\n{self.source}"

    def _return(self, phase: Phase) -> None:
        """Local variables are gone; with the node of a fixture so is its value, before what ends is judged."""
        for scope in FIXTURES:
            if scope in phase.over:
                self._places.discard(scope)
                for variable in self._variables:
                    variable.thing.keepers.discard(scope)
        for variable in self._variables:
            variable.local = False
        self._bury()
        if phase.over:
            self.expected.append(sorted(self.world.judge(*phase.over), key=str))

    def _bury(self) -> None:
        for variable in [v for v in self._variables if not (v.local or v.thing.keepers)]:
            self._variables.remove(variable)
            if variable.guarded:
                self.world.close(variable.thing)

    def _write(self, step: Step) -> None:
        action = self._make if step.verb in MAKES else getattr(self, f"_{step.verb.replace(' ', '_')}")
        action(step)

    @property
    def _line(self) -> int:
        """The line that is written next."""
        return len(self.lines) + 1

    def _say(self, step: Step, expression: str, new: str = "") -> None:
        if step.thread:
            expression = f"in_thread(lambda: {expression})"
        self.lines.append(f"    {new} = {expression}" if new else f"    {expression}")

    def _new(self, type_: str, thing: Thing) -> Variable:
        variable = Variable(f"{type_[0]}{self._line}", type_, thing)
        self._variables.append(variable)
        return variable

    def _any(self, number: int, *types: str) -> Variable | None:
        known = [v for v in self._variables if (v.type in types or not types) and self._where(v)]
        alive = [v.thing for v in self._variables]
        known = [v for v in known if v.manager is None or v.manager in alive]
        return known[-1 - number % len(known)] if known else None

    def _where(self, variable: Variable) -> str:
        """How the function that is being written gets at it."""
        if variable.local:
            return variable.name
        keepers = [place for place in PLACES if place in variable.thing.keepers]
        return f"{PLACES[keepers[0]]}['{variable.name}']" if keepers else ""

    # --- what can be done, in the words of the program and of the model ---

    def _make(self, step: Step) -> None:
        line = LINES_OF_HELPERS.get(step.verb, self._line)
        if [thing.line for thing in self.world.things].count(line) == MAX_SEARCHES:
            return  # who holds more of one line is not looked for one by one
        type_ = "lies" if step.verb == "session that lies" else step.verb.partition(" ")[0]
        if type_ in ("session", "lies"):
            thing = self.world.make_session(line)
        else:
            kind = {"manager": "pool", "client": "session"}.get(type_, type_)
            thing = self.world.make(kind, line)
        name = self._new(type_, thing).name
        if "kept" in step.verb:
            thing.keepers.add(APP)
        self._say(step, MAKES[step.verb].format(name=name), name)

    def _send(self, step: Step) -> None:
        variable = self._any(step.which, "session", "lies", "manager", "pool", "client", "within")
        if variable is None:
            return
        timeout, limited = TIMEOUTS[variable.library][step.other]
        at = self._where(variable)
        if variable.library == "urllib3":
            path = "url" if variable.type == "manager" else '"/"'
            expression = f'{at}.request("GET", {path}, timeout={timeout})'
        else:
            expression = f"{at}.get(url, timeout={timeout})"
        if variable.refuses:
            self._say(step, f"refused(lambda: {expression})")
        else:
            self.world.send(variable.manager or variable.thing, self._line, limited=limited)
            self._say(step, expression)

    def _stream(self, step: Step) -> None:
        variable = self._any(step.which, "session", "lies", "manager", "pool", "client", "within")
        if variable is None or variable.refuses:
            return
        at = self._where(variable)
        if variable.library == "urllib3":
            path = "url" if variable.type == "manager" else '"/"'
            expression = f'{at}.request("GET", {path}, preload_content=False, timeout=5)'
        elif variable.library == "httpx":
            expression = f'{at}.send({at}.build_request("GET", url), stream=True)'
        else:
            expression = f"{at}.get(url, stream=True, timeout=5)"
        self.world.send(variable.manager or variable.thing, self._line)
        response = self.world.make("response", self._line)
        if variable.type == "pool":
            variable.thing.responses.append(response)
        new = self._new(f"response of {variable.library}", response)
        new.client = variable if variable.type == "client" else None
        self._say(step, expression, new.name)

    def _read(self, step: Step) -> None:
        variable = self._any(step.which, *(f"response of {library}" for library in TIMEOUTS))
        if variable is not None and not (variable.thing.closed or (variable.client and variable.client.refuses)):
            self.world.close(variable.thing)
            what = "content" if variable.type.endswith("requests") else "read()"
            self._say(step, f"{self._where(variable)}.{what}")

    def _close(self, step: Step) -> None:
        variable = self._any(step.which)
        if variable is None or variable.type == "within":
            return
        if variable.type != "lies":
            self.world.close(variable.thing)
        variable.refuses = variable.type in ("pool", "client")
        self._say(step, f"{self._where(variable)}.{'clear' if variable.type == 'manager' else 'close'}()")

    def _copy(self, step: Step, *, deep: bool = False) -> None:
        variable = self._any(step.which, "session")
        if variable is not None and not variable.guarded:
            if deep and any(adapter.users for adapter in variable.thing.adapters.values()):
                return
            variable.shared = True
            twin = self._new("session", self.world.copy(variable.thing, deep=deep))
            twin.shared = True
            if not deep:
                variable.twinned = twin.twinned = True
            self._say(step, f"copy.{'deepcopy' if deep else 'copy'}({self._where(variable)})", twin.name)

    def _deepcopy(self, step: Step) -> None:
        self._copy(step, deep=True)

    def _subpool(self, step: Step) -> None:
        """A pool that belongs to its manager; what is sent through it is sent through the manager."""
        variable = self._any(step.which, "manager")
        if variable is not None:
            pool = self._new("within", Thing("pool", 0, "", ""))
            pool.manager = variable.thing
            self._say(step, f"{self._where(variable)}.connection_from_url(url)", pool.name)

    def _close_adapter(self, step: Step) -> None:
        variable = self._any(step.which, "session", "lies")
        if variable is not None:
            prefix = ("http://", "https://")[step.other % 2]
            self.world.close_adapter(variable.thing, prefix)
            self._say(step, f"{self._where(variable)}.get_adapter('{prefix}').close()")

    def _mount(self, step: Step) -> None:
        variable, other = self._any(step.which, "session", "lies"), self._any(step.other, "session", "lies")
        if variable is None or variable.guarded or variable.twinned:
            return
        name = ("HTTPAdapter", "Own", "Stays", "shared")[step.other]
        if name == "Own" and variable.thing not in self.world.things:  # the copy is not known, but the user's pool is
            name = "HTTPAdapter"
        if name != "shared":
            self.world.mount(variable.thing, Adapter(closes=name != "Stays", users=name == "Own"))
            expression = f"{name}()"
        elif other is not None and not other.guarded:
            variable.shared = other.shared = True
            self.world.mount(variable.thing, other.thing.adapters["http://"])
            expression = f"{self._where(other)}.get_adapter('http://')"
        else:
            return
        self._say(step, f"{self._where(variable)}.mount('http://', {expression})")

    def _guard(self, step: Step) -> None:
        """Not where others have the same adapters: when garbage is collected would then decide over them."""
        variable = self._any(step.which, "session")
        if variable is not None and not (variable.shared or variable.guarded):
            variable.guarded = True
            at = self._where(variable)
            self.lines.append(f"    {at}.guard = Guard({at})")

    def _hold(self, step: Step) -> None:
        variable, place = self._any(step.which), [*PLACES][step.other]
        if variable is not None and place in self._places:
            self.lines.append(f"    {PLACES[place]}['{variable.name}'] = {self._where(variable)}")
            variable.thing.keepers.add(place)

    def _let_go(self, step: Step) -> None:
        variable, place = self._any(step.which), [*PLACES][step.other]
        if variable is not None and place in variable.thing.keepers:
            self.lines.append(f"    del {PLACES[place]}['{variable.name}']; gc.collect()")
            variable.thing.keepers.discard(place)
            self._bury()

    def _drop(self, step: Step) -> None:
        variable = self._any(step.which)
        if variable is not None:
            names = [variable.name] * variable.local
            names += [f"{PLACES[place]}['{variable.name}']" for place in PLACES if place in variable.thing.keepers]
            self.lines.append(f"    del {', '.join(names)}; gc.collect()")
            variable.local = False
            variable.thing.keepers.clear()
            self._bury()


PROGRAMS = st.fixed_dictionaries(
    {phase.name: st.lists(STEPS, max_size=12 if phase.name in ("test_a", "test_b") else 4) for phase in PHASES}
).map(Program)


# --- the verdict --------------------------------------------------------------------------------------------


def run(program: Program, url: str) -> list[list[Found]]:
    """What the plugin finds, for each of the judgements."""
    gc.collect()
    gc.freeze()
    try:
        return _run(program, url)
    finally:
        gc.collect()


def difference(program: Program, found: list[list[Found]]) -> str:
    """The program, and what was found too much and too little."""
    lines = [f"{number:3} {line}" for number, line in enumerate(program.lines, 1)]
    for ours, theirs in zip(found, program.expected, strict=True):
        lines += [f"more: {f}" for f in (Counter(ours) - Counter(theirs)).elements()]
        lines += [f"less: {f}" for f in (Counter(theirs) - Counter(ours)).elements()]
    return "\n".join(["", *lines])


def _run(program: Program, url: str) -> list[list[Found]]:
    app = types.ModuleType("app")
    app.kept = {}  # type: ignore[attr-defined]
    host, _, port = url.rpartition("/")[2].partition(":")
    namespace: dict[str, Any] = {"__name__": "test_program", "KEPT": {}, "app": app, "url": url}
    namespace |= {"address": (host, int(port)), "session_value": {}, "module_value": {}}
    helpers = (requests, urllib3, httpx, socket, copy, gc, Lies, Stays, Own, HTTPAdapter, Guard, in_thread, refused)
    namespace |= {helper.__name__: helper for helper in helpers}
    definitions = {scope: Definition(namespace[PLACES[scope]]) for scope in FIXTURES}
    exec(compile(program.source, FILE, "exec"), namespace)
    monitor = Monitor("/somewhere")
    monitor.start()
    monitor.tests_begin()
    verdicts = []
    try:
        for phase in PHASES:
            with monitor.owned_by(OWNERS[phase.scope], OWNERS[phase.test].nodeid if phase.test else ""):
                namespace[phase.name]()
                for scope in {*phase.over} & {*definitions}:
                    namespace[PLACES[scope]].clear()
                    del definitions[scope]
                if phase.over:
                    verdicts.append(_judge(monitor, phase.over, definitions))
        verdicts.append(_judge(monitor, (PROCESS,), {}))
    finally:
        monitor.stop()
    assert monitor.faults == {}
    return verdicts


def _judge(monitor: Monitor, ending: tuple[str, ...], fixtures: dict[str, Definition]) -> list[Found]:
    live = {id(definition): (scope, OWNERS[scope]) for scope, definition in fixtures.items()}
    around = functools.partial(Surroundings, fixtures=live, test_modules=("test_program",))
    nodeid = "" if ending == (PROCESS,) else OWNERS[ending[0]].nodeid
    scopes = {owner: scope for scope, owner in OWNERS.items()}
    tests = {owner.nodeid: scope for scope, owner in OWNERS.items() if owner.scope == "function"}
    found = []
    for finding in monitor.settle([OWNERS[scope] for scope in ending], nodeid, around).findings:
        place = finding.origin.place
        line: Any = None if place is None else place.line if place.path == FILE else f"{place.path}:{place.line}"
        test = tests.get(finding.nodeid or "", "")
        found.append(Found(finding.kind, line, scopes[finding.owner], test, finding.status, finding.count))
    return sorted(found, key=str)
