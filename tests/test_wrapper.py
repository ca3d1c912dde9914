"""A wrapper does what the method does, however that takes its arguments."""

from __future__ import annotations

import gc
import inspect
import weakref
from collections.abc import Callable, Iterator
from functools import wraps
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_connleak.instrumentation import Probe
from pytest_connleak.instrumentation.interface import Argument, End
from pytest_connleak.wrapper import MANY, Call, wrap


def plain(self: Any, a: Any, b: Any = 2) -> Any:
    return self, a, b


def positional_only(self: Any, a: Any, /, b: Any = 2) -> Any:
    return self, a, b


def keyword_only(self: Any, a: Any, *, b: Any = 2) -> Any:
    return self, a, b


def everything(self: Any, a: Any, /, b: Any = 2, *rest: Any, c: Any = 3, **more: Any) -> Any:
    return self, a, b, rest, c, more


def nothing_but_stars(*args: Any, **kwargs: Any) -> Any:
    return args, kwargs


def with_names_of_the_wrapper(self: Any, result: Any, call: Any = 1, *, original: Any = 2) -> Any:
    return self, result, call, original


def with_a_parameter_called_when(self: Any, a: Any, when: Any = None) -> Any:
    return self, a, when


def many_keywords(self: Any, *, a: Any = 1, b: Any = 2, c: Any = 3, d: Any = 4) -> Any:
    return self, a, b, c, d


@wraps(plain)
def decorated(*args: Any, **kwargs: Any) -> Any:
    return plain(*args, **kwargs)


WAYS = ["before", "after", "around"]
METHODS = [
    plain,
    positional_only,
    keyword_only,
    everything,
    nothing_but_stars,
    with_names_of_the_wrapper,
    with_a_parameter_called_when,
    many_keywords,
    decorated,
]
ARGUMENTS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((0,), {}),
    ((0, 1), {}),
    ((0, 1, 5), {}),
    ((0, 1, 5, 6), {}),
    ((0, 1), {"b": 5}),
    ((0,), {"a": 1, "b": 5}),
    ((0, 1), {"c": 5, "z": 6}),
    ((0, 1), {"original": 5, "call": 6}),
    ((0,), {"d": 5, "a": 6}),
    ((0, 1), {"a": 2}),
    ((), {}),
]


class Watched(SimpleNamespace):
    """What is asked of a patch and of an observer."""

    told = True
    library = "library"
    when: Callable[..., bool] | str | None = None
    way = "after"
    asks: tuple[Argument, ...] = ()


def outcome(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        return function(*args, **kwargs)
    except TypeError as error:
        return str(error)


def tells(calls: list[Call], way: str) -> Callable[..., Any]:
    def after(probe: Probe, call: Call) -> None:
        calls.append(call)

    def generator(probe: Probe, call: Call) -> Iterator[None]:
        calls.append(call)
        yield

    def before(probe: Probe, library: str, instance: object, *asked: object) -> End:
        calls.append(Call(library, instance, asked, {}))
        return lambda result, error: None

    return {"before": before, "after": after, "around": generator}[way]


def wrapped(function: Any, calls: list[Call], *, way: str = "after") -> Any:
    asks = (Argument("a", 0), Argument("b", 1)) if way == "before" else ()
    observer = Watched(function=tells(calls, way), way=way, asks=asks)
    return wrap(function, observer, Watched(), Probe(), lambda _, error: pytest.fail(str(error)))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("function", METHODS, ids=lambda function: function.__name__)
def test_a_call_is_what_it_was(function: Any, way: str) -> None:
    calls: list[Call] = []
    wrapper = wrapped(function, calls, way=way)
    for args, kwargs in ARGUMENTS:
        assert outcome(wrapper, args, kwargs) == outcome(function, args, kwargs)
    if way == "after":  # else it is told before it is known that the call fails
        succeed = [args for args, kwargs in ARGUMENTS if not isinstance(outcome(function, args, kwargs), str)]
        assert len(calls) == sum(args != () for args in succeed)
    assert inspect.signature(wrapper) == inspect.signature(function)
    assert inspect.getfullargspec(wrapper) == inspect.getfullargspec(function)


@pytest.mark.parametrize("way", ["before", "after"])
@pytest.mark.parametrize("function", METHODS, ids=lambda function: function.__name__)
def test_an_observer_sees_the_arguments(function: Any, way: str) -> None:
    calls: list[Call] = []
    wrapper = wrapped(function, calls, way=way)
    assert outcome(wrapper, (0, 1), {"b": 5}) == outcome(function, (0, 1), {"b": 5})
    if calls:
        assert calls[0].instance == 0
        assert calls[0].argument(0, "a") == 1
        assert calls[0].argument(1, "b") == 5


class Requests:
    """Methods that take a method and a URL."""

    def by_name(self, method: str, url: str = "/") -> None: ...

    def by_another_name(self, method: str, address: str = "/") -> None: ...

    def in_stars(self, *args: str, **kwargs: str) -> None: ...

    def in_stars_after_one(self, method: str, *args: str) -> None: ...

    def by_keyword(self, method: str, *, url: str = "/") -> None: ...

    def in_many(self, method: str, *, a: int = 0, b: int = 0, c: int = 0, d: int = 0, url: str = "/") -> None: ...

    def in_keywords(self, method: str, **kwargs: str) -> None: ...

    def by_no_name(self, method: str) -> None: ...


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "given"),
    [
        ("by_name", ("GET", "U"), {}, "U"),
        ("by_name", ("GET",), {"url": "U"}, "U"),
        ("by_name", ("GET",), {}, "/"),
        ("by_another_name", ("GET", "U"), {}, "U"),
        ("by_another_name", ("GET",), {"address": "U"}, "U"),
        ("in_stars", ("GET", "U"), {}, "U"),
        ("in_stars", ("GET",), {"url": "U"}, "U"),
        ("in_stars", (), {}, "none"),
        ("in_stars_after_one", ("GET", "U"), {}, "U"),
        ("in_stars_after_one", ("GET",), {}, "none"),
        ("by_keyword", ("GET",), {"url": "U"}, "U"),
        ("by_keyword", ("GET",), {}, "/"),
        ("in_many", ("GET",), {"url": "U"}, "U"),
        ("in_keywords", ("GET",), {"url": "U"}, "U"),
        ("in_keywords", ("GET",), {}, "none"),
        ("by_no_name", ("GET",), {}, "none"),
    ],
)
def test_an_observer_is_given_what_it_asks_for(name: str, args: Any, kwargs: Any, given: str) -> None:
    """By the name, whatever the place; else by the place, whatever the name; else what it says itself."""
    seen: list[object] = []
    observer = Watched(way="before", asks=(Argument("url", 1, "none"),), function=lambda *told: seen.append(told[-1]))
    wrapper = wrap(getattr(Requests, name), observer, Watched(), Probe(), lambda *_: pytest.fail("disabled"))
    wrapper(Requests(), *args, **kwargs)
    assert seen == [given]


def test_many_keywords_are_passed_on_as_they_came() -> None:
    """To name each of them costs more; the one with more than so many shows that there is such a case."""
    assert len(inspect.getfullargspec(many_keywords).kwonlyargs) > MANY
    calls: list[Call] = []
    wrapped(many_keywords, calls)(0, d=5)
    assert calls[0].kwargs == {"d": 5}


@pytest.mark.parametrize("way", WAYS)
def test_it_is_asked_first_whether_to_tell(way: str) -> None:
    calls: list[Call] = []
    observer = Watched(function=tells(calls, way), way=way, when=lambda _, instance, *result: instance == 1)
    wrapper = wrap(with_a_parameter_called_when, observer, Watched(), Probe(), lambda *_: pytest.fail("disabled"))
    assert (wrapper(0, 2), wrapper(1, 2)) == ((0, 2, None), (1, 2, None))
    assert [call.instance for call in calls] == [1]


@pytest.mark.parametrize("way", WAYS)
def test_an_error_of_what_is_asked_first_is_not_the_programs(way: str) -> None:
    def fails(probe: Probe, instance: object, *result: object) -> bool:
        raise RuntimeError

    errors: list[Exception] = []
    observer = Watched(function=tells([], way), way=way, when=fails)
    wrapper = wrap(plain, observer, Watched(), Probe(), lambda _, error: errors.append(error))
    assert wrapper(0, 1) == (0, 1, 2)
    assert [type(error) for error in errors] == [RuntimeError]


@pytest.mark.parametrize("way", WAYS)
def test_an_error_of_the_method_leaves_no_cycle(way: str) -> None:
    class MarkedError(Exception):
        pass

    def fails(self: object) -> None:
        raise MarkedError

    wrapper = wrapped(fails, [], way=way)
    gc.disable()
    try:
        try:
            wrapper(0)
        except MarkedError as error:
            reference = weakref.ref(error)
        assert reference() is None
    finally:
        gc.enable()


def test_an_error_of_a_signals_handler_leaves_no_cycle() -> None:
    """A handler is known by having been given the frame that it interrupted; here an observer calls it."""

    class AlarmError(Exception):
        pass

    def handler(*_: object) -> None:
        raise AlarmError

    struck: list[bool] = []

    def observes(probe: Probe, call: Call) -> None:
        if not struck:
            struck.append(True)
            handler(14, inspect.currentframe())

    wrapper = wrap(plain, Watched(function=observes), Watched(), Probe(), lambda *_: pytest.fail("disabled"))
    gc.disable()
    try:
        try:
            wrapper(0, 1)
        except AlarmError as error:
            reference = weakref.ref(error)
        assert reference() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("way", WAYS)
def test_it_is_told_only_while_the_probe_has_any_of_these(way: str) -> None:
    calls: list[Call] = []
    probe = Probe()
    observer = Watched(function=tells(calls, way), way=way, when="responses")
    wrapper = wrap(plain, observer, Watched(), probe, lambda *_: pytest.fail("disabled"))
    wrapper(0, 2)
    probe.responses.add(1)
    wrapper(1, 2)
    probe.responses.clear()
    wrapper(2, 2)
    assert [call.instance for call in calls] == [1]
