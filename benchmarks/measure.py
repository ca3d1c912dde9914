"""Runs a generated suite, and counts its instructions or its seconds.

Instructions are counted by callgrind, and repeat to a millionth where the collector of garbage is off: one collection
of the whole heap more, or less, is 1 % of the slope of a thousand tests, and when it comes is chance.

Seconds are of the processor (user and system, with those of child processes), and are compared in pairs, one run right
after the other, since machines are noisy.
"""

from __future__ import annotations

import compileall
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

import pytest_connleak

Files = Mapping[str, str]
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header", "-W", "ignore")
ON: tuple[str, ...] = ("-p", "connleak", "--connleak=warn")
OFF: tuple[str, ...] = ()
# The same two where pytest loads its plugins by itself, and this is the only one.
ALONE = tuple(f"-pno:{plugin.name}" for plugin in entry_points(group="pytest11") if plugin.name != "connleak")
AUTOLOADED_OFF = ("-p", "no:connleak")


class Suite(NamedTuple):
    """A test suite that comes in every size.

    Attributes:
        files: the files of one of ``n`` tests, or with a test of ``n`` calls.
        sizes: the two sizes between which the slope is taken.
    """

    files: Callable[[int], Files]
    sizes: tuple[int, int]


class Row(NamedTuple):
    """A line of the table.

    Attributes:
        what: what was measured.
        off: the figure without the plugin.
        on: the figure with it.
        unit: of both.
        ratio: how many times the one is the other.
        target: how many times it should be at most; None for what is only shown.
        reached: where that is out of reach, what was reached; a regression is told from it.
    """

    what: str
    off: float
    on: float
    unit: str
    ratio: float
    target: float | None = None
    reached: float | None = None

    @property
    def met(self) -> bool:
        """Whether it is what it should be."""
        return self.target is None or self.ratio <= self.target

    @property
    def has_worsened(self) -> bool:
        """Whether it costs a quarter more than it should, or did."""
        bound = self.reached or self.target
        return bound is not None and self.ratio - 1 > 1.25 * (bound - 1)


def instructions_of_one_more(what: str, suite: Suite, target: float, reached: float | None = None) -> Row:
    """The instructions of one test (or call) more, without and with the plugin."""
    runs = [(size, options) for size in suite.sizes for options in (OFF, ON)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        small_off, small_on, large_off, large_on = pool.map(lambda run: instructions(suite, run[0], *run[1]), runs)
    more = suite.sizes[1] - suite.sizes[0]
    off, on = (large_off - small_off) / more, (large_on - small_on) / more
    return Row(what, off / 1000, on / 1000, "thousand instructions", on / off, target, reached)


def instructions(
    suite: Suite, size: int, *options: str, python: tuple[str, ...] = PYTEST, autoload: bool = False
) -> int:
    """The instructions of a whole run; of an ``autoload``, the second, when pytest has its cache of bytecode.

    Raises:
        RuntimeError: if valgrind is missing, or the suite fails.
    """
    if shutil.which("valgrind") is None:
        raise RuntimeError("valgrind counts the instructions, and is not installed")
    with written({**suite.files(size), "uncollected.py": "import gc\ngc.disable()"}) as directory:
        counting = ("valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}", sys.executable)
        if autoload:
            run(directory, sys.executable, *python, *ALONE, *options, autoload=True)
        loading = ALONE if autoload else ()
        done = run(directory, *counting, *python, "-p", "uncollected", *loading, *options, autoload=autoload)
    count = re.search(r"Collected : (\d+)", done.stderr)
    if count is None:
        raise RuntimeError(done.stderr)
    return int(count[1])


def seconds(suite: Suite, size: int, *options: str, python: tuple[str, ...] = PYTEST, autoload: bool = False) -> float:
    """The seconds of the processor that a whole run takes.

    Raises:
        RuntimeError: if the suite fails.
    """
    with written(suite.files(size)) as directory:
        before = _seconds_of_children()
        run(directory, sys.executable, *python, *(ALONE if autoload else ()), *options, autoload=autoload)
        return _seconds_of_children() - before


def seconds_of_one_more(suite: Suite, *options: str, python: tuple[str, ...] = PYTEST) -> float:
    """The seconds of one test more."""
    small, large = (seconds(suite, size, *options, python=python) for size in suite.sizes)
    return (large - small) / (suite.sizes[1] - suite.sizes[0])


def paired(off: Callable[[], float], on: Callable[[], float], pairs: int) -> tuple[float, float, float]:
    """The medians of both figures, and of their ratios, pair by pair; the first pair warms up."""
    figures = [(off(), on()) for _ in range(pairs + 1)][1:]
    ratios = [b / a for a, b in figures]
    return statistics.median(a for a, _ in figures), statistics.median(b for _, b in figures), statistics.median(ratios)


def run(directory: str, *command: str, autoload: bool = False) -> subprocess.CompletedProcess[str]:
    """Run to the end in a directory, with no plugin of pytest but what the command names.

    With ``autoload`` pytest finds its plugins by itself, as it does for everybody who says nothing.

    Raises:
        RuntimeError: if pytest neither passes nor finds that there are no tests.
    """
    _compile()
    fixed = {"PYTHONHASHSEED": "0"}
    if autoload:
        fixed |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "", "PYTHONDONTWRITEBYTECODE": ""}
    else:
        fixed |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, **fixed},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 5):
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done


@contextmanager
def written(files: Files) -> Iterator[str]:
    """A directory with these files."""
    with tempfile.TemporaryDirectory() as directory:
        for name, text in files.items():
            Path(directory, name).write_text(text)
        yield directory


@cache
def _compile() -> None:
    """As an installer does: else each run would do it."""
    compileall.compile_dir(str(Path(pytest_connleak.__file__).parent), quiet=2)


def _seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)  # os.times() counts hundredths of a second
    return used.ru_utime + used.ru_stime
