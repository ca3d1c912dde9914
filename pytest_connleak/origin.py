"""From a stack to the frames that the user wrote.

A stack is *captured* while the program runs, as cheaply as possible, and *resolved* only for what
becomes a finding.  Every file is one of these:

    user       outside everything below: the place of a finding is the nearest frame of this kind
    library    in site-packages
    stdlib     the standard library
    plugin     pytest-connleak itself: never shown
    runner     pluggy: what lies further out is pytest and the shell, so the stack ends here
    synthetic  no file at all (exec, dataclasses): never the place of anything
"""

from __future__ import annotations

import linecache
import os
import re
import site
import sys
import sysconfig
from collections.abc import Iterable
from functools import lru_cache
from types import CodeType, FrameType
from typing import Literal

import pluggy

from .model import Frame, Origin, Owner, RawFrame, RawStack
from .untouched import System

FileKind = Literal["user", "library", "stdlib", "plugin", "runner", "synthetic"]

# Deep enough for any chain of helpers; a recursion of thousands must not be copied for every session.
MAX_FRAMES = 64
# The frames between the place and the test that a report shows.
MAX_SHOWN = 16

# The file name of the wrappers around watched methods.  warnings.warn(stacklevel=...) and logging do not count frames
# whose file name contains "importlib" and "_bootstrap" (CPython: is_internal_frame in Python/_warnings.c, and
# _is_internal_frame in Lib/logging), so a warning still names the line that it named without the wrapper.
WRAPPER = "<pytest_connleak importlib._bootstrap>"

# The functions by which event loops run a turn of a task.
_TURNS = frozenset({("asyncio.events", "_run"), ("trio._core._run", "unrolled_run")})

# Patterns are compiled when they are first used: half of them never are, and it takes longer than their module does.
_DOCTEST = r"<doctest (?P<name>.+)\[(?P<example>\d+)\]>"


def _directories(*paths: str | None) -> tuple[str, ...]:
    found = {p for path in paths if path for p in (os.path.abspath(path), os.path.realpath(path))}
    return tuple(sorted(p.rstrip(os.sep) + os.sep for p in found))


_PLUGIN = _directories(os.path.dirname(__file__))
_RUNNER = _directories(os.path.dirname(pluggy.__file__))
_PATHS = sysconfig.get_paths()
_LIBRARY = _directories(
    _PATHS.get("purelib"),
    _PATHS.get("platlib"),
    _PATHS.get("scripts"),
    *(site.getsitepackages() if hasattr(site, "getsitepackages") else ()),
    site.getusersitepackages() if hasattr(site, "getusersitepackages") else None,
)
_STDLIB = _directories(_PATHS.get("stdlib"), _PATHS.get("platstdlib"), os.path.dirname(os.__file__))
_INSTALLED = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))


def _absolute(filename: str) -> str:
    if System.isabs(filename):  # then the system is not asked: in an event loop, blockbuster forbids it
        return System.normpath(filename)
    try:
        return System.abspath(filename)
    except Exception:  # the working directory is gone, or it is forbidden to ask for it
        return filename


def _classified(filename: str) -> FileKind:
    if not filename or filename.startswith("<"):
        if filename == WRAPPER:
            return "plugin"
        if filename.startswith("<frozen "):
            return "stdlib"
        return "user" if re.match(_DOCTEST, filename) else "synthetic"
    path = _absolute(filename)
    if path.startswith(_PLUGIN):
        return "plugin"
    if path.startswith(_RUNNER):
        return "runner"
    if path.startswith(_LIBRARY) or any(part in path for part in _INSTALLED):
        return "library"
    return "stdlib" if path.startswith(_STDLIB) else "user"


class _Kinds(dict[str, FileKind]):
    """By file name.  To look one up costs a fifth of what it costs to call a function that remembers."""

    def __missing__(self, filename: str) -> FileKind:
        kind = self[filename] = _classified(filename)
        return kind


_kinds = _Kinds()


def classify(filename: str) -> FileKind:
    """What kind of code a code object's file name stands for."""
    return _kinds[filename]


_SKIPPED = frozenset({"plugin", "runner"})


def capture(made: type | None = None) -> RawStack:
    """The stack of the caller, innermost first, without this plugin's frames, up to the test runner.

    Args:
        made: the class whose instance is being made; its own constructors are left out, so that the
            line which says ``Client()`` is found and not the ``super().__init__()`` within.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and (_kinds[frame.f_code.co_filename] in _SKIPPED or _constructs(frame.f_code, made)):
        frame = frame.f_back
    stack: list[RawFrame] = []
    while frame is not None and len(stack) < MAX_FRAMES:
        code = frame.f_code
        kind = _kinds[code.co_filename]
        if kind not in _SKIPPED:
            stack.append((code, frame.f_lasti, frame.f_globals.get("__name__", "")))
        elif kind == "runner":
            break
        frame = frame.f_back
    return tuple(stack)


# By the addresses of their code and of the names of their modules, which they keep, and the instructions.
_shared: dict[tuple[tuple[int, int, int], ...], RawStack] = {}
MAX_SHARED = 256


def shared(raw: RawStack) -> RawStack:
    """The stack of the same calls that was seen first: ten thousand sessions of one line hold one stack.

    Not by equality: the code of a copy of a file is equal, and is another place.  Nor by the code alone: modules may
    share that.
    """
    if len(_shared) >= MAX_SHARED:
        _shared.clear()
    return _shared.setdefault(tuple((id(code), instruction, id(module)) for code, instruction, module in raw), raw)


_DECIDING = frozenset({"user", "runner", "plugin"})


def user_frame_below_plugin() -> bool:
    """Whether the user's code stands between the innermost call that this plugin observes and the next one."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _kinds[frame.f_code.co_filename] == "plugin":
        frame = frame.f_back
    while frame is not None:
        kind = _kinds[frame.f_code.co_filename]
        if kind in _DECIDING:
            return kind == "user"
        frame = frame.f_back
    return False


def within_event_loop(raw: RawStack) -> RawStack:
    """The part of a stack that an event loop runs: whoever runs the loop has not called it."""
    loop = next((i for i, (code, _, module) in enumerate(raw) if (module, code.co_name) in _TURNS), None)
    return raw[:loop]


def has_user_frame(raw: RawStack) -> bool:
    """Whether the user's code is on the stack."""
    return any(classify(code.co_filename) == "user" for code, _, _ in raw)


def _constructs(code: CodeType, made: type | None) -> bool:
    """Whether ``code`` is ``__init__``, ``__new__`` or the metaclass's ``__call__`` of the class ``made``."""
    name = code.co_name
    if made is None or name not in ("__init__", "__new__", "__call__"):
        return False
    for cls in (type(made) if name == "__call__" else made).__mro__:
        method = vars(cls).get(name)
        while method is not None:
            method = getattr(method, "__func__", method)
            if getattr(method, "__code__", None) is code:
                return True
            method = getattr(method, "__wrapped__", None)
    return False


def resolve(raw: RawStack, owner_frame: Frame | None = None) -> Origin:
    """Turn a captured stack into the place and what stands around it.

    Args:
        owner_frame: where the test is defined: the place of what no line of the user made, such as a
            callable that a thread pool runs.
    """
    frames = [_frame(*frame) for frame in raw]
    index = next((i for i, f in enumerate(frames) if f.user), None)
    inner = tuple(f for f in frames[:index] if classify(f.path) == "library")[-MAX_SHOWN:]
    if index is not None:
        # Outside of the user's outermost line there is only what runs the test.
        last = max(i for i, f in enumerate(frames) if f.user)
        called = next((f for f in reversed(frames[:index]) if classify(f.path) != "synthetic"), None)
        return Origin(frames[index], tuple(frames[index : last + 1][:MAX_SHOWN]), inner, called)
    # The file of the test may itself be installed: it is the user's all the same.
    own = next((f for f in inner if owner_frame is not None and f.path == owner_frame.path), None)
    place = own or owner_frame or next(iter((*inner, *frames)), None)
    return Origin(place, (place,) if place else (), inner)


def made_by_library(raw: RawStack, library: str) -> bool:
    """Whether an installed library other than the package ``library`` itself made the object on the user's behalf.

    What runs while a module is imported is the library's own, too: ``import urllib3`` makes a pool.
    """
    for code, _, module in raw:
        kind = classify(code.co_filename)
        if kind == "user":
            return False
        own = f"{module}.".startswith(f"{library}.")
        if kind == "library" and (not own or code.co_name == "<module>"):
            return True
    return False


def names(stack: Iterable[Frame], root: str) -> frozenset[str]:
    """What an ignore pattern is held against: ``path::function`` and ``module.function`` of each frame."""
    found: set[str] = set()
    for frame in stack:
        found.add(f"{relative(frame.path, root)}::{frame.function}")
        found.add(f"{frame.module}.{frame.function}")
    return frozenset(found)


def relative(path: str, root: str) -> str:
    """``path`` from ``root`` on if it lies below it, with forward slashes."""
    prefix = root.rstrip(os.sep) + os.sep
    return path.removeprefix(prefix).replace(os.sep, "/")


def source_line(frame: Frame) -> str:
    """The source text of a frame's line, stripped; empty if it cannot be had."""
    namespace = getattr(sys.modules.get(frame.module), "__dict__", None)  # its loader knows what a zip file holds
    try:
        return linecache.getline(frame.path, frame.line, namespace).strip()
    except Exception:  # a patched open(), or a loader that raises: the line is known, its text is not
        return ""


# By the addresses of the code and of the name of the module, which are kept for that, and the instruction.
_frames: dict[tuple[int, int, int], tuple[CodeType, str, Frame]] = {}


def _frame(code: CodeType, instruction: int, module: str) -> Frame:
    key = (id(code), instruction, id(module))
    known = _frames.get(key)
    if known is None:
        if len(_frames) >= MAX_SHARED:
            _frames.clear()
        known = _frames[key] = code, module, _described(code, instruction, module)
    return known[2]


def _described(code: CodeType, instruction: int, module: str) -> Frame:
    filename, line = code.co_filename, _line(code, instruction)
    kind = classify(filename)
    doctest = re.match(_DOCTEST, filename) if filename.startswith("<doctest ") else None
    if doctest:
        path, line = _doctest_line(doctest["name"], int(doctest["example"]), line) or (filename, line)
    else:
        path = filename if kind == "synthetic" else _absolute(filename)
    return Frame(path, line, _function(code), module, kind == "user")


def _line(code: CodeType, instruction: int) -> int:
    """What ``f_lineno`` was: to ask for that costs a search in the table of lines, for each frame of each stack."""
    lines = (line for start, end, line in code.co_lines() if start <= instruction < end)
    return next(lines, None) or code.co_firstlineno


def _function(code: CodeType) -> str:
    """``Class.method``: the qualified name without ``<locals>``."""
    name = getattr(code, "co_qualname", None)  # Python 3.11
    if name is None:
        name = _qualified_name(code)
    return str(name).replace("<locals>.", "")


@lru_cache(maxsize=512)
def _qualified_name(code: CodeType) -> str:
    """What ``co_qualname`` says since Python 3.11, found by compiling the source again."""
    try:
        source = "".join(linecache.getlines(code.co_filename))
        todo = [(compile(source, code.co_filename, "exec", dont_inherit=True), "")]
    except (SyntaxError, ValueError):
        return code.co_name
    alike: list[str] = []
    while todo:
        outer, prefix = todo.pop()
        for inner in outer.co_consts:
            if isinstance(inner, CodeType):
                qualified = prefix + inner.co_name
                if inner == code:
                    return qualified
                if (inner.co_name, inner.co_firstlineno) == (code.co_name, code.co_firstlineno):
                    alike.append(qualified)  # pytest rewrites assertions, and so the code
                todo.append((inner, f"{qualified}."))
    return alike[0] if alike else code.co_name


def forget_sources() -> None:
    """A file may have been edited since another run in this process."""
    _qualified_name.cache_clear()
    _shared.clear()
    _frames.clear()
    linecache.checkcache()


_doctests: dict[tuple[str, int], tuple[str, int]] = {}


def register_doctest(name: str, path: str, lines: Iterable[int]) -> None:
    """Say where the examples of a doctest stand, for ``<doctest name[0]>`` names no file."""
    for number, line in enumerate(lines):
        _doctests[name, number] = (path, line)


def _doctest_line(name: str, example: int, line: int) -> tuple[str, int] | None:
    where = _doctests.get((name, example))
    return where and (where[0], where[1] + line - 1)


def owner_frame(owner: Owner, path: str, line: int) -> Frame:
    """The definition of a test as a frame."""
    return Frame(os.path.abspath(path), line, owner.nodeid.rpartition("::")[2], "", True)
