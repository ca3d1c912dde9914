"""The lines around a site, if its file still has them."""

from __future__ import annotations

import os
import re
import textwrap
import tokenize
from itertools import takewhile
from typing import NamedTuple

from ...report import Entry, safe, shortened

# So many lines before and after are shown.
BEFORE, AFTER = 6, 3

_DEFINITION = r"\s*(async\s+)?def\s"


class Excerpt(NamedTuple):
    """Lines of code: those before the one that matters, that one, those after it; and the number of the first."""

    first: int
    before: tuple[str, ...]
    line: str
    after: tuple[str, ...]

    @property
    def rows(self) -> list[tuple[int, str, bool]]:
        """Number and text of each line, and whether it is the one that matters."""
        marked = self.first + len(self.before)
        lines = (*self.before, self.line, *self.after)
        return [(number, text, number == marked) for number, text in enumerate(lines, self.first)]


class Sources:
    """The files of a report, each read once.

    Args:
        root: the directory to which the paths are relative.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._files: dict[str, list[str]] = {}

    def around(self, entry: Entry) -> Excerpt:
        """The lines around a finding's; that line alone if the file has gone, or has changed since."""
        number = entry.line or 0
        lines = self._lines(entry.path) if entry.path else []
        if not (0 < number <= len(lines)) or shortened(safe(lines[number - 1].strip())) != entry.source:
            return Excerpt(number, (), shortened(entry.source), ())
        before, after = _before(lines, number - 1), _after(lines, number - 1)
        together = "\n".join(line.expandtabs() for line in (*before, lines[number - 1], *after))
        block = [*map(shortened, textwrap.dedent(together).split("\n"))]
        at = len(before)
        return Excerpt(number - at, tuple(block[:at]), block[at], tuple(block[at + 1 :]))

    def _lines(self, path: str) -> list[str]:
        lines = self._files.get(path)
        if lines is None:
            try:
                with tokenize.open(os.path.join(self._root, path)) as file:  # in the encoding that the file declares
                    lines = [line.rstrip() for line in file]
            except (OSError, SyntaxError, ValueError):
                lines = []
            self._files[path] = lines
        return lines


def _before(lines: list[str], at: int) -> list[str]:
    """From the beginning of the function on, if that is near."""
    found: list[str] = []
    for line in reversed(lines[max(0, at - BEFORE) : at]):
        found.insert(0, line)
        if re.match(_DEFINITION, line) and _indent(line) < _indent(lines[at]):
            break
    while found and not found[0]:
        del found[0]
    return found


def _after(lines: list[str], at: int) -> list[str]:
    """What follows in the same block."""
    following = lines[at + 1 : at + 1 + AFTER]
    found = [*takewhile(lambda line: not line or _indent(line) >= _indent(lines[at]), following)]
    while found and not found[-1]:
        del found[-1]
    return found


def _indent(line: str) -> int:
    return len(line[: len(line) - len(line.lstrip())].expandtabs())
