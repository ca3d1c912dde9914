"""From a stack to the user's line: what is captured, and what it says."""

from __future__ import annotations

import gc
import os
import site
import sys
import weakref
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_connleak import origin
from pytest_connleak.model import Frame, RawStack


def place(stack: RawStack) -> tuple[str, int]:
    """Where a stack begins that the user's code has at its innermost end."""
    frame = origin.resolve(stack).place
    assert frame is not None
    return frame.path, frame.line


def install(source: str, filename: str, name: str) -> ModuleType:
    """A module whose code says that it stands in ``filename``."""
    module = ModuleType(name)
    exec(compile(source, filename, "exec"), vars(module))
    return module


LIBRARY = os.path.join(site.getsitepackages()[0], "somelib", "api.py")


def test_the_place_is_the_nearest_line_of_the_user() -> None:
    library = install("def connect(make):\n    return make()\n", LIBRARY, "somelib.api")
    found = origin.resolve(library.connect(origin.capture))
    assert found.place is not None
    assert found.place.path == __file__
    assert found.place.function == "test_the_place_is_the_nearest_line_of_the_user"
    assert found.library == Frame(LIBRARY, 2, "connect", "somelib.api", user=False)


def test_who_made_it() -> None:
    library = install("def connect(make):\n    return make()\n", LIBRARY, "somelib.api")
    stack = library.connect(origin.capture)
    assert origin.made_by_library(stack, "requests")
    assert not origin.made_by_library(stack, "somelib")
    assert not origin.made_by_library(origin.capture(), "requests")


def test_what_a_module_makes_when_it_is_imported_is_the_librarys() -> None:
    module = install("from pytest_connleak.origin import capture\nstack = capture()\n", LIBRARY, "somelib")
    assert origin.made_by_library(module.stack, "somelib")


class Base:
    def __init__(self) -> None:
        self.stack = origin.capture(type(self))


class Derived(Base):
    def __init__(self) -> None:
        super().__init__()


def test_constructors_of_the_object_itself_are_left_out() -> None:
    found = origin.resolve(Derived().stack)
    assert found.place is not None
    assert found.place.function == "test_constructors_of_the_object_itself_are_left_out"


class Client:
    def __init__(self) -> None:
        self.stack = origin.capture(Base)


def test_constructors_of_others_are_not() -> None:
    found = origin.resolve(Client().stack)
    assert found.place is not None
    assert found.place.function == "Client.__init__"


def test_without_any_line_of_the_user_the_test_is_the_place() -> None:
    definition = Frame("/project/test_a.py", 3, "test_a", "", user=True)
    assert origin.resolve((), definition).place == definition
    assert origin.resolve(()).place is None


@pytest.mark.parametrize(
    ("filename", "kind"),
    [
        (__file__, "user"),
        (os.__file__, "stdlib"),
        (LIBRARY, "library"),
        (origin.__file__, "plugin"),
        (sys.modules["pluggy"].__file__, "runner"),
        ("<string>", "synthetic"),
        ("<frozen importlib._bootstrap>", "stdlib"),
        ("/opt/app/vendor/site-packages/x.py", "library"),
    ],
)
def test_what_kind_a_file_is(filename: str, kind: str) -> None:
    assert origin.classify(filename) == kind


def test_another_line_is_another_place() -> None:
    stacks = [
        origin.capture(),
        origin.capture(),
    ]
    assert len({place(stack) for stack in stacks}) == 2


def test_another_caller_is_another_stack() -> None:
    def helper() -> RawStack:
        return origin.capture()

    first = helper()
    second = helper()
    assert place(first) == place(second)
    assert first != second


def test_two_equal_files_are_two_places() -> None:
    source = "def made(capture): return capture()\n"
    here, there = (install(source, f"/{name}/test_it.py", "test_it").made for name in ("here", "there"))
    assert here.__code__ == there.__code__, "Python takes them for one"
    stacks = [made(origin.capture) for made in (here, there, here)]
    assert [Path(place(stack)[0]).parent.name for stack in stacks] == ["here", "there", "here"]


def test_a_class_is_not_kept() -> None:
    def use() -> weakref.ref[type]:
        class Session(Base): ...

        Session()
        return weakref.ref(Session)

    session = use()
    gc.collect()
    assert session() is None


def test_a_deep_recursion_is_cut() -> None:
    def deep(calls: int) -> RawStack:
        return deep(calls - 1) if calls else origin.capture()

    assert [len(deep(calls)) for calls in (500, 500, origin.MAX_FRAMES)] == [origin.MAX_FRAMES] * 3


def test_stacks_of_the_same_calls_are_one() -> None:
    first, second = (origin.capture() for _ in range(2))
    assert first is not second
    assert origin.shared(first) is origin.shared(second)


def test_stacks_of_equal_files_are_two() -> None:
    source = "def made(capture): return capture()\n"
    here, there = (install(source, f"/{name}/test_it.py", "test_it").made for name in ("here", "there"))
    stacks = [made(origin.capture) for made in (here, there)]
    assert [place(origin.shared(stack)) for stack in stacks] == [place(stack) for stack in stacks]


def test_stacks_of_modules_that_share_their_code_are_two() -> None:
    code = compile("def made(capture): return capture()", __file__, "exec")
    spaces: list[dict[str, Any]] = [{"__name__": name} for name in ("one", "other")]
    stacks = [exec(code, space) or space["made"](origin.capture) for space in spaces]  # type: ignore[func-returns-value]
    assert [origin.shared(stack)[0][2] for stack in stacks] == ["one", "other"]


def test_only_so_many_are_shared() -> None:
    lines = 3 * origin.MAX_SHARED
    source = "def made(capture):\n    return [\n" + "        capture(),\n" * lines + "    ]\n"
    stacks = install(source, "/many.py", "many").made(origin.capture)
    assert len({place(origin.shared(stack)) for stack in stacks}) == lines
    assert len(origin._shared) <= origin.MAX_SHARED
