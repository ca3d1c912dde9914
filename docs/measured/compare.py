"""Who sees what: runs the same mistakes under each tool, and prints a table.

    pip install -e '.[test,docs]'
    python docs/measured/compare.py             # prints it
    python docs/measured/compare.py --update    # writes it to docs/measured/table.md
    python docs/measured/compare.py --check     # fails if that says something else

A test tool sees a mistake if that very test fails or errs; a linter, if it reports a line of that test.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
CASES = HERE / "cases"
TABLE = HERE / "table.md"

PSUTIL = """
import psutil
import pytest
from conftest_ import *

@pytest.fixture(autouse=True)
def no_new_connections(address):
    before = {(c.fd, c.laddr) for c in psutil.Process().net_connections("inet")}
    yield
    after = {(c.fd, c.laddr) for c in psutil.Process().net_connections("inet")}
    assert not after - before
"""
PSLEAK = """
from functools import partial

import psleak
from conftest_ import *

def pytest_pyfunc_call(pyfuncitem):
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    test = partial(pyfuncitem.obj, **arguments)
    psleak.MemoryLeakTestCase().execute(test, checkers=psleak.Checkers.exclude("memory", "gcgarbage"))
    return True
"""
PYLEAK = """
import pytest
from conftest_ import *

def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.no_leaks("all"))
"""


class Tool(NamedTuple):
    """Something that may see a mistake: its name in the table, the package it is in, and how it is asked."""

    name: str
    package: str
    seen: Callable[[], set[str]]


def under_pytest(*options: str, conftest: str = "") -> Callable[[], set[str]]:
    """The tests that do not pass in a run with nothing but these options."""

    def seen() -> set[str]:
        with tempfile.TemporaryDirectory() as directory:
            place = Path(directory) / "cases"
            shutil.copytree(CASES, place, ignore=shutil.ignore_patterns("__pycache__"))
            if conftest:
                (place / "conftest.py").rename(place / "conftest_.py")
                (place / "conftest.py").write_text(conftest)
            report = place / "junit.xml"
            command = [sys.executable, "-m", "pytest", "-q", f"--junit-xml={report}", *options]
            environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
            done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=300)
            if not report.exists():
                raise RuntimeError(done.stdout + done.stderr)
            cases = ElementTree.parse(report).iter("testcase")
            return {c.get("name", "") for c in cases if c.find("failure") is not None or c.find("error") is not None}

    return seen


def linter(*command: str, line: Callable[[dict[str, object]], int], found: str = "") -> Callable[[], set[str]]:
    """The tests with a line that a linter reports."""

    def seen() -> set[str]:
        done = subprocess.run(
            [sys.executable, "-m", *command, str(CASES / "test_leaks.py")], capture_output=True, text=True, timeout=120
        )
        reported = json.loads(done.stdout)
        lines = {line(each) for each in (reported[found] if found else reported)}
        return {name for name, first, last in spans() if any(first <= number <= last for number in lines)}

    return seen


def spans() -> list[tuple[str, int, int]]:
    """The tests, with their first and last lines."""
    tree = ast.parse((CASES / "test_leaks.py").read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    return [(node.name, node.lineno, node.end_lineno or 0) for node in functions]


def rows() -> list[tuple[str, str]]:
    """The tests, with what they are about."""
    tree = ast.parse((CASES / "test_leaks.py").read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    return [(node.name, ast.get_docstring(node) or "") for node in functions]


TOOLS = (
    Tool("pytest `-W error`", "pytest", under_pytest("-W", "error")),
    Tool("fixture with psutil", "psutil", under_pytest(conftest=PSUTIL)),
    Tool("psleak", "psleak", under_pytest(conftest=PSLEAK)),
    Tool("pytest-openfiles", "pytest-openfiles", under_pytest("-p", "pytest_openfiles.plugin", "--open-files")),
    Tool("pyleak", "pyleak", under_pytest("-p", "pyleak.pytest_plugin", conftest=PYLEAK)),
    Tool(
        "ruff S113",
        "ruff",
        linter(
            *("ruff", "check", "--isolated", "--select=S113", "--output-format=json"),
            line=lambda found: int(found["location"]["row"]),  # type: ignore[index]  # JSON
        ),
    ),
    Tool(
        "bandit B113",
        "bandit",
        linter("bandit", "-q", "-t", "B113", "-f", "json", line=lambda f: int(str(f["line_number"])), found="results"),
    ),
    Tool(
        "pylint W3101",
        "pylint",
        linter(
            *("pylint", "--rcfile=/dev/null", "--disable=all", "--enable=W3101", "--output-format=json"),
            line=lambda found: int(str(found["line"])),
        ),
    ),
    Tool("pytest-connleak", "pytest-connleak", under_pytest("-p", "pytest_connleak.plugin")),
)


def table() -> str:
    """The table, in Markdown."""
    seen = {tool.name: tool.seen() for tool in TOOLS}
    lines = [f"| | {' | '.join(seen)} |", "|---" + "|:-:" * len(seen) + "|"]
    for name, title in rows():
        marks = ["**wrong**" if name.startswith("test_right") else "yes", ""]
        lines.append(f"| {title} | {' | '.join(marks[name not in seen[tool]] for tool in seen)} |")
    mistakes = {name for name, _ in rows() if not name.startswith("test_right")}
    found = [f"{len(seen[tool] & mistakes)}" for tool in seen]
    lines.append(f"| **seen, of {len(mistakes)}** | {' | '.join(found)} |")
    return "\n".join(lines) + "\n"


def versions() -> str:
    """What was asked, and what it was asked of."""
    names = [*dict.fromkeys(tool.package for tool in TOOLS[:-1]), "requests", "urllib3", "httpx", "aiohttp"]
    python = ".".join(map(str, sys.version_info[:2]))
    return f"Python {python}, {', '.join(f'{name} {metadata.version(name)}' for name in names)}.\n"


def main() -> int:
    """Print, write or check the table; 1 if a check fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="write the table")
    parser.add_argument("--check", action="store_true", help="fail if the table says something else")
    arguments = parser.parse_args()
    measured = table()
    if arguments.update:
        TABLE.write_text(f"{measured}\n{versions()}", encoding="utf-8")
    if arguments.check and TABLE.read_text(encoding="utf-8").partition("\n\n")[0] != measured.rstrip():
        print(f"{TABLE} says something else than what was measured now:\n{measured}", file=sys.stderr)
        return 1
    print(measured)
    return 0


if __name__ == "__main__":
    sys.exit(main())
