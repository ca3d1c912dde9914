"""Who keeps an object alive, for each way in which Python code keeps one."""

from __future__ import annotations

import asyncio
import functools
import gc
import itertools
import logging
import sys
import threading
import time
import types
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from heap import small_heap
from pytest_connleak.holders import Holder, Search
from pytest_connleak.untouched import System


@pytest.fixture
def heap() -> Iterator[None]:
    """For what is held by nothing that was there before, and takes many searches."""
    with small_heap():
        yield


class Thing:
    """What is left open."""

    def close(self) -> None:
        pass


class App:
    session: Thing | None = None


class Definition:
    """What matters of pytest's ``FixtureDef``: how it holds the value and the suspended generator."""

    def __init__(self, value: object = None, generator: object = None) -> None:
        self.cached_result: tuple[object, ...] | None = (value, 0, None)
        self._finalizers = [functools.partial(lambda function, generator: None, Definition, generator)]


def search(*definitions: object, test_modules: tuple[str, ...] = (__name__,), **options: Any) -> Search:
    names = {id(definition): f"fixture 'f{i}'" for i, definition in enumerate(definitions)}
    return Search(fixtures=names, test_modules=test_modules, **options)


def holder(suspect: object, *definitions: object, **options: Any) -> Holder | None:
    return search(*definitions, **options).holder(suspect)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[..., types.ModuleType]:
    def make(source: str, name: str = "myapp.api") -> types.ModuleType:
        made = types.ModuleType(name)
        made.__dict__.update(Thing=Thing, App=type("App", (), {"__module__": name}))
        exec(source, made.__dict__)
        monkeypatch.setitem(sys.modules, name, made)
        return made

    return make


# --- a module ---------------------------------------------------------------------------------------------

# (source, the suspect, the name of its holder)
HELD_BY_A_MODULE = {
    "global": ("_session = Thing()", "_session", "._session"),
    "class attribute": ("class C: session = Thing()", "C.session", ".C.session"),
    "nested class": ("class C:\n class D: session = Thing()", "C.D.session", ".C.D.session"),
    "dict": ("_by_name = {'a': Thing()}", "_by_name['a']", "._by_name['a']"),
    "dict, number": ("_by_port = {80: Thing()}", "_by_port[80]", "._by_port[80]"),
    "dict, other key": ("_by = {(1, 'a'): Thing()}", "_by[1, 'a']", "._by[...]"),
    "dict key": ("_by = {Thing(): 1}", "[*_by][0]", "._by[...]"),
    "odd keys": (
        r"_by = {'\n\u202e' + 60 * 'x': Thing()}",
        "[*_by.values()][0]",
        r"._by['\n\u202e" + 37 * "x" + "…']",
    ),
    "list": ("_all = [Thing(), Thing()]", "_all[1]", "._all[1]"),
    "tuple": ("_all = (Thing(), Thing())", "_all[1]", "._all[1]"),
    "deque": ("import collections; _all = collections.deque([0, Thing()])", "_all[1]", "._all[1]"),
    "set": ("_all = {Thing()}", "[*_all][0]", "._all"),
    "dict class": ("class D(dict): pass\n_all = D(a=Thing())", "_all['a']", "._all['a']"),
    "dict class's attribute": ("class D(dict): pass\n_all = D(); _all.a = Thing()", "_all.a", "._all.a"),
    "list class": ("class L(list): pass\n_all = L([Thing()])", "_all[0]", "._all[0]"),
    "defaultdict": ("import collections as c; _d = c.defaultdict(Thing)", "_d['a']", "._d['a']"),
    "weak keys": ("import weakref as w; d = w.WeakKeyDictionary({App: Thing()})", "d[App]", ".d.data[...]"),
    "attribute": ("app = App(); app.session = Thing()", "app.session", ".app.session"),
    "slot": ("class S:\n __slots__ = 'a', 'b'\ns = S(); s.b = Thing()", "s.b", ".s.b"),
    "deep": (
        "app = App(); app.extensions = {'http': [App()]}; app.extensions['http'][0].session = Thing()",
        "app.extensions['http'][0].session",
        ".app.extensions['http'][0].session",
    ),
    "lru_cache": ("import functools\nf = functools.lru_cache(lambda a: Thing())", "f('a')", ".f (cache)"),
    "cache": ("import functools\nf = functools.cache(lambda a: Thing())", "f('a')", ".f (cache)"),
    "cached method": (
        "import functools\nclass C:\n @functools.cache\n def f(self): return Thing()\nc = C()",
        "c.f()",
        ".C.f (cache)",
    ),
    "cached attribute": (
        "import functools\n@functools.lru_cache\ndef f():\n a = App(); a.session = Thing(); return a",
        "f().session",
        ".f (cache).session",
    ),
    "closure": ("def make():\n t = Thing()\n return lambda: t\nget = make()", "get()", ".get (closure)"),
    "cache in a closure": (
        "def make():\n cache = {'a': Thing()}\n return lambda: cache['a']\nget = make()",
        "get()",
        ".get (closure)['a']",
    ),
    "default": ("def get(a=1, b=Thing()): return b", "get()", ".get (default)"),
    "keyword default": ("def get(*, a=1, b=Thing()): return b", "get()", ".get (default)"),
    "function attribute": ("def get(): pass\nget.session = Thing()", "get.session", ".get.session"),
    "partial": ("import functools as f\ncall = f.partial(print, Thing())", "call.args[0]", ".call.args[0]"),
    "bound method": ("callback = Thing().close", "callback.__self__", ".callback.__self__"),
    "thread local": ("import threading\nlocal = threading.local(); local.s = Thing()", "local.s", ".local.s"),
    "thread local class": (
        "import threading\nclass L(threading.local): pass\nlocal = L(); local.s = Thing()",
        "local.s",
        ".local.s",
    ),
    "context variable": (
        "import contextvars\nvar = contextvars.ContextVar('var'); var.set([Thing()])",
        "var.get()[0]",
        ".var (context variable)[0]",
    ),
    "context variable's default": (
        "import contextvars\nvar = contextvars.ContextVar('var', default=Thing())",
        "var.get()",
        ".var (context variable)",
    ),
    "module's own attribute": ("__session__ = Thing()", "__session__", ".__session__"),
}


@pytest.mark.parametrize(("source", "suspect", "name"), HELD_BY_A_MODULE.values(), ids=HELD_BY_A_MODULE)
def test_an_application_holds(heap: None, module: Any, source: str, suspect: str, name: str) -> None:
    found = holder(eval(suspect, module(source).__dict__))

    assert found is not None
    assert (found.kind, found.name, found.fixture) == ("module", "myapp.api" + name, None)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("myapp", "module"),
        ("__main__", "module"),
        ("confteste", "module"),
        (__name__, "test"),
        ("conftest", "test"),
        ("tests.unit.conftest", "test"),
    ],
)
def test_whose_module_it_is(module: Any, name: str, kind: str) -> None:
    made = module("_session = Thing()\nclass C: session = Thing()", name)

    assert holder(made._session) == Holder(kind, f"{name}._session", None, (name, "_session"))  # type: ignore[arg-type]
    assert holder(made.C.session) == Holder(kind, f"{name}.C.session", None, (f"{name}.C", "session"))  # type: ignore[arg-type]


def test_the_path_has_the_steps(module: Any) -> None:
    made = module("app = App(); app.by_name = {'a': App()}; app.by_name['a'].session = Thing()")

    found = holder(made.app.by_name["a"].session)

    assert found is not None
    assert found.path == ("myapp.api", "app", ".by_name", "['a']", ".session")


@pytest.mark.parametrize("name", ["logging", "weakref", "_pytest.nodes", "pluggy", "pytest_connleak.ledger"])
def test_bookkeeping_is_no_holder(module: Any, name: str) -> None:
    made = module("_session = Thing()\nclass C: session = Thing()", name)

    assert holder(made._session) is None
    assert holder(made.C.session) is None


def test_finalizers_and_handlers_are_no_holders(monkeypatch: pytest.MonkeyPatch) -> None:
    suspect, other = Thing(), Thing()
    finalizer = weakref.finalize(other, print, suspect)
    monkeypatch.setattr(logging, "_connleak", [suspect], raising=False)

    assert holder(suspect) is None
    finalizer.detach()


def test_a_thread_local_of_another_thread(module: Any) -> None:
    made = module("import threading\nlocal = threading.local()")
    set_up, done = threading.Event(), threading.Event()
    found: list[weakref.ref[Thing]] = []

    def work() -> None:
        made.local.session = Thing()
        found.append(weakref.ref(made.local.session))
        set_up.set()
        done.wait()

    thread = threading.Thread(target=work)
    thread.start()
    set_up.wait()
    try:
        assert getattr(holder(found[0]()), "name", None) == "myapp.api.local.session"
    finally:
        done.set()
        thread.join()


def test_a_reloaded_module_still_holds(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = module("_session = Thing()")
    monkeypatch.delitem(sys.modules, "myapp.api")

    assert getattr(holder(made._session), "name", None) == "myapp.api._session"


# --- a fixture --------------------------------------------------------------------------------------------


def lazy_app() -> Iterator[App]:
    app = App()
    yield app


def variable_of_a_generator() -> Iterator[Callable[[], Thing]]:
    made: list[Thing] = []

    def make() -> Thing:
        made.append(Thing())
        return made[-1]

    yield make


def value_that_is_elsewhere() -> Iterator[weakref.ref[Thing]]:
    session = Thing()
    yield weakref.ref(session)


def delegated() -> Iterator[weakref.ref[Thing]]:
    yield from value_that_is_elsewhere()


async def of_an_event_loop() -> AsyncIterator[weakref.ref[Thing]]:
    session = Thing()
    yield weakref.ref(session)


def test_the_value_of_a_fixture() -> None:
    suspect = Thing()
    definition = Definition(suspect)

    found = holder(suspect, definition)

    path = ("fixture 'f0'", ".cached_result", "[0]")
    assert found == Holder("fixture", "fixture 'f0'", id(definition), path)


def test_a_client_opened_late_by_the_object_of_a_fixture() -> None:
    generator = lazy_app()
    app = next(generator)
    definition = Definition(app, generator)
    app.session = Thing()

    found = holder(app.session, definition)

    assert found is not None
    assert (found.kind, found.fixture) == ("fixture", id(definition))
    assert found.path == ("fixture 'f0'", ".cached_result", "[0]", ".session")


@pytest.mark.parametrize("keep_value", [True, False])
def test_a_factory_fixture(keep_value: bool) -> None:
    generator = variable_of_a_generator()
    make = next(generator)
    definition = Definition(make if keep_value else None, generator)

    assert getattr(holder(make(), definition), "fixture", None) == id(definition)


@pytest.mark.parametrize("fixture", [value_that_is_elsewhere, delegated])
def test_a_variable_of_the_suspended_generator(fixture: Callable[[], Iterator[weakref.ref[Thing]]]) -> None:
    generator = fixture()
    suspect = next(generator)()
    definition = Definition(None, generator)

    assert getattr(holder(suspect, definition), "fixture", None) == id(definition)


def test_a_variable_of_the_suspended_asynchronous_generator() -> None:
    async def scenario() -> None:
        generator = of_an_event_loop()
        suspect = (await generator.__anext__())()
        definition = Definition(None, generator)
        assert getattr(holder(suspect, definition), "fixture", None) == id(definition)
        await generator.aclose()  # type: ignore[attr-defined]

    asyncio.run(scenario())


def test_a_class_of_a_factory_is_the_fixtures() -> None:
    class Local:
        session = Thing()

    definition = Definition(Local())

    assert getattr(holder(Local.session, definition), "fixture", None) == id(definition)


def test_a_fixture_that_is_over_holds_nothing() -> None:
    suspect = Thing()
    definition = Definition(suspect)
    definition.cached_result = None

    assert holder(suspect, definition) is None


def test_a_definition_may_be_of_an_opaque_type() -> None:
    suspect = Thing()
    wide, narrow = Definition(suspect), Definition(suspect)
    wide._finalizers.append(functools.partial(print, narrow))

    found = holder(suspect, wide, opaque=(Definition,))
    wide.cached_result = None

    assert getattr(found, "fixture", None) == id(wide)
    assert holder(suspect, wide, opaque=(Definition,)) is None


def test_deep_within_the_value_of_a_fixture() -> None:
    app: Any = App()
    app.extensions = {"http": [App()]}
    app.extensions["http"][0].client = functools.partial(print, App())
    suspect = app.extensions["http"][0].client.args[0].session = Thing()
    definition = Definition(app)

    assert getattr(holder(suspect, definition), "fixture", None) == id(definition)


# --- which of several -------------------------------------------------------------------------------------

KEPT: list[object] = []


@pytest.fixture
def kept() -> Iterator[list[object]]:
    yield KEPT
    KEPT.clear()


def test_a_fixture_before_the_global_of_a_test(kept: list[object]) -> None:
    generator = lazy_app()
    app = next(generator)
    app.session = Thing()
    kept.append(app.session)
    definition = Definition(app, generator)

    assert getattr(holder(app.session, definition), "fixture", None) == id(definition)


def test_a_fixture_before_a_module_that_is_nearer(module: Any) -> None:
    generator = variable_of_a_generator()
    suspect = module("_session = None")._session = next(generator)()
    definition = Definition(None, generator)

    assert getattr(holder(suspect, definition), "fixture", None) == id(definition)


def test_a_module_before_a_test_that_is_nearer(module: Any, kept: list[object]) -> None:
    made = module("app = App(); app.clients = [App()]; app.clients[0].session = Thing()")
    kept.append(made.app.clients[0].session)

    assert getattr(holder(kept[0]), "name", None) == "myapp.api.app.clients[0].session"


def test_a_test_before_others(kept: list[object]) -> None:
    app = App()
    app.session = Thing()
    kept.append([app.session])

    found = holder(app.session)

    assert found == Holder("test", f"{__name__}.KEPT[0][0]", None, (__name__, "KEPT", "[0]", "[0]"))


def test_the_nearest_of_several_fixtures() -> None:
    app = App()
    app.session = Thing()
    inner, outer = Definition(app), Definition([app])

    assert getattr(holder(app.session, outer, inner), "fixture", None) == id(inner)


def test_the_first_of_the_fixtures_that_are_as_near() -> None:
    """In whichever order the collector comes by them."""
    suspect = Thing()
    one, other = Definition(suspect), Definition(suspect)

    assert [getattr(holder(suspect, *both), "fixture", None) for both in ((one, other), (other, one))] == [
        id(one),
        id(other),
    ]


# --- something else ---------------------------------------------------------------------------------------


def test_nothing_holds() -> None:
    assert holder(Thing()) is None


def test_containers_without_a_name_hold() -> None:
    suspect = Thing()
    unnamed = [{"a": suspect}]

    assert holder(suspect) is None
    assert unnamed


def test_weak_references_do_not_hold(module: Any) -> None:
    made = module("import weakref as w; t = Thing(); r = [w.ref(t, print)]; d = w.WeakValueDictionary(a=t)")
    suspect = made.__dict__.pop("t")

    assert holder(suspect) is None


class TestInstances:
    def test_an_instance(self) -> None:
        self.session = Thing()

        found = holder(self.session)

        assert found == Holder("other", *_named(f"an instance of {__name__}.TestInstances", ".session"))


def _named(name: str, *steps: str) -> tuple[str, None, tuple[str, ...]]:
    return name, None, (name, *steps)


def test_an_instance_of_a_test_before_that_of_a_library(module: Any) -> None:
    response = module("").App()
    response.raw = Thing()
    app: Any = App()
    app.response = response

    assert getattr(holder(response.raw), "name", None) == f"an instance of {__name__}.App"
    del app.response
    assert getattr(holder(response.raw), "name", None) == "an instance of myapp.api.App"


def test_a_class_of_a_function() -> None:
    class Local:
        session = Thing()

    name = "test_a_class_of_a_function.<locals>.Local"
    assert holder(Local.session) == Holder("other", *_named(f"class {__name__}.{name}", ".session"))


def test_a_function() -> None:
    def remember(session: Thing = Thing()) -> Thing:  # noqa: B008
        return session

    name = f"function {__name__}.test_a_function.<locals>.remember"
    assert holder(remember()) == Holder("other", *_named(name, " (default)"))


def test_a_suspended_generator() -> None:
    generator = value_that_is_elsewhere()

    assert getattr(holder(next(generator)()), "name", None) == f"generator {__name__}.value_that_is_elsewhere"


def test_a_task_of_an_event_loop() -> None:
    found: list[object] = []

    async def hold() -> None:
        session = Thing()
        found.append(weakref.ref(session))
        await asyncio.sleep(60)
        session.close()

    async def scenario() -> None:
        task = asyncio.create_task(hold(), name="poll")
        await asyncio.sleep(0)
        found.append(holder(found[0]()))  # type: ignore[operator]
        task.cancel()

    asyncio.run(scenario())
    assert getattr(found[1], "name", None) == "asyncio task 'poll'"


@pytest.mark.parametrize("how", ["argument", "attribute", "closure"])
def test_a_running_thread(how: str) -> None:
    done, suspect = threading.Event(), Thing()

    class Worker(threading.Thread):
        session: Thing

        def run(self) -> None:
            done.wait()
            super().run()

    target = (lambda: suspect) if how == "closure" else None
    worker = Worker(target=target, args=[suspect] * (how == "argument"), name="worker\n1")
    if how == "attribute":
        worker.session = suspect
    worker.start()
    try:
        found = holder(suspect)
        assert found is not None
        assert (found.kind, found.name) == ("other", r"thread 'worker\\n1'")
    finally:
        done.set()
        worker.join()


def test_a_traceback() -> None:
    def fail() -> None:
        session = Thing()
        ref.append(weakref.ref(session))
        raise ValueError

    ref: list[weakref.ref[Thing]] = []
    try:
        fail()
    except ValueError:
        assert getattr(holder(ref[0]()), "name", None) == f"a traceback through {__name__}.fail"


# --- what the search leaves alone -------------------------------------------------------------------------


def test_opaque_objects_explain_nothing() -> None:
    class Runner:
        pass

    class SubRunner(Runner):
        session = None

    runner = SubRunner()
    runner.session = suspect = Thing()  # type: ignore[assignment]

    assert holder(suspect, opaque=(Runner,)) is None
    assert holder(suspect, Definition(runner), opaque=(Runner,)) is None
    assert holder(suspect, Definition(runner)) is not None


def test_ignored_objects_explain_nothing(kept: list[object]) -> None:
    kept.append(Thing())

    assert holder(kept[0], ignore=[id(kept)]) is None


def test_the_callers_do_not_hold() -> None:
    def callers() -> Iterator[Holder | None]:
        suspect = Thing()
        yield search(test_modules=()).holder(suspect)

    assert next(callers()) is None


class Hostile(type):
    """A metaclass whose classes, and their instances, cannot be touched."""

    touched: list[str]

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        def refuse(method: str) -> Any:
            def call(*args: object) -> Any:
                touched.append(method)
                raise RuntimeError(method)

            return call

        touched: list[str] = []
        methods = ["hash", "eq", "len", "bool", "iter", "repr", "str", "contains", "getitem", "sizeof"]
        methods += ["getattr", "getattribute"]
        namespace |= {f"__{method}__": refuse(method) for method in methods}
        namespace["__class__"] = property(refuse("class"))
        made = super().__new__(cls, name, bases, namespace)
        type.__setattr__(made, "touched", touched)
        return made

    def __getattribute__(cls, name: str) -> Any:
        type.__getattribute__(cls, "__dict__")["touched"].append(name)
        raise RuntimeError(name)

    __hash__ = __eq__ = __instancecheck__ = __subclasscheck__ = __getattribute__  # type: ignore[assignment]


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("base", [object, dict, list, threading.local, Exception])
def test_no_code_of_an_object_is_called(module: Any, base: Any, frozen: bool) -> None:
    cls = Hostile("Cls", (base,), {"__module__": "myapp.api"})
    namespace = type.__dict__["__dict__"].__get__(cls)
    hostile, outer = base.__new__(cls), base.__new__(cls)
    suspect = Thing()
    base.__setattr__(outer, "inner", hostile)
    base.__setattr__(hostile, "session", suspect)
    module("").__dict__["app"] = outer
    namespace["touched"].clear()

    if frozen:
        gc.freeze()
    try:
        alone = search()
        found = [alone.holder(suspect), holder(suspect, Definition(outer)), alone.holder(outer)]
    finally:
        gc.unfreeze()

    assert namespace["touched"] == []
    if frozen and base is threading.local:
        return  # only C code refers to its attributes
    assert [getattr(one, "kind", None) for one in found] == ["module", "fixture", "module"]


@pytest.mark.parametrize("attribute", ["__name__", "__module__", "__qualname__", "_name"])
def test_odd_names(module: Any, attribute: str) -> None:
    made = module("import threading\nclass C(threading.Thread): pass\nc = C(); c.session = Thing()")
    suspect = made.c.session
    for value in 99 * "\x1b\n", Thing():
        for obj in made, made.C, made.c:
            with suppress(AttributeError, TypeError):
                setattr(obj, attribute, value)

        found = holder(suspect)

        assert found is None or found.name.isprintable()


def test_a_class_without_a_module(module: Any) -> None:
    made = module("")
    cls = eval("type('X', (), {})", {"__builtins__": {"type": type}})
    made.x, cls.session = cls(), Thing()
    made.x.session = Thing()

    assert getattr(holder(made.x.session), "name", None) == "myapp.api.x.session"
    assert holder(cls.session) is None


def test_nothing_stays_alive_or_changes(module: Any) -> None:
    made = module("app = App(); app.session = Thing()")
    app, definition = made.app, Definition(made.app)
    searcher = search(definition)
    gc.collect()
    gc.disable()
    try:
        before = dict(vars(app)), dict(vars(made))
        assert searcher.holder(app.session) is not None
        assert (vars(app), vars(made)) == before
        alive = weakref.ref(app), weakref.ref(app.session), weakref.ref(definition)
        before = made = definition = app = None  # type: ignore[assignment]
        del sys.modules["myapp.api"]
        assert [ref() for ref in alive] == [None, None, None]
    finally:
        gc.enable()
        sys.modules["myapp.api"] = types.ModuleType("myapp.api")


def test_no_garbage_is_made(module: Any) -> None:
    suspect = module("app = App(); app.session = Thing()").app.session
    holder(suspect)
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            holder(suspect)
        assert gc.collect() == 0
    finally:
        gc.enable()


# --- what it costs ----------------------------------------------------------------------------------------


def test_a_long_list(module: Any) -> None:
    made = module("_all = [Thing() for _ in range(20_000)]; _more = [object()] * 200_000 + [App()]")
    made._more[-1].session = Thing()

    assert getattr(holder(made._all[9_999]), "name", None) == "myapp.api._all[9999]"
    assert getattr(holder(made._all[19_999]), "name", None) == "myapp.api._all[...]"
    assert getattr(holder(made._more[-1].session), "name", None) == "myapp.api._more[...].session"


def test_one_of_several_in_a_very_long_list(module: Any) -> None:
    """It does not look which of them is in the list, and does not guess."""
    made = module("app = App(); app.session = Thing(); _more = [object()] * 200_000 + [app]; del app")
    others = [App() for _ in range(3)]
    for other in others:
        other.session = made._more[-1].session

    assert getattr(holder(others[0].session), "name", None) == "myapp.api._more[...]"


def test_a_widely_used_object_is_bounded() -> None:
    suspect = Thing()
    users = [App() for _ in range(20_000)]
    for user in users:
        user.session = suspect
    start = time.process_time()

    found = holder(suspect, Definition(users))

    assert found is not None
    assert time.process_time() - start < 1.5


def test_an_endless_chain_is_bounded() -> None:
    suspect: Any = Thing()
    chain: Any = suspect
    for _ in range(1000):
        chain = [chain]

    assert holder(suspect, Definition(chain)) is None


def test_out_of_time_it_answers_with_what_it_has_found(heap: None, module: Any, monkeypatch: Any) -> None:
    seconds = itertools.count()  # each look at the clock takes one
    monkeypatch.setattr(System, "clock", lambda: next(seconds))
    suspect = module("KEPT = [Thing()]", "test_app").KEPT[0]
    definition, options = Definition([suspect]), {"test_modules": ("test_app",)}

    found = [holder(suspect, definition, budget=budget, **options) for budget in range(0, 100, 2)]

    assert list(dict.fromkeys(getattr(one, "kind", None) for one in found)) == [None, "test", "fixture"]


def test_frozen_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "perf_counter", lambda: 0.0)
    suspect = Thing()
    definition = Definition(suspect)

    assert holder(suspect, definition, budget=0) is None


# --- pytest's own -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def module_app() -> App:
    return App()


@pytest.fixture(scope="module")
def module_factory() -> Iterator[Callable[[], weakref.ref[Thing]]]:
    """Only the suspended generator has the list, and the function that it yields."""
    made: list[Thing] = []

    def make() -> weakref.ref[Thing]:
        made.append(Thing())
        return weakref.ref(made[-1])

    yield make
    made.clear()


@pytest.fixture
def narrow(module_app: App) -> Thing:
    """Its definition is known to that of ``module_app``, which finishes it."""
    return Thing()


OPAQUE = (pytest.Item, pytest.Collector, pytest.Config, pytest.FixtureRequest, pytest.FixtureDef)


def test_fixtures_of_pytest(request: Any, module_app: App, module_factory: Any, narrow: Thing) -> None:
    names = ("module_app", "module_factory")
    definitions = {name: request._get_active_fixturedef(name) for name in names}
    fixtures = {id(definition): f"fixture {name!r}" for name, definition in definitions.items()}
    among = Search(fixtures=fixtures, test_modules=[__name__], opaque=OPAQUE)
    module_app.session = Thing()

    lazy = among.holder(module_app.session)
    made = among.holder(module_factory()())

    assert lazy is not None
    assert (lazy.name, lazy.fixture) == ("fixture 'module_app'", id(definitions["module_app"]))
    assert made is not None
    assert (made.name, made.fixture) == ("fixture 'module_factory'", id(definitions["module_factory"]))
    assert among.holder(narrow) is None


# --- held as the one before -------------------------------------------------------------------------------


def passes(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """One entry for each pass through the heap."""
    seen: list[object] = []
    get_referrers = gc.get_referrers
    monkeypatch.setattr(gc, "get_referrers", lambda *objs: seen.append(None) or get_referrers(*objs))
    return seen


@pytest.mark.parametrize(
    ("held", "add", "name"),
    [
        ("[*_all]", "_all = []; add = lambda thing: _all.append(thing)", "._all[1]"),
        ("[*_all.values()]", "_all = {}; add = lambda thing: _all.setdefault(len(_all), thing)", "._all[1]"),
        ("[*_all]", "_all = set(); add = lambda thing: _all.add(thing)", "._all"),
        ("app.all", "app = App(); app.all = []; add = lambda thing: app.all.append(thing)", ".app.all[1]"),
    ],
)
def test_what_is_held_as_another_is_found_without_a_pass_through_the_heap(
    module: Callable[..., types.ModuleType], monkeypatch: pytest.MonkeyPatch, held: str, add: str, name: str
) -> None:
    made = module(add)
    made.add(Thing())
    (one,) = eval(held, made.__dict__)
    before = holder(one)
    made.add(Thing())
    (other,) = (thing for thing in eval(held, made.__dict__) if thing is not one)
    passed = passes(monkeypatch)

    found = search().same_holder(other, before)

    assert found is not None
    assert (found.kind, found.name) == ("module", "myapp.api" + name)
    assert not passed
    assert found == holder(other)
    assert passed


def test_what_is_held_elsewhere_is_not_taken_for_it(module: Callable[..., types.ModuleType]) -> None:
    made = module("_all = [Thing()]")
    before = holder(made._all[0])
    assert before is not None
    own, cycle = Thing(), Thing()
    cycle.me = cycle  # type: ignore[attr-defined]
    other = module("_others = [Thing()]", "myapp.other")
    made._other = other
    made._function = types.FunctionType(compile("0", "", "eval"), other.__dict__)
    made._class = type("C", (), {"thing": Thing()})

    for suspect in (own, cycle, other._others[0], made._class.thing):
        assert search().same_holder(suspect, before) is None


def test_a_fixture_holds_what_it_held_before(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [Thing()]
    definition = Definition(made)
    before = holder(made[0], definition)
    made.append(Thing())
    passed = passes(monkeypatch)

    found = search(definition, definitions=[definition]).same_holder(made[1], before)

    assert found is not None
    assert (found.kind, found.fixture) == ("fixture", id(definition))
    assert not passed
    # The fixture is gone, and something else may have its address.
    assert search().same_holder(made[1], before) is None
