"""How libraries are watched: the catalogue, and the machinery that patches, guards and undoes."""

from __future__ import annotations

import importlib
import inspect
import sys
import warnings
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_connleak import instrumentation, meters
from pytest_connleak.instrumentation.interface import Call, End, Installation, Instrumentation, Outcome
from pytest_connleak.recorder import Recorder

OBSERVERS = [observer for i in (*instrumentation.discover(), *meters.discover()) for observer in i.observers]


@pytest.mark.parametrize("observer", OBSERVERS, ids=lambda observer: observer.target)
def test_every_target_exists_in_the_installed_version(observer: Any) -> None:
    pytest.importorskip(observer.module.partition(".")[0])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # starlette's test client warns at import where httpx2 is missing
            module = importlib.import_module(observer.module)
        owner, name = observer.find(module)
    except (ModuleNotFoundError, AttributeError):
        assert observer.optional
        pytest.skip("this version, or this copy, does not have it")
    assert callable(getattr(owner, name))


@pytest.mark.parametrize(
    "name",
    [
        "aiohttp",
        "asyncio",
        "futures",
        "http_client",
        "httpcore",
        "httpx",
        "requests",
        "responses",
        "socket",
        "threading",
        "trio",
        "urllib3",
    ],
)
def test_every_library_is_one_file(name: str) -> None:
    assert name in {Path(inspect.getfile(o.function)).stem for o in OBSERVERS}


def test_for_each_kind_of_resource_it_is_known_what_ends_it() -> None:
    assert {kind for observer in OBSERVERS for kind in observer.vital} == {"session", "pool", "response", "socket"}


# --- the machinery, on a library of our own ---------------------------------------------------------------

SOURCE = """
class Base:
    def inherited(self, number):
        return number

class Client(Base):
    def work(self, number: int, *, twice: bool = False) -> int:
        if number < 0:
            raise ValueError(number)
        return number * (2 if twice else 1)
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = "library_of_our_own"
    installed = tmp_path / "site-packages"
    installed.mkdir()
    (installed / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(installed)
    yield name
    sys.modules.pop(name, None)


@pytest.fixture
def watched(library: str) -> Instrumentation:
    return Instrumentation(library, contested=True)


class Told(list[Any]):
    """What the observers were told."""

    def after(self, probe: Recorder, call: Call) -> None:
        self.append((call.args, call.kwargs, call.result))

    def before(self, probe: Recorder, library: str, instance: object) -> End:
        self.append("before")
        return self.ended

    def ended(self, result: object, error: BaseException | None) -> None:
        self.append((result, type(error).__name__))

    def around(self, probe: Recorder, call: Call) -> Generator[None, Outcome, None]:
        self.append("before")
        outcome = yield
        self.ended(outcome.result, outcome.error)


def started(*watched: Instrumentation) -> Installation:
    installation = Installation(watched, Recorder())
    installation.start()
    return installation


def test_a_library_is_patched_when_it_is_imported(watched: Instrumentation, library: str) -> None:
    told = Told()
    watched.after(f"{library}:Client.work")(told.after)
    installation = started(watched)
    try:
        assert library not in sys.modules
        client = importlib.import_module(library).Client()
        assert client.work(2, twice=True) == 4
        assert told == [((2,), {"twice": True}, 4)]
    finally:
        installation.stop()
    assert client.work(3) == 3
    assert len(told) == 1


def test_the_imported_module_looks_as_ever(watched: Instrumentation, library: str) -> None:
    watched.after(f"{library}:Client.work")(Told().after)
    installation = started(watched)
    try:
        module = importlib.import_module(library)
        assert type(module.__loader__).__name__ == "SourceFileLoader"
        assert "exec_module" not in vars(module.__loader__)
        assert module.__spec__ is not None
        assert module.__spec__.loader is module.__loader__
    finally:
        installation.stop()


def test_a_reloaded_library_is_patched_again(watched: Instrumentation, library: str) -> None:
    told = Told()
    watched.after(f"{library}:Client.work")(told.after)
    installation = started(watched)
    try:
        module = importlib.reload(importlib.import_module(library))
        module.Client().work(1)
        assert len(told) == 1
    finally:
        installation.stop()
    assert not hasattr(module.Client.work, "__wrapped__")


@pytest.mark.parametrize("way", ["before", "around"])
def test_before_and_around_are_told_of_results_and_errors(watched: Instrumentation, library: str, way: str) -> None:
    told = Told()
    getattr(watched, way)(f"{library}:Client.work")(getattr(told, way))
    installation = started(watched)
    try:
        client = importlib.import_module(library).Client()
        client.work(1)
        with pytest.raises(ValueError, match="-1"):
            client.work(-1)
    finally:
        installation.stop()
    assert told == ["before", (1, "NoneType"), "before", (None, "ValueError")]


def test_an_inherited_method_is_put_back_by_taking_it_away(watched: Instrumentation, library: str) -> None:
    told = Told()
    watched.after(f"{library}:Client.inherited")(told.after)
    module = importlib.import_module(library)
    before = dict(vars(module.Client))
    installation = started(watched)
    assert module.Client().inherited(5) == 5
    installation.stop()
    assert dict(vars(module.Client)) == before
    assert len(told) == 1


def test_what_somebody_else_patched_on_top_stays(watched: Instrumentation, library: str) -> None:
    watched.after(f"{library}:Client.work")(Told().after)
    module = importlib.import_module(library)
    installation = started(watched)
    module.Client.work = mine = lambda self, number: "mine"
    installation.stop()
    assert module.Client.work is mine


@pytest.mark.parametrize("way", ["before", "after", "around"])
def test_an_observer_that_raises_is_switched_off_and_named(watched: Instrumentation, library: str, way: str) -> None:
    calls = []

    def after(probe: Recorder, call: Call) -> None:
        calls.append(call)
        raise RuntimeError("broken")

    def before(probe: Recorder, library: str, instance: object) -> None:
        after(probe, Call(library, instance, (), {}))

    def around(probe: Recorder, call: Call) -> Generator[None, Outcome, None]:
        after(probe, call)
        yield

    if way == "after":
        watched.after(f"{library}:Client.work", vital=("pool",))(after)
    elif way == "before":
        watched.before(f"{library}:Client.work")(before)
    else:
        watched.around(f"{library}:Client.work")(around)
    installation = started(watched)
    try:
        client = importlib.import_module(library).Client()
        assert [client.work(1), client.work(2)] == [1, 2]
    finally:
        installation.stop()
    assert len(calls) == 1
    assert installation.faults == {f"{library} ({library}:Client.work)": "RuntimeError: broken"}
    assert installation.blind == ({"pool"} if way == "after" else set())


@pytest.mark.parametrize("way", ["before", "around"])
@pytest.mark.parametrize("number", [1, -1])
def test_an_observer_that_fails_after_the_call_leaves_how_it_ended(
    watched: Instrumentation, library: str, way: str, number: int
) -> None:
    def fails(result: object, error: BaseException | None) -> None:
        raise RuntimeError("broken")

    def before(probe: Recorder, library: str, instance: object) -> End:
        return fails

    def around(probe: Recorder, call: Call) -> Generator[None, Outcome, None]:
        yield
        fails(None, None)

    getattr(watched, way)(f"{library}:Client.work")(before if way == "before" else around)
    installation = started(watched)
    try:
        with nullcontext() if number > 0 else pytest.raises(ValueError, match="-1"):
            assert importlib.import_module(library).Client().work(number) == number
    finally:
        installation.stop()
    assert list(installation.faults.values()) == ["RuntimeError: broken"]


def test_a_target_that_is_gone_is_named_and_the_others_are_watched(watched: Instrumentation, library: str) -> None:
    told = Told()
    watched.after(f"{library}:Client.no_more")(told.after)
    watched.after(f"{library}:Client.work")(told.after)
    installation = started(watched)
    try:
        importlib.import_module(library).Client().work(1)
    finally:
        installation.stop()
    assert len(told) == 1
    assert list(installation.faults) == [f"{library} ({library}:Client.no_more)"]


def test_only_the_latest_of_several_installations_is_told(library: str) -> None:
    outer, inner = Told(), Told()
    outside, inside = Instrumentation(library), Instrumentation(library)
    outside.after(f"{library}:Client.work")(outer.after)
    inside.after(f"{library}:Client.work")(inner.after)
    first = started(outside)
    second = started(inside)
    module: ModuleType = importlib.import_module(library)
    module.Client().work(1)
    second.stop()
    module.Client().work(2)
    first.stop()
    module.Client().work(3)
    assert [args for args, _, _ in inner] == [(1,)]
    assert [args for args, _, _ in outer] == [(2,)]
    assert not hasattr(module.Client.work, "__wrapped__")


@pytest.mark.parametrize("name", ["work", "inherited"])
def test_what_is_put_back_as_it_was_before_is_patched_again(watched: Instrumentation, library: str, name: str) -> None:
    """As pytest-socket does after each test with what it found when it was imported."""
    told = Told()
    watched.after(f"{library}:Client.{name}")(told.after)
    module = importlib.import_module(library)
    before = getattr(module.Client, name)
    installation = started(watched)
    try:
        setattr(module.Client, name, before)
        installation.renew()
        getattr(module.Client(), name)(1)
        assert told == [((1,), {"twice": False} if name == "work" else {}, 1)]
    finally:
        installation.stop()
    assert getattr(module.Client, name) is before


def test_what_somebody_else_put_there_is_left_alone(watched: Instrumentation, library: str) -> None:
    told = Told()
    watched.after(f"{library}:Client.work")(told.after)
    module = importlib.import_module(library)
    installation = started(watched)
    try:
        module.Client.work = lambda self, number: -number
        installation.renew()
        assert module.Client().work(1) == -1
        assert told == []
    finally:
        installation.stop()
