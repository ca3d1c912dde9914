"""The documentation, as a program reads it: what is shown there is what there is.

* A ``console`` block is run: each line that begins with ``$`` is a command, and what follows is what it prints.  The
  commands of a page run one after the other in a copy of ``examples/``, in which there is also each ``python`` block
  of the page that begins with the name of a file (``# test_new.py``).
* A ``python`` block with a test in it is run as a test file; its labels (see :mod:`labels`) say what is found there.
* What stands between ``<!-- from: NAME -->`` and ``<!-- end -->`` is made by the function of that name below.

``python tests/documents.py`` writes all of this anew; look at the difference before it is committed.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from unittest.mock import Mock

from pytest_connleak import instrumentation, ledger, options
from pytest_connleak.habits import HABITS
from pytest_connleak.model import State

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
EXAMPLES = ROOT / "examples"

_FENCED = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MADE = re.compile(r"(?<=<!-- from: )([^\n]+)( -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)


def pages() -> list[Path]:
    """All pages: those of the kinds lie beside their rules."""
    return [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts),
        *sorted((ROOT / "pytest_connleak" / "rules").glob("*.md")),
    ]


def name(page: Path) -> str:
    """A page, by its path in the project."""
    return page.relative_to(ROOT).as_posix()


# --- what commands print ------------------------------------------------------------------------------


class File(NamedTuple):
    """A file that the page shows, and its commands use."""

    name: str
    text: str


class Shown(NamedTuple):
    """A command, and what the page says that it prints."""

    command: str
    output: str


def steps(text: str) -> Iterator[File | Shown]:
    """What a page does: it shows files and commands."""
    for language, body in _FENCED.findall(text):
        yield from _steps(language, body)


def _steps(language: str, body: str) -> Iterator[File | Shown]:
    if language == "console":
        parts = re.split(r"^\$ (.*)\n", body, flags=re.MULTILINE)
        assert not parts[0], f"a console block begins with a command: {body}"
        yield from (Shown(*pair) for pair in zip(parts[1::2], parts[2::2], strict=True))
    elif named := re.match(r"# (\w+\.py)\n", body):
        yield File(named[1], body)


class Shell:
    """A place where the commands of a page run: a copy of the examples."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "shop"
        shutil.copytree(EXAMPLES, self.directory, ignore=shutil.ignore_patterns("__pycache__"))
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PYTEST_", "COV_", "GITHUB_", "CI", "GITLAB_"))
            and not key.upper().endswith("_PROXY")
        }
        self.environment = {
            **inherited,
            "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # what else is installed says more than the pages show
            "PYTEST_PLUGINS": "pytest_connleak",
            "COLUMNS": "100",
        }

    def write(self, file: File) -> None:
        """Put a file there."""
        (self.directory / file.name).write_text(file.text, encoding="utf-8")

    def run(self, command: str) -> str:
        """What a command prints, with the paths that a reader would see."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        text = done.stdout.replace(str(self.directory), "/home/you/shop")
        return re.sub(r"[^\s'\"<>]*/site-packages/", ".venv/lib/python3.11/site-packages/", text)


def comparable(output: str) -> str:
    """Without what differs from run to run and between versions: ports, descriptors, times, lines of libraries."""
    for pattern, replacement in (
        (r"(127\.0\.0\.1|localhost):\d+", r"\1:PORT"),
        (r"site-packages/([^\s:\"]+?)\.py(:|\", \"line\": )\d+", r"site-packages/\1.py:LINE"),
        (r"\bfd(\"?:?) \d+", r"fd\1 N"),
        (r"\bin \d+\.\d+s", "in TIME"),
        (r"\": \d+\.\d+", '": TIME'),
        (r"\"versions\": \{[^}]*\}", '"versions": {}'),  # what else is installed
        (r"\"(sockets|sessions)\": \d+", r'"\1": N'),  # those of the example's server, which go away by themselves
        (r"[ \t]+$", ""),
    ):
        output = re.sub(pattern, replacement, output, flags=re.MULTILINE)
    return output.strip("\n")


def rerun(text: str, shell: Shell) -> str:
    """The text of a page, with what its commands print now where that differs."""

    def block(match: re.Match[str]) -> str:
        lines = []
        for step in _steps(match[1], match[2]):
            if isinstance(step, File):
                shell.write(step)
                return match[0]
            printed = shell.run(step.command)
            same = comparable(printed) == comparable(step.output)
            kept = (step.output if same else printed).rstrip("\n")
            lines += [f"$ {step.command}", *([kept] if kept else [])]
        return "\n".join(["```console", *lines, "```"]) if lines else match[0]

    return _FENCED.sub(block, text)


# --- examples that are tests --------------------------------------------------------------------------


def write_tests(directory: Path) -> list[Path]:
    """Write the tests of all pages to files, but those that need what is not installed."""
    shutil.copy(EXAMPLES / "conftest.py", directory)
    (directory / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\naddopts = -p no:cacheprovider\n")
    files = []
    for page in pages():
        examples = [
            body for language, body in _FENCED.findall(page.read_text(encoding="utf-8")) if language == "python"
        ]
        for number, body in enumerate(examples, 1):
            if not re.search(r"^ *(async )?def test_", body, re.MULTILINE):
                continue
            stem = re.sub(r"\W", "_", name(page).removesuffix(".md"))
            file = directory / f"test_{stem}_{number}.py"
            if all(importlib.util.find_spec(module) for module in _imported(body)):
                file.write_text(body, encoding="utf-8")
                files.append(file)
    return files


def _imported(code: str) -> set[str]:
    nodes = [node for node in ast.walk(ast.parse(code)) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {each.partition(".")[0] for each in names} - {"shop"}


# --- what is made of the program ------------------------------------------------------------------------


def declared() -> dict[str, str]:
    """The words of ``--help`` for each option of the command line and of the ini file."""
    parser = Mock()
    options.add_options(parser)
    on_the_command_line = parser.getgroup.return_value.addoption.call_args_list
    return {
        **{call.args[0]: call.kwargs["help"] for call in on_the_command_line},
        **{call.args[0]: call.args[1] for call in parser.addini.call_args_list},
    }


def option(option: str) -> str:
    """What ``--help`` says of an option."""
    return f"> {' '.join(declared()[option].split())}\n"


def watched(library: str) -> str:
    """The methods that are watched of a library."""
    (known,) = (each for each in instrumentation.discover() if each.name == library)
    # Those of copies have the same names.
    own = {observer.target.replace(":", ".") for observer in known.observers if observer.library not in known.copies}
    return f"```text\n{chr(10).join(sorted(own))}\n```\n"


def habits() -> str:
    """The known habits of libraries."""
    rows = [f"| `{habit.pattern}` | {habit.kind} | {habit.reason} | [source]({habit.link}) |" for habit in HABITS]
    return "\n".join(["| what | kind | why | |", "|---|---|---|---|", *rows, ""])


def transitions() -> str:
    """The ledger's table."""
    events = [*dict.fromkeys(event for _, event in ledger.TRANSITIONS)]
    rows = []
    for state in State:
        cells = [ledger.TRANSITIONS.get((state, event)) for event in events]
        rows.append(f"| **{state.name}** | {' | '.join(cell.name if cell else '' for cell in cells)} |")
    head = f"| | {' | '.join(event.__name__ for event in events)} |"
    return "\n".join([head, "|---" * (len(events) + 1) + "|", *rows, ""])


MAKERS: dict[str, Callable[..., str]] = {
    "option": option,
    "watched": watched,
    "habits": habits,
    "transitions": transitions,
}


def picture() -> str:
    """The states and what leads from one to another, drawn."""
    specification = importlib.util.spec_from_file_location("states", DOCS / "states.py")
    assert specification is not None
    assert specification.loader is not None
    states = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(states)
    drawn: str = states.svg()
    return drawn


def remade(text: str) -> str:
    """The text of a page, with the parts that are made anew."""

    def part(match: re.Match[str]) -> str:
        maker, _, argument = match[1].partition(" ")
        return f"{match[1]}{match[2]}\n{MAKERS[maker](*[argument] * bool(argument))}\n"

    return _MADE.sub(part, text)


def main() -> None:
    """Write anew what has changed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", type=Path, help="only these")
    wanted = [page.resolve() for page in parser.parse_args().pages]
    (DOCS / "states.svg").write_text(picture(), encoding="utf-8")
    for page in wanted or pages():
        before = page.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as directory:
            after = rerun(remade(before), Shell(Path(directory)))
        if after != before:
            page.write_text(after, encoding="utf-8")
            print(f"{name(page)} has changed")


if __name__ == "__main__":
    main()
