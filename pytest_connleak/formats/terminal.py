"""The terminal report: one block per creation site, with the tests that it hit.

The shape of a block, always in this order (see rustc and zizmor): what; where; the source line; the
library's line; how it was called; tests; connections; who keeps it alive; why it does not fail; help;
where to read more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Set
from itertools import islice
from typing import NamedTuple

from ..report import COUNTED, Entry, Report, by_site

# So many tests, lines of a stack and connections are shown of each block; the rest is counted.
MOST = 5

# Columns for the statistics; lines of code are as long as they are.
WIDTH = 80

# What does not fail the run, and how the report calls it.
STATUS_TITLES = {
    "shared": "listed, fails nothing: kept for the process",
    "library": "listed, fails nothing: a known habit of a library",
    "ignored": "ignored",
    "baseline": "in the baseline",
    "test-failed": "seen in a test that failed anyway",
}

WHAT_TO_DO = "update pytest-connleak; if it still does so, report it with what python -m pytest_connleak doctor prints"


class Text(NamedTuple):
    """A piece of text, and whether it is printed as an error, a mere note, or in bold."""

    text: str
    style: str = ""


Row = tuple[Text, ...]


def summary(report: Report, *, verbose: bool = False) -> Iterator[Row]:
    """The rows of the whole report; ignored findings are only counted unless ``verbose``."""
    shown = [entry for entry in report.entries if verbose or entry.status not in ("ignored", "baseline")]
    # What fails the run comes last: it is nearest to the eye when the run has ended.
    for entries in sorted(
        by_site(shown), key=lambda e: (_fails(e), e[0].status == "leak", e[0].status == "test-failed")
    ):
        yield from block(entries)
        yield ()
    for part, error in report.faults.items():
        yield (Text("connleak could not do all of its work: ", "error"), Text(f"{part} failed with {error}"))
    if report.faults or report.gaps:
        yield (Text("what to do: ", "note"), Text(WHAT_TO_DO))
    for ignore in report.unused_ignores:
        yield (Text("a line of connleak_ignore matched nothing, remove it: ", "note"), Text(ignore))
    for fixed in report.fixed:
        yield (Text("fixed, --connleak-prune-baseline removes it: ", "note"), Text(fixed))
    for reason in report.failures:
        yield (Text("the run fails: ", "error"), Text(reason))


def baseline_written(path: str, before: Set[str], now: Set[str]) -> Row:
    """The row that says what became of the baseline, by its entries."""
    entries = "1 entry" if len(now) == 1 else f"{len(now)} entries"
    changes = f"{len(now - before)} added, {len(before - now)} removed"
    return (Text(f"baseline {path}: ", "note"), Text(f"{entries}, {changes}"))


def statistics(report: Report) -> Iterator[Row]:
    """How the connections were used: a table of the hosts, and what to change."""
    from .. import hygiene  # only where somebody asked for it

    table = hygiene.table(report.hosts)
    if not table:
        yield (Text("no request was sent with requests, urllib3, httpx, httpcore or aiohttp: nothing to count"),)
        return
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    gap = "  " if sum(widths) + 2 * (len(widths) - 1) <= WIDTH else " "
    for number, cells in enumerate(table):
        numbers = "".join(f"{gap}{cell:>{width}}" for cell, width in zip(cells[1:], widths[1:], strict=True))
        yield (Text(f"{cells[0]:{widths[0]}}{numbers}", "note" if number == 0 else ""),)
    sentences = hygiene.all_advice(report.hosts)
    for sentence in sentences[: hygiene.MAX_SENTENCES]:
        first, *more = hygiene.wrapped(sentence, WIDTH - len("help: "))
        yield (Text("help: ", "note"), Text(first))
        yield from ((Text(f"      {line}"),) for line in more)
    if len(sentences) > hygiene.MAX_SENTENCES:
        yield (Text("help: ", "note"), Text(f"... and {len(sentences) - hygiene.MAX_SENTENCES} more like these"))


def text(report: Report, *, verbose: bool = False) -> str:
    """The whole report, without colours, with its last line."""
    found = [*(statistics(report) if report.hosts else ()), *summary(report, verbose=verbose)]
    rows = ["".join(piece.text for piece in row) for row in found]
    return "\n".join([*rows, counts(report)])


def block(entries: list[Entry]) -> Iterator[Row]:
    """The rows about one creation site."""
    first = entries[0]
    failing = _fails(entries)
    yield (Text(first.kind, "error" if failing else "note"), Text(f": {first.message}", "bold"))
    yield from _where(first)
    if first.library_stack:
        library = first.library_stack[-1]
        yield _remark("in the library", f"{library.path}:{library.line} in {library.function}")
    for line in first.stack[1 : 1 + MOST]:
        yield _remark("called from", f"{line.path}:{line.line} in {line.function}")
    yield _remark("tests", _tests(entries))
    for connection in first.connections[:MOST]:
        descriptor = "" if connection["fd"] is None else f", fd {connection['fd']}"
        peer = f" -> {connection['remote']}" if connection["remote"] else ""
        yield _remark("connection", f"{connection['local']}{peer} ({connection['status']}{descriptor})")
    for holder in islice(_holders(entries), MOST):
        yield _remark("kept alive by", holder)
    if first.status == "leak" and not failing:
        yield _remark("status", "a warning, fails nothing")
    elif not failing:
        reason = f" ({first.reason})" if first.reason else ""
        yield _remark("status", STATUS_TITLES.get(first.status, first.status) + reason)
    elif first.reason:
        yield _remark("why it fails", first.reason)
    label = "help: "
    for text in first.help.splitlines():
        yield (Text(f"   = {label}" if label else " " * 11, "note"), Text(text))
        label = ""
    yield _remark("more", f"python -m pytest_connleak explain {first.kind}")


def short(entries: list[Entry]) -> str:
    """The findings of one test, for its failure: what and where, each line of code once."""
    lines = []
    for entries_here in by_site(entries):
        entry, number = entries_here[0], sum(e.count for e in entries_here)
        times = f" ({number} times)" if number > 1 else ""
        lines.append(f"{entry.kind}: {entry.message}{times}")
        if entry.path is not None:
            lines.append(f"  --> {entry.path}:{entry.line} in {entry.function}")
            lines.append(f"      {entry.source}")
        if entry.scope not in ("function", "process"):
            lines.append(f"      made for the {entry.scope}, and still there when its last test had ended")
        lines.extend(f"      kept alive by {holder}" for holder in islice(_holders(entries_here), MOST))
        lines.append(f"  help: {entry.help.replace(chr(10), chr(10) + '        ')}")
    return "\n".join(lines)


def headline(entries: list[Entry]) -> str:
    """The findings of one test in one line, for the short test summary."""
    sites = dict.fromkeys(f"{e.kind} at {e.path}:{e.line}" if e.path else e.kind for e in entries)
    return f"connection leak: {', '.join(sites)}"


def counts(report: Report) -> str:
    """The last line: how many of which kind, those that only warn apart, and how many that are merely listed."""
    leaks = [e for e in report.entries if e.status == "leak"]
    failing, warned = _count(e.kind for e in leaks if e.fails), _count(e.kind for e in leaks if not e.fails)
    others = _count(COUNTED.get(e.status, e.status) for e in report.entries if e.status != "leak")
    parts = [
        failing or ("" if warned else "no leaks"),
        f"warnings: {warned}" if warned else "",
        f"not failing: {others}" if others else "",
    ]
    return f"connleak: {'; '.join(filter(None, parts))}"


def _count(words: Iterable[str]) -> str:
    return ", ".join(f"{number} {word}" for word, number in sorted(Counter(words).items()))


def _fails(entries: list[Entry]) -> bool:
    return any(entry.fails for entry in entries)


def _where(entry: Entry) -> Iterator[Row]:
    if entry.path is None:
        yield (Text("  --> ", "note"), Text("(no line of Python is known to have opened it)"))
        return
    number = str(entry.line)
    margin = " " * len(number)
    yield (Text("  --> ", "note"), Text(f"{entry.path}:{entry.line}"), Text(f" in {entry.function}"))
    if entry.source:
        yield (Text(f" {margin} |", "note"),)
        yield (Text(f" {number} | ", "note"), Text(entry.source))
        yield (Text(f" {margin} |", "note"),)


def _remark(label: str, text: str) -> Row:
    return (Text(f"   = {label}: ", "note"), Text(text))


def _holders(entries: list[Entry]) -> dict[str, None]:
    return dict.fromkeys(e.held_by for e in entries if e.held_by)


def _tests(entries: list[Entry]) -> str:
    nodeids = dict.fromkeys(e.nodeid or "(outside of any test)" for e in entries)
    times = sum(e.count for e in entries)
    shown = ", ".join(islice(nodeids, MOST))
    more = f" and {len(nodeids) - MOST} more" if len(nodeids) > MOST else ""
    often = f" ({times} times)" if times > len(nodeids) else ""
    scopes = {e.scope for e in entries} - {"function", "process"}
    scope = f", made for the {' and '.join(sorted(scopes))}" if scopes else ""
    return shown + more + often + scope
