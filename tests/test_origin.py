"""What a captured stack says."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path

from pytest_connleak import origin
from pytest_connleak.model import RawStack


def place(stack: RawStack) -> tuple[str, int]:
    """Where a stack begins that the user's code has at its innermost end."""
    frame = origin.resolve(stack).place
    assert frame is not None
    return frame.path, frame.line


def loaded(path: Path, source: str) -> dict[str, Callable[..., RawStack]]:
    path.parent.mkdir(exist_ok=True)
    path.write_text(source)
    names: dict[str, Callable[..., RawStack]] = {"__name__": path.stem}  # type: ignore[dict-item]  # as a module has it
    exec(compile(source, str(path), "exec"), names)
    return names


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


def test_two_equal_files_are_two_places(tmp_path: Path) -> None:
    source = "def made(capture): return capture()\n"
    here, there = (loaded(tmp_path / name / "test_it.py", source)["made"] for name in ("here", "there"))
    assert here.__code__ == there.__code__, "Python takes them for one"
    stacks = [made(origin.capture) for made in (here, there, here)]
    assert [Path(place(stack)[0]).parent.name for stack in stacks] == ["here", "there", "here"]


class Base:
    def __init__(self) -> None:
        self.stack = origin.capture(type(self))


class Derived(Base):
    def __init__(self) -> None:
        super().__init__()


def test_constructors_of_what_is_made_are_left_out() -> None:
    stacks = [Derived().stack for _ in range(2)]
    assert {stack[0][0] for stack in stacks}.isdisjoint({Base.__init__.__code__, Derived.__init__.__code__})


def test_the_class_decides_which_constructors_are_left_out() -> None:
    class Pool:
        def __init__(self, cls: type) -> None:
            self.stack = origin.capture(cls)

    innermost = [Pool(cls).stack[0][0] is Pool.__init__.__code__ for cls in (Pool, int, Pool, int)]
    assert innermost == [False, True, False, True]


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


def test_stacks_of_equal_files_are_two(tmp_path: Path) -> None:
    source = "def made(capture): return capture()\n"
    here, there = (loaded(tmp_path / name / "test_it.py", source)["made"] for name in ("here", "there"))
    stacks = [made(origin.capture) for made in (here, there)]
    assert [place(origin.shared(stack)) for stack in stacks] == [place(stack) for stack in stacks]


def test_only_so_many_are_shared(tmp_path: Path) -> None:
    lines = 3 * origin.MAX_SHARED
    source = "def made(capture):\n    return [\n" + "        capture(),\n" * lines + "    ]\n"
    stacks = loaded(tmp_path / "many.py", source)["made"](origin.capture)
    assert len({place(origin.shared(stack)) for stack in stacks}) == lines  # type: ignore[arg-type]  # a list of them
    assert len(origin._shared) <= origin.MAX_SHARED
