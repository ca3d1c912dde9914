"""What came out of a run, as plain data: it crosses between processes, and every format is made from it."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from . import fingerprint, origin
from .model import Finding, Frame

if TYPE_CHECKING:
    from .traffic import Traffic

# What a terminal might obey, and what cannot be encoded (a lone surrogate is how Python keeps a byte that is no UTF-8).
_UNSAFE = "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"

# Of a line of code so much is shown: those of generated files may be of any length.
MOST_OF_A_LINE = 240


class Line(NamedTuple):
    """A line of code, its path relative to the root directory where it lies below it."""

    path: str
    line: int
    function: str


# What fails nothing, as it is counted: the words after the number.
COUNTED = {
    "shared": "kept for the process",
    "library": "a habit of a library",
    "baseline": "in the baseline",
    "test-failed": "in a test that failed anyway",
}


class Entry(NamedTuple):
    """A finding as it is reported."""

    kind: str
    nodeid: str | None
    path: str | None
    line: int | None
    function: str | None
    scope: str
    owner: str
    """The nodeid of what the scope is of."""
    count: int  # type: ignore[assignment]  # that a tuple can count its items is of no use here
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
    held_path: tuple[str, ...] = ()

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
            owner=safe(finding.owner.nodeid),
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
            source=shortened(safe(origin.source_line(place))) if place else "",
            help="\n".join(map(safe, finding.help.split("\n"))),
            reason=finding.reason and safe(finding.reason),
            fingerprint=safe(fingerprint.of(finding, root)),
            held_path=tuple(map(safe, finding.held_path)),
        )

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Entry:
        """The entry that :meth:`plain` was made of."""
        # A newer version may have added some; an older one has no path of the holder.
        values = {name: plain[name] for name in cls._fields if name != "held_path"}
        values["held_path"] = tuple(plain.get("held_path", ()))
        values["connections"] = tuple(plain["connections"])
        for name in ("stack", "library_stack"):
            values[name] = tuple(Line(**line) for line in plain[name])
        return cls(**values)

    def plain(self) -> dict[str, Any]:
        """Only dicts, lists, strings, numbers and None."""
        values = self._asdict()
        values["held_path"] = [*self.held_path]
        values["connections"] = [{**connection} for connection in self.connections]
        for name in ("stack", "library_stack"):
            values[name] = [line._asdict() for line in values[name]]
        return values


@dataclass(slots=True)
class Tests:
    """What became of the tests, by their nodeids.

    Attributes:
        passed: those of which a phase passed.
        others: those of which a phase did not, and the files that could not be collected.
        collected: all that were found, also those that were left out then.
        complete: whether the run was asked for all tests of the project, and came to its end.
    """

    passed: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)
    collected: set[str] = field(default_factory=set)
    complete: bool = False

    @property
    def whole(self) -> bool:
        """Whether every test there is was run."""
        return self.complete and not self.left_out

    @property
    def left_out(self) -> set[str]:
        """Those that were collected and did not run."""
        return self.collected - self.passed - self.others

    def joined(self, other: Tests) -> Tests:
        """The tests of two runs that shared the work."""
        return Tests(
            self.passed | other.passed,
            self.others | other.others,
            self.collected | other.collected,
            self.complete or other.complete,
        )


class Step(NamedTuple):
    """A test that ran, and what its process had open when it was over.

    Attributes:
        nodeid: the test.
        outcome: as pytest counts it: ``passed``, ``failed``, ``error``, ``skipped``, ``xfailed``, ``xpassed`` or
            ``rerun``.
        seconds: how long it took, with setup and teardown.
        ended: when it was over, in seconds since the epoch.
        sockets: how many sockets were open.
        sessions: how many sessions were.
        process: the worker of pytest-xdist, or the shard, that ran it.
    """

    nodeid: str
    outcome: str
    seconds: float
    ended: float
    sockets: int
    sessions: int
    process: str = ""


class Kind(NamedTuple):
    """What there is to say of every finding of a kind.

    Attributes:
        name: the kind.
        title: what it finds, in a few words.
        module: the module of its rule, beside which its page lies; empty if nothing is known of this kind.
    """

    name: str
    title: str
    module: str = ""

    @property
    def page(self) -> str:
        """All that is to be said of it, in Markdown: a heading, what it is in one paragraph, and the rest."""
        if not self.module:
            return f"# {self.name}\n\n{self.title}\n"
        import pkgutil  # few runs ask for a page

        package, _, name = self.module.rpartition(".")
        data = pkgutil.get_data(package, f"{name}.md")
        assert data is not None, "only a loader that knows no files has none"
        return data.decode("utf-8")

    @property
    def text(self) -> str:
        """The page without its heading."""
        return self.page.partition("\n\n")[2].strip()


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
        kinds: the kinds of finding that were looked for.
        hosts: how the clients of each library used their connections, host by host; only if that was asked for.
        timeline: the tests in the order in which they ended, where a format asks for them.
        mode: what a leak does to its test.
        versions: of Python, pytest and the libraries that were watched, where a format asks for them.
    """

    entries: list[Entry] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    unused_ignores: list[str] = field(default_factory=list)
    tests: Tests = field(default_factory=Tests)
    gaps: list[str] = field(default_factory=list)
    fixed: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    root: str = ""
    unchecked: list[str] = field(default_factory=list)
    """The kinds that were not looked for."""
    kinds: tuple[Kind, ...] = ()
    hosts: tuple[Traffic, ...] = ()
    timeline: list[Step] = field(default_factory=list)
    mode: str = ""
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def failing(self) -> list[Entry]:
        """The findings that fail their tests, or the run."""
        return [entry for entry in self.entries if entry.fails]

    @property
    def fails(self) -> bool:
        """Whether the run fails for what is in this report."""
        return bool(self.failing or self.failures)


# --- what every format has one item for ------------------------------------------------------------------

# What a finding does, the worst first.
Level = Literal["fail", "warn", "note"]
LEVELS: tuple[Level, ...] = ("fail", "warn", "note")

# Where CI systems say that they checked the repository out: what they are told of a file is relative to it.
_CHECKOUTS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")


@dataclass(frozen=True, slots=True)
class Site:
    """The findings of one :attr:`Entry.site`: of one kind, at one line, with one status.

    Attributes:
        entries: the findings; those that fail come first.
        ordinal: which one it is, by line, of the sites that have the same fingerprint.
    """

    entries: tuple[Entry, ...]
    ordinal: int = 0

    @property
    def first(self) -> Entry:
        """The finding that stands for all."""
        return self.entries[0]

    @property
    def level(self) -> Level:
        """The worst that any of its findings does."""
        return level(self.first)

    @property
    def place(self) -> str:
        """``path:line``, or nothing if there is no line to name."""
        return _place(self.first)

    @property
    def tests(self) -> list[str]:
        """The tests that it hit."""
        return [*dict.fromkeys(entry.nodeid for entry in self.entries if entry.nodeid)]

    @property
    def test_path(self) -> str | None:
        """The file of the first test that it hit."""
        return self.tests[0].partition("::")[0] if self.tests else None

    @property
    def count(self) -> int:
        """How often it happened."""
        return sum(entry.count for entry in self.entries)

    @property
    def headline(self) -> str:
        """What it is, and the tests, in one line."""
        tests = self.tests
        more = f" and {len(tests) - 1} more tests" if len(tests) > 1 else ""
        return self.first.message + (f" ({tests[0]}{more})" if tests else "")

    @property
    def identity(self) -> str:
        """By what it is known again in another run although its file was edited; unique within a report."""
        return hashlib.sha256(f"{_fingerprint(self.entries)}\n{self.ordinal}".encode(errors="replace")).hexdigest()[:40]


def by_site(entries: Iterable[Entry]) -> list[list[Entry]]:
    """The findings of each :attr:`Entry.site`, in the order of the run."""
    groups: dict[Hashable, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.site, []).append(entry)
    return [*groups.values()]


def sites(report: Report) -> list[Site]:
    """The sites of a report: what fails first, what hit the most tests first, and else in the order of the run."""
    groups = by_site(report.entries)
    lines: dict[str, set[tuple[int, str, str]]] = {}
    for entries in groups:
        lines.setdefault(_fingerprint(entries), set()).add(_position(entries[0]))
    found = [
        Site(
            tuple(sorted(entries, key=lambda entry: LEVELS.index(level(entry)))),
            sorted(lines[_fingerprint(entries)]).index(_position(entries[0])),
        )
        for entries in groups
    ]
    return sorted(found, key=lambda site: (LEVELS.index(site.level), -len(site.tests)))


def level(entry: Entry) -> Level:
    """What a finding does: it fails its test, or warns, or is merely listed."""
    if entry.status != "leak":
        return "note"
    return "fail" if entry.level == "fail" else "warn"


def title(entry: Entry) -> str:
    """``KIND at PATH:LINE``, or the kind alone."""
    return f"{entry.kind} at {_place(entry)}" if entry.path else entry.kind


def checkout(root: str) -> str:
    """The directory of the repository: the one that CI names, if ``root`` lies there; else ``root``."""
    for name in _CHECKOUTS:
        top = os.path.realpath(os.environ.get(name) or os.sep)
        if top != os.sep and root and (os.path.realpath(root) + os.sep).startswith(top + os.sep):
            return top
    return root


def in_repository(path: str, root: str) -> str:
    """A report's path from the directory of the repository on; an absolute path if it lies elsewhere."""
    if not root:
        return path
    full = os.path.normpath(os.path.join(os.path.realpath(root), path))
    return origin.relative(full, os.path.realpath(checkout(root)))


def _fingerprint(entries: Iterable[Entry]) -> str:
    return min(entry.fingerprint for entry in entries)


def _position(entry: Entry) -> tuple[int, str, str]:
    return (entry.line or 0, entry.path or "", entry.kind)


def _place(entry: Entry) -> str:
    return f"{entry.path}:{entry.line}" if entry.path else ""


# --- the findings of several processes ------------------------------------------------------------------


def merge(shards: Iterable[Sequence[Entry]], order: Sequence[str] = ()) -> list[Entry]:
    """The findings of several processes that shared the tests of one run.

    A fixture of a module is set up, and a singleton is made, in each process that needs it, and a test may run in
    several (``--dist=each``): that is one mistake, as it would be in a run in one process.

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
            key = (entry.site, entry.scope, entry.owner, entry.function)
            here[key] += 1
            if here[key] > most[key]:
                most[key] += 1
                merged.append(entry)
    if positions:
        merged.sort(key=lambda entry: positions.get(entry.nodeid or "", len(positions)))
    return merged


def _lines(frames: Iterable[Frame], root: str) -> tuple[Line, ...]:
    return tuple(Line(safe(origin.relative(f.path, root)), f.line, safe(f.function)) for f in frames)


def shortened(code: str) -> str:
    """As much of a line of code as is shown."""
    return code if len(code) <= MOST_OF_A_LINE else f"{code[:MOST_OF_A_LINE]} ..."


def safe(text: str) -> str:
    """One line of text, with control characters, direction marks and lone surrogates escaped."""
    if text.isprintable():
        return text
    return re.sub(_UNSAFE, lambda found: found[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)
