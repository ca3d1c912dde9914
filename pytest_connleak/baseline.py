"""The file of known findings: what is in it fails nothing, and what is not fails.

One entry a line, sorted, so that changes merge::

    KIND OBJECT PATH::FUNCTION xN  # TEST, TEST, ...

``xN`` says in how many lines of the function it is, where that is more than one.  The tests are some that caused it:
only if they ran and it did not occur, it is fixed.  They say nothing else: a renamed test changes nothing.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from .errors import SettingError

HEADER = """\
# Known findings of pytest-connleak: they fail nothing, new ones do.
# pytest --connleak-update-baseline writes this file, --connleak-prune-baseline removes what is fixed.
"""
# So many tests are kept of each entry.
MOST_TESTS = 3
MORE = "..."
# A test with parameters: one variant may cause what another does not.
VARIANTS = "[...]"

_ENTRY = r"(?P<fingerprint>\S+ \S+ .+?::.+?)(?: x(?P<lines>\d{1,6}))?(?:  # (?P<tests>.*))?"


class Known(NamedTuple):
    """A known finding: in how many lines of its function it is, and some of the tests that caused it."""

    lines: int = 1
    tests: tuple[str, ...] = ()

    def joined(self, other: Known) -> Known:
        """What is known from both."""
        return Known(max(self.lines, other.lines), some((*self.tests, *other.tests)))


class Ran(NamedTuple):
    """What became of the tests, by their nodeids without parameters.

    Attributes:
        passed: those that passed, in all their variants.
        others: those that did not, or only in part: what they would have left open is not known.
        whole: whether that is every test there is.
        occurred: the fingerprints of all that was found, whatever its status.
        unchecked: the kinds of finding that were not looked for.
    """

    passed: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    whole: bool = False
    occurred: frozenset[str] = frozenset()
    unchecked: frozenset[str] = frozenset()


class Baseline(NamedTuple):
    """The known findings by their fingerprints.

    Attributes:
        known: the entries.
        root: the directory to which their paths are relative.
    """

    known: Mapping[str, Known] = {}
    root: str = ""

    def covers(self, fingerprint: str) -> bool:
        """Whether a finding is known, under its own name or as a test that was renamed since."""
        return fingerprint in self.known or bool(self._renamed(fingerprint))

    def excess(self, seen: Mapping[str, Known]) -> list[str]:
        """Of the findings that are covered, those that there are more of now than are known."""
        entries = self._matched(seen)
        return [
            fingerprint
            for fingerprint, now in seen.items()
            if self.covers(fingerprint)
            and (fingerprint not in entries or now.lines > self.known[entries[fingerprint]].lines)
        ]

    def fixed(self, seen: Collection[str], ran: Ran) -> list[str]:
        """The entries that did not occur although what had caused them ran."""
        occurred = set(self._matched({*seen, *ran.occurred}).values())
        return [
            entry
            for entry, known in self.known.items()
            if entry not in occurred and _kind(entry) not in ran.unchecked and _had_its_chance(known, ran)
        ]

    def updated(self, seen: Mapping[str, Known], ran: Ran) -> Baseline:
        """With all that was seen, and without what is fixed or renamed; what did not run stays as it is."""
        gone = {*self.fixed(seen, ran), *self._matched(seen).values()}
        known = {entry: known for entry, known in self.known.items() if entry not in gone}
        for fingerprint, now in seen.items():
            before = self.known.get(fingerprint)
            known[fingerprint] = now if before is None or ran.whole else before.joined(now)
        return self._replace(known=known)

    def pruned(self, seen: Mapping[str, Known], ran: Ran) -> Baseline:
        """Without what is fixed; nothing is added."""
        fixed = self.fixed(seen, ran)
        known = {entry: known for entry, known in self.known.items() if entry not in fixed}
        for entry in known.keys() & seen.keys():
            if ran.whole and _had_its_chance(known[entry], ran):
                known[entry] = known[entry]._replace(lines=min(known[entry].lines, seen[entry].lines))
        return self._replace(known=known)

    def render(self) -> str:
        """The text of the file."""
        rows = []
        for entry, known in sorted(self.known.items()):
            lines = f" x{known.lines}" if known.lines > 1 else ""
            tests = f"  # {', '.join(known.tests)}" if known.tests else ""
            rows.append(f"{entry}{lines}{tests}\n")
        return HEADER + "".join(rows)

    def _matched(self, seen: Iterable[str]) -> dict[str, str]:
        """The entries of the findings, one for each: that of its own name, or one of a test that is gone."""
        matched = {fingerprint: fingerprint for fingerprint in seen if fingerprint in self.known}
        for fingerprint in sorted(set(seen) - matched.keys()):
            free = [entry for entry in self._renamed(fingerprint) if entry not in matched.values()]
            if free:
                matched[fingerprint] = min(free)
        return matched

    def _renamed(self, fingerprint: str) -> list[str]:
        """The entries that may be about this test under an older name, which its file has no more."""
        if not _is_test(fingerprint):
            return []
        return [
            entry
            for entry in self.known
            if _place(entry) == _place(fingerprint)
            and _is_test(entry)
            and not _exists(os.path.join(self.root, _path(entry)), _function(entry))
        ]


def load(path: str, root: str, kinds: Collection[str]) -> Baseline:
    """Read a baseline, with findings of these kinds.

    Raises:
        OSError: if there is no such file, or it cannot be read.
        SettingError: naming the line that is no entry.
    """
    known: dict[str, Known] = {}
    _definitions.cache_clear()
    with open(path, encoding="utf-8-sig") as file:  # some editors begin a file with a mark
        for number, line in enumerate(file, 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            entry = re.fullmatch(_ENTRY, text)
            if entry is None:
                raise SettingError(
                    f"{path}:{number}: {text!r} is not of the form 'KIND OBJECT PATH::FUNCTION'; remove it"
                )
            if _kind(text) not in kinds:
                raise SettingError(
                    f"{path}:{number}: {_kind(text)!r} is not one of the kinds {', '.join(kinds)}; remove the line, "
                    "or use the pytest-connleak that wrote it"
                )
            now = Known(int(entry["lines"] or 1), tuple(filter(None, (entry["tests"] or "").split(", "))))
            before = known.get(entry["fingerprint"])  # a file that was merged may have the same entry twice
            known[entry["fingerprint"]] = now if before is None else before.joined(now)
    return Baseline(known, root)


def some(tests: Collection[str]) -> tuple[str, ...]:
    """A few of the tests, always the same ones, and a mark if there are more."""
    chosen = sorted(set(tests) - {MORE})
    return (*chosen[:MOST_TESTS], MORE) if len(chosen) > MOST_TESTS or MORE in tests else tuple(chosen)


def _had_its_chance(known: Known, ran: Ran) -> bool:
    """Whether all that had caused an entry ran to its end; of the whole suite, so did what it has no more."""
    if ran.whole:
        causes = {test.removesuffix(VARIANTS) for test in known.tests}
        if MORE in causes or any("::" not in cause for cause in causes):  # any test may be among them
            return not ran.others
        return not any(_overlap(cause, other) for cause in causes for other in ran.others)
    return bool(known.tests) and ran.passed.issuperset(known.tests)


def _overlap(one: str, other: str) -> bool:
    """Whether one of two nodes is the other, or stands in it."""
    return one == other or one.startswith(f"{other}::") or other.startswith(f"{one}::")


def _kind(fingerprint: str) -> str:
    return fingerprint.partition(" ")[0]


def _place(fingerprint: str) -> str:
    """Kind, object and path."""
    return fingerprint.rpartition("::")[0]


def _path(fingerprint: str) -> str:
    return _place(fingerprint).split(" ", 2)[2]


def _function(fingerprint: str) -> str:
    return fingerprint.rpartition("::")[2]


def _is_test(fingerprint: str) -> bool:
    return any(part.lower().startswith("test") for part in _function(fingerprint).split("."))


@lru_cache(maxsize=256)
def _definitions(path: str) -> frozenset[str] | None:
    """The qualified names of all functions of a file, without ``<locals>``; None if it cannot be read."""
    try:
        with open(path, "rb") as file:
            todo: list[tuple[ast.AST, str]] = [(ast.parse(file.read()), "")]
    except (OSError, SyntaxError, ValueError):
        return None
    found: set[str] = set()
    while todo:
        node, prefix = todo.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(prefix + node.name)
            prefix = f"{prefix}{node.name}."
        todo.extend((child, prefix) for child in ast.iter_child_nodes(node))
    return frozenset(found)


def _exists(path: str, function: str) -> bool:
    """Whether a file may still have a function; lambdas and generator expressions count as what they stand in."""
    definitions = _definitions(path)
    return definitions is None or function.partition(".<")[0] in definitions
