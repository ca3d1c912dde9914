"""What can be set, as plain values; ``options`` reads them from pytest."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple, cast, get_args

from .errors import SettingError

Mode = Literal["fail", "warn", "off"]
Require = Literal["always", "used", "connected"]
SharedPolicy = Literal["first", "fail", "allow"]
LibraryPolicy = Literal["list", "fail"]


class Ignore(NamedTuple):
    """Findings that are known and wanted: ``KIND PATTERN  # reason``, each of the two may be ``*``.

    The pattern is an :mod:`fnmatch` one and is held against ``path::function`` and the dotted
    ``module.function`` of every frame in the finding's stack.
    """

    kind: str
    pattern: str
    reason: str | None = None
    source: str = "connleak_ignore"

    def matches(self, kind: str, names: frozenset[str]) -> bool:
        """Whether this covers a finding of ``kind`` with these names in its stack."""
        if self.kind not in ("*", kind):
            return False
        return self.pattern == "*" or any(fnmatchcase(name, self.pattern) for name in names)

    def __str__(self) -> str:
        return f"{self.kind} {self.pattern}"


class ReportFile(NamedTuple):
    """A file to be written, and the format of it."""

    format: str
    path: str


# The formats that tell what was open after each test; the second is for the shards of the first.
WITH_TIMELINE = ("html", "json")
# Those that have a page for how connections were used, which is only counted if somebody asks.
WITH_STATISTICS = ("html",)


class Settings(NamedTuple):
    """All settings of a run, checked."""

    mode: Mode = "fail"
    mode_given: bool = False
    """Whether the mode comes from the command line, and so goes before the levels of the ini file."""
    levels: Mapping[str, Mode] = {}
    """The kinds that have a level of their own in the ini file."""
    selected: frozenset[str] = frozenset()
    """The only kinds that are wanted, on the command line; all if there is none."""
    deselected: frozenset[str] = frozenset()
    """The kinds that are not wanted, on the command line."""
    ignores: tuple[Ignore, ...] = ()
    require: Require | None = None
    shared: SharedPolicy = "first"
    library: LibraryPolicy = "list"
    grace: float = 0.5
    """Seconds that something still open may take to be closed by another thread."""
    reports: tuple[ReportFile, ...] = ()
    baseline: str | None = None
    """The file of known findings."""
    update_baseline: bool = False
    prune_baseline: bool = False
    strict_baseline: bool = False
    statistics: bool = False
    """Whether it is shown how connections were used."""

    @property
    def lists_tests(self) -> bool:
        """Whether anybody will ask which tests there were."""
        return bool(self.baseline or self.reports or self.ignores)

    @property
    def keeps_timeline(self) -> bool:
        """Whether anybody will ask what was open after each test."""
        return any(file.format in WITH_TIMELINE for file in self.reports)

    def level(self, kind: str) -> Mode:
        """What a finding of this kind does to its test: the command line goes before the ini file."""
        if kind in self.deselected or (self.selected and kind not in self.selected):
            return "off"
        if self.mode_given:
            return self.mode
        level = self.levels.get(kind, self.mode)
        return self.mode if level == "off" and kind in self.selected else level


class Local(NamedTuple):
    """What markers say for one test, class or module."""

    mode: Mode | None = None
    """None if they say nothing of it."""
    ignores: tuple[Ignore, ...] = ()


def choice(value: str, allowed: object, where: str) -> str:
    """``value`` if it is one of the ``Literal`` type ``allowed``.

    Raises:
        SettingError: naming ``where`` and what is allowed.
    """
    words = get_args(allowed)
    if value not in words:
        raise SettingError(f"{where}: {value!r} is not one of {', '.join(words)}")
    return value


def seconds(value: str, where: str) -> float:
    """A number of seconds, zero or more.

    Raises:
        SettingError: if it is none.
    """
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 3600:
        raise SettingError(f"{where}: {value!r} is not a number of seconds from 0 to 3600")
    return number


def kind(value: str, kinds: tuple[str, ...], where: str) -> str:
    """``value`` if it is a kind of finding.

    Raises:
        SettingError: naming ``where`` and the kinds.
    """
    if value not in kinds:
        raise SettingError(f"{where}: {value!r} is not a kind of finding; the kinds are {', '.join(kinds)}")
    return value


def kind_list(value: str, kinds: tuple[str, ...], where: str) -> frozenset[str]:
    """Kinds of finding, with commas between them.

    Raises:
        SettingError: naming the one that is none.
    """
    return frozenset(kind(word.strip(), kinds, where) for word in value.split(","))


def levels(text: str, kinds: tuple[str, ...], where: str) -> dict[str, Mode]:
    """Read ``KIND=MODE, KIND=MODE``; a line's end does for a comma.

    Raises:
        SettingError: if a part is missing, or the kind or the level is unknown.
    """
    found: dict[str, Mode] = {}
    for part in filter(None, map(str.strip, text.replace("\n", ",").split(","))):
        name, equals, level = map(str.strip, part.partition("="))
        if not equals:
            raise SettingError(f"{where}: {part!r} is not of the form KIND=MODE, as unclosed-session=warn")
        found[kind(name, kinds, where)] = cast("Mode", choice(level, Mode, where))
    return found


def ignore(line: str, kinds: tuple[str, ...], where: str) -> Ignore:
    """Read ``KIND PATTERN  # reason``.

    Raises:
        SettingError: if a part is missing or the kind is unknown.
    """
    text, _, reason = line.partition("#")
    words = text.split()
    if len(words) != 2:
        raise SettingError(f"{where}: {line!r} is not of the form 'KIND PATTERN  # reason' (KIND or PATTERN may be *)")
    if words[0] != "*":
        kind(words[0], kinds, where)
    return Ignore(words[0], words[1], reason.strip() or None, where)
