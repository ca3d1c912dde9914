"""A test in which nothing is opened: what the plugin adds to it, and to the start of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator

from .measure import AUTOLOADED_OFF, ON, Files, Row, Suite, instructions, instructions_of_one_more, paired, seconds

# What watches and judges is imported for the first test: 60 files.
REACHED_WITH_A_TEST = 1.20

EMPTY = Suite(lambda _: {}, (0, 0))


def trivial(n: int) -> Files:
    """Tests in which nothing happens, of a project that has imported a client."""
    return {"test_trivial.py": "\n".join(["import urllib3", *(f"def test_{i}(): pass" for i in range(n))])}


def wide(n: int) -> Files:
    """Tests that use ten fixtures, of all scopes."""
    scopes = ("session", "package", "module", "class", "function", "session", "module", "class", "function", "function")
    fixtures = [f"@pytest.fixture(scope='{s}')\ndef f{i}(): yield {i}" for i, s in enumerate(scopes)]
    arguments = ", ".join(f"f{i}" for i in range(len(scopes)))
    tests = [f"    def test_{i}(self, {arguments}): pass" for i in range(n)]
    return {"test_wide.py": "\n".join(["import pytest", *fixtures, "class TestWide:", *tests])}


ONE = Suite(lambda _: {"test_one.py": "def test_one(): pass"}, (1, 1))


def counted() -> Iterator[Row]:
    """The rows that are instructions."""
    if not os.path.isdir("/proc/self/fd") or not os.stat("/proc/self/fd").st_size:
        print("(left out: this system, unlike Linux 6.2, does not say how many descriptors a process has)")
        return
    # valgrind has seven descriptors of its own in the process; to ask for these is 0.2 % of a test.
    # And where the plugin is installed makes a difference: 0.9 to 2.6 % were seen of the same code.
    yield instructions_of_one_more("a trivial test", Suite(trivial, (500, 2000)), 1.015, 1.024)
    yield instructions_of_one_more("a test with ten fixtures", Suite(wide, (500, 2000)), 1.02)
    yield _started("an empty run", EMPTY, 1.03)
    yield _started("a run of one test", ONE, None, REACHED_WITH_A_TEST)


def _started(what: str, suite: Suite, target: float | None, reached: float | None = None) -> Row:
    off = instructions(suite, 1, *AUTOLOADED_OFF, autoload=True)
    on = instructions(suite, 1, autoload=True)
    return Row(what, off / 1e6, on / 1e6, "million instructions", on / off, target, reached)


def timed() -> Iterator[Row]:
    """The rows that are seconds."""
    for what, suite in (("an empty run", EMPTY), ("a run of one test", ONE)):
        off, on, ratio = paired(
            lambda suite=suite: seconds(suite, 1, *AUTOLOADED_OFF, autoload=True),  # type: ignore[misc]
            lambda suite=suite: seconds(suite, 1, autoload=True),  # type: ignore[misc]
            15,
        )
        yield Row(what, off * 1000, on * 1000, "ms", ratio, 1 + 0.005 / off if suite is EMPTY else None)
    distributed = Suite(trivial, (2000, 2000))
    xdist = ("-p", "xdist", "-n", "2")
    off, on, ratio = paired(
        lambda: seconds(distributed, 2000, *xdist), lambda: seconds(distributed, 2000, *xdist, *ON), 5
    )
    yield Row("2,000 tests, xdist -n 2", off, on, "s", ratio, 1.05)
