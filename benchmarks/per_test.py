"""A test in which nothing is opened: what the plugin adds to it, and to the start of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator

from .measure import ON, Files, Row, Suite, instructions, instructions_of_one_more, paired, seconds

# What is imported is most of it: 60 files, of which the tests of most projects need all.
REACHED_AT_START = 1.25

EMPTY = Suite(lambda _: {}, (0, 0))


def trivial(n: int) -> Files:
    """Tests in which nothing happens."""
    return {"test_trivial.py": "\n".join(f"def test_{i}(): pass" for i in range(n))}


def wide(n: int) -> Files:
    """Tests that use ten fixtures, of all scopes."""
    scopes = ("session", "package", "module", "class", "function", "session", "module", "class", "function", "function")
    fixtures = [f"@pytest.fixture(scope='{s}')\ndef f{i}(): yield {i}" for i, s in enumerate(scopes)]
    arguments = ", ".join(f"f{i}" for i in range(len(scopes)))
    tests = [f"    def test_{i}(self, {arguments}): pass" for i in range(n)]
    return {"test_wide.py": "\n".join(["import pytest", *fixtures, "class TestWide:", *tests])}


def counted() -> Iterator[Row]:
    """The rows that are instructions."""
    if not os.path.isdir("/proc/self/fd") or not os.stat("/proc/self/fd").st_size:
        print("(left out: this system, unlike Linux 6.2, does not say how many descriptors a process has)")
        return
    # valgrind has seven descriptors of its own in the process; to ask for these is 0.2 % of a test.
    yield instructions_of_one_more("a trivial test", Suite(trivial, (500, 2000)), 1.015, 1.017)
    yield instructions_of_one_more("a test with ten fixtures", Suite(wide, (500, 2000)), 1.02)
    off, on = instructions(EMPTY, 0), instructions(EMPTY, 0, *ON)
    yield Row("an empty run", off / 1e6, on / 1e6, "million instructions", on / off, 1.03, REACHED_AT_START)


def timed() -> Iterator[Row]:
    """The rows that are seconds."""
    off, on, ratio = paired(lambda: seconds(EMPTY, 0), lambda: seconds(EMPTY, 0, *ON), 15)
    yield Row("an empty run", off * 1000, on * 1000, "ms", ratio, 1 + 0.005 / off)
    distributed = Suite(trivial, (2000, 2000))
    xdist = ("-p", "xdist", "-n", "2")
    off, on, ratio = paired(
        lambda: seconds(distributed, 2000, *xdist), lambda: seconds(distributed, 2000, *xdist, *ON), 5
    )
    yield Row("2,000 tests, xdist -n 2", off, on, "s", ratio, 1.05)
