"""What came out of a run, as plain data: it crosses between processes, and every format is made from it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from . import fingerprint, origin
from .model import Finding, Frame

# What a terminal might obey, and what cannot be encoded (a lone surrogate is how Python keeps a byte that is no UTF-8).
_UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of code, its path relative to the root directory where it lies below it."""

    path: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A finding as it is reported."""

    kind: str
    nodeid: str | None
    path: str | None
    line: int | None
    function: str | None
    scope: str
    count: int
    status: str
    level: str
    object: str
    message: str
    held_by: str | None
    connections: tuple[Mapping[str, Any], ...]
    stack: tuple[Line, ...]
    library_stack: tuple[Line, ...]
    source: str
    help: str
    reason: str | None
    fingerprint: str

    @property
    def fails(self) -> bool:
        """Whether it fails its test, or the run."""
        return self.status == "leak" and self.level == "fail"

    @property
    def site(self) -> tuple[str, str, int, str]:
        """What one block of the terminal report is about."""
        return (self.kind, self.path or "", self.line or 0, self.status)

    @classmethod
    def of(cls, finding: Finding, root: str) -> Entry:
        """The entry of a finding, with nothing in it that a terminal or an encoder could stumble over."""
        place = finding.origin.place
        return cls(
            kind=finding.kind,
            nodeid=finding.nodeid and safe(finding.nodeid),
            path=safe(origin.relative(place.path, root)) if place else None,
            line=place.line if place else None,
            function=safe(place.function) if place else None,
            scope=finding.owner.scope,
            count=finding.count,
            status=finding.status,
            level=finding.level,
            object=safe(finding.object),
            message=safe(finding.message),
            held_by=finding.held_by and safe(finding.held_by),
            connections=tuple(
                {"local": safe(c.local), "remote": safe(c.remote), "status": c.status, "fd": c.fd}
                for c in finding.connections
            ),
            # What an event loop or a test runner adds in between helps nobody.
            stack=_lines((f for n, f in enumerate(finding.origin.stack) if f.user or n == 0), root),
            library_stack=_lines(finding.origin.inner, root),
            source=safe(origin.source_line(place)) if place else "",
            help="\n".join(map(safe, finding.help.split("\n"))),
            reason=finding.reason and safe(finding.reason),
            fingerprint=safe(fingerprint.of(finding, root)),
        )

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Entry:
        """The entry that :meth:`plain` was made of."""
        values = {**plain, "connections": tuple(plain["connections"])}
        for name in ("stack", "library_stack"):
            values[name] = tuple(Line(**line) for line in plain[name])
        return cls(**values)

    def plain(self) -> dict[str, Any]:
        """Only dicts, lists, strings, numbers and None."""
        values = asdict(self)
        for name in ("connections", "stack", "library_stack"):
            values[name] = list(values[name])
        return values


@dataclass(slots=True)
class Tests:
    """What became of the tests; nodeids are without parameters.

    Attributes:
        passed: those that passed, at least in one variant.
        others: those that did not, at least in one variant.
        deselected: those that were collected, and then left out.
        complete: whether the run was asked for all tests of the project, and came to its end.
    """

    passed: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)
    deselected: set[str] = field(default_factory=set)
    complete: bool = False

    @property
    def whole(self) -> bool:
        """Whether every test there is was run."""
        return self.complete and self.deselected <= self.passed | self.others

    def joined(self, other: Tests) -> Tests:
        """The tests of two runs that shared the work."""
        return Tests(
            self.passed | other.passed,
            self.others | other.others,
            self.deselected | other.deselected,
            self.complete or other.complete,
        )


@dataclass(slots=True)
class Report:
    """A run: its findings in their order, and what is to be said about the run itself.

    Attributes:
        entries: the findings.
        faults: the parts of the plugin that failed, with their errors.
        unused_ignores: the ignores that matched nothing in a whole run.
        tests: what became of the tests.
        gaps: what was not watched or not judged, where that fails the run.
        fixed: the entries of the baseline that did not occur although what had caused them ran.
        failures: why the run fails, beside its tests.
        root: the directory to which the paths are relative.
    """

    entries: list[Entry] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    unused_ignores: list[str] = field(default_factory=list)
    tests: Tests = field(default_factory=Tests)
    gaps: list[str] = field(default_factory=list)
    fixed: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    root: str = ""

    @property
    def failing(self) -> list[Entry]:
        """The findings that fail their tests, or the run."""
        return [entry for entry in self.entries if entry.fails]

    @property
    def fails(self) -> bool:
        """Whether the run fails for what is in this report."""
        return bool(self.failing or self.failures)


def merge(shards: Iterable[Sequence[Entry]], order: Sequence[str] = ()) -> list[Entry]:
    """The findings of several processes that shared the tests of one run.

    A fixture of a module is set up, and a singleton is made, in each process that needs it: that is one mistake,
    as it would be in a run in one process.  What belongs to a single test is never the same.

    Args:
        shards: the findings of each process, in its order.
        order: the nodeids as they were collected; findings are put into this order, if it is given.
    """
    positions = {nodeid: position for position, nodeid in enumerate(order)}
    merged: list[Entry] = []
    most: Counter[Hashable] = Counter()
    for shard in shards:
        here: Counter[Hashable] = Counter()
        for entry in shard:
            if entry.scope != "function":
                key = (entry.site, entry.scope, entry.function, None if entry.scope == "process" else entry.nodeid)
                here[key] += 1
                if here[key] <= most[key]:
                    continue
                most[key] += 1
            merged.append(entry)
    if positions:
        merged.sort(key=lambda entry: positions.get(entry.nodeid or "", len(positions)))
    return merged


def _lines(frames: Iterable[Frame], root: str) -> tuple[Line, ...]:
    return tuple(Line(safe(origin.relative(f.path, root)), f.line, safe(f.function)) for f in frames)


def safe(text: str) -> str:
    """One line of text, with control characters, direction marks and lone surrogates escaped."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)
